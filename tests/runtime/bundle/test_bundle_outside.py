"""What is made from outside and what is made from inside is the same container; one that fails leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from bundles import CHECKOUT

from shepherd.runtime.linux import servant
from tests.patience import seconds

if TYPE_CHECKING:
    from bundles import Bundle

LOOK = """
exec 2>&1
grep -E '^(Umask|Uid|Gid|Groups|NStgid|NSpgid|NSsid|Seccomp|NoNewPrivs|Sig|Shd|Cap|Threads)' /proc/self/status
cut -d' ' -f4- /proc/self/mountinfo | sort
cat /proc/self/cgroup /proc/self/limits /proc/self/oom_score_adj /proc/self/personality
ls -l /proc/self/fd | sed 's/.*:.. //; s/\\[.*//' | grep -v socket
ls -ln /dev /dev/shm /sys/fs/cgroup | sed 's/[A-Z][a-z][a-z] .*:.. //'
pwd; env | sort; hostname; id; cat /proc/sys/kernel/shmmax; nice; readlink /proc/1/exe
"""
# Makes a container in this process, which has to be as it was afterwards
PROGRAM = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from shepherd.runtime.bundle import config, create, outside
from shepherd.runtime.errors import RuntimeFailure

def now():
    kinds = {kind: os.readlink("/proc/self/ns/" + kind) for kind in os.listdir("/proc/self/ns")}
    mask = os.umask(0)
    os.umask(mask)
    return [kinds, os.getcwd(), os.stat("/").st_ino, mask, len(os.listdir("/proc/self/fd")), os.uname().nodename]

tried = []
possible = outside.is_possible
outside.is_possible = lambda *words: tried.append(possible(*words)) or tried[-1]
os.umask(0o077)
before = now()
said = None
try:
    request = create.Request(sys.argv[2], "c", sys.argv[3], config.load(sys.argv[3]))
    with create.create(request, start=True) as container:
        os.waitpid(container.record["pid"], 0)
    del container
except RuntimeFailure as error:
    said = error.message
try:
    children = os.waitpid(-1, os.WNOHANG)[0] or "running"
except ChildProcessError:
    children = None
print(json.dumps([tried, said, children, [one for one in zip(before, now()) if one[0] != one[1]]]))
"""


@pytest.mark.skipif(not servant.able(), reason="this machine has no servants")
def test_both_ways_lead_to_the_same_container(bundle: Bundle) -> None:
    """A hook after the end, which has nothing to do with it, has the container made from inside."""
    bundle.process.update(
        cwd="/tmp", user={"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 0o027}, oomScoreAdj=77
    )
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    bundle.process["capabilities"]["ambient"] = ["CAP_KILL"]
    bundle.process["capabilities"]["inheritable"] = ["CAP_KILL"]
    bundle.linux.update(sysctl={"kernel.shmmax": "123456"}, personality={"domain": "LINUX32"})
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}],
    }
    bundle.linux["devices"] = [
        {"path": "/dev/own", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 1000, "gid": 7}
    ]
    bundle.config["domainname"] = "example.org"
    for no_new_privileges in (True, False):
        bundle.process["noNewPrivileges"] = no_new_privileges
        bundle.config.pop("hooks", None)
        outside = bundle.output(LOOK)
        bundle.config["hooks"] = {"poststop": [{"path": "/bin/true"}]}
        assert bundle.output(LOOK) == outside
        assert "Seccomp:\t2\n" in outside


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "program": ({"process": {"args": ["/nowhere"]}}, 'exec: "/nowhere": no such file or directory'),
    "no program": ({"process": {"args": ["/etc/passwd"]}}, 'exec: "/etc/passwd": may not be executed'),
    "format": ({"process": {"args": ["/bin/odd"]}}, 'exec: "/bin/odd": Exec format error'),
    "folder": ({"process": {"cwd": "/etc/passwd"}}, "/process/cwd: /etc/passwd: Not a directory"),
    "sysctl": ({"linux": {"sysctl": {"net.nothing": "1"}}}, "/linux/sysctl/net.nothing: cannot set it to '1': "),
    "mount": ({"mounts": [{"destination": "/x", "type": "none", "source": "y"}]}, "/mounts/7: cannot mount y at /x: "),
    "nothing": ({}, ""),
}


@pytest.mark.skipif(not servant.able(), reason="this machine has no servants")
@pytest.mark.parametrize("name", FAILURES)
def test_the_runtime_comes_home(bundle: Bundle, name: str) -> None:
    """Whether it succeeds or not: in its own namespaces, in its folder, with no more files open and no process left."""
    changes, message = FAILURES[name]
    (bundle.rootfs / "bin/odd").write_text("no program")
    (bundle.rootfs / "bin/odd").chmod(0o755)
    for part, fields in changes.items():
        if isinstance(fields, list):
            bundle.config[part] += fields
        else:
            bundle.config[part].update(fields)
    bundle.names.add("c")
    bundle.write()
    argv = [sys.executable, "-I", "-c", PROGRAM, str(CHECKOUT), str(bundle.state_folder), str(bundle.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds(30), cwd=bundle.folder, check=False)
    assert not done.stderr, done.stderr
    tried, said, children, changed = json.loads(done.stdout)
    assert tried == [True]
    assert (said or "").startswith(message)
    assert bool(said) == bool(message)
    assert children is None
    assert changed == []


def test_what_is_too_long_for_a_packet_is_made_from_inside(bundle: Bundle) -> None:
    bundle.process["env"] = ["PATH=" + ":".join(f"/nowhere/{number}" for number in range(300)) + ":/bin"]
    bundle.process["env"].append("LONG=" + "x" * 100_000)
    assert bundle.output("echo ${#LONG}") == "100000\n"
