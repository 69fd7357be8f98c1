"""The command `frontgate nginx`: nginx's own command line, its texts and exit codes."""
