"""The one place that imports paramiko: late, without what we do not need of it, and quietly."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def load() -> ModuleType:
    """paramiko, imported at the first call. Takes about 100 ms then, so nothing calls this before it connects."""
    if "paramiko" in sys.modules:
        return sys.modules["paramiko"]
    with _instead(_unneeded()):
        module = importlib.import_module("paramiko")
    # its threads log tracebacks of broken connections, which reach the terminal where no handler is set up
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    return module


def _unneeded() -> dict[str, Any]:
    """What paramiko's import would import for nothing, two thirds of its time, and what stands in for it meanwhile.

    invoke              for `Match exec` in paramiko's own ssh_config parser, which is not used here. None makes that
                        import fail, as where invoke is not installed.
    importlib.metadata  for paramiko's version number, which is in the name of the folder beside it as well
    """
    stand_in = ModuleType("importlib.metadata")
    stand_in.version = _version  # type: ignore[attr-defined]  # all that paramiko asks of it
    return {"invoke": None, "importlib.metadata": stand_in}


def _version(name: str) -> str:
    found = importlib.util.find_spec(name)
    packages = Path(found.origin).parent.parent if found and found.origin else Path()
    return next((path.name[len(name) + 1 : -len(".dist-info")] for path in packages.glob(f"{name}-*.dist-info")), "")


@contextlib.contextmanager
def _instead(modules: dict[str, Any]) -> Iterator[None]:
    """While the block runs, `import` finds these modules, but for those that are imported already."""
    put = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(put)
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]
