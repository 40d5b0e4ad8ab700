"""`run` runs a module over a link to this machine; `oracle` runs ansible-core's module of the same name, to compare.

SHEPHERD_TARGET_PYTHON names another Python for the far end (3.6 or newer); SHEPHERD_ORACLE the bin folder of an
environment with ansible-core.
"""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from shepherd import sources
from shepherd.link import Link
from shepherd.spec import load_spec
from shepherd.transport import Endpoint
from shepherd.transport.local import LocalTransport

pytest.register_assert_rewrite("module_cases")

HERE = Path(__file__).parent


class Target:
    """This machine at the far end of a link, for code that is not asynchronous."""

    def __init__(self, python=None):
        self.runner = asyncio.Runner()
        self.transport = LocalTransport(Endpoint("here", "localhost", kind="local"))
        self.link = self.runner.run(self._open(python))

    async def _open(self, python):
        await self.transport.connect()
        return await Link.open(self.transport, interpreter=python)

    def run(self, module, args, check=False, diff=False, upload=None, **more):
        spec = load_spec(module)
        private = {name: value for name, value in args.items() if name.startswith("_")}
        plain = {name: value for name, value in args.items() if name not in private}
        given = {**spec.normalise(plain), **private}
        source = sources.module(spec.path, module)
        return self.runner.run(self.link.run(source, given, check=check, diff=diff, upload=upload, **more))

    def close(self):
        async def close():
            self.link.close()
            self.transport.close()

        self.runner.run(close())
        self.runner.close()


@pytest.fixture(scope="session")
def target():
    umask = os.umask(0o022)
    found = Target(os.environ.get("SHEPHERD_TARGET_PYTHON"))
    os.umask(umask)
    yield found
    found.close()


@pytest.fixture
def run(target):
    """run(module, args, check=False, diff=False, upload=None) -> the module's result."""
    return target.run


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
def scratch():
    """An empty folder. Its path is of the same length in every run: a link's size is in recorded results."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    path = Path(f"/tmp/shepherd-modules-{worker:-<4}")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    yield path
    shutil.rmtree(path, ignore_errors=True)
