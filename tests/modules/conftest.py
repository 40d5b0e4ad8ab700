"""`run` runs a module over a link to this machine; `oracle` runs ansible-core's module of the same name, to compare.

SHEPHERD_TARGET_PYTHON names another Python for the far end (3.6 or newer); SHEPHERD_ORACLE the bin folder of an
environment with ansible-core.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from far_end import Lines, Target

pytest.register_assert_rewrite("module_cases")

HERE = Path(__file__).parent


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
