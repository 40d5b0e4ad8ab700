"""What the configuration of a bundle says of mounts, devices and masks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab


# mounts


def flags_at(bundle, path):
    for line in bundle.output("cat /proc/self/mountinfo").splitlines():
        fields = line.split()
        if fields[4] == path:
            found = fields, set(fields[5].split(","))
    return found


def test_mounts_are_made_in_their_order(bundle, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    bundle.mount("/data", str(tmp_path / "one"), "bind")
    bundle.mount("/data", str(tmp_path / "two"), "bind", "ro")
    assert bundle.output("cat /data/file; touch /data/x 2>&1 || true").startswith("two")
    assert not (tmp_path / "two" / "x").exists()


@pytest.mark.parametrize("option", ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"])
def test_options_of_a_bind(bundle, tmp_path, option):
    bundle.mount("/data", str(tmp_path), "rbind", option)
    assert option in flags_at(bundle, "/data")[1]


def test_a_file_is_bound(bundle, tmp_path):
    (tmp_path / "file").write_text("content")
    bundle.mount("/deep/in/there", str(tmp_path / "file"), "bind", "ro")
    assert bundle.output("cat /deep/in/there") == "content"


def test_a_tmpfs_has_the_mode_of_the_folder_that_it_covers(bundle):
    (bundle.rootfs / "covered").mkdir()
    (bundle.rootfs / "covered").chmod(0o2750)
    bundle.mount("/covered", "tmpfs", "nosuid", kind="tmpfs")
    bundle.mount("/tmp", "tmpfs", "mode=700", "size=64k", kind="tmpfs")
    bundle.mount("/new", "tmpfs", kind="tmpfs")
    assert bundle.output("stat -c %a /covered /tmp /new") == "2750\n700\n1777\n"


def test_flags_for_all_below(bundle, tmp_path):
    """rro: what is mounted below the source becomes read-only too."""
    outer = tmp_path / "outer"
    outer.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(outer)], check=True)
    try:
        (outer / "inner").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(outer / "inner")], check=True)
        bundle.mount("/plain", str(outer), "rbind", "ro")
        bundle.mount("/deep", str(outer), "rbind", "rro", "rnosuid")
        script = "touch /plain/inner/x && echo plain; touch /deep/inner/x 2>/dev/null || echo refused"
        assert bundle.output(script) == "plain\nrefused\n"
        assert {"ro", "nosuid"} <= flags_at(bundle, "/deep/inner")[1]
    finally:
        subprocess.run(["umount", "-R", str(outer)], check=True)


def test_mapped_owners(bundle, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 1234, 1234)
    maps = [{"containerID": 1234, "hostID": 4321, "size": 1}]
    bundle.mount("/data", str(source), "bind", "idmap", uidMappings=maps, gidMappings=maps)
    done = bundle.shell("stat -c %u:%g /data/file")
    if "Invalid argument" in done.stderr:
        pytest.skip("this file system's owners cannot be mapped")
    assert done.stdout == "4321:4321\n", done.stderr


@pytest.mark.parametrize(("word", "shown"), [("rshared", "shared:"), ("rslave", "master:"), ("private", "")])
def test_propagation_of_a_mount(bundle, tmp_path, word, shown):
    bundle.mount("/data", str(tmp_path), "rbind", word)
    fields, _options = flags_at(bundle, "/data")
    optional = " ".join(fields[6 : fields.index("-")])
    assert shown in optional if word == "rshared" else "shared" not in optional


@pytest.mark.parametrize("word", ["shared", "slave", "private", "unbindable", None])
def test_propagation_of_the_root(bundle, word):
    if word:
        bundle.linux["rootfsPropagation"] = word
    fields, _options = flags_at(bundle, "/")
    optional = " ".join(fields[6 : fields.index("-")])
    assert ("shared:" in optional) == (word == "shared")
    assert ("unbindable" in optional) == (word == "unbindable")


def test_what_is_mounted_inside_stays_inside(bundle):
    bundle.process["capabilities"] = {name: ["CAP_SYS_ADMIN"] for name in ("bounding", "effective", "permitted")}
    source = f"inside-{os.getpid()}"
    bundle.output(f"mkdir -p /m && mount -t tmpfs {source} /m && grep -c {source} /proc/mounts")
    assert source not in Path("/proc/self/mountinfo").read_text()


def test_content_is_copied_up(bundle):
    place = bundle.rootfs / "keep"
    (place / "sub").mkdir(parents=True)
    (place / "sub" / "file").write_text("kept")
    (place / "link").symlink_to("/etc/passwd")
    (place / "sub").chmod(0o750)
    bundle.mount("/keep", "tmpfs", "tmpcopyup", "nodev", kind="tmpfs")
    assert bundle.output("cat /keep/sub/file; readlink /keep/link; stat -c ' %a' /keep/sub; rm -r /keep/sub") == (
        "kept/etc/passwd\n 750\n"
    )
    assert (place / "sub" / "file").exists()


def test_a_root_that_is_read_only(bundle):
    bundle.config["root"]["readonly"] = True
    assert bundle.output("touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo there") == "refused\nthere\n"
    assert not (bundle.rootfs / "x").exists()


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ({"destination": "/a", "type": "tmpfs", "options": ["size=never"]}, "/mounts/7: cannot mount"),
        ({"destination": "/a", "type": "absentfs", "source": "x"}, "/mounts/7: cannot mount"),
        ({"destination": "/a", "source": "/absent", "options": ["bind"]}, "/mounts/7"),
        ({"destination": "/etc/passwd/x", "type": "tmpfs"}, "/mounts/7"),
    ],
)
def test_a_mount_that_cannot_be(bundle, mount, said):
    bundle.config["mounts"].append(mount)
    assert said in bundle.refusal()


# devices, masks


def test_default_devices(bundle):
    script = "for d in null zero full random urandom tty; do stat -c '%n %a %t:%T' /dev/$d; done; ls -l /dev/ptmx"
    found = bundle.output(script).splitlines()
    assert found[:6] == [
        "/dev/null 666 1:3",
        "/dev/zero 666 1:5",
        "/dev/full 666 1:7",
        "/dev/random 666 1:8",
        "/dev/urandom 666 1:9",
        "/dev/tty 666 5:0",
    ]
    assert found[6].endswith("pts/ptmx")
    assert bundle.output("readlink /dev/fd /dev/stdin; readlink /dev/stdin").endswith("/proc/self/fd/0\n")


def test_more_devices(bundle):
    bundle.linux["devices"] = [
        {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"type": "p", "path": "/elsewhere/pipe", "fileMode": 0o600},
        {"type": "b", "path": "/dev/loop7", "major": 7, "minor": 7},
    ]
    found = bundle.output("stat -c '%a %u %g %t:%T' /dev/fuse; stat -c %F /elsewhere/pipe; stat -c %F /dev/loop7")
    assert found == "640 5 6 a:e5\nfifo\nblock special file\n"


def test_a_device_in_whose_place_there_is_something_else(bundle):
    (bundle.rootfs / "thing").write_text("mine")
    bundle.linux["devices"] = [{"type": "c", "path": "/thing", "major": 1, "minor": 3}]
    assert "/thing exists in the root" in bundle.refusal()


def test_hidden_and_protected_paths(bundle):
    (bundle.rootfs / "hidden").mkdir()
    (bundle.rootfs / "hidden" / "file").touch()
    (bundle.rootfs / "secret").write_text("secret")
    (bundle.rootfs / "fixed").mkdir()
    bundle.linux["maskedPaths"] = ["/hidden", "/secret", "/absent", "/proc/kcore"]
    bundle.linux["readonlyPaths"] = ["/fixed", "/proc/sys", "/nowhere"]
    script = "ls /hidden; cat /secret /proc/kcore; touch /fixed/x 2>/dev/null || echo refused; "
    script += "echo 5 2>/dev/null > /proc/sys/kernel/msgmax || echo refused"
    assert bundle.output(script) == "refused\nrefused\n"


@pytest.mark.parametrize("more", [[], ["--no-pivot"]])
@pytest.mark.parametrize("mapped", [False, True])
def test_who_may_mount_does_not_get_at_a_proc_that_hides_nothing(bundle, more, mapped):
    """A user namespace inside may mount a /proc only where a whole one is in sight (mount_too_revealing)."""
    sets = ("bounding", "effective", "permitted")
    bundle.process["capabilities"] = {name: ["CAP_SYS_ADMIN", "CAP_SETFCAP"] for name in sets}
    if mapped:
        bundle.linux["namespaces"].append({"type": "user"})
        same = {"containerID": 0, "hostID": 0, "size": 65536}
        bundle.linux.update(uidMappings=[same], gidMappings=[same])
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if one["type"] == "proc"]
    bundle.linux["maskedPaths"] = ["/proc/kcore"]
    script = "mkdir -p /tmp/p; grep -c . /proc/mounts; unshare -rmpf sh -c 'mount -t proc proc /tmp/p && echo mounted'"
    bundle.process["args"] = ["sh", "-c", script]
    bundle.write()
    bundle.names.add("c")
    done = bundle.call("run", *more, "--bundle", str(bundle.folder), "c")
    assert done.stdout.strip().isdigit(), done
    assert "mount: permission denied" in done.stderr  # and not something before it


@pytest.mark.parametrize("word", ["shared", "slave"])
def test_without_pivot_root_the_machine_keeps_its_mounts_where_they_are_shared(bundle, word):
    bundle.linux["rootfsPropagation"] = word
    bundle.write()
    bundle.names.add("c")
    count = "grep -c . /proc/self/mountinfo"
    # the machine of this test is a namespace of its own, which shares with nobody else
    inside = ["unshare", "-m", "--propagation", "private", "sh", "-c"]
    script = f'mount --make-rshared /; {count}; unshare -m --propagation unchanged "$@"; echo $?; {count}'
    argv = bundle.argv("run", "--no-pivot", "--bundle", str(bundle.folder), "c")
    done = subprocess.run([*inside, script, "sh", *argv], capture_output=True, text=True, timeout=60, check=False)
    before, status, after = done.stdout.split()
    assert (status, after) == ("0", before), done.stderr
