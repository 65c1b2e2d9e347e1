"""`prosaas up`: the embedded servers, the simulator and the four roles as children of one supervisor."""
