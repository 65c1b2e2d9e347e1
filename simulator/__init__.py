"""The outside world in a box: real wire formats over real sockets; it never imports the server."""
