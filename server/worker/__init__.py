"""RQ workers: processes that run many waiting jobs at once and end each of them once."""
