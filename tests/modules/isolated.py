"""Modules that change accounts and services, away from this machine's: in a mount namespace with an /etc of its own.

It has processes of its own too: usermod refuses to change a user whose number any process that it sees runs under.

The far end of the link is started through a script that enters the namespace first; it is gone when the link closes.
Steps are played in order, and what ansible-core 2.18 answered to the same steps is kept in recorded/<name>.json. With
SHEPHERD_ORACLE set it is asked again, in a namespace of its own; SHEPHERD_RECORD=1 writes what it answers.
"""

import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from far_end import Lines, Target

HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
Differs = namedtuple(
    "Differs", "answer reason"
)  # what we answer otherwise: fields of a result (None: not there), or output
ENTER = r"""
set -e
mount --make-rprivate /
mkdir -p "$1/root"
mount -t tmpfs -o mode=755 tmpfs "$1/root"
mkdir "$1/root/etc" "$1/root/mail"
for name in alternatives default init.d ld.so.cache ld.so.conf ld.so.conf.d login.defs nsswitch.conf pam.d rc0.d rc1.d \
    rc2.d rc3.d rc4.d rc5.d rc6.d rcS.d skel ssl insserv.conf.d; do
    [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$1/root/etc/"
done
cp -r "$1/etc/." "$1/root/etc/"
chmod 640 "$1/root/etc/shadow"
mount --bind "$1/root/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /home
mount --bind "$1/root/mail" /var/mail
mount -t proc proc /proc
shift
"$@"
"""
ETC = {
    "passwd": """\
root:x:0:0:root:/root:/bin/bash
games:x:5:60:games:/usr/games:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
""",
    "shadow": "root:*:20000:0:99999:7:::\ngames:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n",
    "group": "root:x:0:\nadm:x:4:\ncdrom:x:24:\nsudo:x:27:\ngames:x:60:\nusers:x:100:\nnogroup:x:65534:\n",
    "gshadow": "root:*::\nadm:*::\ncdrom:*::\nsudo:*::\ngames:*::\nusers:*::\nnogroup:*::\n",
    "hostname": "isolated\n",
    "machine-id": "0123456789abcdef0123456789abcdef\n",
    "hosts": "127.0.0.1 localhost isolated\n",
}


def _script(folder, python, etc):
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, for a mount namespace")
    (folder / "etc").mkdir()
    for name, content in {**ETC, **etc}.items():
        path = folder / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755 if content.startswith("#!") else 0o644)
    (folder / "enter").write_text(ENTER)
    script = folder / "python"
    enter = f"unshare --mount --pid --fork --kill-child /bin/sh {folder}/enter {folder} {python}"
    script.write_text(f'#!/bin/sh\nexec {enter} "$@"\n')
    script.chmod(0o755)
    return str(script)


def target(tmp_path_factory, etc=None):
    """A generator for a fixture `target` that replaces the usual one."""
    python = os.environ.get("SHEPHERD_TARGET_PYTHON", "/usr/bin/python3")
    found = Target(_script(tmp_path_factory.mktemp("isolated"), python, etc or {}))
    yield found
    found.close()


def oracle(tmp_path_factory, etc=None):
    """The same for `oracle`."""
    folder = os.environ.get("SHEPHERD_ORACLE")
    if not folder:
        yield None
        return
    script = _script(tmp_path_factory.mktemp("oracle"), str(Path(folder) / "python"), etc or {})
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    lines = Lines([script, "-B", str(HERE / "oracle_runner.py")], environment)

    def ask(module, args, check=False, diff=False):
        text = lines.ask({"module": module, "args": args, "check": check, "diff": diff})["text"]
        return json.loads(text) if text else {"failed": True, "crashed": True}

    yield ask
    lines.close()


def scrubbed(value):
    """A result without what differs from run to run."""
    if isinstance(value, dict):
        dropped = ("invocation", "exception", "deprecations", "raised", "diff")
        found = {key: scrubbed(item) for key, item in value.items() if key not in dropped}
        if value.get("failed"):
            found.setdefault("changed", False)
        return found
    if isinstance(value, list):
        return [scrubbed(item) for item in value]
    if isinstance(value, str):
        for pattern, put in (
            (r"SHA256:\S+", "<fingerprint>"),
            (r"AAAA[A-Za-z0-9+/=]+", "<key>"),
            (r" in paths: .*", ""),
            (rf"ansible-generated on {re.escape(os.uname().nodename)}", "<comment>"),
            (r"(?m)^((?:/\S+?:)?\w+:[^:\n]*):\d{5}:", r"\1:<today>:"),  # of shadow; grep puts the file's name before it
            (r"usermod: no changes\n", ""),
        ):
            value = re.sub(pattern, put, value)
    return value


def replay(name, steps, run, oracle):
    """Play steps, and compare each answer with what is recorded.

    A step is (module, args) or a command line whose output counts. After them may come "check", and a Differs.
    """
    steps = [step if isinstance(step, tuple) else (step,) for step in steps]
    meant = [next((part for part in step if isinstance(part, Differs)), None) for step in steps]
    steps = [[part for part in step if not isinstance(part, Differs)] for step in steps]
    file = RECORDED / f"{name}.json"
    recorded = json.loads(file.read_text()) if file.exists() else []
    if oracle is not None:
        seen = [scrubbed(_theirs(step, oracle)) for step in steps]
        if os.environ.get("SHEPHERD_RECORD"):
            recorded = json.loads(json.dumps([list(pair) for pair in zip(steps, seen, strict=True)]))
            file.write_text("[\n" + ",\n".join(json.dumps(entry, sort_keys=True) for entry in recorded) + "\n]\n")
        assert [entry[1] for entry in recorded] == seen, "ansible-core answers otherwise than recorded"
    assert [entry[0] for entry in recorded] == json.loads(json.dumps(steps)), "the steps are not the recorded ones"
    wrong = []
    for number, (step, expected) in enumerate(recorded):
        answer = scrubbed(_ours(step, run))
        if isinstance(expected, dict):
            if expected.get("failed") and not meant[number]:  # more details may come with ours
                answer = {key: value for key, value in answer.items() if key in expected}
            expected = _present({**expected, **(meant[number].answer if meant[number] else {})})
            answer = _present(answer)
        elif meant[number]:
            expected = meant[number].answer
        if answer != expected:
            wrong.append((number, step, answer, expected))
    assert not wrong, "\n".join(
        f"step {one[0]}: {one[1]}\n   ours:     {one[2]}\n   expected: {one[3]}" for one in wrong
    )


def _present(fields):
    return {key: value for key, value in fields.items() if value is not None}


def _theirs(step, oracle):
    if len(step) == 1:
        return oracle("command", {"_raw_params": step[0], "_uses_shell": True})["stdout"]
    return oracle(step[0], step[1], check="check" in step[2:])


def _ours(step, run):
    if len(step) == 1:
        return run("shell", {"cmd": step[0]})["stdout"]
    return run(step[0], step[1], check="check" in step[2:])
