"""Become the right user, tie our life to the parent's, then exec the command.

Run as a script by `child.py`, never imported by it: an interpreter of its own
needs no code between fork and exec, which is unsafe beside other threads. It
imports nothing of ours, so it starts in a few hundredths of a second.

The death signal is set last, because a change of user clears it (prctl(2)).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from pathlib import Path

REFUSED = 97
NOBODY = 65534

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def enter_user_namespace() -> None:
    """Map our own user to nobody's number in a namespace of our own: no system user is touched."""
    uid, gid = os.getuid(), os.getgid()
    _checked(_libc.unshare(_CLONE_NEWUSER), "unshare")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1", encoding="ascii")


def become_nobody() -> None:
    """Change to nobody; keep the right to pass through folders that only root may enter, where allowed."""
    _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    one = 1 << _CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(one, one, one, 0, 0, 0)
    # Without this right the folders themselves must let nobody in: the caller finds out by trying.
    if _libc.capset(header, sets) == 0:
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def die_with(parent: int, signal_number: int) -> None:
    """Ask the kernel to signal us when the parent ends; end now if it already has."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        raise SystemExit(REFUSED)


def main() -> None:
    """Parse the options, change what they say, and exec what stands after `--`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--as-user", choices=("same", "namespace", "nobody"), default="same")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        match options.as_user:
            case "namespace":
                enter_user_namespace()
            case "nobody":
                become_nobody()
            case _:
                pass
        die_with(options.parent, options.death_signal)
        os.execvp(options.command[0], options.command)  # noqa: S606 - exec is the purpose; there is no shell
    except OSError as refused:
        sys.stderr.write(f"{options.command[0]}: {refused}\n")
        raise SystemExit(REFUSED) from None


if __name__ == "__main__":
    main()
