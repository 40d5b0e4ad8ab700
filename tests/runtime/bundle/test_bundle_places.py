"""Places of an image that are not what they seem: rows 11 to 17 of the threats to a runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bundles import with_capabilities

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import paths, syscalls

pytestmark = pytest.mark.lab


# 11. – 15. Places that are not what they seem


@pytest.mark.parametrize("where", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "../../../tmp", "/proc/self/cwd", "etc/passwd"])
def test_what_shows_the_kernel_is_not_mounted_through_a_link(bundle, canary, where, target):
    """CVE-2019-16884, CVE-2023-27561."""
    (bundle.rootfs / where).rmdir()
    (bundle.rootfs / where).symlink_to(target)
    assert "/mounts" in bundle.refusal() or "no folder" in bundle.refusal()


@pytest.mark.parametrize("target", ["/etc", "../../../../{canary}", "{canary}", "/proc/self/cwd"])
def test_dev_as_a_link_stays_inside(bundle, canary, target):
    """CVE-2026-41579: devices are made in the container or not at all."""
    (bundle.rootfs / "dev").rmdir()
    (bundle.rootfs / "dev").symlink_to(target.format(canary=canary))
    before = sorted(os.listdir("/etc"))
    bundle.shell("true")
    assert sorted(os.listdir("/etc")) == before
    assert os.listdir(canary) == ["secret"]


@pytest.mark.parametrize(
    "link", ["{canary}", "../../../../../..{canary}", "/proc/1/root{canary}", "/proc/self/root{canary}"]
)
def test_mounts_and_folders_stay_inside(bundle, canary, link, tmp_path):
    (tmp_path / "source").mkdir()
    (bundle.rootfs / "d").symlink_to(link.format(canary=canary))
    bundle.mount("/d/made/here", str(tmp_path / "source"), "bind")
    bundle.mount("/d/secret", "/etc/hostname", "bind")
    bundle.mount("/d/more", "tmpfs", kind="tmpfs")
    bundle.linux["devices"] = [{"type": "c", "path": "/d/null", "major": 1, "minor": 3}]
    bundle.process["cwd"] = "/d/work"
    bundle.shell("true")
    assert sorted(os.listdir(canary)) == ["secret"]


@pytest.mark.parametrize("name", ["null", "pts", "console", "ptmx", "pts/ptmx"])
def test_masks_come_from_the_machines_null(bundle, canary, name):
    """CVE-2025-31133, 52565: whatever lies in the place of /dev/null inside, it is not what is mounted."""
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if not one["destination"].startswith("/dev")]
    victim = bundle.rootfs / "dev" / name
    victim.parent.mkdir(exist_ok=True)
    victim.symlink_to("/proc/sys/kernel/core_pattern")
    bundle.linux["maskedPaths"] = ["/etc/passwd"]
    done = bundle.shell("cat /etc/passwd; echo harmless > /etc/passwd; echo bad > /proc/sys/kernel/core_pattern")
    if done.returncode == 0:
        assert done.stdout == ""
    bundle.process["terminal"] = True
    assert bundle.shell("true").returncode != 0


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_parameters_are_not_written_to_a_proc_of_the_images(bundle, canary, tmp_path, kind):
    """CVE-2025-52881: /proc inside is something else; what is written goes to the kernel's own, or nowhere."""
    fake = tmp_path / "fake"
    (fake / "sys" / "net" / "ipv4").mkdir(parents=True)
    (fake / "sys" / "net" / "ipv4" / "ip_forward").symlink_to(canary / "secret")
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if one["destination"] != "/proc"]
    if kind == "bind":
        bundle.mount("/proc", str(fake), "bind")
    else:
        bundle.mount("/proc", "tmpfs", kind="tmpfs")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.process["oomScoreAdj"] = 100
    bundle.shell("true")
    assert (canary / "secret").read_text() == "not yours"


@pytest.mark.timeout(300)
def test_a_folder_that_changes_into_a_link_all_the_time(tmp_path, canary):
    """CVE-2021-30465, CVE-2024-45310: making folders below a place that somebody swaps with a link that leads out."""
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "d").mkdir()
    (root / "link").symlink_to(f"../../../../../../{canary}")
    stop = threading.Event()
    swap = f"""
import os, ctypes
libc = ctypes.CDLL(None)
os.chdir({str(root)!r})
while True:
    libc.renameat2(-100, b"d", -100, b"link", 2)  # RENAME_EXCHANGE
"""
    swapper = subprocess.Popen([sys.executable, "-c", swap])
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    made = refused = 0
    try:
        for turn in range(3000):
            try:
                os.close(paths.make_folder(descriptor, f"d/a{turn}/b"))
                os.close(paths.make_file(descriptor, f"d/f{turn}"))
                made += 1
            except OSError:
                refused += 1
    finally:
        swapper.kill()
        swapper.wait()
        os.close(descriptor)
        stop.set()
    assert os.listdir(canary) == ["secret"]
    assert made, refused


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_containers_one_swaps_what_the_other_mounts(bundle, canary, tmp_path):
    shared = tmp_path / "shared"
    (shared / "d").mkdir(parents=True)
    (shared / "link").symlink_to("/")
    swapper = subprocess.Popen(
        [sys.executable, "-c", "import os, ctypes, sys\nlibc = ctypes.CDLL(None)\nos.chdir(sys.argv[1])\n"
         "while True: libc.renameat2(-100, b'd', -100, b'link', 2)", str(shared)]
    )  # fmt: skip
    (tmp_path / "payload").mkdir()
    bundle.mount("/shared", str(shared), "rbind")
    bundle.mount("/shared/d/etc", str(tmp_path / "payload"), "bind")

    def mounts():
        """Those of the machine's that this could have made; beside this test others come and go."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [one for one in lines if str(tmp_path) in one or one.split()[4].startswith("/etc")]

    before = mounts()
    try:
        for _ in range(80):
            bundle.shell("true")
    finally:
        swapper.kill()
        swapper.wait()
    assert mounts() == before


# 16., 17.


def test_the_machine_cannot_be_written_to_through_proc_and_sys(bundle, canary):
    with_capabilities(bundle)
    places = [
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/uevent_helper",
    ]
    for place in places:
        assert bundle.shell(f"[ ! -e {place} ] || echo x > {place}").returncode == (
            1 if os.path.exists(place) else 0
        ), place
    for place in ("/proc/kcore", "/proc/keys", "/proc/timer_list"):
        assert bundle.output(f"[ ! -e {place} ] || head -c 10 {place}") == "", place
    for place in ("/proc/acpi", "/proc/scsi", "/sys/firmware"):
        assert bundle.output(f"[ ! -e {place} ] || ls {place}") == "", place


def test_no_way_above_the_root(bundle, canary):
    with_capabilities(bundle)
    found = bundle.output(
        "cd /; cd ../../../..; ls -a | tr '\\n' ' '; ls .. | tr '\\n' ' '; cat /proc/self/mountinfo | wc -l"
    )
    assert "lost+found" not in found
    assert str(canary.parent.name) not in found
    tops = [line.split()[4] for line in bundle.output("cat /proc/self/mountinfo").splitlines()]
    assert tops.count("/") == 1


def test_a_second_chroot_leads_nowhere(bundle, canary):
    """The classic way out: a root inside the root, and from a folder that is outside of that one, up."""
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("needs a Python of the machine's, to be shown inside")
    with_capabilities(bundle)
    bundle.mount("/usr", "/usr", "rbind", "ro")
    for name in ("lib", "lib64"):
        (bundle.rootfs / name).symlink_to("usr/" + name)
    attack = f"""
import os
inside = sorted(os.listdir("/"))
kept = os.open("/", os.O_RDONLY)
os.mkdir("/tmp/x")
os.chroot("/tmp/x")
for start in (kept, os.open("/", os.O_RDONLY)):
    os.fchdir(start)
    for _step in range(100):
        os.chdir("..")
    os.chroot(".")
    print(os.path.exists({str(canary)!r}), sorted(os.listdir(".")) in (inside, []))
"""
    bundle.process["args"] = ["/usr/bin/python3", "-I", "-S", "-c", attack]
    bundle.write()
    bundle.names.add("c")
    assert bundle.do("run", "--bundle", str(bundle.folder), "c") == "False True\nFalse True\n"


def test_records_survive_hostile_content(bundle):
    """What a crash or an editor left in the record is told, not shown as a traceback."""
    bundle.create()
    record = bundle.state_folder / "c" / "state.json"
    whole = record.read_text()
    for text in ("", "{", whole[: len(whole) // 2], "[]", "{}", json.dumps({"pid": "x"})):
        record.write_text(text)
        for words in (["state", "c"], ["list"], ["delete", "--force", "c"]):
            done = bundle.call(*words)
            assert "Traceback" not in done.stderr, done.stderr
    record.write_text(whole)


def test_links_inside_resolve_as_they_would_inside(tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "file").write_text("inside")
    (root / "absolute").symlink_to("/etc")
    (root / "above").symlink_to("../../../etc")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("/not/there")
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    for opener in (paths.open_inside, lambda root, path, flags=os.O_PATH: paths._walk(root, path, flags, False)):
        for path in ("etc/file", "/etc/file", "absolute/file", "above/file", "../../etc/file", "etc/../etc/./file"):
            found = opener(descriptor, path, os.O_RDONLY)
            assert os.read(found, 10) == b"inside", path
            os.close(found)
        for path in ("loop", "loop/x", "dangling", "etc/file/x"):
            with pytest.raises(OSError):
                opener(descriptor, path)
    with pytest.raises(OSError):
        paths.open_inside(descriptor, "absolute/file", os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS)
    os.close(paths.make_folder(descriptor, "/dangling/deep"))
    assert (root / "not" / "there" / "deep").is_dir()
    os.close(descriptor)
    assert issubclass(RuntimeFailure, Exception)
