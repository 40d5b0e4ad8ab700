"""The runtime as an ordinary user uses it: with subordinate ids (carol) and with one id (dave)."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import urllib.request

import pytest
from people import FIRST, processes
from registries import Registry

from tests.patience import seconds

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("rootless")]  # one worker makes what all of it needs


def test_a_container_from_its_image_to_its_end(user):
    served = "mkdir /www; echo served > /www/index.html; echo up; exec httpd -f -p 80 -h /www"
    user.do("run", "-d", "--name", "web", "-p", "80", "-v", "data:/data", "box:1", "sh", "-c", served)
    address = user.do("port", "web", "80/tcp").strip()
    assert address.startswith("127.0.0.1:")
    user.until(lambda: user.do("logs", "web") == "up\n")
    with urllib.request.urlopen(f"http://{address}/", timeout=seconds(10)) as answer:
        assert answer.read() == b"served\n"
    assert user.do("exec", "web", "id", "-u") == "0\n"
    assert user.do("exec", "-i", "web", "cat", input="through\n") == "through\n"
    assert "httpd" in user.do("top", "web")
    assert user.do("ps", "--format", "{{.Names}} {{.Image}}") == "web box:1\n"
    assert user.do("diff", "web") == "A /www\nA /www/index.html\n"
    user.do("restart", "-t", "0", "web")
    user.do("stop", "-t", "0", "web")
    assert user.do("ps", "-q") == ""
    user.do("rm", "-v", "web")
    assert user.do("ps", "-aq") == ""


def test_what_comes_in_does_not_come_from_the_loopback(dave):
    dave.do("run", "-d", "--name", "web", "-p", "80", "box:1", "httpd", "-f", "-p", "80")
    host, _, port = dave.do("port", "web", "80/tcp").strip().partition(":")
    remote: list[str] = []

    def heard():
        lines = [line.split() for line in dave.do("exec", "web", "cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()]
        remote[:] = [line[2].partition(":")[0][-8:] for line in lines if line[1].endswith(":0050") and line[3] == "01"]
        return remote

    with socket.create_connection((host, int(port)), timeout=seconds(10)):
        dave.until(heard)
    assert remote == ["0200D10A"]  # 10.209.0.2, as a little-endian machine shows it


def test_files_have_the_owners_that_there_are_ids_for(user):
    shown = user.do(
        "run", "--rm", "box:1", "stat", "-c", "%n %u:%g %a", "/data", "/data/theirs", "/data/high"
    ).splitlines()
    if user.has_ids:
        assert shown == ["/data 7:8 750", "/data/theirs 33:33 4755", "/data/high 0:0 755"]
    else:
        assert shown == ["/data 0:0 750", "/data/theirs 0:0 755", "/data/high 0:0 755"]


def test_other_users_of_the_image(user):
    done = user.verb("run", "--rm", "--user", "user", "box:1", "id")
    if user.has_ids:
        assert done.stdout == "uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n", done.stderr
    else:
        assert done.returncode == 125
        assert "there is no id for user 1000:1000" in done.stderr
        assert "/etc/subuid" in done.stderr


def test_images_are_pushed_and_pulled(dave, tmp_path):
    with Registry(tmp_path / "registry") as registry:
        name = f"{registry.address}/team/box:1"
        dave.do("push", "-q", "--insecure", registry.address, "box:1", name)
        dave.do("pull", "-q", "--insecure", registry.address, name)
    assert dave.do("run", "--rm", name, "id", "-u") == "0\n"
    dave.do("rmi", name)


def test_images_are_built(user):
    context = user.home / "context"
    user.call("mkdir", context)
    text = "FROM box:1\nCOPY file /copied\nRUN echo made > /made && id -u > /who\nRUN cat /made /who > /both\n"
    user.write(context / "Containerfile", text)
    user.write(context / "file", "content\n")
    user.do("build", "-q", "-t", "built:1", context)
    assert user.do("run", "--rm", "built:1", "cat", "/copied", "/both") == "content\nmade\n0\n"


def test_a_keeper_that_was_killed_is_replaced(user):
    user.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
    before, keeper = user.do("unshare", "readlink", "/proc/self/ns/user"), user.keeper()
    os.kill(keeper, signal.SIGKILL)
    user.until(lambda: keeper not in processes(user.number))
    assert user.do("exec", "one", "id", "-u") == "0\n"
    user.do("run", "-d", "--name", "two", "box:1", "sleep", "1000")
    assert user.keeper() != keeper
    assert user.do("unshare", "readlink", "/proc/self/ns/user") == before
    user.do("exec", "two", "true")


def test_first_commands_at_once_share_one_namespace(carol):
    carol.do("run", "--rm", "box:1", "true")
    carol.forget_keeper()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: carol.do("run", "-d", "--name", f"c{n}", "box:1", "sleep", "1000"), range(4)))
    assert carol.do("ps", "-q").count("\n") == 4
    for number in range(4):
        carol.do("exec", f"c{number}", "true")


def test_a_copy_of_the_image_where_no_overlay_can_be_mounted(user):
    user.do("run", "--rm", "box:1", "true")
    before = user.seen(user.state / "overlay").read_text()
    assert before == "yes"
    user.write(user.state / "overlay", "no")
    try:
        user.do(
            "run", "-d", "--name", "flat", "box:1", "sh", "-c", "echo kept > /kept; grep ' / ' /proc/mounts; sleep 1000"
        )
        user.until(lambda: " / " in user.do("logs", "flat"))
        assert "overlay" not in user.do("logs", "flat")
        user.do("restart", "-t", "0", "flat")
        assert user.do("exec", "flat", "cat", "/kept") == "kept\n"
        done = user.verb("diff", "flat")
        assert "what it changed is not known" in done.stderr
    finally:
        user.do("rm", "-f", "flat")
        user.write(user.state / "overlay", before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--network", "web"], "networks of several containers are made by root"),
        (["-p", "127.0.0.1:80:80"], "Permission denied"),
        (["--ip", "10.0.0.2"], "no interface whose address could be chosen"),
        (["--memory", "64m", "--cpus", "1"], "--memory, --cpus: no control group is delegated"),
        (["--pid", "host"], "--pid host"),
        (["--device-cgroup-rule", "c 1:3 rwm"], "only root can make rules for devices"),
    ],
)
def test_what_cannot_be_is_refused_by_name(dave, words, said):
    done = dave.verb("run", "--rm", *words, "box:1", "true")
    assert done.returncode == 125
    assert said in done.stderr


def test_the_verbs_of_root_are_refused(dave):
    assert "made by root" in dave.verb("network", "create", "web").stderr
    assert dave.do("network", "ls", "--format", "{{.Name}}") == "host\nnone\n"
    assert "crontab" in dave.verb("boot", "install").stderr
    dave.do("run", "-d", "--name", "one", "box:1", "sleep", "1000")
    for verb in (["pause", "one"], ["stats", "--no-stream", "one"]):
        done = dave.verb(*verb)
        assert done.returncode == 1
        assert "control group" in done.stderr


def test_other_ids_than_before_are_refused(carol):
    with carol.machine.subordinate(f"carol:{FIRST + 10}:65000\n"):
        done = carol.verb("ps")
    assert done.returncode == 1
    assert "subordinate ids have changed" in done.stderr
    assert carol.verb("ps").returncode == 0
