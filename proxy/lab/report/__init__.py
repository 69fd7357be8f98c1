"""The report of a simulation: one HTML page that needs nothing else.

Rules: it asks for nothing from anywhere (its own Content-Security-Policy forbids it), is light or dark as its reader
prefers or says, and can be read without seeing its pictures: each has a title, a description and a table.
"""
