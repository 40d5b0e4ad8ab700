"""The controller's half of `copy`: find the content, digest it once for all hosts, send it where it differs."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO

from shepherd.errors import ShepherdError
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shepherd.engine.step import Step

SMALL = 16 * 1024  # bytes that ride along at once: cheaper than asking first whether they are needed
QUICK = 1024 * 1024  # bytes whose digest takes a millisecond
ONE_REQUEST = True  # what needs more calls step.several_requests()


async def run(step: Step) -> dict[str, Any]:
    args = dict(step.args)
    if args["src"] is None and args["content"] is None:
        raise ShepherdError("src (or content) is required", origin=step.task.origin)
    if args["content"] is not None and args["src"] is not None:
        raise ShepherdError("src and content are mutually exclusive", origin=step.task.origin)
    if args["remote_src"]:
        return await step.module(args=args)
    if args["content"] is not None:
        content = args.pop("content")
        if str(args["dest"]).endswith("/"):
            raise ShepherdError("can not use content with a dir as dest", origin=step.task.origin)
        text = json.dumps(content) if isinstance(content, (dict, list)) else str(content)
        return await send(step, text.encode("utf-8", "surrogateescape"), {**args, "content": None})
    source = find(step, str(args["src"]))
    if os.path.isdir(source):
        from shepherd.actions import _tree

        step.several_requests()
        return await _tree.send(step, source, args)
    if args["mode"] == "preserve":
        args["mode"] = f"0{os.stat(source).st_mode & 0o7777:o}"
    args["src"] = source
    args["_original_basename"] = os.path.basename(str(step.args["src"]))
    return await send_file(step, source, args)


def find(step: Step, name: str) -> str:
    """The controller's file or folder `name`, its trailing slash kept: it means the content of a folder."""
    path = step.find("files", name)
    return path + "/" if name.endswith("/") and not path.endswith("/") else path


async def send(step: Step, content: bytes, args: dict[str, Any]) -> dict[str, Any]:
    """Bring `content` to args["dest"] with the module `copy`."""
    args["checksum"] = _expected(args, hashlib.sha1(content, usedforsecurity=False).hexdigest())
    args["_size"] = len(content)
    if len(content) <= SMALL:
        return await step.module("copy", args, upload=content)
    step.several_requests()
    result = await step.module("copy", args)
    if result.get("need") == "content":
        result = await step.module("copy", args, upload=content)
    return result


async def send_file(step: Step, path: str, args: dict[str, Any]) -> dict[str, Any]:
    """As `send`, from a file that may be large: it is read in pieces."""
    with open(path, "rb") as handle:
        stat = os.fstat(handle.fileno())
        if stat.st_size <= SMALL:
            return await send(step, handle.read(), args)
        step.several_requests()
        args["checksum"] = _expected(args, await _digested(step, path, stat, handle))
        args["_size"] = stat.st_size
        result = await step.module("copy", args)
        if result.get("need") == "content":
            handle.seek(0)
            result = await step.module("copy", args, upload=handle)
        return result


async def _digested(step: Step, path: str, stat: os.stat_result, handle: BinaryIO) -> str:
    """As `digest`; other hosts do not wait for a large file to be read, unless it is for them too."""
    if stat.st_size <= QUICK:
        return digest(step, path, stat, handle)
    async with step.run.reading:
        return await in_thread(digest, step, path, stat, handle)


def digest(step: Step, path: str, stat: os.stat_result, handle: BinaryIO) -> str:
    """The SHA-1 of a file, worked out once however many hosts it goes to."""
    key = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    found = step.run.digests.get(key)
    if found is None:
        made = hashlib.sha1(usedforsecurity=False)
        for piece in pieces(handle):
            made.update(piece)
        found = step.run.digests[key] = made.hexdigest()
    return found


def pieces(handle: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: handle.read(1024 * 1024), b"")


def _expected(args: dict[str, Any], found: str) -> str:
    """The user's own `checksum` must be that of the content."""
    wanted = args.get("checksum")
    if wanted is not None and wanted != found:
        raise ShepherdError(
            f"Copied file does not match the expected checksum. Transfer failed. {wanted} was wanted, {found} found"
        )
    return found
