"""What stands behind the door in the demo and in the tests: a sample FastAPI application and the way to start it."""
