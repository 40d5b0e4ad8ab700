"""`shepherd lab` as a person uses it: real namespaces, real sshd, the real ssh client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from lab_traces import LAB, alive, bridges, lab, pids, traces

from shepherd.errors import ShepherdError
from shepherd.lab import boot, checks, plan
from shepherd.lab.session import opened
from shepherd.lab.up import Wishes, up

pytestmark = pytest.mark.lab


def ssh(name: str, host: str, command: str) -> str:
    done = lab("ssh", "--name", name, host, command)
    return done.stdout


def as_user(name: str, user: str, address: str, command: str) -> subprocess.CompletedProcess[str]:
    folder = f"/run/shepherd-lab/{name}"
    options = [
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={folder}/known_hosts",
        "-o",
        "BatchMode=yes",
        "-i",
        f"{folder}/key",
    ]
    return subprocess.run(["ssh", *options, f"{user}@{address}", command], capture_output=True, text=True, timeout=30)


def state(name: str) -> dict:
    return json.loads(Path(f"/run/shepherd-lab/{name}/state.json").read_text())


def test_hosts_are_separate_machines_that_one_can_log_in_to(name, tmp_path):
    inventory = tmp_path / "deep" / "inventory"
    assert "web1 web2 db1" in lab("up", "3", "--name", name, "--inventory", str(inventory)).stdout
    address = state(name)["hosts"][2]["address"]

    assert ssh(name, "web1", "hostname; readlink /proc/self/ns/net; id -un").split()[::2] == ["web1", "root"]
    assert ssh(name, "web1", "getent hosts db1").split() == [address, "db1"]
    assert ssh(name, "web1", f"timeout 5 bash -c '</dev/tcp/{address}/22' && echo reached") == "reached\n"
    namespaces = "for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done"
    here = subprocess.run(["bash", "-c", namespaces], capture_output=True, text=True, check=True).stdout.split()
    seen = [*here, *ssh(name, "web1", namespaces).split(), *ssh(name, "web2", namespaces).split()]
    assert len(set(seen)) == 15

    text = inventory.read_text()
    assert f"db1 ansible_host={address}\n" in text
    assert f"ansible_ssh_common_args='-o UserKnownHostsFile=/run/shepherd-lab/{name}/known_hosts'" in text

    listed = lab("list").stdout
    assert f"{name}  " in listed and address in listed
    lab("down", "--name", name)
    assert not inventory.parent.exists()


def test_a_host_is_clean_and_its_own(name, tmp_path):
    lab("up", "2", "--name", name, "--inventory", str(tmp_path / "inventory"))
    assert ssh(name, "web1", "ls -A /root /home") == "/home:\ndeploy\nshepherd\n\n/root:\n.ssh\n"
    assert ssh(name, "web1", "ls -A /tmp /var/tmp | wc -w; stat -c %a /tmp /root /dev/shm") == "2\n1777\n700\n1777\n"
    marker = f"/etc/shepherd-lab-test-{name}"
    ssh(name, "web1", f"echo here > {marker}")
    assert not os.path.exists(marker)
    assert ssh(name, "web2", f"ls {marker} 2>/dev/null; true") == ""
    assert ssh(name, "web1", "cat /etc/machine-id") != ssh(name, "web2", "cat /etc/machine-id")
    # what acts on the whole machine is out of reach, what is the host's own is not
    assert ssh(name, "web1", "echo 1 > /proc/sys/vm/swappiness 2>/dev/null || echo refused") == "refused\n"
    assert ssh(name, "web1", "echo 0 > /proc/sys/net/ipv4/ip_forward && echo written") == "written\n"
    assert ssh(name, "web1", "date -s @0 >/dev/null 2>&1 || echo refused") == "refused\n"
    assert ssh(name, "web1", "echo x | tee /dev/null; head -c 3 /dev/zero | wc -c; tty </dev/null; ls /dev/fd/0") != ""


def test_users_sudo_and_su(name, tmp_path):
    lab("up", "1", "--name", name, "--inventory", str(tmp_path / "inventory"))
    address = state(name)["hosts"][0]["address"]
    assert as_user(name, "deploy", address, "sudo -n id -un").stdout == "root\n"
    refused = as_user(name, "shepherd", address, "sudo -n id -un")
    assert refused.returncode != 0 and "password is required" in refused.stderr
    assert as_user(name, "shepherd", address, "echo shepherd | sudo -S -p '' id -un").stdout == "root\n"
    assert as_user(name, "shepherd", address, "echo shepherd | su -c 'id -un'").stdout == "root\n"
    assert ssh(name, "web1", "su - deploy -c 'pwd'") == "/home/deploy\n"


def test_orphans_are_reaped(name, tmp_path):
    lab("up", "1", "--name", name, "--inventory", str(tmp_path / "inventory"))
    left = ssh(
        name, "web1", "for i in 1 2 3; do (sh -c 'sleep 0.05' &); done; sleep 0.5; ps -eo stat= | grep -c Z || true"
    )
    assert left == "0\n"


@pytest.mark.parametrize("options", [[], ["--ports"], pytest.param(["--systemd"], marks=pytest.mark.systemd)])
def test_down_leaves_nothing(name, options, tmp_path):
    inventory = tmp_path / "inventory"
    lab("up", "3", "--name", name, "--inventory", str(inventory), *options)
    ours = bridges(name)
    ssh(name, "db1", "nohup sleep 1000 >/dev/null 2>&1 & mkdir /mnt/x && mount -t tmpfs t /mnt/x")
    inside = pids(name)
    assert len(inside) >= 4
    lab("down", "--name", name)
    assert traces(name, ours) == []
    assert not [pid for pid in inside if alive(pid)]
    assert not inventory.exists()
    assert "there is no lab" in lab("down", "--name", name).stdout


def test_up_again_changes_nothing_grows_and_revives(name, tmp_path):
    options = ["--name", name, "--inventory", str(tmp_path / "inventory")]
    lab("up", "2", *options)
    first = {host["name"]: host["host_key"] for host in state(name)["hosts"]}
    processes = set(pids(name))
    assert "is up already" in lab("up", "2", *options).stdout
    assert set(pids(name)) == processes

    assert "started db1 web3;" in lab("up", "4", "--name", name).stdout
    assert processes < set(pids(name))
    assert ssh(name, "web1", "getent hosts web3") and ssh(name, "web3", "getent hosts web1")

    os.kill(int(lab("list").stdout.split(f"{name}  ")[1].split("process ")[1].split()[0]), signal.SIGKILL)
    assert "started web1;" in lab("up", "4", "--name", name).stdout
    assert {host["name"]: host["host_key"] for host in state(name)["hosts"]}.items() >= first.items()
    assert ssh(name, "web1", "hostname") == "web1\n"


def test_several_labs_side_by_side(name, tmp_path):
    other = f"{name}-b"
    started = [
        subprocess.Popen([*LAB, "up", "2", "--name", which, "--inventory", str(tmp_path / which), *options])
        for which, options in ((name, []), (other, []), (f"{name}-c", ["--ports"]), (f"{name}-d", ["--ports"]))
    ]
    try:
        assert [process.wait(60) for process in started] == [0, 0, 0, 0]
        hosts = [host for which in ("", "-b", "-c", "-d") for host in state(name + which)["hosts"]]
        assert len({(host["address"], host["port"]) for host in hosts}) == 8
        lab("down", "--name", other)
        assert ssh(name, "web2", "hostname") == ssh(f"{name}-c", "web2", "hostname") == "web2\n"
    finally:
        for which in ("-b", "-c", "-d"):
            lab("down", "--name", name + which)


@pytest.mark.parametrize("moment", ["state.json", "key.pub", "web1.log", "web4.log", "known_hosts"])
def test_down_after_up_was_killed(name, moment, tmp_path):
    inventory = tmp_path / "inventory"
    process = subprocess.Popen([*LAB, "up", "8", "--name", name, "--inventory", str(inventory)])
    sign = Path(f"/run/shepherd-lab/{name}/{moment}")
    while not sign.exists() and process.poll() is None:
        time.sleep(0.0005)
    process.kill()
    process.wait()
    ours = bridges(name)
    lab("down", "--name", name)
    assert traces(name, ours) == []
    assert not inventory.exists()


def test_up_after_up_was_killed(name, tmp_path):
    process = subprocess.Popen([*LAB, "up", "3", "--name", name, "--inventory", str(tmp_path / "inventory")])
    while not Path(f"/run/shepherd-lab/{name}/web2.log").exists() and process.poll() is None:
        time.sleep(0.0005)
    process.kill()
    process.wait()
    lab("up", "3", "--name", name)
    assert [ssh(name, host, "hostname") for host in ("web1", "web2", "db1")] == ["web1\n", "web2\n", "db1\n"]


def test_interrupted_up_leaves_nothing(name, tmp_path):
    command = [*LAB, "up", "8", "--name", name, "--inventory", str(tmp_path / "inventory")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not Path(f"/run/shepherd-lab/{name}/web2.log").exists() and process.poll() is None:
        time.sleep(0.0005)
    ours = bridges(name)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    assert traces(name, ours) == []


@pytest.mark.slow
def test_twenty_hosts_take_little_memory(name, tmp_path):
    lab("up", "20", "--name", name, "--inventory", str(tmp_path / "inventory"))
    used: dict[int, int] = {}
    inside = pids(name)
    for pid in inside:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        used[pid] = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    assert len(inside) == 20
    assert max(used.values()) < 10_000  # KiB


def test_what_up_says_can_be_typed(name, tmp_path):
    said = lab("up", "1", "--name", name, "--inventory", str(tmp_path / "inventory")).stdout
    (login,) = [line.split()[2:] for line in said.splitlines() if line.startswith("  shepherd lab ssh")]
    assert lab(*login, "hostname").stdout == "web1\n"


def test_exec_works_without_ssh_and_hands_on_its_status(name, tmp_path):
    lab("up", "1", "--name", name, "--inventory", str(tmp_path / "inventory"))
    done = lab("exec", "--name", name, "web1", "sh", "-c", "pwd; echo $HOME $PATH; exit 7", check=False)
    assert done.returncode == 7
    assert done.stdout.splitlines()[0] == "/root"
    assert done.stdout.splitlines()[1].startswith("/root /usr/local/sbin:")
    piped = lab("exec", "--name", name, "web1", "--", "tr", "a-z", "A-Z", input="text\n")
    assert piped.stdout == "TEXT\n"


def test_errors_are_for_reading(name, tmp_path):
    written = tmp_path / "mine"
    written.write_text("[mine]\nprecious\n")
    table = [
        (["up", "0", "--name", name], "a lab has 1 to 200 hosts"),
        (["up", "1", "--name", "No_Good"], "cannot be the name of a lab"),
        (["up", "1", "--name", name, "--inventory", str(written)], "no lab wrote it"),
        (["exec", "--name", name, "web1", "true"], f"there is no lab '{name}'"),
        (["ssh", "web1", "--name", name], "shepherd lab ssh --name"),
        (["exec", "web1", "--name", name, "true"], "shepherd lab exec --name"),
    ]
    for words, message in table:
        done = lab(*words, check=False)
        assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr, words
    assert written.read_text() == "[mine]\nprecious\n"
    lab("up", "1", "--name", name, "--inventory", str(tmp_path / "inventory"))
    for words, message in [
        (["ssh", "--name", name, "web9"], "its hosts are: web1"),
        (["exec", "--name", name, "web9", "true"], "its hosts are: web1"),
        (["up", "2", "--name", name, "--ports"], "without --ports"),
        (["up", "2", "--name", name, "--systemd"], "without --systemd"),
    ]:
        done = lab(*words, check=False)
        assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr, words


def test_obstacles_are_named(monkeypatch):
    monkeypatch.setitem(checks.PROGRAMS, "/nowhere/sshd", "openssh-server")
    assert checks.obstacle().render() == "sshd is missing\n  hint: apt-get install openssh-server"
    monkeypatch.setattr(checks, "_capabilities", lambda: 0xFF)
    assert "CAP_SYS_ADMIN" in checks.obstacle().message
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in checks.obstacle().message


@pytest.fixture
def fresh_systemd_host():
    """A host that no other test has put units on."""
    with opened(f"pytest-{os.getpid()}-fresh", 1, systemd=True, ports=True) as lab:
        yield lab.hosts[0]


@pytest.mark.systemd
def test_systemd_is_real(fresh_systemd_host):
    def run(*command: str, check: bool = True) -> str:
        return fresh_systemd_host.exec(command, check=check).stdout.strip()

    assert run("systemctl", "is-system-running") == "running"
    assert run("ps", "-p", "1", "-o", "comm=") == "systemd"
    # what is switched on here is what a lab switches on, whatever this machine runs
    enabled = run("systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--type=service").split("\n")
    assert {line.split()[0] for line in enabled} <= {"ssh.service", "sshd.service", "cron.service", "crond.service"}
    run("systemd-run", "--unit=work", "--property=MemoryMax=64M", "sleep", "1000")
    assert run("systemctl", "is-active", "work") == "active"
    assert run("systemctl", "show", "work", "--property=ControlGroup") == "ControlGroup=/system.slice/work.service"
    run("systemctl", "stop", "work")
    assert run("systemctl", "is-active", "work", check=False) == "inactive"
    command = fresh_systemd_host.ssh_command("systemctl restart ssh && systemctl is-active ssh")
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "active\n"
    assert subprocess.run(fresh_systemd_host.ssh_command("id -un"), capture_output=True, text=True).stdout == "root\n"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (["/bin/sh", "-c", "echo port is sold out >&2"], "sshd of web1 does not answer .*port is sold out"),
        (["/nowhere/sshd"], "web1 did not start: .*No such file or directory"),
    ],
)
def test_a_host_that_does_not_start_takes_all_with_it(program, message, name, tmp_path, monkeypatch):
    bridge = f"br{os.getpid()}"
    monkeypatch.setattr(plan, "choose_network", lambda taken, interfaces: ("10.83.255.0/24", bridge))
    monkeypatch.setattr(boot, "SSHD", program)
    with pytest.raises(ShepherdError, match=message):
        up(3, name=name, wishes=Wishes(inventory=str(tmp_path / "inventory")))
    assert traces(name, {bridge}) == []
    assert not (tmp_path / "inventory").exists()


def test_a_host_that_does_not_start_leaves_those_that_run(name, tmp_path, monkeypatch):
    lab("up", "1", "--name", name, "--inventory", str(tmp_path / "inventory"))
    with monkeypatch.context() as patch, pytest.raises(ShepherdError, match="web2 did not start"):
        patch.setattr(boot, "SSHD", ["/nowhere/sshd"])
        up(3, name=name)
    assert [host["name"] for host in state(name)["hosts"]] == ["web1"]
    assert "web2" not in (tmp_path / "inventory").read_text()
    assert ssh(name, "web1", "hostname") == "web1\n"
    lab("up", "2", "--name", name)
    assert ssh(name, "web2", "hostname") == "web2\n"


def test_disks_of_their_own_are_in_the_view(name, tmp_path):
    """A machine with /opt and /var on other disks, made in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "file").write_text("from the disk")
    command = f"""
        mount --make-rprivate /
        mount -t overlay -o lowerdir={disk}:/opt overlay /opt
        mount -t overlay -o lowerdir={disk}:/var overlay /var
        {" ".join(LAB)} up 1 --name {name} --inventory {tmp_path}/inventory
    """
    subprocess.run(["unshare", "-m", "sh", "-e", "-c", command], check=True, stdout=subprocess.DEVNULL)
    script = (
        "cat /opt/file /var/file; echo new > /var/new; ls -A /var/tmp; sudo -u shepherd touch /var/tmp/x; ls /var/tmp"
    )
    assert ssh(name, "web1", script) == "from the diskfrom the diskx\n"
    assert not os.path.exists("/var/new") and not (disk / "new").exists()
