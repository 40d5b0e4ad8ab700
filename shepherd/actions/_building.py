"""Images that are built of a folder, once for all hosts of a run: on the controller, if it can, or on a build host."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tarfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO
from weakref import WeakKeyDictionary

from shepherd.actions import _images, _runtime
from shepherd.errors import ShepherdError
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from shepherd.engine.run import Run
    from shepherd.engine.step import Step

# What was built in a run: its name, folder and options → the image
_built: WeakKeyDictionary[Run, dict[tuple[str, ...], _images.Image]] = WeakKeyDictionary()


def is_possible() -> bool:
    """Steps of a build are containers, which are root's, on Linux."""
    return sys.platform == "linux" and os.geteuid() == 0


def words(args: dict[str, Any]) -> list[str]:
    """The options of `shepherd-runtime build`."""
    found = [word for name, value in args["build_args"].items() for word in ("--build-arg", f"{name}={value}")]
    found += [word for name, value in args["build_labels"].items() for word in ("--label", f"{name}={value}")]
    found += ["--file", str(args["containerfile"])] if args["containerfile"] is not None else []
    found += ["--target", str(args["build_target"])] if args["build_target"] is not None else []
    return [*found, *(["--network", "host"] if args["build_network"] else [])]


def asked(args: dict[str, Any]) -> dict[str, Any]:
    """The options of a build on a target, as the module is told of them."""
    return {"_build": words(args), "_build_files": files(args)}


def files(args: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Options that name a file: (option, what its value begins with before the path, the content)."""
    content = args["containerfile_content"]
    found = [] if content is None else [("--file", "", str(content))]
    secrets = args["build_secrets"] or {}
    return [*found, *(("--secret", f"id={name},src=", str(value)) for name, value in secrets.items())]


async def build(step: Step, folder: str) -> _images.Image:
    """The image that a folder makes. Raises ShepherdError with what the build said."""
    name, options, folder = str(step.args["name"]), words(step.args), os.path.abspath(folder)
    given = files(step.args)
    if step.args["containerfile"] is not None:
        options[options.index("--file") + 1] = os.path.join(folder, str(step.args["containerfile"]))
    where = step.args["build_on"]
    key = (str(where), name, folder, *options, *(word for one in given for word in one))
    async with step.run.reading:
        known = _built.setdefault(step.run, {})
        if key not in known:
            if where is not None:
                known[key] = await _on_host(step, str(where), folder)
            else:
                await _run(name, folder, options, given)
                known[key] = await in_thread(_images.named, root(), name)
    return known[key]


async def _on_host(step: Step, host: str, folder: str) -> _images.Image:
    """Have a host build, and get from it what is not here yet."""
    builder = step.elsewhere(host)
    context = await in_thread(packed, folder)
    args = {**step.args, **asked(step.args), "_build_only": True}
    result = await _runtime.module(builder, args, upload=context.read())
    if result.get("failed"):
        raise ShepherdError(f"{host}: {result.get('msg')}")
    return await _images.fetched(await builder.link(), str(result["store"]), dict(result["image"]))


def root() -> str:
    """The builder's own store, with what it keeps of steps that were made."""
    return os.path.join(os.path.dirname(_images.root()), "build")


async def _run(name: str, folder: str, options: list[str], given: list[tuple[str, str, str]]) -> None:
    with ExitStack() as opened:
        kept = [opened.enter_context(_in_memory(content)) for _option, _beginning, content in given]
        for (option, beginning, _content), file in zip(given, kept, strict=True):
            options = [*options, option, f"{beginning}/dev/fd/{file.fileno()}"]
        await _call(name, folder, options, [file.fileno() for file in kept])


def _in_memory(content: str) -> BinaryIO:
    """A file that has no name, and that no other user can open."""
    file = os.fdopen(os.memfd_create("build"), "w+b")
    file.write(content.encode("utf-8", "surrogateescape"))
    file.flush()
    return file


async def _call(name: str, folder: str, options: list[str], descriptors: list[int]) -> None:
    command = [sys.executable, "-m", "shepherd.runtime", "--root", root(), "build", "-t", name, *options, folder]
    environment = {"SOURCE_DATE_EPOCH": "1", **os.environ}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd="/",  # a folder called shepherd where we are would be taken for the package
        env=environment,
        pass_fds=descriptors,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _none = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        raise
    if process.returncode:
        text = said.decode("utf-8", "replace").strip()
        raise ShepherdError(f"could not build {name} of {folder}:\n{text[-4000:]}")


def packed(folder: str) -> io.BytesIO:
    """The folder as a tar, for a target that builds."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(folder, arcname=".")
    made.seek(0)
    return made
