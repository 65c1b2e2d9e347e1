"""`python -m server.worker`: process RQ jobs, nothing else."""

from __future__ import annotations

import os
import sys
import tempfile


def main() -> int:
    """Start as the worker role; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="prosaas-metrics-") as folder:
        # The processes' counters are added up from files; the library decides so as it is imported.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        from server.worker.starting import start

        return start(os.environ["PROMETHEUS_MULTIPROC_DIR"])


if __name__ == "__main__":
    sys.exit(main())
