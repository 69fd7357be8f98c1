"""What Python's ssl does not say of OpenSSL: reached in the very library that it is linked with."""
