"""A scenario for real: the door as it is served, backends on loopback, a load that waits for nobody."""
