"""The client's side: listeners, HTTP/1 connections, TLS."""
