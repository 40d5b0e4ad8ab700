"""command, shell and script: results as ansible-core's, and what must not go wrong with a process."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

NOT_RUN = {"changed": False, "rc": 0, "stdout": "", "stderr": "", "start": None, "end": None, "delta": None}
RAN = {"changed": True, "rc": 0, "stderr": "", "msg": ""}
GIVEN = {"changed": False, "failed": True, "rc": 256, "cmd": None}

# module, options, check mode, what the result must say
CASES = [
    ("command", {"argv": ["echo", "a b", "$HOME"]}, False, {**RAN, "cmd": ["echo", "a b", "$HOME"]}),
    ("command", {"cmd": "echo x | cat > y; z"}, False, {**RAN, "stdout": "x | cat > y; z"}),
    ("command", {"cmd": "echo '$SOME' \"a  b\""}, False, {**RAN, "stdout": "thing a  b"}),
    ("command", {"cmd": "echo $SOME ~", "expand_argument_vars": False}, False, {**RAN, "stdout": "$SOME ~"}),
    ("command", {"cmd": "cat", "stdin": "abc"}, False, {**RAN, "stdout": "abc"}),
    (
        "command",
        {"cmd": "od -c -An", "stdin": "abc", "stdin_add_newline": False, "strip_empty_ends": False},
        False,
        {**RAN, "stdout": "   a   b   c\n"},
    ),
    ("command", {"cmd": "cat"}, False, {**RAN, "stdout": ""}),
    ("command", {"cmd": r"printf 'a\r\n\n'"}, False, {**RAN, "stdout": "a"}),
    ("command", {"cmd": r"printf 'a\xff\xe9b'"}, False, {**RAN, "stdout": "a\udcff\udce9b"}),
    ("command", {"cmd": "pwd", "chdir": "/usr/lib"}, False, {**RAN, "stdout": "/usr/lib"}),
    ("command", {"cmd": "false"}, False, {**RAN, "failed": True, "rc": 1, "msg": "non-zero return code"}),
    (
        "command",
        {"cmd": "no-such-program a"},
        False,
        {
            "changed": False,
            "failed": True,
            "rc": 2,
            "cmd": "no-such-program a",
            "msg": "[Errno 2] No such file or directory: b'no-such-program'",
        },
    ),
    (
        "command",
        {"cmd": "/etc/passwd"},
        False,
        {"failed": True, "rc": 13, "msg": "[Errno 13] Permission denied: b'/etc/passwd'"},
    ),
    (
        "command",
        {"cmd": "pwd", "chdir": "/none"},
        True,
        {
            **NOT_RUN,
            "failed": True,
            "rc": None,
            "msg": "Unable to change directory before execution: [Errno 2] No such file or directory: b'/none'",
        },
    ),
    ("command", {"cmd": " "}, False, {**GIVEN, "msg": "no command given"}),
    ("command", {}, False, {**GIVEN, "msg": "no command given"}),
    ("command", {"cmd": "a", "argv": ["a"]}, False, {**GIVEN, "msg": "only command or argv can be given, not both"}),
    (
        "command",
        {"cmd": "true", "creates": "/etc/passw*"},
        False,
        {
            **NOT_RUN,
            "cmd": ["true"],
            "stdout": "skipped, since /etc/passw* exists",
            "msg": "Did not run command since '/etc/passw*' exists",
        },
    ),
    (
        "command",
        {"cmd": "true", "chdir": "/etc", "creates": "passwd"},
        True,
        {**NOT_RUN, "stdout": "skipped, since passwd exists", "msg": "Would not run command since 'passwd' exists"},
    ),
    (
        "command",
        {"cmd": "true", "removes": "/none"},
        False,
        {
            **NOT_RUN,
            "stdout": "skipped, since /none does not exist",
            "msg": "Did not run command since '/none' does not exist",
        },
    ),
    (
        "command",
        {"cmd": "true"},
        True,
        {**NOT_RUN, "skipped": True, "msg": "Command would have run if not in check mode"},
    ),
    (
        "command",
        {"cmd": "true", "creates": "/none"},
        True,
        {**NOT_RUN, "changed": True, "msg": "Command would have run if not in check mode"},
    ),
    ("shell", {"cmd": "echo $SOME x | tr x y"}, False, {**RAN, "cmd": "echo $SOME x | tr x y", "stdout": "thing y"}),
    ("shell", {"cmd": "echo $0", "executable": "/bin/bash"}, False, {**RAN, "stdout": "/bin/bash"}),
    ("shell", {"cmd": "exit 3"}, False, {**RAN, "failed": True, "rc": 3, "msg": "non-zero return code"}),
    ("shell", {"cmd": "kill -9 $$"}, False, {**RAN, "failed": True, "rc": -9, "msg": "non-zero return code"}),
    ("shell", {"cmd": "echo out; echo err >&2"}, False, {**RAN, "stdout": "out", "stderr": "err"}),
    (
        "shell",
        {"cmd": "echo a", "executable": "/bin/none"},
        False,
        {"failed": True, "rc": 2, "msg": "[Errno 2] No such file or directory: b'/bin/none'"},
    ),
    ("shell", {"cmd": "rm /none", "creates": "/etc"}, False, {**NOT_RUN, "stdout": "skipped, since /etc exists"}),
    ("shell", {"cmd": ""}, False, {**GIVEN, "msg": "no command given"}),
]


@pytest.mark.parametrize(("module", "args", "check", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_results(run, module, args, check, expected):
    result = run(module, args, check=check, environment={"SOME": "thing"})
    assert {key: result.get(key) for key in expected} == expected


def test_times(run):
    result = run("command", {"cmd": "sleep 0.01"})
    for key in ("start", "end"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", result[key])
    assert re.fullmatch(r"0:00:0\d\.\d{6}", result["delta"]) and result["delta"] > "0:00:00.01"


def test_executable_of_command_is_warned_of(run):
    result = run("command", {"cmd": "echo a", "executable": "/bin/bash"})
    assert result["stdout"] == "a"
    assert "'executable' is no longer supported with the 'command' module" in result["warnings"][0]


def test_a_dangling_link_counts_as_there(run, scratch):
    (scratch / "link").symlink_to("nowhere")
    assert not run("command", {"cmd": "true", "creates": f"{scratch}/link"})["changed"]


def test_much_in_and_out(run):
    """More than pipes hold, both ways at once, and an end that does not read."""
    text = "x" * 3_000_000
    result = run("shell", {"cmd": "tee /dev/stderr", "stdin": text})
    assert result["stdout"] == text and result["stderr"] == text
    assert run("shell", {"cmd": "exec <&-; echo deaf", "stdin": text})["stdout"] == "deaf"


def test_what_stays_in_the_background_is_not_waited_for(run, scratch):
    started = time.monotonic()
    result = run("shell", {"cmd": f"echo $$ > {scratch}/pid; exec sleep 60 & sleep 0.01; echo there"})
    assert result["stdout"] == "there" and time.monotonic() - started < 30
    run("shell", {"cmd": "pkill -s 0 -x sleep; true"})


def test_signals_are_as_usual(run):
    """Python ignores SIGPIPE and SIGXFSZ; a command must not inherit that."""
    ignored = int(run("shell", {"cmd": "grep SigIgn /proc/self/status"})["stdout"].split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_the_time_limit_ends_the_whole_group(run, scratch):
    result = run("shell", {"cmd": f"sleep 61 & echo $! > {scratch}/pid; wait"}, timeout=0.3)
    assert result["failed"] and "0.3" in result["msg"]
    pid = int((scratch / "pid").read_text())
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            break
        time.sleep(0.01)
    else:
        os.kill(pid, 9)
        pytest.fail("a child of the command outlived it")


SCRIPT = b"""#!/bin/sh
echo "$# 1=$1 2=$2 3=$3 $SOME"; basename "$0"; pwd; stat -c %a "$0" "$(dirname "$0")"; dirname "$0" >&2; exit 3
"""


def test_script(run, scratch):
    args = {"cmd": "'my script.sh' 'a  b' $SOME *", "chdir": str(scratch), "_name": "/x/my script.sh"}
    result = run("script", args, upload=SCRIPT, environment={"SOME": "thing"})
    assert (result["changed"], result["failed"], result["rc"]) == (True, True, 3)
    assert result["msg"] == "non-zero return code"
    assert result["stdout"] == f"3 1=a  b 2=thing 3=* thing\nmy script.sh\n{scratch}\n700\n700\n"
    assert not Path(result["stderr"].strip()).exists(), "the script was left on the host"


def test_script_in_another_language(run):
    args = {"cmd": "s.py x", "_name": "/x/s.py", "executable": "/usr/bin/env python3 -B"}
    assert run("script", args, upload=b"import sys; print(sys.argv[1])")["stdout"] == "x\n"


def test_script_without_a_first_line_is_the_shells(run):
    assert run("script", {"cmd": "s", "_name": "/x/s"}, upload=b"echo $((1 + 1))")["stdout"] == "2\n"


@pytest.mark.parametrize(
    ("args", "check", "expected"),
    [
        (
            {"creates": "/etc"},
            False,
            {"changed": False, "skipped": True, "msg": "/etc exists, matching creates option"},
        ),
        (
            {"removes": "/none"},
            False,
            {"changed": False, "skipped": True, "msg": "/none does not exist, matching removes option"},
        ),
        ({}, True, {"changed": False, "skipped": True, "msg": "Check mode is not supported for this task."}),
        ({"creates": "/none"}, True, {"changed": True}),
        (
            {"chdir": "here"},
            False,
            {
                "changed": False,
                "failed": True,
                "msg": "chdir here must be an absolute path for a Unix-aware remote node",
            },
        ),
    ],
)
def test_script_that_does_not_run(run, args, check, expected):
    assert run("script", {"cmd": "s", "_name": "/x/s", **args}, check=check, upload=b"exit 9") == expected
