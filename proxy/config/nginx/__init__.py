"""The reader of nginx.conf: words, statements, includes, and the settings of blocks as nginx inherits them."""
