"""Cases as data: a tree of files, steps that run modules in it, and what must come out of both.

What must come out was seen with ansible-core 2.18 and is kept in recorded/<module>.json. With SHEPHERD_ORACLE set every
case is played with ansible-core again and compared with that, too; SHEPHERD_RECORD=1 writes what it answers.
"""

import contextlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"
# differ from run to run, or by design: tracebacks, and what only ansible-core's frame around a module adds
DROPPED = {"exception", "invocation", "deprecations", "module_stdout", "module_stderr", "raised"}


@dataclass
class Link:
    to: str


@dataclass
class Dir:
    mode: int = 0o755


@dataclass
class File:
    content: str | bytes = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass
class Step:
    module: str
    args: dict[str, Any]
    check: bool = False
    diff: bool = True


@dataclass
class Case:
    name: str
    files: dict[str, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    hardlinks: dict[str, str] = field(default_factory=dict)


def build(root, files, hardlinks=()):
    for name, what in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, Link):
            path.symlink_to(what.to)
        elif isinstance(what, Dir):
            path.mkdir(exist_ok=True)
            path.chmod(what.mode)
        else:
            what = what if isinstance(what, File) else File(what)
            content = what.content if isinstance(what.content, bytes) else what.content.encode()
            path.write_bytes(content)
            os.chown(path, what.uid, what.gid)
            path.chmod(what.mode)
    for name in hardlinks:
        os.link(root / hardlinks[name], root / name)


def snapshot(root):
    """All below root as {name: description}."""
    found = {}
    for base, directories, files in os.walk(root):
        for name in sorted(directories + files):
            path = os.path.join(base, name)
            status = os.lstat(path)
            shown = [oct(stat.S_IMODE(status.st_mode)), status.st_uid, status.st_gid]
            if stat.S_ISLNK(status.st_mode):
                shown = ["link", os.readlink(path).replace(str(root), "<root>")]
            elif stat.S_ISDIR(status.st_mode):
                shown.insert(0, "dir")
            else:
                shown.insert(0, "file")
                with open(path, "rb") as stream:
                    shown.append(stream.read(4096).decode("latin-1"))
            found[scrubbed(os.path.relpath(path, root))] = shown
    return found


def scrubbed(value, root=""):
    """A result without what differs from run to run."""
    if isinstance(value, dict):
        kept = {scrubbed(key, root): scrubbed(item, root) for key, item in value.items() if key not in DROPPED}
        if kept.get("state") == "directory":
            kept.pop("size", None)
        return {key: ("<time>" if key in ("mtime", "atime") else item) for key, item in kept.items()}
    if isinstance(value, list):
        return [scrubbed(item, root) for item in value]
    if isinstance(value, str):
        value = re.sub(r"\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~", ".<backup>~", value)
        value = re.sub(r"b'([^']*)'", r"'\1'", value)
        return value.replace(root, "<root>") if root else value
    return value


def clean(root):
    for path in list(root.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def play(case, root, runner):
    """Results and files, ready to compare. A relative path option is taken below root, as the steps' `cwd`."""
    clean(root)
    build(root, case.files, case.hardlinks)
    results = []
    for step in case.steps:
        args = json.loads(json.dumps(step.args).replace("@/", f"{root}/"))
        result = scrubbed(runner(step.module, args, check=step.check, diff=step.diff), str(root))
        result.setdefault("failed", False)
        result.setdefault("changed", False)
        results.append(result)
    return {"results": results, "files": snapshot(root)}


def check(case, area, scratch, run, oracle, ours=lambda result, step: result, theirs=lambda result, step: result):
    """Play the case and compare with what is recorded. `ours` and `theirs` iron out differences that are meant."""
    file = RECORDED / f"{area}.json"
    recorded = json.loads(file.read_text()) if file.exists() else {}
    if oracle is not None:
        seen = play(case, scratch, oracle)
        seen["results"] = [theirs(*pair) for pair in zip(seen["results"], case.steps, strict=True)]
        if os.environ.get("SHEPHERD_RECORD"):
            recorded[case.name] = seen
            RECORDED.mkdir(exist_ok=True)
            lines = [f"{json.dumps(name)}: {json.dumps(recorded[name], sort_keys=True)}" for name in sorted(recorded)]
            file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        assert recorded.get(case.name) == seen, "ansible-core answers otherwise than recorded"
    mine = play(case, scratch, run)
    mine["results"] = [ours(*pair) for pair in zip(mine["results"], case.steps, strict=True)]
    with contextlib.suppress(OSError):
        clean(scratch)
    expected = recorded[case.name]
    for result, theirs_result in zip(mine["results"], expected["results"], strict=True):
        if theirs_result.pop("crashed", False):  # a traceback is nothing to be like; that it fails is
            assert result["failed"] and "Traceback" not in str(result), result
            theirs_result.update(result)
    assert mine == expected
