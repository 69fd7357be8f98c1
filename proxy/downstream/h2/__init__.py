"""HTTP/2 on the client's side: connections, streams, and the engines that speak it."""
