"""What the OCI runtime specification 1.2 demands and the other tests of bundles do not show; see the table in
docs/runtime/conformance.md. The states of a container are compared with a model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from bundles import Bundle, busybox
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shepherd.runtime.bundle import state
from shepherd.runtime.cli import oci
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import cgroups
from tests.patience import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab
ABSENT = {"time"} - set(os.listdir("/proc/self/ns"))  # kinds of namespaces that a kernel may be without
# config.md, "Linux mount options": those that every runtime has to have
MOUNT_OPTIONS = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime
noexec noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime remount ro rprivate rshared rslave
runbindable rw shared silent slave strictatime suid sync unbindable"""
LISTS = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]


def test_hooks_run_in_the_order_of_their_list_and_at_their_time(bundle):
    """poststart: the program is there, and `start` has not returned; poststop: process and group are gone."""
    log = bundle.folder / "log"
    report = bundle.folder / "report"
    report.write_text(
        '#!/bin/sh\nread state\npid=${state##*\\"pid\\":}; pid=${pid%%[,\\}]*}\n'
        f'echo "$1 $(cat /proc/$pid/comm 2>/dev/null) $(ls -d $2 2>/dev/null | wc -l)" >> {log}\n'
    )
    report.chmod(0o755)
    groups = " ".join(target + bundle.linux["cgroupsPath"] for target, _kind, _names in cgroups.hierarchies())
    bundle.config["hooks"] = {
        name: [{"path": str(report), "args": ["report", f"{name}{number}", groups]} for number in (1, 2)]
        for name in LISTS
    }
    bundle.process["args"] = ["sleep", "1000"]
    bundle.create()
    assert [one.split()[0] for one in log.read_text().splitlines()] == [
        f"{name}{n}" for name in LISTS[:3] for n in "12"
    ]
    log.write_text("")
    bundle.do("start", "c")
    assert [one.split()[:2] for one in log.read_text().splitlines()] == [
        ["poststart1", "sleep"],
        ["poststart2", "sleep"],
    ]
    log.write_text("")
    bundle.do("delete", "--force", "c")
    assert log.read_text() == "poststop1  0\npoststop2  0\n"


def test_what_create_has_to_be_told(bundle):
    bundle.write()
    assert "usage" in bundle.call("create", "--bundle", str(bundle.folder)).stderr
    assert "cannot read" in bundle.call("create", "c", cwd=str(bundle.folder.parent)).stderr
    bundle.config["root"]["path"] = "absent"
    assert "/root/path" in bundle.refusal()
    del bundle.config["process"]
    bundle.config["root"]["path"] = "rootfs"
    bundle.write()
    assert "/process: is required" in bundle.call("create", "--bundle", str(bundle.folder), "c").stderr
    assert bundle.traces() == []


def test_every_option_that_is_offered_is_taken(bundle, tmp_path):
    """features.md, "Mount Options": those of one mount at a tmpfs, those of a tree at a bind."""
    words = json.loads(bundle.do("features"))["mountOptions"]
    apart = {"bind", "rbind", "remount", "idmap", "ridmap", "tmpcopyup", "mand", "nomand"}
    for number, word in enumerate(sorted(set(words) - apart)):
        bundle.mount(f"/made/{number}", "tmpfs", word, kind="tmpfs")
    bundle.mount("/bound", str(tmp_path), "bind")
    recursive = [word for word in sorted(set(words) - apart) if word.startswith("r") and word[1:] in words]
    bundle.mount("/bound/again", str(tmp_path), "rbind", *recursive)
    bundle.mount("/made/0", "tmpfs", "remount", "ro", kind="tmpfs")
    assert set(MOUNT_OPTIONS.split()) <= set(words)
    assert int(bundle.output("grep -c ' /made/' /proc/self/mountinfo")) == len(set(words) - apart)


def test_a_namespace_that_this_kernel_has_not_is_told(bundle):
    if not ABSENT:
        pytest.skip("this kernel has every kind of namespace")
    bundle.linux["namespaces"] = [{"type": kind} for kind in ("pid", "mount", "uts", *ABSENT)]
    assert "/linux/namespaces: this kernel has no time namespaces" in bundle.refusal()


def test_every_name_that_is_offered_is_taken(bundle):
    """features-linux.md: namespaces, capabilities, and the words of seccomp; a mapped mount is parsed."""
    found = json.loads(bundle.do("features"))["linux"]
    bundle.linux["namespaces"] = [{"type": kind} for kind in found["namespaces"] if kind not in ABSENT | {"user"}]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "permitted", "effective"), found["capabilities"])
    seccomp = found["seccomp"]
    actions = [one for one in seccomp["actions"] if one != "SCMP_ACT_NOTIFY"]  # needs an agent; see below
    # of a call that nobody makes, with an argument that it never has: what is asked is whether the words are known
    rules = [
        {"names": ["vhangup"], "action": action, "args": [{"index": 0, "value": number, "valueTwo": 1, "op": operator}]}
        for number, action in enumerate(actions, 5)
        for operator in seccomp["operators"]
    ]
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": seccomp["archs"],
        "flags": [one for one in seccomp["knownFlags"] if "KILLABLE" not in one],  # goes with an agent, too
        "syscalls": rules,
    }
    assert "running\n" in bundle.output("echo running")
    assert found["mountExtensions"]["idmap"]["enabled"] is True


def test_a_relative_destination_begins_at_the_root(bundle, tmp_path):
    (tmp_path / "file").write_text("here")
    bundle.mount("some/where", str(tmp_path), "bind")
    bundle.process["cwd"] = "/tmp"
    assert bundle.output("cat /some/where/file") == "here"


def test_what_is_not_said_stays_as_it_is(bundle):
    """The score for want of memory is the caller's; the size of a terminal that is not there is of no account."""
    bundle.process["consoleSize"] = {"height": 5, "width": 6}
    found = bundle.output(
        "cat /proc/self/oom_score_adj", preexec_fn=lambda: Path("/proc/self/oom_score_adj").write_text("123")
    )
    assert found == "123\n"


def test_delete_takes_nothing_that_create_did_not_make(bundle, tmp_path):
    """A namespace by its path, what was bound, and a control group beside its own in one that was there."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    bundle.mount("/kept", str(tmp_path / "kept"), "bind")
    parent = bundle.linux["cgroupsPath"]
    bundle.linux["cgroupsPath"] = parent + "/own"
    beside = [Path(target, parent.strip("/"), "beside") for target, _kind, _names in cgroups.hierarchies()]
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ok; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        for one in beside:
            one.mkdir(parents=True)
        try:
            assert holder.stdout is not None and holder.stdout.readline() == b"ok\n"
            place = f"/proc/{holder.pid}/ns/net"
            before = os.readlink(place)
            next(one for one in bundle.linux["namespaces"] if one["type"] == "network")["path"] = place
            assert bundle.output("echo more > /kept/more; readlink /proc/self/ns/net") == before + "\n"
            assert bundle.traces() == []
            assert os.readlink(place) == before and holder.poll() is None
            assert sorted(os.listdir(tmp_path / "kept")) == ["file", "more"]
            assert all(one.is_dir() for one in beside)
        finally:
            for one in beside:
                one.rmdir()
                one.parent.rmdir()
            bundle.linux["cgroupsPath"] = parent


def test_the_same_path_is_the_same_group(bundle):
    bundle.process["args"] = ["sleep", "1000"]
    found = []
    for _turn in range(2):
        bundle.create()
        lines = Path(f"/proc/{bundle.state()['pid']}/cgroup").read_text().splitlines()
        found.append([line for line in lines if bundle.linux["cgroupsPath"] in line])
        bundle.do("delete", "--force", "c")
    assert found[0] == found[1] and found[0]
    assert all(line.split(":", 2)[2] == bundle.linux["cgroupsPath"] for line in found[0])


def test_a_seccomp_agent_hears_once_or_there_is_no_container(bundle, tmp_path):
    path = str(tmp_path / "s")
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    assert path in bundle.refusal()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        bundle.create()
        bundle.do("start", "c")
        connection, _address = server.accept()
        with connection:
            data, descriptors, _flags, _from = socket.recv_fds(connection, 65536, 2)
            while part := connection.recv(65536):  # to its end: it is closed, and there is no second document
                data += part
    os.close(descriptors[0])
    assert json.loads(data)["state"]["id"] == "c"
    bundle.linux["seccomp"]["listenerPath"] = str(tmp_path / "unused")
    bundle.linux["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_LOG"
    bundle.do("delete", "--force", "c")
    assert bundle.output("echo ignored") == "ignored\n"


def test_resctrl_is_left_alone(bundle):
    """linux.intelRdt is refused as a whole; without it nothing is written there (few machines have such a mount)."""
    mounted = [
        line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "resctrl"
    ]
    before = [sorted(os.listdir(place)) for place in mounted]
    bundle.linux["intelRdt"] = {"closID": "mine"}
    assert "/linux/intelRdt" in bundle.refusal()
    del bundle.linux["intelRdt"]
    bundle.output("true")
    assert [sorted(os.listdir(place)) for place in mounted] == before


# The states, and the operations that lead from one to another


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    if os.geteuid() != 0 or busybox() is None:
        pytest.skip("needs root, for namespaces, and a busybox without libraries (Debian: busybox-static)")
    made = Bundle(tmp_path_factory.mktemp("states"))
    made.process["args"] = ["sleep", "1000"]
    made.write()
    made.names.add("c")
    yield made
    made.destroy()


class Life(RuleBasedStateMachine):
    """`status` is what the specification says a container has to be in; None: there is none."""

    bundle: ClassVar[Bundle]

    def operate(self, *words: str) -> bool:
        """Whether the operation succeeded. It is done by a copy of this process, for speed."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                out = os.open(self.bundle.folder / "said", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                null = os.open(os.devnull, os.O_RDONLY)
                for number, end in enumerate((null, out, out)):
                    os.dup2(end, number)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115 - as they were
                code = oci.main(["--root", str(self.bundle.state_folder), *words])
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (0, 1), words
        return code == 0

    @initialize()
    def begin(self) -> None:
        self.status: str | None = None
        self.pid = 0

    @rule()
    def create(self) -> None:
        assert self.operate("create", "--bundle", str(self.bundle.folder), "c") == (self.status is None)
        if self.status is None:
            self.status = "created"
            self.pid = state.find(str(self.bundle.state_folder), "c").record["pid"]

    @rule()
    def start(self) -> None:
        if self.operate("start", "c"):
            assert self.status == "created"
            self.status = "running"
        else:
            assert self.status != "created"

    @rule()
    def kill(self) -> None:
        """Also one that has not been started; what is paused is a matter of the kernel's."""
        if self.status == "paused":
            return
        assert self.operate("kill", "c", "KILL") == (self.status in ("created", "running"))
        if self.status in ("created", "running"):
            self.status = "stopped"

    @rule()
    def send_what_it_does_not_mind(self) -> None:
        assert self.operate("kill", "c", "CONT") == (self.status in ("created", "running", "paused"))

    @rule()
    def delete(self) -> None:
        assert self.operate("delete", "c") == (self.status == "stopped")
        if self.status == "stopped":
            self.status = None

    @rule()
    def delete_by_force(self) -> None:
        assert self.operate("delete", "--force", "c")
        self.status = None

    @precondition(lambda self: self.status != "created")
    @rule()
    def pause(self) -> None:
        assert self.operate("pause", "c") == (self.status == "running")
        if self.status == "running":
            self.status = "paused"

    @rule()
    def resume(self) -> None:
        assert self.operate("resume", "c") == (self.status == "paused")
        if self.status == "paused":
            self.status = "running"

    @rule()
    def update(self) -> None:
        assert self.operate("update", "--pids-limit", "30", "c") == (self.status in ("created", "running", "paused"))

    @invariant()
    def it_is_in_that_state(self) -> None:
        if not hasattr(self, "status"):
            return
        if self.status is None:
            assert self.bundle.traces() == []
            with pytest.raises(RuntimeFailure):
                state.find(str(self.bundle.state_folder), "c")
            return
        container = state.find(str(self.bundle.state_folder), "c")
        deadline = time.monotonic() + seconds(30)
        while (found := container.public())["status"] != self.status:  # a signal takes its time
            assert self.status == "stopped" and time.monotonic() < deadline, (found, self.status)
        assert (
            found["id"] == "c" and found["bundle"] == str(self.bundle.folder) and found["ociVersion"] == state.VERSION
        )
        assert found.get("pid", 0) == (0 if self.status == "stopped" else self.pid)

    def teardown(self) -> None:
        assert self.operate("delete", "--force", "c")
        assert self.bundle.traces() == []


def test_the_states_are_those_of_the_specification(shared: Bundle) -> None:
    assert signal.getsignal(signal.SIGCHLD) in (
        signal.SIG_DFL,
        None,
    )  # what ends is not taken from those who wait for it
    Life.bundle = shared
    limits = settings(max_examples=5, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Life, settings=limits)
