"""What workers do: the runtime, and one thin handler a kind.

Importing a handler's module enters it in the register; `load_handlers` imports them all.
"""

from __future__ import annotations

import importlib
import pkgutil


def load_handlers() -> None:
    """Import every `*_job` module, so that each enters its handler."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.endswith("_job"):
            importlib.import_module(f"{__name__}.{module.name}")
