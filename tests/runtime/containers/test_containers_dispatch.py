"""One command line for named containers and for bundles: which of the two a command means."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import shepherd
from shepherd.runtime.cli import VERBS, main, oci
from shepherd.runtime.cli import help as helping
from shepherd.runtime.cli.bundles import are_meant


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("create --bundle /b ID", True),
        ("create --bundle=/b ID", True),
        ("run -d --bundle /b ID", True),
        ("run -d -b /b ID", True),
        ("run -d image --bundle", False),
        ("update --cpu-period 50000 ID", False),
        ("update --resources - ID", True),
        ("create -b /b ID", True),
        ("create --pid-file /p --bundle /b ID", True),
        ("create --name x image:1", False),
        ("run -b /b ID", True),
        ("run image:1 cmd -b x", False),
        ("run -d image:1", False),
        ("--log /l --log-format json create --bundle /b ID", True),
        ("--systemd-cgroup --log /l start ID", True),
        ("--root /r kill ID TERM", False),
        ("start ID", False),
        ("exec --process /p ID", True),
        ("exec -it ID sh", False),
        ("exec ID sh --process x", False),
        ("ps", False),
        ("ps -a --format json", False),
        ("events", False),
        ("events --stats ID", True),
        ("state ID", True),
        ("delete --force ID", True),
        ("list", True),
        ("spec", True),
        ("features", True),
        ("resume ID", True),
        ("images", False),
        ("logs ID", False),
        ("--version", True),
        ("nonsense", False),
        ("--log /l nonsense", True),
        ("--help", False),
        ("--log /l --help", True),
    ],
)
def test_what_is_meant(words, wanted, tmp_path, monkeypatch):
    monkeypatch.setenv("SHEPHERD_RUNTIME_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("SHEPHERD_RUNTIME_STATE", str(tmp_path / "state"))
    assert are_meant(words.split(), VERBS) is wanted


def shown(capsys, *words):
    """What a command writes: its code, its output, its errors."""
    try:
        code = main(list(words))
    except SystemExit as end:  # argparse's
        code = end.code
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["--root", "/nowhere", "--help"]])
def test_help_lists_every_verb_once_with_what_it_does(words, capsys):
    assert sorted(verb for _title, verbs in helping.GROUPS for verb in verbs) == sorted(VERBS)
    code, out, err = shown(capsys, *words)
    assert (code, err) == (0, "")
    for verb in VERBS:
        assert len([line for line in out.splitlines() if line.startswith(f"  {verb} ") and len(line.split()) > 2]) == 1
    assert "\n  " + ", ".join(oci.VERBS) + "\n" in out


@pytest.mark.parametrize("verb", [*VERBS, "delete", "state", "spec"])
def test_each_verb_has_help(verb, capsys):
    code, out, err = shown(capsys, verb, "--help")
    assert (code, err) == (0, "") and f"usage: shepherd-runtime {verb}" in out
    assert shown(capsys, "help", verb) == (code, out, err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a verb is missing"),
        (["stpo", "web"], "there is no verb 'stpo'; did you mean stop?"),
        (["delte", "web"], "there is no verb 'delte'; did you mean delete?"),
        (["help", "nonsense"], "there is no verb 'nonsense'"),
        (["--log-format", "json", "strat", "x"], "there is no verb 'strat'; did you mean"),
        (["--bogus", "ps"], "--bogus: no option that can be before a verb"),
    ],
)
def test_a_verb_that_is_none(words, said, capsys):
    code, out, err = shown(capsys, *words)
    assert (code, out) == (1, "") and err.startswith(f"shepherd-runtime: {said}")
    assert "shepherd-runtime --help lists them" in err


def test_an_option_that_is_nearly_one(capsys):
    assert shown(capsys, "ps", "--al")[2].startswith("shepherd-runtime: --al: no such option; did you mean --all?\n")


def test_versions(capsys):
    code, out, _err = shown(capsys, "--version")
    assert (code, out) == (0, f"shepherd-runtime version {shepherd.__version__}\nspec: 1.2.0\n")


@pytest.mark.lab
def test_both_beside_each_other(runtime, tmp_path):
    """A bundle's container and one of ours: each verb finds its own, also where both have one name."""
    from containers import busybox

    from shepherd.runtime.bundle import template

    for name in ("bin", "proc", "sys", "dev", "etc"):
        (tmp_path / "b/rootfs" / name).mkdir(parents=True)
    (tmp_path / "b/rootfs/bin/sh").write_bytes(Path(busybox()).read_bytes())
    (tmp_path / "b/rootfs/bin/sh").chmod(0o755)
    config = template.config()
    config["process"].update(terminal=False, args=["sh", "-c", "while :; do sleep 1; done"])
    del config["process"]["rlimits"]
    config["linux"]["resources"] = {}
    config["linux"]["cgroupsPath"] = f"/shepherd-test-{os.getpid()}"
    (tmp_path / "b/config.json").write_text(json.dumps(config))
    with open(tmp_path / "out", "wb") as out:
        for name in ("theirs", "same"):
            config["linux"]["cgroupsPath"] = f"/shepherd-test-{os.getpid()}-{name}"
            (tmp_path / "b/config.json").write_text(json.dumps(config))
            subprocess.run(
                runtime.argv("create", "--bundle", str(tmp_path / "b"), name),
                env=runtime.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=True,
            )
    try:
        runtime.start("ours", "box:1", "sleep", "100")
        runtime.start("same", "box:1", "sleep", "100")
        assert runtime.do("start", "theirs") == ""
        assert json.loads(runtime.do("state", "theirs"))["status"] == "running"
        assert "PID" in runtime.do("ps", "theirs") and "ours" in runtime.do("ps")
        assert runtime.do("exec", "theirs", "sh", "-c", "echo in").strip() == "in"
        assert runtime.do("exec", "ours", "hostname") != ""
        runtime.do("pause", "theirs")
        assert json.loads(runtime.do("state", "theirs"))["status"] == "paused"
        runtime.do("resume", "theirs")
        runtime.do("kill", "same")  # ours, since we have one of that name
        assert json.loads(runtime.do("state", "same"))["status"] == "created"
        runtime.do("--systemd-cgroup", "kill", "same", "KILL")
        assert runtime.status("same") == "exited"
        runtime.do("kill", "theirs", "KILL")
    finally:
        for name in ("theirs", "same"):
            runtime.call("delete", "--force", name)
