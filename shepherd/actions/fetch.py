"""The controller's half of `fetch`: bring a file from the host, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any

from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from shepherd.engine.step import Step


async def run(step: Step) -> dict[str, Any]:
    args = step.args
    source = args["src"]
    if step.check:
        found = await step.module("stat", {"path": source, "checksum_algorithm": "sha1"}, check=False)
    else:
        found = await step.module("stat", {"path": source, "checksum_algorithm": "sha1"})
    status = found.get("stat", {})
    problem = _problem(source, status) or (found.get("msg") if found.get("failed") else None)
    if problem:
        result = {"changed": False, "file": source, "msg": problem}
        return {**result, "failed": True} if args["fail_on_missing"] else result
    dest = _destination(step, source)
    if isinstance(dest, dict):
        return dest
    remote = status.get("checksum")
    local = await in_thread(_digest, dest, "sha1")
    if local == remote:
        return {
            "changed": False,
            "md5sum": await in_thread(_digest, dest, "md5"),
            "file": source,
            "dest": dest,
            "checksum": local,
        }
    if step.check:
        return {"changed": True, "file": source, "dest": dest, "checksum": remote, "md5sum": None}
    os.makedirs(os.path.dirname(dest) or ".", exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=os.path.dirname(dest) or ".", prefix=".shepherd-")
    try:
        with open(descriptor, "wb") as handle:
            got = await (await step.link()).get(source, lambda piece: _write(handle, piece))
            handle.flush()
            await in_thread(os.fsync, handle.fileno())
            os.fchmod(handle.fileno(), 0o666 & ~_umask())
        checksum = await in_thread(_digest, beside, "sha1")
        if args["validate_checksum"] and checksum != got.get("checksum", remote):
            return {
                "changed": False,
                "failed": True,
                "msg": "checksum mismatch",
                "file": source,
                "dest": dest,
                "checksum": checksum,
                "remote_checksum": remote,
            }
        os.replace(beside, dest)
    finally:
        if os.path.exists(beside):
            os.unlink(beside)
    return {
        "changed": True,
        "md5sum": await in_thread(_digest, dest, "md5"),
        "dest": dest,
        "remote_md5sum": None,
        "checksum": checksum,
        "remote_checksum": remote,
    }


def _problem(source: str, status: dict[str, Any]) -> str | None:
    if not status.get("exists"):
        return "the remote file does not exist, not transferring, ignored"
    if status.get("isdir"):
        return "remote file is a directory, fetch cannot work on directories"
    if not status.get("isreg") and not status.get("islnk"):
        return f"{source} is not a regular file"
    if status.get("readable") is False:
        return "remote file is not readable, permission denied"
    return None


def _destination(step: Step, source: str) -> str | dict[str, Any]:
    """Where it goes: dest/HOST/path, or with `flat` dest itself."""
    dest = os.path.expanduser(step.args["dest"])
    if not os.path.isabs(dest):
        dest = os.path.join(step.run.playbook_dir, dest)
    if step.args["flat"]:
        if os.path.isdir(dest) and not step.args["dest"].endswith("/"):
            return {
                "changed": False,
                "failed": True,
                "file": dest,
                "msg": "dest is an existing directory, use a trailing slash if you want to fetch src into "
                "that directory",
            }
        return os.path.join(dest, os.path.basename(source)) if step.args["dest"].endswith("/") else dest
    inside = os.path.normpath("/" + source.replace("\\", "/")).lstrip("/")
    return os.path.join(dest, step.state.name, inside)


def _digest(path: str, algorithm: str) -> str | None:
    try:
        with open(path, "rb") as handle:
            made = hashlib.new(algorithm, usedforsecurity=False)
            for piece in iter(lambda: handle.read(1024 * 1024), b""):
                made.update(piece)
    except (FileNotFoundError, IsADirectoryError):
        return None
    return made.hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _write(handle: IO[bytes], piece: bytes) -> None:
    handle.write(piece)
