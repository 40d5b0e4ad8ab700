"""Attacks on what looks after containers, each with a canary on the machine."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from containers import GROUP, PASSWD, base
from image_maker import entry, folder, layer, symlink

from tests.patience import seconds

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "-f", "a" * 5000, "a\nb", ".hidden", "\u00e9", "a b", "/x", "x;y", "names\x1b[2J"]
)
def test_names_that_are_paths_or_options(runtime, name):
    done = runtime.run(f"--name={name}", "box:1", "true")
    assert done.returncode == 125, done
    assert "\x1b" not in done.stderr
    for verb in ("rm", "logs", "inspect", "exec", "cp"):
        more = {"exec": ["true"], "cp": ["/tmp/nosuch"]}.get(verb, [])
        assert runtime.call(verb, name + (":/x" if verb == "cp" else ""), *more).returncode != 0
    runtime.do("container", "prune", "-f")
    assert runtime.traces() == []


@pytest.mark.parametrize(
    "user",
    [
        "-1",
        "4294967295",
        "4294967296",
        "0x0",
        " 0",
        "0 ",
        "1e3",
        "+1",
        ":0",
        "1000:",
        "user:nobody",
        "\u0661",
        "root\nx",
    ],
)
def test_users_that_are_none(runtime, user):
    done = runtime.run("--rm", "-u", user, "box:1", "id")
    assert done.returncode == 125 and done.stdout == "", done
    runtime.start("one", "box:1", "sleep", "100")
    done = runtime.call("exec", "-u", user, "one", "id")
    assert done.returncode != 0 and done.stdout == "", done


def test_an_image_whose_passwd_is_not_one(runtime, canary):
    """A link to the machine's, a pipe nobody writes to, a device, and one without an end."""
    fake = f"evil:x:0:0::{'x' * 50}:/bin/sh\n".encode()
    for kind, extra in (
        ("link", [symlink("etc/passwd", f"/..{canary}/secret")]),
        ("up", [symlink("etc/passwd", "../../../../../../../../etc/passwd")]),
        ("pipe", [entry("etc/passwd", tarfile.FIFOTYPE)]),
        ("folder", [folder("etc/passwd")]),
        ("proc", [symlink("etc/passwd", "/proc/self/environ")]),
        ("long", [entry("etc/passwd", data=fake * 40000 + PASSWD)]),
    ):
        entries = [one for one in base() if one[0].name != "etc/passwd"] + extra
        runtime.image(f"{kind}:1", [layer(*entries)], Cmd=["id"])
        assert runtime.run("--rm", "-u", "user", f"{kind}:1").returncode == 125, kind
        assert runtime.output("-u", "1000", f"{kind}:1", "sh", "-c", "echo fine") == "fine\n"


def test_a_name_of_the_machines_is_no_name_inside(runtime):
    assert runtime.run("--rm", "-u", "daemon", "box:1", "id").returncode == 125  # it is in the machine's /etc/passwd


def test_folders_of_an_image_that_lead_out(runtime, canary):
    """WorkingDir and Volumes with .. in them (row 20)."""
    runtime.image(
        "out:1",
        [layer(*base())],
        Cmd=["sh", "-c", "echo $PWD; touch here"],
        WorkingDir=f"../../..{canary}",
        Volumes={f"/../..{canary}/v": {}, "/../../etc/x": {}},
    )
    assert runtime.output("out:1") == f"{canary}\n"  # inside, where it was made
    runtime.image("root:1", [layer(*base())], Cmd=["true"], Volumes={"/..": {}})
    assert "no folder below its root" in runtime.run("root:1").stderr


def test_a_folder_to_work_in_that_is_an_open_file(runtime):
    runtime.start("one", "box:1", "sleep", "100")
    for number in range(3, 25):
        for words in (["exec", "-w", f"/proc/self/fd/{number}", "one", "ls"],):
            done = runtime.call(*words)
            assert done.returncode != 0 or done.stdout == "", done
    done = runtime.run("--rm", "-w", "/proc/self/fd/7", "box:1", "ls", "../../../../../etc/debian_version")
    assert done.returncode != 0


def test_copy_up_of_links(runtime, canary):
    """What an image has at a volume's place is copied as it is; links in it lead nowhere on the machine."""
    runtime.image(
        "links:1",
        [
            layer(
                *base(),
                folder("v"),
                symlink("v/abs", f"{canary}/secret"),
                symlink("v/up", f"../../../..{canary}"),
                symlink("w", str(canary)),
                entry("v/real", data=b"1"),
            )
        ],
        Cmd=["true"],
    )
    runtime.output("-v", "one:/v", "links:1")
    data = json.loads(runtime.do("volume", "inspect", "one"))[0]["Mountpoint"]
    assert sorted(os.listdir(data)) == ["abs", "real", "up"]
    assert os.path.islink(data + "/abs") and os.path.islink(data + "/up")
    runtime.output("-v", "two:/w", "links:1", "true")  # the place itself is a link: it is followed inside
    assert os.listdir(json.loads(runtime.do("volume", "inspect", "two"))[0]["Mountpoint"]) == []


def test_subpaths_that_lead_out(runtime, canary):
    runtime.output(
        "-v",
        "vv:/v",
        "box:1",
        "sh",
        "-c",
        f"ln -s {canary} /v/abs; ln -s ../../../../../..{canary} /v/up; mkdir /v/good",
    )
    for subpath in ("../../..", "abs", "up", "up/secret", f"/..{canary}", "good/../../../x"):
        done = runtime.run(
            "--rm",
            "--mount",
            f"type=volume,source=vv,destination=/m,volume-subpath={subpath}",
            "box:1",
            "cat",
            "/m/secret",
            "/m",
        )
        assert "not yours" not in done.stdout, (subpath, done)


def test_binds_that_give_the_machine_away(runtime, tmp_path, canary):
    (tmp_path / "link").symlink_to("/")
    for source in (
        "/",
        "/proc",
        "/proc/sys",
        str(runtime.root),
        str(runtime.state),
        str(runtime.root / "containers"),
        str(tmp_path / "link"),
        str(tmp_path),
        f"{canary}/../../../../../..",
    ):
        done = runtime.run("--rm", "-v", f"{source}:/host", "box:1", "true")
        assert done.returncode == 125 and "may not be mounted" in done.stderr, source
    assert runtime.output("--security-opt", "host-binds=unconfined", "-v", "/proc:/host:ro", "box:1", "true") == ""
    (tmp_path / "dir").mkdir()
    (tmp_path / "to").symlink_to(tmp_path / "dir")
    runtime.do("create", "--network", "none", "--name", "one", "-v", f"{tmp_path}/to:/in", "box:1", "touch", "/in/x")
    assert runtime.inspect("one")["Mounts"][0]["Source"] == str(tmp_path / "dir")  # what it led to when it was declared
    (tmp_path / "to").unlink()
    (tmp_path / "to").symlink_to(canary)
    runtime.do("start", "-a", "one")
    assert (tmp_path / "dir/x").exists()


def test_cp_of_links_out_of_and_into_a_container(runtime, tmp_path, canary):
    """A container's links mean its own files; what is below a copied folder is copied as it is."""
    runtime.start(
        "one",
        "box:1",
        "sh",
        "-c",
        f"ln -s {canary} /dir; ln -s {canary}/secret /file; mkdir /t; ln -s {canary} /t/in; sleep 1000",
    )
    runtime.until(lambda: "t" in runtime.do("exec", "one", "ls", "/").split())
    (tmp_path / "mine").write_text("mine")
    for words in (
        ["one:/dir/secret", str(tmp_path / "stolen")],
        [str(tmp_path / "mine"), "one:/dir/planted"],
        [str(tmp_path / "mine"), "one:/dir/"],
    ):
        assert runtime.call("cp", *words).returncode == 1, words
    assert not (tmp_path / "stolen").exists()
    assert "not yours" not in runtime.call("cp", "-L", "one:/file", "-").stdout
    assert runtime.call("cp", "-L", "one:/file", str(tmp_path / "stolen")).returncode == 1
    runtime.do("cp", "one:/t", str(tmp_path / "t"))
    assert os.readlink(tmp_path / "t/in") == str(canary)
    # a second copy into what the first one made: a link there is replaced or refused, never followed
    (tmp_path / "evil" / "in").mkdir(parents=True)
    (tmp_path / "evil/in/planted").write_text("x")
    runtime.call("cp", f"{tmp_path}/evil/.", "one:/t")
    runtime.do("exec", "one", "sh", "-c", "rm /t/in; mkdir /t/in; echo x > /t/in/planted")
    runtime.call("cp", "one:/t/.", str(tmp_path / "t"))
    assert sorted(os.listdir(canary)) == ["secret"]


def test_cp_while_the_container_swaps_a_folder_for_a_link(runtime, tmp_path, canary):
    """CVE-2018-15664: both directions, again and again, as fast as it can."""
    script = f"mkdir /a; echo mine > /a/secret; while :; do mv /a /b; ln -s {canary} /a; rm /a; mv /b /a; done"
    runtime.start("one", "box:1", "sh", "-c", script)
    (tmp_path / "planted").write_text("x")
    from shepherd.runtime.containers import copying
    from shepherd.runtime.containers.copying import Place
    from shepherd.runtime.errors import RuntimeFailure

    inside = os.open(f"/proc/{runtime.inspect('one')['State']['Pid']}/root", os.O_PATH | os.O_DIRECTORY)
    outcomes = set()
    for turn in range(1500):
        out = tmp_path / f"out{turn % 10}"
        for source, target in (
            (Place("/a/secret", inside), Place(str(out))),
            (Place(str(tmp_path / "planted")), Place("/a/planted", inside)),
        ):
            try:
                copying.copy(source, target, False)
                outcomes.add("copied")
            except RuntimeFailure:
                outcomes.add("refused")
        if out.exists():
            assert out.read_text() == "mine\n"
    os.close(inside)
    assert outcomes == {"copied", "refused"}  # both were met: the race was run


def test_setuid_programs_do_not_come_out(runtime, tmp_path):
    runtime.start("one", "box:1", "sh", "-c", "cp /bin/busybox /s; chmod 6755 /s; mknod /tmp/n p; sleep 1000")
    runtime.until(lambda: "s" in runtime.do("exec", "one", "ls", "/").split())
    runtime.do("cp", "one:/s", str(tmp_path / "s"))
    assert (tmp_path / "s").stat().st_mode & 0o7777 == 0o755


def test_a_log_that_floods_stays_in_its_limits(runtime):
    runtime.start("one", "--log-opt", "max-size=100k", "--log-opt", "max-file=2", "box:1", "yes")
    pathname = runtime.inspect("one")["LogPath"]
    runtime.until(lambda: os.path.exists(pathname + ".1"))
    for _turn in range(50):
        total = 0
        for one in (pathname, pathname + ".1"):
            with contextlib.suppress(FileNotFoundError):  # it is just being renamed
                total += os.stat(one).st_size
        assert total <= 210000
    runtime.do("rm", "-f", "one")


def test_a_log_that_is_a_link_is_not_written_through(runtime, canary):
    """Nothing inside can make one; a record that was tampered with is met with a refusal."""
    identity = runtime.do("create", "--network", "none", "--name", "one", "box:1", "echo", "flood").strip()
    os.symlink(canary / "secret", runtime.root / "containers" / identity / f"{identity}-json.log")
    runtime.call("start", "-a", "one", timeout=seconds(20))
    assert (canary / "secret").read_text() == "not yours"
    for one in runtime.root.glob("containers/*/monitor.err"):
        one.unlink()


def test_what_is_shown_obeys_no_escape_sequences(runtime):
    evil = "\x1b]0;owned\x07\x1b[2J"
    runtime.start("one", "--label", f"x={evil}", "-e", f"Y={evil}", "box:1", "sh", "-c", f": '{evil}'; sleep 100")
    for words in (
        ["ps", "--no-trunc"],
        ["ps", "--format", "{{.Labels}} {{.Command}}"],
        ["top", "one"],
        ["inspect", "one"],
        ["events", "--since", "1h", "--until", "0s"],
        ["inspect", "-f", "{{.Config.Env}} {{.Config.Labels}}", "one"],
    ):
        assert "\x1b" not in runtime.do(*words) and "\x07" not in runtime.do(*words), words


def test_secrets_are_in_no_command_line_and_no_open_file(runtime):
    runtime.start("one", "-e", "TOKEN=s3cret-value", "box:1", "sleep", "100")
    own = runtime.inspect("one")["State"]["Pid"]
    others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != own]
    for pid in others:
        try:
            assert b"s3cret-value" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
    assert b"s3cret-value" not in Path(f"/proc/{runtime.monitor('one')}/environ").read_bytes()
    assert "s3cret" not in runtime.output("box:1", "env")
    for top in (runtime.root, runtime.state):
        assert stat.S_IMODE(os.stat(top).st_mode) == 0o700 or not os.path.exists(top / "lock")
        for where, _folders, files in os.walk(top):
            if "/upper" in where or "/layers/" in where or "/_data" in where:
                continue
            for name in files:
                state = os.lstat(os.path.join(where, name))
                if not stat.S_ISLNK(state.st_mode) and name not in ("hosts", "hostname", "resolv.conf"):
                    assert not state.st_mode & 0o007, (where, name)


def test_others_cannot_speak_to_a_monitor(runtime):
    """The state is a folder that no other user enters, and there is no abstract socket (row 9)."""
    runtime.start("one", "box:1", "sleep", "100")
    for top in (runtime.root / "containers", runtime.state / "containers", runtime.state / "started"):
        assert stat.S_IMODE(os.stat(top).st_mode) == 0o700
    program = "import os, sys; os.setresuid(65534, 65534, 65534); os.listdir(sys.argv[1])"
    done = subprocess.run(["python3", "-c", program, str(runtime.state / "containers")], capture_output=True, text=True)
    assert "PermissionError" in done.stderr
    sockets = [line for line in Path("/proc/net/unix").read_text().splitlines() if "shepherd" in line and " @" in line]
    assert sockets == []


def test_what_a_container_finds_by_default(runtime, canary):
    """Nothing to write in the kernel's folders, no disk to open, no more shared memory than it may have."""
    script = """
    for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity \\
            /sys/kernel/uevent_helper; do
        (echo x > $f) 2>/dev/null && echo wrote $f
    done
    cat /proc/kcore 2>/dev/null | head -c 1
    mknod /disk b 8 0 2>/dev/null && (head -c 1 /disk >/dev/null 2>&1 && echo opened)
    dd if=/dev/zero of=/dev/shm/x bs=1M count=100 2>/dev/null && echo filled
    mount -t proc x /tmp 2>/dev/null && echo mounted
    echo end
    """
    assert runtime.output("box:1", "sh", "-c", script) == "end\n"


def test_processes_of_two_containers_do_not_meet(runtime):
    runtime.start("one", "-e", "A=secret", "box:1", "sleep", "1000")
    assert runtime.output("box:1", "sh", "-c", "ls /proc | grep -c '^[0-9]'").strip() in ("2", "3", "4")
    assert "secret" not in runtime.output("box:1", "sh", "-c", "cat /proc/*/environ")


def test_a_container_that_fills_its_input_or_output_holds_up_nobody_else(runtime):
    """One that says much to a reader that has stopped: other verbs answer, and it can be removed."""
    process = runtime.popen("run", "--name", "one", "--network", "none", "box:1", "yes")
    process.stdout.read(10)
    done = threading.Event()

    def ask():
        runtime.do("ps")
        runtime.do("exec", "one", "true")
        runtime.do("rm", "-f", "one")
        done.set()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(60)
    assert done.is_set()
    process.stdout.close()
    process.wait(timeout=seconds(30))
    process.stderr.close()


def test_groups_of_the_image_are_not_trusted_for_more(runtime):
    entries = [one for one in base() if one[0].name != "etc/group"]
    evil = GROUP + b"bad:x:-5:user\nbad2:x:99999999999:user\nbad3:x::user\nfine:x:7:user\n"
    runtime.image("groups:1", [layer(*entries, entry("etc/group", data=evil))], Cmd=["id", "-G"])
    assert runtime.output("-u", "user", "groups:1").split() == ["1000", "7", "2000"]
