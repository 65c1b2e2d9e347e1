"""`python -m server.worker`: process RQ jobs, nothing else."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext

from server.worker.metrics_folder import metrics_folder

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def main() -> int:
    """Start as the worker role; returns the exit code."""
    with nullcontext(os.environ[FOLDER]) if FOLDER in os.environ else metrics_folder() as folder:
        # The processes' counters are added up from files; the library decides so as it is imported.
        os.environ[FOLDER] = folder
        from server.worker.starting import start

        return start(folder)


if __name__ == "__main__":
    sys.exit(main())
