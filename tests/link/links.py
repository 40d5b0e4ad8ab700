"""Links to this machine: every helper is real, in its own processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shepherd.link import Link
from shepherd.transport import Endpoint
from shepherd.transport.local import LocalTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

PYENV = Path(os.environ.get("PYENV_ROOT", "/root/.pyenv")) / "versions"


def pythons() -> list[str]:
    """One interpreter of each minor version found on this machine, the oldest first."""
    found: dict[tuple[int, ...], str] = {}
    for python in PYENV.glob("3.*/bin/python"):
        found[tuple(int(part) for part in python.parts[-3].split(".")[:2])] = str(python)
    return [found[version] for version in sorted(found) if version >= (3, 6)]


def some_pythons() -> list[str]:
    """The system's, the oldest, the newest and one between."""
    found = pythons()
    return ["/usr/bin/python3", *dict.fromkeys([*found[:1], *found[2:3], *found[-1:]])]


def marked(mark: str) -> list[int]:
    """The processes other than this one that carry `mark` in their environment."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in Path(f"/proc/{entry}/environ").read_bytes():
                    found.append(int(entry))
    return found


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Wait until `condition()` holds; False when it still does not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def soon(condition: Callable[[], Any], seconds: float = 10.0) -> bool:
    """`eventually`, with the event loop running meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


@contextlib.asynccontextmanager
async def linked(interpreter: str | None = None, transport: LocalTransport | None = None) -> AsyncIterator[Link]:
    transport = transport or LocalTransport(Endpoint("here", "localhost", kind="local"))
    await transport.connect()
    try:
        link = await Link.open(transport, interpreter=interpreter)
        try:
            yield link
        finally:
            link.close()
    finally:
        transport.close()
        await asyncio.sleep(0)


def go(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a test's coroutine; a test that hangs fails by itself."""

    async def limited() -> Any:
        async with asyncio.timeout(60):
            return await main

    return asyncio.run(limited())
