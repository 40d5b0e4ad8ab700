"""The one place that imports paramiko: late, without what we do not need of it, and quietly."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def load() -> ModuleType:
    """paramiko, imported at the first call. Takes about 100 ms then, so nothing calls this before it connects."""
    if "paramiko" in sys.modules:
        return sys.modules["paramiko"]
    # paramiko.config tries to import invoke for `Match exec` in its own ssh_config parser, which is not used here:
    # half of the import's time. A None in sys.modules makes that import fail, as where invoke is not installed.
    hide_invoke = "invoke" not in sys.modules
    if hide_invoke:
        sys.modules["invoke"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        module = importlib.import_module("paramiko")
    finally:
        if hide_invoke:
            del sys.modules["invoke"]
    # its threads log tracebacks of broken connections, which reach the terminal where no handler is set up
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    return module
