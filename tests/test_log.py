"""What may not reach a log, whatever goes wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
from server import log
log.configure(log_format=sys.argv[1], level="info")

def answer(secret):
    words = "Maya 972501234567"
    raise ValueError("cannot read " + words + secret)

try:
    answer("hunter2")
except ValueError:
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=True)
    log.get_logger("ours").error("broke", exc_info=True)
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_errors_words_and_variables_stay_out_of_the_log(log_format):
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stderr.count("ValueError") >= 2
    assert ran.stderr.count("in answer") == 2
    assert not any(word in ran.stderr for word in ("Maya", "972501234567", "hunter2"))
