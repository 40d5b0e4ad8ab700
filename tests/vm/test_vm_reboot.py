"""A machine that is rebooted comes back with its containers. `scripts/test-vm` starts the machine and names it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = os.environ.get("SHEPHERD_VM")  # ssh's options for root@127.0.0.1
BUSYBOX = shutil.which("busybox")
pytestmark = [
    pytest.mark.skipif(MACHINE is None, reason="no virtual machine: scripts/test-vm makes one"),
    pytest.mark.skipif(BUSYBOX is None, reason="busybox-static is not installed: the image is made of it"),
    pytest.mark.timeout(1200),
]

PLAY = """
- hosts: machine
  gather_facts: false
  tasks:
    - container_image: {name: "page:1", build: page}
    - container_network: {name: front}
    - container_volume: {name: kept}
    - container:
        name: page
        image: page:1
        networks: [front]
        ports: ["8090:8080"]
        volumes: ["kept:/kept"]
        secrets: {token: not so secret}
        resources: {memory: 64M, pids: 20}
        health: {http: ":8080/", interval: 2s, timeout: 20s, retries: 20}
        restart: always
"""
CONTAINERFILE = """
FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"""


def there(command: str, timeout: float = 60) -> str:
    assert MACHINE is not None
    words = ["ssh", *shlex.split(MACHINE), "-o", "ConnectTimeout=3", "root@127.0.0.1", command]
    return subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=True).stdout


def until(condition, seconds: float):
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            found = None  # it is not up yet
        if found or time.monotonic() > deadline:
            return found
        time.sleep(1)


def play(folder: Path) -> str:
    words = [sys.executable, "-m", "shepherd", "play", "play.yml", "-i", "machine,", "-e", "@connection.yml"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert MACHINE is not None and BUSYBOX is not None
    (tmp_path / "page").mkdir()
    shutil.copy(BUSYBOX, tmp_path / "page/busybox")
    (tmp_path / "page/Containerfile").write_text(CONTAINERFILE)
    (tmp_path / "page/index.html").write_text("still here\n")
    (tmp_path / "play.yml").write_text(PLAY)
    words = shlex.split(MACHINE)
    (tmp_path / "connection.yml").write_text(
        "ansible_host: 127.0.0.1\nansible_user: root\nansible_python_interpreter: /usr/bin/python3\n"
        f"ansible_port: {words[words.index('-p') + 1]}\n"
        f"ansible_ssh_private_key_file: {words[words.index('-i') + 1]}\n"
        f"ansible_ssh_common_args: {shlex.join(words[4:])!r}\n"
    )
    return tmp_path


def test_a_rebooted_machine_is_converged(project: Path) -> None:
    assert "changed=4" in play(project)
    assert "changed=0" in play(project)
    there("echo written > /var/lib/shepherd/volumes/kept/_data/file 2>/dev/null || shepherd-runtime exec page "
          "/bin/busybox sh -c 'echo written > /kept/file'; sync")  # fmt: skip
    before = there("cat /proc/sys/kernel/random/boot_id")
    subprocess.run(
        ["ssh", *shlex.split(MACHINE or ""), "root@127.0.0.1", "systemctl reboot"], capture_output=True, timeout=60
    )
    assert until(lambda: there("cat /proc/sys/kernel/random/boot_id").strip() not in ("", before.strip()), 300)
    # nobody of ours has asked for anything: the machine has started it
    assert until(lambda: "still here" in there("python3 -c \"import urllib.request as r;"
                                               "print(r.urlopen('http://127.0.0.1:8090/').read().decode())\""), 180)  # fmt: skip
    assert "changed=0" in play(project)
    assert there("shepherd-runtime exec page /bin/busybox cat /kept/file") == "written\n"
    (project / "play.yml").write_text(
        "- hosts: machine\n  gather_facts: false\n  tasks:\n"
        "    - container: {name: page, state: absent}\n    - container_network: {name: front, state: absent}\n"
        "    - container_volume: {name: kept, state: absent}\n"
    )
    assert "changed=3" in play(project)
    assert there("ip -o link").count("veth") == 0
    assert there("find /sys/fs/cgroup -path '*shepherd/*' -type d | grep -v 'shepherd.slice' | wc -l").strip() == "0"
