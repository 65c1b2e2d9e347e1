"""RQ's own tests of its worker, run against ours: `python -m tests.upstream`."""
