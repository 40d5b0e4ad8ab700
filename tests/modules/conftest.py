"""`run` runs a module as a target would; `oracle` runs ansible-core's module of the same name, to compare.

SHEPHERD_TARGET_PYTHON names another Python for the target's half (3.6 or newer); SHEPHERD_ORACLE the bin folder of an
environment with ansible-core.
"""

import ast
import base64
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("cases")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GROUPS = {
    "file_attributes": {
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "mode": {"type": "raw"},
        "attributes": {"type": "str", "aliases": ["attr"]},
        "seuser": {"type": "str"},
        "serole": {"type": "str"},
        "setype": {"type": "str"},
        "selevel": {"type": "str"},
        "unsafe_writes": {"type": "bool", "default": False},
    },
    "validate": {"validate": {"type": "str"}},
    "backup": {"backup": {"type": "bool", "default": False}},
}


class Lines:
    """A process that answers each JSON line with one."""

    def __init__(self, argv, env):
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def spec_of(module):
    tree = ast.parse((ROOT / "modules" / f"{module}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "SPEC":
            return ast.literal_eval(node.value)
    raise LookupError(module)


def with_defaults(module, args):
    spec = spec_of(module)
    options = dict(spec["options"])
    for group in spec.get("include", []):
        options.update(GROUPS[group])
    main = {alias: name for name, option in options.items() for alias in option.get("aliases", [])}
    given = {main.get(name, name): value for name, value in args.items()}
    unknown = [name for name in given if name not in options and not name.startswith("_")]
    assert not unknown, f"{module} has no {unknown}"
    return {**{name: option.get("default") for name, option in options.items()}, **given}


@pytest.fixture(scope="session")
def target():
    python = os.environ.get("SHEPHERD_TARGET_PYTHON", sys.executable)
    lines = Lines([python, "-B", str(HERE / "runner.py")], dict(os.environ, LC_ALL="C.UTF-8"))
    yield lines
    lines.close()


@pytest.fixture
def run(target):
    """run(module, args, check=False, diff=False, upload=None) -> the module's result."""

    def run(module, args, check=False, diff=False, upload=None):
        request = {
            "path": str(ROOT / "modules" / f"{module}.py"),
            "args": with_defaults(module, args),
            "check": check,
            "diff": diff,
            "upload": None if upload is None else base64.b64encode(upload).decode(),
        }
        return target.ask(request)

    return run


@pytest.fixture(scope="session")
def oracle():
    """oracle(module, args, check, diff) -> the result of ansible-core's module; None where there is no ansible-core."""
    folder = os.environ.get("SHEPHERD_ORACLE")
    if not folder:
        yield None
        return
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    lines = Lines([str(Path(folder) / "python"), "-B", str(HERE / "oracle_runner.py")], environment)

    def ask(module, args, check=False, diff=False):
        text = lines.ask({"module": module, "args": args, "check": check, "diff": diff})["text"]
        return json.loads(text) if text else {"failed": True, "crashed": True}

    yield ask
    lines.close()


@pytest.fixture
def scratch(request, tmp_path):
    """An empty folder whose path is the same in every run, so that recorded results can name it."""
    import shutil

    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    path = Path("/tmp/shepherd-modules-test") / worker
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
