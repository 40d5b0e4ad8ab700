"""A machine that is rebooted, or loses its power, comes back with its containers, and with nothing that is half there.

`scripts/test-vm` starts the machine, and says where it is. Everything here is done by ssh, as it would be anywhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MACHINE = os.environ.get("SHEPHERD_VM")  # a file for ssh -F, in which the machine is `vm`
BUSYBOX = shutil.which("busybox")
pytestmark = [
    pytest.mark.skipif(MACHINE is None, reason="no virtual machine: scripts/test-vm makes one"),
    pytest.mark.skipif(BUSYBOX is None, reason="busybox-static is not installed: the image is made of it"),
    pytest.mark.timeout(3600),
]

PLAY = """
- hosts: machine
  gather_facts: false
  tasks:
    - container_image: {name: "page:1", build: page}
    - container_network: {name: front, options: {shepherd.publish: nat}}
    - container_volume: {name: kept}
    - container:
        name: page
        image: page:1
        networks: [front]
        ports: ["0.0.0.0:8090:8080"]
        volumes: ["kept:/kept"]
        secrets: {token: not so secret}
        resources: {memory: 64M, pids: 20}
        health: {http: ":8080/", interval: 5s, timeout: 60s, retries: 20}
        restart: always
"""
UNDONE = """
- hosts: machine
  gather_facts: false
  tasks:
    - container: {name: page, state: absent}
    - container_network: {name: front, state: absent}
    - container_volume: {name: kept, state: absent}
"""
CONTAINERFILE = """
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY index.html /www/index.html
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"""
# containers of each policy: what becomes of them with the machine is docs/runtime/containers.md's
POLICIES = """
set -e
shepherd-runtime run -d --name steady --restart unless-stopped page:1 >/dev/null
shepherd-runtime run -d --name held --restart unless-stopped page:1 >/dev/null
shepherd-runtime stop -t 0 held >/dev/null
shepherd-runtime run -d --name once -p 8091:8080/tcp -p 8091:8091/udp page:1 >/dev/null
"""
# what goes on when the machine goes down: images come by three ways, containers are made and removed
BUSY = """
set -e
mkdir -p /root/busy
cd /root/busy
head -c 4000000 /dev/urandom >big
printf 'FROM page:1\\nCOPY big /big\\nRUN sh -c "cat /big /big >/more"\\n' >Containerfile
registry=127.0.0.1:5000
storage='storage: {filesystem: {rootdirectory: /root/busy/registry}}'
printf '%s\\n' 'version: 0.1' "$storage" "http: {addr: '$registry'}" >registry.yml
docker-registry serve registry.yml >registry.log 2>&1 &
shepherd-runtime build -q -t $registry/pulled:1 -t loaded:1 . >/dev/null
until shepherd-runtime push -q --insecure $registry $registry/pulled:1 >/dev/null 2>&1; do sleep 1; done
shepherd-runtime save loaded:1 -o saved.tar
shepherd-runtime rmi loaded:1 $registry/pulled:1 >/dev/null
forever() {
    while :; do
        "$@" || exit
    done >>"$1.log" 2>&1 &
}
built() { shepherd-runtime build --no-cache -t built:1 . && shepherd-runtime rmi built:1; }
pulled() { shepherd-runtime pull --insecure $registry $registry/pulled:1 && shepherd-runtime rmi $registry/pulled:1; }
loaded() { shepherd-runtime load -i saved.tar && shepherd-runtime rmi loaded:1; }
made() {
    shepherd-runtime run -d --name made1 --network front -v made1:/data -p 8101:8080 --restart always page:1
    shepherd-runtime run -d --name made2 --network front -v /data -p 8102:8080 page:1
    shepherd-runtime rm -fv made1 made2
}
forever built; forever pulled; forever loaded; forever made
"""
DOWN = {
    "orderly": "systemctl reboot",
    "power": "echo 1 >/proc/sys/kernel/sysrq; echo b >/proc/sysrq-trigger",  # at once: nothing is written, nobody told
}


def there(command: str, seconds: float = 600, check: bool = True) -> str:
    assert MACHINE is not None
    done = subprocess.run(
        ["ssh", "-F", MACHINE, "vm", "sh"], input=command, capture_output=True, text=True, timeout=seconds, check=False
    )
    if check and done.returncode:
        raise OSError(done.stdout + done.stderr)
    return done.stdout


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait, also while nothing is there that could be asked."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, subprocess.TimeoutExpired):
            pass
        assert time.monotonic() < deadline, what
        time.sleep(2)


def play(folder: Path, text: str = PLAY) -> str:
    (folder / "play.yml").write_text(text)
    words = [sys.executable, "-m", "shepherd", "play", "play.yml"]
    words += ["-i", "machine,", "-e", "@connection.yml", "--timeout", "60"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def served(port: int) -> bool:
    return there(f"curl -s --max-time 60 http://127.0.0.1:{port}/", check=False) == "still here\n"


def statuses(*names: str) -> list[str]:
    return there("shepherd-runtime inspect -f '{{.State.Status}}' " + " ".join(names)).split()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the play and what it needs. Afterwards nothing of it is on the machine."""
    assert MACHINE is not None and BUSYBOX is not None
    place = tmp_path_factory.mktemp("project")
    (place / "page").mkdir()
    shutil.copy(BUSYBOX, place / "page/busybox")
    (place / "page/Containerfile").write_text(CONTAINERFILE)
    (place / "page/index.html").write_text("still here\n")
    (place / "connection.yml").write_text(
        "ansible_host: vm\nansible_python_interpreter: /usr/bin/python3\n"
        f"ansible_ssh_common_args: {shlex.join(['-F', MACHINE])!r}\n"
    )
    yield place
    play(place, UNDONE)
    there(
        "shepherd-runtime rm -fv $(shepherd-runtime ps -aq) 2>/dev/null; shepherd-runtime rmi -f page:1;"
        "shepherd-runtime builder prune -a;"
        "shepherd-runtime volume rm $(shepherd-runtime volume ls -q) 2>/dev/null || true"
    )
    assert whole() == ""
    assert there("cd /var/lib/shepherd; ls -I empty volumes blobs/sha256 layers").split() == [
        "blobs/sha256:", "layers:", "volumes:",
    ]  # fmt: skip
    rules = there("nft list ruleset; iptables-save -t nat")
    assert "dnat to" not in rules and "--to-destination" not in rules  # the default network's own rules stay


def whole() -> str:
    """What is not."""
    return there("cat >/root/whole.py <<'END'\n" + Path(__file__).with_name("whole.py").read_text() + "\nEND\n"
                 "python3 -I /root/whole.py")  # fmt: skip


@pytest.mark.parametrize("how", DOWN)
def test_a_machine_comes_back_with_its_containers(project: Path, how: str) -> None:
    play(project)
    assert "changed=0" in play(project)
    there("shepherd-runtime exec page sh -c 'echo written >/kept/file'")
    there("shepherd-runtime rm -fv steady held once 2>/dev/null || true\n" + POLICIES)
    until(lambda: served(8090) and served(8091), 300, "it does not serve")
    there("rm -rf /root/busy\n" + BUSY)
    until(lambda: "made1" in there("shepherd-runtime ps -a --format '{{.Names}}'").split(), 900, "it is not busy")
    there("sync -f /root")  # the runtime syncs what is its own; this is the test's
    before = there("cat /proc/sys/kernel/random/boot_id")

    there(DOWN[how], check=False)
    until(lambda: there("cat /proc/sys/kernel/random/boot_id") not in ("", before), 600, "it does not come back")
    until(lambda: there("systemctl is-active shepherd-runtime", check=False) == "active\n", 600, "not started")

    # nobody of ours has asked for anything: the machine has started what should run
    until(lambda: served(8090), 300, "it does not serve any more")
    assert statuses("page", "steady", "held", "once") == ["running", "running", "exited", "exited"]
    assert there("shepherd-runtime exec page cat /kept/file") == "written\n"
    assert whole() == ""
    assert "changed=0" in play(project)

    # what was just being made is there, and can be used, or it is not there
    for name in there("shepherd-runtime ps -a --format '{{.Names}}' | grep made || true").split():
        there(f"shepherd-runtime start {name}")
        until(lambda name=name: served(8100 + int(name[4:])), 300, name)
    images = there("shepherd-runtime images --format '{{.Repository}}:{{.Tag}}' | grep -v page || true").split()
    for name in images:
        said = there(f"shepherd-runtime run --rm {name} sh -c 'cat /big /big | cmp - /more && wc -c </more'")
        assert said == "8000000\n", name
    there(f"shepherd-runtime rm -fv made1 made2 || true; shepherd-runtime rmi {' '.join(images)} || true")
    assert whole() == ""
