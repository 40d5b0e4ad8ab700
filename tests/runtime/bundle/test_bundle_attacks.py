"""Images and containers that want out: each attack is mounted, with files of the machine as canaries."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from bundles import with_capabilities

from shepherd.runtime.linux import launcher
from tests.patience import seconds

pytestmark = pytest.mark.lab


# 1. The runtime's own program


@pytest.mark.parametrize("how", ["link", "script", "loader"])
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_interpreter_is_not_reached_through_proc_self_exe(bundle, canary, how, verb):
    """CVE-2019-5736: what /proc/self/exe leads to when the image's program begins is not the machine's."""
    attack = bundle.rootfs / "bin" / "attack"
    if how == "link":
        attack.symlink_to("/proc/self/exe")
    elif how == "script":
        attack.write_text("#!/proc/self/exe\n")
    else:
        attack.write_bytes(elf_with_loader(b"/proc/self/exe"))
    if how != "link":
        attack.chmod(0o755)
    with_capabilities(bundle, "CAP_SYS_PTRACE")
    # an accomplice that tries to write to whatever executable its neighbours have
    watch = "cd /proc; while :; do for p in [0-9]*; do [ $p = $$ ] || (echo broken > $p/exe) 2>/dev/null; done; done"
    bundle.process["args"] = ["sh", "-c", watch] if verb == "exec" else ["/bin/attack"]
    bundle.create()
    bundle.do("start", "c") if verb == "exec" else bundle.call("start", "c")
    # before Linux 6.7 the kernel clears what follows a loader's last byte, and ends a process whose loader is read-only
    killed = [128 + signal.SIGSEGV] if how == "loader" else []
    if verb == "exec":
        for _turn in range(3):
            done = bundle.call("exec", "c", "/bin/attack")
            assert done.returncode in (1, 127, *killed), done
            assert "Python" not in done.stdout
    bundle.do("delete", "--force", "c")


def elf_with_loader(path):
    """A program that needs the loader `path`: the smallest that the kernel takes."""
    import struct

    interpreter = path + b"\0"
    base, size = 0x400000, 64 + 2 * 56 + len(interpreter)
    machine = {"aarch64": 183}.get(os.uname().machine, 62)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, base + 64, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    needed = struct.pack("<IIQQQQQQ", 3, 4, 176, base + 176, base + 176, len(interpreter), len(interpreter), 1)
    return head + needed + load + interpreter


def test_the_last_step_is_a_sealed_file(tmp_path):
    content = launcher.program(b"/proc/self/exe", [b"x"], [], 9)
    descriptor = launcher.sealed(content)
    with pytest.raises(PermissionError):
        os.write(descriptor, b"x")
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)
    assert launcher.program(b"x", [], [], 9, machine="sparc") is None
    assert launcher.program(b"x", [], [], 9, machine="aarch64")[:4] == b"\x7fELF"


def test_an_entry_point_that_leads_back_to_the_launcher_ends(bundle):
    (bundle.rootfs / "bin" / "loop").symlink_to("/proc/self/exe")
    bundle.process["args"] = ["/bin/loop"]
    bundle.write()
    assert bundle.call("run", "--bundle", str(bundle.folder), "c").returncode == 127


# 2. Nothing of the image is loaded


def test_no_module_or_library_of_the_image_is_loaded(bundle, canary):
    import sysconfig

    mark = f"open({str(canary / 'loaded')!r}, 'w')\n"
    for folder in {sysconfig.get_path("stdlib"), "/usr/lib/python3.11", "/usr/lib/python3"}:
        place = bundle.rootfs / folder.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        for name in (
            "encodings",
            "codecs",
            "warnings",
            "traceback",
            "linecache",
            "sitecustomize",
            "json",
            "signal",
            "array",
        ):
            (place / f"{name}.py").write_text(mark)
    (bundle.rootfs / "etc" / "ld.so.preload").write_text("/lib/evil.so\n")
    bundle.mount(str(canary), str(canary), "rbind")  # a place where what is loaded could leave its mark
    bundle.process["terminal"] = False
    assert bundle.shell("exit 4").returncode == 4
    bundle.process["args"] = ["absent"]
    bundle.write()
    assert bundle.call("run", "--bundle", str(bundle.folder), "c").returncode == 1


# 3. Descriptors


@pytest.mark.parametrize("number", [*range(3, 21)])
def test_no_folder_of_the_machines_by_its_descriptor(bundle, canary, number):
    """CVE-2024-21626: a working folder in /proc/self/fd."""
    leaks = [os.open("/", os.O_RDONLY) for _one in range(4)]
    for one in leaks:
        os.set_inheritable(one, True)
    try:
        bundle.process["cwd"] = f"/proc/self/fd/{number}"
        done = bundle.shell("pwd; ls -d ../../..", pass_fds=leaks)
        assert done.returncode == 1
        assert "/process/cwd" in done.stderr
        assert bundle.traces() == []
    finally:
        for one in leaks:
            os.close(one)


def test_many_inherited_descriptors_are_closed(bundle):
    leaks = [os.open("/", os.O_RDONLY) for _one in range(200)]
    try:
        assert bundle.output("ls /proc/self/fd | wc -l", pass_fds=leaks).strip() == "4"
        bundle.process["args"] = ["sleep", "1000"]
        bundle.create()
        bundle.do("start", "c")
        assert bundle.do("exec", "c", "sh", "-c", "ls /proc/self/fd | wc -l", pass_fds=leaks).strip() == "4"
        done = bundle.call("exec", "--cwd", "/proc/self/fd/7", "c", "pwd", pass_fds=leaks)
        assert done.returncode == 255
        (bundle.rootfs / "link").symlink_to("/proc/self/fd/7")
        assert bundle.call("exec", "--cwd", "/link", "c", "pwd", pass_fds=leaks).returncode == 255
    finally:
        for one in leaks:
            os.close(one)


# 4., 5., 7., 8.


def test_a_joining_process_cannot_be_looked_into(bundle):
    """CVE-2016-9962: its descriptors are closed to what runs inside, and there is nothing among them."""
    with_capabilities(bundle)
    script = (
        "cd /proc; while :; do for p in [0-9]*; do case $(readlink $p/cwd) in '') ;; /) ;; *) readlink $p/cwd; esac;"
    )
    script += " ls -l $p/fd 2>/dev/null | grep -E 'state|/init$|bundles'; done; done > /tmp/seen 2>/dev/null"
    bundle.process["args"] = ["sh", "-c", script]
    bundle.create()
    bundle.do("start", "c")
    for _turn in range(5):
        bundle.do("exec", "c", "true")
    bundle.do("kill", "c", "KILL")
    assert "/" not in (bundle.rootfs / "tmp" / "seen").read_text().replace("/proc", "")


def test_nothing_is_inheritable(bundle):
    """CVE-2022-29162 and its like."""
    assert "CapInh:\t0000000000000000" in bundle.output("cat /proc/self/status")
    bundle.process["args"] = ["sleep", "1000"]
    bundle.create()
    bundle.do("start", "c")
    assert "CapInh:\t0000000000000000" in bundle.do("exec", "--cap", "CAP_CHOWN", "c", "cat", "/proc/self/status")


def test_groups_of_the_caller_stay_outside(bundle):
    before = os.getgroups()
    os.setgroups([0, 4, 27])
    try:
        assert bundle.output("id -G").split() == ["0"]
    finally:
        os.setgroups(before)


def test_the_callers_environment_stays_outside(bundle):
    found = bundle.output("env; cat /proc/1/environ", env={**os.environ, "SECRET": "not yours"})
    assert "SECRET" not in found


def test_no_typing_into_the_callers_terminal(bundle):
    """CVE-2017-5226: a session and a terminal of its own, so TIOCSTI has nothing of the caller's to write to."""
    import pty

    bundle.process["terminal"] = True
    bundle.process["args"] = ["sh", "-c", "readlink /proc/self/fd/0; cat /proc/self/stat"]
    bundle.write()
    bundle.names.add("c")
    pid, master = pty.fork()
    if pid == 0:
        argv = bundle.argv("run", "--bundle", str(bundle.folder), "c")
        os.execv(argv[0], argv)  # noqa: S606 - on the terminal that was made for it
    said = b""
    try:
        while part := os.read(master, 4096):
            said += part
    except OSError:
        pass
    os.close(master)
    os.waitpid(pid, 0)
    lines = said.decode().split("\r\n")
    assert lines[0] == "/dev/pts/0"
    assert lines[1].rpartition(")")[2].split()[3] == "1"  # session: its own


# 21. – 25. Control groups and devices


def test_no_program_of_the_machines_is_told_of_an_empty_group(bundle, canary):
    """CVE-2022-0492: also who may mount finds no release_agent, which the kernel would run outside."""
    with_capabilities(bundle, "CAP_SYS_ADMIN")
    bundle.process["noNewPrivileges"] = False
    bundle.linux.pop("seccomp", None)
    attack = f"""
for c in $(sed -n 's/^cgroup [^ ]* cgroup //p' /proc/mounts | tr , '\\n' | grep -x '[a-z]*' | grep -vx rw); do
    mkdir -p /tmp/$c; mount -t cgroup -o $c none /tmp/$c 2>/dev/null || continue
    mkdir -p /tmp/$c/x; echo 1 > /tmp/$c/x/notify_on_release
    (echo 'touch {canary}/here' > /tmp/agent; chmod 755 /tmp/agent; echo /tmp/agent > /tmp/$c/release_agent) 2>/dev/null
    sh -c "echo \\$\\$ > /tmp/$c/x/cgroup.procs"
    ls /tmp/$c/release_agent 2>/dev/null; rmdir /tmp/$c/x
done
ls /sys/fs/cgroup/*/release_agent 2>/dev/null
unshare -Urm true 2>/dev/null
echo end"""
    assert bundle.output(attack) == "end\n"
    assert os.listdir(canary) == ["secret"]


def test_control_groups_are_not_written_to(bundle, canary):
    """CVE-2023-25809."""
    with_capabilities(bundle)
    attack = "for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/*/*.max /sys/fs/cgroup/cgroup.procs; do"
    attack += " [ ! -e $f ] || (echo 1 > $f) 2>/dev/null && [ -e $f ] && echo wrote $f; done;"
    attack += " mkdir /sys/fs/cgroup/x /sys/fs/cgroup/*/x 2>/dev/null; ls -d /sys/fs/cgroup/*/x 2>/dev/null; echo end"
    assert bundle.output(attack) == "end\n"


@pytest.mark.parametrize("asked", ["nothing", "all denied", "template"])
def test_devices_of_the_machines_are_not_opened(bundle, canary, asked):
    """A node can be made with CAP_MKNOD; to read a disk through it, or memory, or the kernel's log, is refused."""
    with_capabilities(bundle)
    if asked == "nothing":
        bundle.linux.pop("resources", None)
    else:
        bundle.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}] if asked == "all denied" else []}
    disks = [line.split()[:2] for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    nodes = [("b", *disk) for disk in [*disks[:3], ["8", "0"], ["7", "0"]]]
    nodes += [("c", "1", "1"), ("c", "1", "4"), ("c", "1", "11"), ("c", "10", "200"), ("c", "10", "229")]
    attack = "cd /tmp; "
    for number, (kind, major, minor) in enumerate(nodes):
        attack += f"mknod n{number} {kind} {major} {minor} || echo no node; "
        attack += (
            f"dd if=n{number} of=/dev/null bs=512 count=1 2>&1 | grep -q 'Operation not permitted' || echo read it; "
        )
        attack += f"(echo x > n{number}) 2>&1 | grep -q 'Operation not permitted' || echo wrote it; "
    attack += "for d in null zero full random urandom tty ptmx; do [ $d = tty ] || head -c 0 /dev/$d || echo $d; done; "
    assert bundle.output(attack + "echo end") == "end\n"


def test_frozen_processes_are_ended_too(bundle, canary):
    """Groups that the container has made in its own, with processes in them that it has stopped itself."""
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if one["destination"] != "/sys/fs/cgroup"]
    bundle.mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", kind="cgroup")
    attack = """
for d in /sys/fs/cgroup/freezer /sys/fs/cgroup/pids /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e $d/cgroup.procs ] || continue
    mkdir -p $d/a/b; sleep 1000 & echo $! > $d/a/b/cgroup.procs
    [ ! -e $d/a/freezer.state ] || echo FROZEN > $d/a/freezer.state
    [ ! -e $d/a/b/cgroup.freeze ] || echo 1 > $d/a/b/cgroup.freeze
done
touch /tmp/ready; sleep 1000"""
    for kind in ("pid", "shared"):
        if kind == "shared":
            bundle.without("pid")
        (bundle.rootfs / "tmp" / "ready").unlink(missing_ok=True)
        bundle.process["args"] = ["sh", "-c", attack]
        bundle.create()
        bundle.do("start", "c")
        deadline = time.monotonic() + seconds(30)
        while not (bundle.rootfs / "tmp" / "ready").exists():
            assert time.monotonic() < deadline
        if kind == "shared":
            bundle.do("pause", "c")
        bundle.do("delete", "--force", "c")
        assert bundle.traces() == []
