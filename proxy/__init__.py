"""frontgate: the front door of Python web applications, in Python that one can read."""

__version__ = "0.1.0"
