"""The process of a container: what it has, its terminal, its network."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.patience import seconds

pytestmark = pytest.mark.lab


def test_the_process_is_as_it_was_asked_for(runtime):
    assert (
        runtime.output("-u", "user", "box:1", "id") == "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n"
    )
    assert runtime.output("-u", "1234:5", "box:1", "id").startswith("uid=1234 gid=5 ")
    assert runtime.output("-w", "/a/b", "box:1", "sh", "-c", "echo $PWD") == "/a/b\n"
    assert runtime.output("--hostname", "named", "box:1", "hostname") == "named\n"
    assert runtime.output("--entrypoint", "echo", "box:1", "a", "b") == "a b\n"
    assert runtime.output("--ulimit", "nofile=99:100", "box:1", "sh", "-c", "ulimit -n; ulimit -Hn") == "99\n100\n"
    assert "Operation not permitted" in runtime.run(
        "--rm", "box:1", "mount", "-t", "tmpfs", "x", "/tmp"
    ).stderr.replace("permission denied (are you root?)", "Operation not permitted")
    caps = "grep CapEff /proc/self/status"
    assert runtime.output("box:1", "sh", "-c", caps).split()[1] == "00000000a80425fb"  # Docker's fourteen
    assert int(runtime.output("--cap-drop", "ALL", "box:1", "sh", "-c", caps).split()[1], 16) == 0
    assert int(runtime.output("--cap-drop", "all", "--cap-add", "chown", "box:1", "sh", "-c", caps).split()[1], 16) == 1
    assert (
        runtime.output(
            "--security-opt", "no-new-privileges", "box:1", "grep", "NoNewPrivs", "/proc/self/status"
        ).split()[1]
        == "1"
    )
    assert runtime.output("box:1", "grep", "Seccomp:", "/proc/self/status").split()[1] == "2"
    assert runtime.output("--sysctl", "net.ipv4.ip_forward=1", "box:1", "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert "read-only" in runtime.run("--rm", "--read-only", "box:1", "touch", "/x").stderr.lower()
    assert (
        runtime.output(
            "--read-only", "--tmpfs", "/t:size=1m,mode=700", "box:1", "sh", "-c", "touch /t/x; stat -c %a /t"
        )
        == "700\n"
    )
    assert runtime.output(
        "--device", "/dev/null:/dev/nothing", "box:1", "sh", "-c", "echo x > /dev/nothing; ls /dev/nothing"
    )
    assert "127.0.0.1\tlocalhost" in runtime.output("box:1", "cat", "/etc/hosts")
    assert "1.2.3.4\tother" in runtime.output("--add-host", "other:1.2.3.4", "box:1", "cat", "/etc/hosts")
    assert "nameserver 9.9.9.9" in runtime.output("--dns", "9.9.9.9", "box:1", "cat", "/etc/resolv.conf")
    assert "LOOPBACK,UP" in runtime.output("box:1", "ip", "link").replace("<", "").replace(">", "")
    network = os.readlink("/proc/self/ns/net")
    assert runtime.do("run", "--rm", "--network", "host", "box:1", "readlink", "/proc/self/ns/net") == network + "\n"
    assert (
        runtime.output("--pid", "host", "box:1", "readlink", "/proc/self/ns/pid")
        == os.readlink("/proc/self/ns/pid") + "\n"
    )


def test_privileged(runtime):
    text = runtime.output(
        "--privileged", "box:1", "sh", "-c", "mount -t tmpfs x /tmp && grep Seccomp: /proc/self/status"
    )
    assert text.split() == ["Seccomp:", "0"]


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="there is no reaper for this machine")
def test_a_first_process_that_reaps_and_passes_signals_on(runtime):
    orphans = "for i in 1 2 3; do (sleep 0.05 &); done; sleep 0.3; ps"
    shown = runtime.output("--init", "box:1", "sh", "-c", orphans)
    assert "/dev/init" in shown.splitlines()[1] and "[sleep]" not in shown
    for script, code in (("exit 5", 5), ("kill -9 $$", 137), ("kill -USR1 $$", 138)):
        assert runtime.run("--rm", "--init", "box:1", "sh", "-c", script).returncode == code, script
    assert runtime.run("--rm", "--init", "box:1", "nosuch").returncode == 127
    assert runtime.run("--rm", "--init", "box:1", "/etc/passwd").returncode == 126
    assert runtime.output("--init", "-u", "user", "box:1", "id", "-u") == "1000\n"
    runtime.start("one", "--init", "box:1", "sleep", "1000")  # has no handler, and as process 1 would not hear of it
    runtime.do("stop", "-t", "50", "one")
    assert runtime.inspect("one")["State"]["ExitCode"] == 143
    runtime.start(
        "two", "--init", "box:1", "sh", "-c", "trap 'echo got; exit 4' INT; echo up; while :; do sleep 0.05; done"
    )
    runtime.until(lambda: runtime.do("logs", "two"))
    runtime.do("kill", "-s", "INT", "two")
    assert runtime.do("wait", "two") == "4\n"


def test_a_terminal(runtime):
    """Through a terminal of ours: it is one inside, has its size, and what is typed comes to it."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    process = subprocess.Popen(
        runtime.argv(
            "run", "--rm", "-it", "--network", "none", "box:1", "sh", "-c", "tty; read x; stty size; echo got-$x"
        ),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=runtime.environment,
        start_new_session=True,
    )
    os.close(slave)
    said = b""
    while b"/dev/" not in said:
        said += os.read(master, 1000)
    os.write(master, b"typed\n")
    while True:
        try:
            part = os.read(master, 1000)
        except OSError:
            break
        if not part:
            break
        said += part
    assert process.wait(timeout=seconds(30)) == 0, said
    assert b"33 99" in said and b"got-typed" in said
    os.close(master)


def test_detaching_from_a_terminal(runtime):
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        runtime.argv("run", "--name", "one", "-it", "--network", "none", "box:1", "sh"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=runtime.environment,
        start_new_session=True,
    )
    os.close(slave)
    said = b""
    while b"#" not in said:
        said += os.read(master, 1000)
    os.write(master, b"\x10\x11")
    assert process.wait(timeout=seconds(30)) == 0
    assert runtime.status("one") == "running"
    os.close(master)


def test_a_network(runtime):
    """In a network namespace that stands for the machine: names, a published port, `port`, `ps`, another's network."""
    words = " ".join(shlex.quote(word) for word in runtime.argv())
    serve = "mkdir /w; echo served > /w/x; echo up; httpd -f -p 80 -h /w"
    script = f"""
    set -e
    ip link set lo up
    links=$(ip -o link | wc -l)
    runtime() {{ {words} "$@"; }}
    runtime network create net >/dev/null
    runtime run -d --name web --network net -p 127.0.0.1:8123:80 box:1 sh -c '{serve}' >/dev/null
    until runtime logs web | grep -q up; do :; done
    runtime run --rm --network net box:1 wget -qO- http://web/x
    runtime run --rm --network container:web box:1 wget -qO- http://127.0.0.1/x
    busybox wget -qO- http://127.0.0.1:8123/x
    runtime port web
    runtime ps --format '{{{{.Ports}}}}'
    runtime rm -f web >/dev/null
    runtime network rm net >/dev/null
    echo $(($(ip -o link | wc -l) - links))
    """
    done = subprocess.run(
        ["unshare", "-m", "-n", "--propagation", "private", "bash", "-c", script],
        env={**runtime.environment, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        timeout=seconds(120),
        check=False,
    )
    assert done.returncode == 0, done
    served, published = "served\n" * 3, "80/tcp -> 127.0.0.1:8123\n127.0.0.1:8123->80/tcp\n"
    assert done.stdout == served + published + "0\n"


def test_what_is_thrown_away_afterwards_is_not_put_on_the_disk_first(runtime):
    """An overlay syncs all of the file system that it is on when it is unmounted, unless it is volatile."""
    runtime.do("create", "--rm", "--network", "none", "--name", "brief", "box:1", "sh", "-c", "cat /new; sleep 1000")
    runtime.do("cp", str(Path(__file__)), "brief:/new")  # mounted once before it starts, which may be done once only
    runtime.do("start", "brief")
    pid = runtime.inspect("brief")["State"]["Pid"]
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (5, 10):
        assert "volatile" in Path(f"/proc/{pid}/mounts").read_text().splitlines()[0]
    runtime.until(lambda: "thrown_away" in runtime.do("logs", "brief"))
    runtime.start("lasting", "box:1", "sleep", "1000")
    pid = runtime.inspect("lasting")["State"]["Pid"]
    assert "volatile" not in Path(f"/proc/{pid}/mounts").read_text().splitlines()[0]
