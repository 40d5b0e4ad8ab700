"""`raw`: a command by the login shell of the remote user, with neither Python nor a helper on the target."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shepherd.become import Become
    from shepherd.engine.step import Step


async def run(step: Step) -> dict[str, Any]:
    if step.check:
        return {"changed": False, "skipped": True, "msg": "raw does not run in check mode"}
    command: str = step.args["cmd"]
    shell = step.args["executable"]
    if step.environment:
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in step.environment.items())
        command = f"{words} {command}"
    if shell:
        command = f"{shell} -c {shlex.quote(command)}"
    route = await step.worked_out(step.route)
    secret = b""
    if route.become is not None:
        command, secret = _become(route.become, command)
    pipe = await (await step.run.connections.transport(route.endpoint)).open(command)
    output = bytearray()
    closed = asyncio.Event()
    try:
        pipe.start(output.extend, closed.set)
        if secret:
            await pipe.write(secret)
        await closed.wait()
        status = await pipe.wait()
    finally:
        pipe.close()
    result: dict[str, Any] = {
        "changed": True,
        "rc": status if status is not None else -1,
        "stdout": _text(bytes(output)),
        "stderr": _text(pipe.errors),
    }
    if result["rc"] != 0:
        result.update(failed=True, msg="non-zero return code")
    return result


def _become(become: Become, command: str) -> tuple[str, bytes]:
    """The command as another user, and what it must be told first on its standard input."""
    if become.method == "su":
        words = [become.exe or "su", *shlex.split(become.flags or ""), become.user, "-c", command]
    else:
        flags = become.flags if become.flags is not None else "-H -S -n"
        words = [become.exe or "sudo", *shlex.split(flags)]
        if become.password:
            words = [word for word in words if word != "-n"] + ["-p", ""]
        words += ["-u", become.user, "/bin/sh", "-c", command]
    return shlex.join(words), f"{become.password}\n".encode() if become.password else b""


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
