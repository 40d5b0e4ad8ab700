"""Runs of modules in real helpers."""

import ast
import asyncio
import hashlib
import io
import os
import signal
import sys
from pathlib import Path

import pytest
from links import go, linked, some_pythons, soon

from shepherd import sources


@pytest.mark.parametrize("python", some_pythons())
def test_a_module_runs_on_each_python(python, ping, probe):
    async def main():
        async with linked(python) as link:
            assert os.path.realpath(link.hello["executable"]) == os.path.realpath(python)
            assert link.hello["user"] == "root" or os.geteuid()
            assert await link.run(ping, {"data": "é"}) == {"changed": False, "ping": "é"}
            assert await link.run(probe("import sys; return {'v': list(sys.version_info[:2])}"), {}) == {
                "v": link.hello["python"][:2]
            }
            crashed = await link.run(ping, {"data": "crash"})
            assert crashed["failed"] and "boom" in crashed["msg"]
            assert 'raise Exception("boom")' in crashed["exception"]  # the source line, though no file is there
            large = os.urandom(3_000_000)
            digest = probe("import hashlib; return {'sum': hashlib.sha256(task.upload.read()).hexdigest()}")
            assert (await link.run(digest, {}, upload=large))["sum"] == hashlib.sha256(large).hexdigest()

    go(main())


# What a module's body does → what must be in its result
RESULTS = {
    "fails": ('task.fail("no luck", rc=4)', {"failed": True, "msg": "no luck", "rc": 4, "changed": False}),
    "warns": ('task.warn("careful"); return {"changed": True}', {"changed": True, "warnings": ["careful"]}),
    "raises": ("1 / 0", {"failed": True, "msg": "ZeroDivisionError: division by zero"}),
    "returns nothing": ("pass", {"failed": True, "msg": "The module returned NoneType, not a dict"}),
    "exits": ("import sys; sys.exit(3)", {"failed": True, "msg": "The module ended itself with status 3"}),
    "exits hard": (
        "import os; os._exit(3)",
        {"failed": True, "msg": "The module's process ended with status 3 and no result", "rc": 3},
    ),
    "is killed": (
        "import os; os.kill(os.getpid(), 9)",
        {"failed": True, "msg": "The module's process was killed by signal 9", "rc": -9},
    ),
    "returns an object": (
        'return {"a": [1, {"b": object()}]}',
        {"failed": True, "msg": "The module's result cannot be sent: 'a': a object is no plain data"},
    ),
    "prints before it raises": (
        'import os, sys; print("out"); os.write(2, b"err"); raise ValueError',
        {"failed": True, "module_stdout": "out\n", "module_stderr": "err"},
    ),
    "prints and succeeds": ('print("noise"); return {"changed": False}', {"changed": False}),
    "reads standard input": ("import sys; return {'read': sys.stdin.read()}", {"read": ""}),
    "has raw bytes": (
        r"return {'x': b'caf\xe9 \xff'.decode('utf-8', 'surrogateescape')}",
        {"x": "caf\udce9 \udcff"},
    ),
    "returns dates, bytes and sets": (
        "import datetime; return {'x': [datetime.date(2024, 2, 29), b'\\xff', {1}]}",
        {"x": ["2024-02-29", "\udcff", [1]]},
    ),
    "is its own part": (
        "x = {}; x['x'] = x; return x",
        {"failed": True, "msg": "The module's result cannot be sent: 'x': Circular reference detected"},
    ),
    "is large": ("return {'x': 'y' * 12000000}", {"x": "y" * 12_000_000}),
    "leads its group": ("import os; return {'x': os.getpgrp() == os.getpid() == os.getsid(0)}", {"x": True}),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results(case, probe):
    body, expected = RESULTS[case]

    async def main():
        async with linked() as link:
            result = await link.run(probe(body), {})
            assert {key: result.get(key) for key in expected} == expected
            await link.ping()

    go(main())


def test_options_reach_the_module(probe):
    options = """{"one": {"type": "path"}, "many": {"type": "list", "elements": "path"}, "text": {"type": "str"},
        "sub": {"type": "list", "elements": "dict", "options": {"src": {"type": "path"}}}}"""
    module = probe("return {'args': task.args, 'check': task.check, 'diff': task.diff}", options=options)
    args = {"one": "~/x", "many": ["$PLACE/a", "/b"], "text": "~/$PLACE", "sub": [{"src": "${PLACE}"}], "_private": 1}

    async def main():
        async with linked() as link:
            result = await link.run(module, args, check=True, environment={"PLACE": "/there", "HOME": "/home/me"})
            assert result == {
                "args": {
                    "one": "/home/me/x",
                    "many": ["/there/a", "/b"],
                    "text": "~/$PLACE",
                    "sub": [{"src": "/there"}],
                    "_private": 1,
                },
                "check": True,
                "diff": False,
            }

    go(main())


def test_runs_do_not_disturb_one_another(probe):
    spoil = probe(
        "import os, sys, json; os.chdir('/proc'); os.environ['SPOILT'] = '1'; os.umask(0); json.dumps = None; "
        "os.close(0); return {}"
    )
    look = probe("import os, json; json.dumps(1); return {'cwd': os.getcwd(), 'env': os.environ.get('SPOILT')}")

    async def main():
        async with linked() as link:
            await link.run(spoil, {})
            assert await link.run(look, {}) == {"cwd": os.getcwd(), "env": None}

    go(main())


def test_many_at_once(probe):
    module = probe("import time; time.sleep(0.05); return {'n': task.args['n'], 'up': task.upload.read().decode()}")

    async def main():
        async with linked() as link:
            results = await asyncio.gather(
                *(link.run(module, {"n": n}, upload=str(n).encode() * 40_000) for n in range(20))
            )
            assert results == [{"n": n, "up": str(n) * 40_000} for n in range(20)]

    go(main())


def test_output_streams_while_the_module_runs(probe, tmp_path):
    body = f"""
import os, sys, time
os.write(1, b"\\x1b[31m\\xff")
os.write(2, b"bad")
while not os.path.exists({str(tmp_path / "seen")!r}):
    time.sleep(0.005)
return {{}}
"""
    heard = []

    def hear(stream, data):
        heard.append((stream, data))
        (tmp_path / "seen").touch()

    async def main():
        async with linked() as link:
            assert await link.run(probe(body), {}, on_output=hear) == {}

    go(main())
    assert ("stdout", b"\x1b[31m\xff") in heard


def test_a_service_left_running_does_not_hold_the_result(probe, tmp_path):
    """It keeps the output pipes open; it was started by exec or by a bare fork; it lives on after the helper."""
    body = """
import os, subprocess, time
kept = subprocess.Popen(["sleep", "100"])
pid = os.fork()
if pid == 0:
    time.sleep(100)
    os._exit(0)
return {"pids": [kept.pid, pid]}
"""

    async def main():
        async with linked() as link:
            pids = (await link.run(probe(body), {}))["pids"]
            helper = link.hello["pid"]
        assert await soon(lambda: not Path(f"/proc/{helper}").exists())
        for pid in pids:
            os.kill(pid, 0)
            os.kill(pid, signal.SIGKILL)

    go(main())


def test_the_newest_file_of_a_name_runs(probe):
    async def main():
        async with linked() as link:
            first, second = probe("return {'v': 1}"), probe("return {'v': 2}")
            assert [(await link.run(m, {}))["v"] for m in (first, second, first)] == [1, 2, 1]

    go(main())


def test_a_user_module_may_take_the_name_of_ours(ping, probe):
    async def main():
        async with linked() as link:
            await link.run(ping, {"data": "pong"})
            mine = probe("return {'ping': 'mine'}", name="ping")
            assert [(await link.run(m, {"data": "pong"}))["ping"] for m in (mine, ping)] == ["mine", "pong"]

    go(main())


def test_a_users_module_is_only_ever_imported_in_the_forked_process(probe):
    text = "import os\nSPEC = {}\nPID = os.getpid()\n\n\ndef run(task):\n    return {'same': PID == os.getpid()}\n"

    async def main():
        async with linked() as link:
            assert await link.run(probe(text, whole=True), {}) == {"same": True}

    go(main())


def test_what_a_module_imports_of_ours_goes_along(probe):
    module = probe("from shepherd.remote.download import Download; return {'x': Download.__module__}")
    assert [source.name for source in module.closure] == ["shepherd.remote.download"]

    async def main():
        async with linked() as link:
            assert await link.run(module, {}) == {"x": "shepherd.remote.download"}

    go(main())


@pytest.mark.parametrize("python", some_pythons())
def test_installed_packages_are_found_when_asked_for(python, probe):
    """Python starts without `site`; the first import that needs it brings it."""
    module = probe("import sys; before = len(sys.path); import pip; return {'file': pip.__file__}")

    async def main():
        async with linked(python) as link:
            result = await link.run(module, {})
            if "No module named 'pip'" in result.get("msg", ""):
                pytest.skip("no package is installed for this Python")
            assert "-packages" in result["file"]

    go(main())


@pytest.mark.parametrize("python", some_pythons())
def test_a_module_that_is_no_python_is_explained_with_its_place(python, probe):
    async def main():
        async with linked(python) as link:
            result = await link.run(probe("x = 1\ndef run(:\n", whole=True), {})
            assert result["failed"] and "SyntaxError" in result["msg"]
            assert "probe.py" in result["exception"] and "line 2" in result["exception"]

    go(main())


@pytest.mark.parametrize("compiled", [True, False])
def test_code_and_text_both_serve(compiled, ping, probe, monkeypatch):
    """A target that reads our bytecode is sent code, another text; tracebacks show the lines of either."""
    monkeypatch.setattr(sources, "BYTECODE", sources.BYTECODE if compiled else "none like this")
    mine = probe("# a comment\nraise ValueError(1)  # here")

    async def main():
        async with linked(sys.executable) as link:
            assert (await link.run(ping, {"data": "x"}))["ping"] == "x"
            crashed = await link.run(mine, {})
            assert f'File "{mine.path}", line 6, in run\n    raise ValueError(1)  # here\n' in crashed["exception"]

    go(main())
    sources._packed.cache_clear()
    sources.core.cache_clear()


def test_the_pattern_finds_the_imports_that_the_parser_finds():
    """Imports are found by pattern, for speed: it may find more, never less."""
    for path in [*sources.modules_directory().glob("*.py"), *(sources.PACKAGE / "remote").rglob("*.py")]:
        wanted = set()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                wanted |= {f"{node.module}.{alias.name}" for alias in node.names}
        assert {name for name in wanted if name.startswith("shepherd.")} <= set(sources._imports(path)), path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from shepherd.remote import a, b as c  # d", {"a", "b"}),
        ("    from shepherd.remote import (\n        a,  # first\n        b,\n    )\n", {"a", "b"}),
        ("import shepherd.remote.a, os, shepherd.remote.b as x", {"a", "b"}),
        ("from shepherd.remote.a import b", {"a", "a.b"}),
        ("x = 1; y = 'from shepherd.remote import a'", set()),
    ],
)
def test_imports_in_all_their_forms(text, names, tmp_path):
    (tmp_path / "x.py").write_text(text)
    assert set(sources._imports(tmp_path / "x.py")) - {"shepherd.remote"} == {f"shepherd.remote.{n}" for n in names}


def test_a_source_larger_than_a_frame(probe, monkeypatch):
    monkeypatch.setattr(sources, "BYTECODE", "none like this")
    noise = "".join(f"# {os.urandom(30).hex()}\n" for _ in range(6000))
    module = probe(f"SPEC = {{}}\n{noise}\ndef run(task):\n    return {{'ok': True}}\n", whole=True)
    assert len(module.packed("")) > 2 * 64 * 1024  # as text; its comments are in no code

    async def main():
        async with linked() as link:
            assert await link.run(module, {}) == {"ok": True}

    go(main())


def test_an_upload_from_a_file(probe, tmp_path):
    (tmp_path / "content").write_bytes(b"x" * 200_000)
    module = probe("return {'size': len(task.upload.read()), 'at': task.upload.seek(0)}")

    async def main():
        async with linked() as link:
            with open(tmp_path / "content", "rb") as file:
                assert await link.run(module, {}, upload=file) == {"size": 200_000, "at": 0}
            for size in (0, 1, 65535, 65536, 65537, 131072):
                assert (await link.run(module, {}, upload=io.BytesIO(b"y" * size)))["size"] == size

    go(main())
