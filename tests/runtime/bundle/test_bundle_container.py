"""What config.json says is what a process inside finds (OCI runtime specification, config.md and config-linux.md)."""

from __future__ import annotations

import json
import os
import socket
import stat

import pytest
from bundles import user_namespace

from shepherd.runtime.linux import capabilities

pytestmark = pytest.mark.lab


def test_a_container_from_beginning_to_end(bundle):
    done = bundle.shell("echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert bundle.traces() == []


def test_a_signal_is_an_exit_code(bundle):
    assert bundle.shell("kill -9 $$").returncode == 0  # process 1 is not killed by its own
    bundle.without("pid")
    assert bundle.shell("kill -9 $$").returncode == 137


# process


def test_process_fields(bundle):
    bundle.process.update(cwd="/tmp", env=["PATH=/bin", "A=1", "B=x y", "A=2"])
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o27}
    found = bundle.output("pwd; id -u; id -g; id -G; env | sort; umask; echo $HOME").split("\n")
    assert found[:4] == ["/tmp", "1000", "1001", "1001 5 6"]
    assert {"A=2", "B=x y", "PATH=/bin", "HOME=/home/user"} <= set(found)
    assert found[-3:] == ["0027", "/home/user", ""]
    assert not [one for one in found if one.startswith(("PYTHON", "VIRTUAL_ENV", "LANG"))]


@pytest.mark.parametrize("hooks", [{}, {"poststop": [{"path": "/bin/true"}]}], ids=["outside", "inside"])
def test_a_folder_that_its_user_may_not_enter_is_entered_before(bundle, hooks):
    """As `docker run -u 1000 -w /root` has it."""
    bundle.config["hooks"] = hooks
    (bundle.rootfs / "home").mkdir(mode=0o700)
    bundle.process.update(cwd="/home", user={"uid": 1000, "gid": 1000})
    assert bundle.output("readlink /proc/self/cwd; ls /home 2>&1 || true") == (
        "/home\nls: can't open '/home': Permission denied\n"
    )
    bundle.process["user"] = {"uid": 0, "gid": 0}
    started(bundle)
    assert bundle.do("exec", "-u", "1000", "--cwd", "/home", "c", "readlink", "/proc/self/cwd") == "/home\n"


def test_the_folder_is_made(bundle):
    bundle.process["cwd"] = "/not/there"
    assert bundle.output("pwd") == "/not/there\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["absent"], "not found in $PATH"),
        (["/absent"], "no such file"),
        (["/etc/passwd"], "may not be executed"),
        (["/etc"], "is a folder"),
        (["/bin/garbage"], 'exec: "/bin/garbage": Exec format error'),
    ],
)
def test_a_program_that_is_none(bundle, args, said):
    garbage = bundle.rootfs / "bin" / "garbage"
    garbage.write_bytes(b"\x00garbage")
    garbage.chmod(0o755)
    bundle.process["args"] = args
    bundle.write()
    done = bundle.call("run", "--bundle", str(bundle.folder), "c")
    assert done.returncode == 1
    assert said in done.stderr
    assert bundle.traces() == []


def test_limits(bundle):
    bundle.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 4 << 20, "hard": 4 << 20},
    ]
    lines = {line[:25].strip(): line[26:].split() for line in bundle.output("cat /proc/self/limits").splitlines()}
    assert lines["Max open files"][:2] == ["100", "200"]
    assert lines["Max core file size"][:2] == ["0", "0"]
    assert lines["Max stack size"][:2] == [str(4 << 20)] * 2


def status_of(bundle, script="cat /proc/self/status"):
    return dict(line.split(":\t", 1) for line in bundle.output(script).splitlines() if ":\t" in line)


def test_capabilities_and_privileges(bundle):
    sets = {
        name: ["CAP_KILL", "CAP_CHOWN"] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
    }
    bundle.process["capabilities"] = sets
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    found = status_of(bundle)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) == 1 << 5 | 1 << 0, name
    assert found["NoNewPrivs"] == "1"


def test_no_capabilities_said_is_none(bundle):
    del bundle.process["capabilities"]
    bundle.process["noNewPrivileges"] = False
    found = status_of(bundle)
    assert {int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert found["NoNewPrivs"] == "0"


def test_capabilities_that_cannot_be_given_are_left_out_and_said(bundle):
    """Those that do not exist, and those that the runtime itself has not (config.md, "Linux Process")."""
    names = ["CAP_KILL", "CAP_SYSLOG", "CAP_FLY"]
    bundle.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), names)

    def lose_syslog():
        capabilities.drop_bounding(set(range(64)) - {capabilities.NUMBERS["CAP_SYSLOG"]})
        left = capabilities.current()["permitted"] - {capabilities.NUMBERS["CAP_SYSLOG"]}
        capabilities.apply(left, left, set(), left, set())

    done = bundle.shell("grep Cap /proc/self/status", preexec_fn=lose_syslog)
    assert done.returncode == 0, done.stderr
    warnings = done.stderr.splitlines()
    assert [("CAP_FLY" in one, "CAP_SYSLOG" in one) for one in warnings] == [(True, False), (False, True)]
    assert all(one.startswith("shepherd-runtime: warning: /process/capabilities: ") for one in warnings)
    found = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert {int(found[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {1 << 5}


def test_capabilities_that_need_another_set_are_left_out_and_said(bundle):
    """The kernel would refuse all of them with EPERM (capabilities(7)); the specification has a warning."""
    both, kill = ["CAP_KILL", "CAP_CHOWN"], ["CAP_KILL"]
    bundle.process["capabilities"] = {
        "bounding": both, "permitted": kill, "effective": both, "inheritable": both, "ambient": both
    }  # fmt: skip
    done = bundle.shell("grep Cap /proc/self/status")
    assert done.returncode == 0, done.stderr
    effective, ambient = done.stderr.splitlines()
    assert "CAP_CHOWN cannot be effective" in effective and "CAP_CHOWN cannot be ambient" in ambient
    found = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert {int(found[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")} == {1 << 5}


@pytest.mark.parametrize("privileges", [True, False])
def test_a_filter_of_system_calls(bundle, privileges):
    bundle.process["noNewPrivileges"] = privileges
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
    }
    assert "Function not implemented" in bundle.output("mkdir /tmp/x 2>&1 || true")
    assert status_of(bundle)["Seccomp"] == "2"


def test_priorities(bundle):
    bundle.process["oomScoreAdj"] = 500
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    found = bundle.output("cat /proc/self/oom_score_adj /proc/self/stat").split("\n")
    assert found[0] == "500"
    fields = found[1].rpartition(")")[2].split()
    assert fields[16] == "5"  # nice
    assert fields[38] == "3"  # policy: SCHED_BATCH


def test_a_label_that_cannot_be(bundle):
    if os.path.exists("/sys/kernel/security/apparmor"):
        pytest.skip("this machine has AppArmor")
    bundle.process["apparmorProfile"] = "docker-default"
    assert "/process/apparmorProfile" in bundle.refusal()


def test_personality(bundle):
    bundle.linux["personality"] = {"domain": "LINUX32"}
    assert bundle.output("cat /proc/self/personality").strip() == "00000008"
    bundle.process["args"] = ["sleep", "60"]
    bundle.create("joined")
    bundle.do("start", "joined")
    assert bundle.do("exec", "joined", "cat", "/proc/self/personality").strip() == "00000008"


@pytest.mark.parametrize("given", [[], ["HOME="]])
def test_the_home_of_the_user(bundle, given):
    bundle.process.update(env=["PATH=/bin", *given])
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert bundle.output("echo $HOME") == "/home/user\n"


# descriptors, terminals


def test_preserved_descriptors(bundle):
    first, second = os.memfd_create("first"), os.memfd_create("second")
    os.write(first, b"kept")

    def place():
        os.dup2(first, 3)
        os.dup2(second, 4)
        os.lseek(3, 0, os.SEEK_SET)

    bundle.process["args"] = ["sh", "-c", "cat <&3; ls /proc/self/fd | wc -l"]
    bundle.write()
    words = ("run", "--preserve-fds", "1", "--bundle", str(bundle.folder), "c")
    found = bundle.do(*words, pass_fds=(3, 4), preexec_fn=place)
    assert found == "kept5\n"


def test_a_terminal_over_a_socket(bundle, tmp_path):
    path = str(tmp_path / "s")
    bundle.process.update(terminal=True, consoleSize={"height": 33, "width": 77})
    bundle.process["args"] = ["sh", "-c", "tty; stty size; ls -l /dev/console | cut -c1; exit 3"]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        bundle.create("c", "--console-socket", path)
        connection, _address = server.accept()
        with connection:
            _data, descriptors, _flags, _from = socket.recv_fds(connection, 4096, 2)
    assert len(descriptors) == 1
    bundle.do("start", "c")
    said = b""
    try:
        while part := os.read(descriptors[0], 4096):
            said += part
    except OSError:
        pass  # EIO: its last holder has ended
    os.close(descriptors[0])
    assert said.decode().splitlines()[:2] == ["/dev/pts/0", "33 77"]


def test_a_person_at_a_terminal(bundle):
    """`run` of a process with a terminal, from a terminal."""
    import pty

    bundle.process.update(terminal=True)
    bundle.process["args"] = ["sh", "-c", "read line; echo got $line; tty; exit 5"]
    bundle.write()
    bundle.names.add("c")
    pid, master = pty.fork()
    if pid == 0:
        argv = bundle.argv("run", "--bundle", str(bundle.folder), "c")
        os.execv(argv[0], argv)  # noqa: S606 - on the terminal that was made for it
    os.write(master, b"hello\n")
    said = b""
    try:
        while part := os.read(master, 4096):
            said += part
    except OSError:
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5, said
    assert b"got hello" in said
    assert b"/dev/pts/0" in said


def test_what_a_terminal_says_into_a_pipe_has_plain_lines(bundle):
    bundle.process.update(terminal=True)
    assert bundle.shell("echo one; echo two").stdout == "one\ntwo\n"


def test_a_terminal_needs_a_socket(bundle):
    bundle.process["terminal"] = True
    bundle.write()
    done = bundle.call("create", "--bundle", str(bundle.folder), "c")
    assert "--console-socket" in done.stderr
    assert bundle.traces() == []


# exec


def started(bundle, script="sleep 1000"):
    bundle.process["args"] = ["sh", "-c", script]
    bundle.create()
    bundle.do("start", "c")


def test_what_cannot_be_executed_is_named(bundle):
    (bundle.rootfs / "bin/odd").write_text("no program")
    (bundle.rootfs / "bin/odd").chmod(0o755)
    started(bundle)
    reason = 'exec: "/bin/odd": Exec format error'
    assert reason in bundle.call("exec", "c", "/bin/odd").stderr
    bundle.do("delete", "--force", "c")
    bundle.process["args"] = ["/bin/odd"]
    bundle.create()
    assert reason in bundle.call("start", "c").stderr


def test_one_more_process(bundle):
    started(bundle)
    assert bundle.do("exec", "c", "hostname") == "container\n"
    names = ["cgroup", "ipc", "mnt", "net", "pid", "uts", "user"]
    script = f"for n in {' '.join(names)}; do readlink /proc/self/ns/$n; done"
    pid = bundle.state()["pid"]
    assert bundle.do("exec", "c", "sh", "-c", script).split() == [os.readlink(f"/proc/{pid}/ns/{one}") for one in names]
    done = bundle.call("exec", "--user", "1000:7", "-g", "9", "--cwd", "/tmp", "-e", "A=b", "c", "sh", "-c",
                       "id -u; id -g; id -G; pwd; echo $A; exit 9")  # fmt: skip
    assert (done.returncode, done.stdout.split("\n")[:5]) == (9, ["1000", "7", "7 9", "/tmp", "b"])
    assert bundle.call("exec", "c", "absent").returncode == 255


def test_a_process_object(bundle, tmp_path):
    started(bundle)
    process = {
        "args": ["sh", "-c", "echo $X; pwd"],
        "cwd": "/bin",
        "env": ["PATH=/bin", "X=y"],
        "user": {"uid": 0, "gid": 0},
    }
    (tmp_path / "process.json").write_text(json.dumps(process))
    pid_file = tmp_path / "pid"
    found = bundle.do("exec", "--process", str(tmp_path / "process.json"), "--pid-file", str(pid_file), "c")
    assert found == "y\n/bin\n"
    assert int(pid_file.read_text()) > 0
    (tmp_path / "process.json").write_text(json.dumps(dict(process, cwd="here")))
    assert "/cwd" in bundle.call("exec", "-p", str(tmp_path / "process.json"), "c").stderr


@pytest.mark.parametrize(
    "user", ["-1", "4294967296", "4294967295", "0x0", " 0", "name", "1000:", ":0", "name:grp", "٣"]
)
def test_users_are_numbers(bundle, user):
    started(bundle)
    done = bundle.call("exec", f"--user={user}", "c", "id")
    assert done.returncode == 255
    assert "--user" in done.stderr


def test_a_process_joins_a_user_namespace(bundle):
    user_namespace(bundle)
    started(bundle)
    assert bundle.do("exec", "c", "sh", "-c", "id -u; cat /proc/self/uid_map").split() == ["0", "0", "100000", "65536"]


def test_exec_on_a_terminal(bundle):
    import pty

    started(bundle)
    pid, master = pty.fork()
    if pid == 0:
        argv = bundle.argv("exec", "--tty", "c", "sh", "-c", "tty; exit 6")
        os.execv(argv[0], argv)  # noqa: S606 - on the terminal that was made for it
    said = b""
    try:
        while part := os.read(master, 4096):
            said += part
    except OSError:
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6, said
    assert b"/dev/pts/0" in said


def test_a_seccomp_listener(bundle, tmp_path):
    """The descriptor that answers for filtered calls is sent with the state of the container's process."""
    path = str(tmp_path / "s")
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "mine",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        bundle.create()
        bundle.do("start", "c")
        connection, _address = server.accept()
        with connection:
            data, descriptors, _flags, _from = socket.recv_fds(connection, 65536, 2)
    said = json.loads(data)
    assert said["fds"] == ["seccompFd"]
    assert said["metadata"] == "mine"
    assert said["state"]["id"] == "c"
    assert os.readlink(f"/proc/self/fd/{descriptors[0]}") == "anon_inode:seccomp notify"
    os.close(descriptors[0])


def test_features_and_spec(bundle, tmp_path):
    found = json.loads(bundle.do("features"))
    assert "idmap" in found["mountOptions"]
    assert set(found["hooks"]) == {
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    }
    bundle.do("spec", "--bundle", str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["ociVersion"] == found["ociVersionMax"]
    assert "exists" in bundle.call("spec", "--bundle", str(tmp_path)).stderr


def test_control_groups_are_shown(bundle):
    found = bundle.output("cat /proc/self/cgroup; ls /sys/fs/cgroup")
    assert all(line.endswith(":/") for line in found.splitlines() if line[0].isdigit() and ":" in line)
    assert not os.access("/sys/fs/cgroup" + bundle.linux["cgroupsPath"], os.F_OK)


def test_modes_of_files_do_not_follow_the_callers_mask(bundle):
    before = os.umask(0o077)
    try:
        assert bundle.output("stat -c %a /dev/null; umask") == "666\n0022\n"
    finally:
        os.umask(before)


def test_the_first_process_is_its_own_session(bundle):
    fields = bundle.output("cat /proc/self/stat").rpartition(")")[2].split()
    assert fields[3] != "0"
    bundle.without("pid")
    assert int(bundle.output("cat /proc/$$/stat").rpartition(")")[2].split()[3]) != os.getsid(0)


def test_records_are_for_their_owner_alone(bundle):
    bundle.create()
    assert stat.S_IMODE(bundle.state_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((bundle.state_folder / "c" / "state.json").stat().st_mode) == 0o600
