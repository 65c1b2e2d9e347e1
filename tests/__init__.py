"""The tests: a mirror of the packages, with servers of their own."""
