"""Layers as the kernel's overlay shows them, beside the same layers in one flat tree; and layers out of its upper."""

from __future__ import annotations

import errno
import io
import os
import traceback
from typing import TYPE_CHECKING

import pytest
from image_maker import Layout, entry, folder, hardlink, layer, symlink, tree

from shepherd.lab.checks import obstacle
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, diff, image, layers, rootfs
from shepherd.runtime.linux import mounts, syscalls

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def possible():
    problem = obstacle()
    if problem is not None:
        pytest.skip(problem.message)


def in_namespace(work) -> None:
    """Call `work()` in a process with mounts of its own, which go away with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b""
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            mounts.make_private()
            work()
        except BaseException:  # noqa: BLE001  told to the test
            said = traceback.format_exc().encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    os.waitpid(child, 0)
    assert not said, said


def imported(store, tmp_path, *contents):
    layout = Layout(tmp_path / f"layout{len(os.listdir(tmp_path))}")
    layout.name(layout.image([one if isinstance(one, bytes) else layer(*one) for one in contents]), "app:1")
    with store.lease() as lease:
        found = image.read(store, archive.load(store, str(layout.path), lease)[0][1])
        return found, layers.ensure(found)


def mounted(paths, tmp_path) -> Path:
    target, upper, work = (tmp_path / name for name in ("target", "upper", "work"))
    for one in (target, upper, work):
        one.mkdir(exist_ok=True)
    rootfs.mount("test", paths, str(target), str(upper), str(work))
    return target


def seen(place) -> dict:
    """As `tree`, without what differs by nature: the upper folder's own time, and the marks of an overlay."""
    found = tree(place)
    found.pop(".")
    return found


IMAGES = {
    "files": [
        [folder("d"), entry("d/a", data=b"1"), entry("d/b")],
        [entry("d/.wh.a"), folder("d"), entry("d/c", data=b"2")],
    ],
    "opaque": [
        [folder("d"), entry("d/a"), folder("d/e"), entry("d/e/f")],
        [folder("d"), entry("d/.wh..wh..opq"), entry("d/new")],
    ],
    "opaque after": [[folder("d"), entry("d/a")], [folder("d"), entry("d/new"), entry("d/.wh..wh..opq")]],
    "opaque without entry": [[folder("d", mode=0o700, uid=3), entry("d/a")], [entry("d/.wh..wh..opq"), entry("d/new")]],
    "folder to file": [[folder("x"), entry("x/a")], [entry("x", data=b"file")]],
    "file to folder": [[entry("x", data=b"file")], [folder("x"), entry("x/a")]],
    "file to implied folder": [[entry("x", data=b"file")], [entry("x/a")]],
    "link to folder": [[symlink("x", "/y"), folder("y"), entry("y/a")], [folder("x"), entry("x/b")]],
    "removed and made again": [[folder("x"), entry("x/a")], [entry(".wh.x"), folder("x"), entry("x/b")]],
    "made and removed": [[folder("x"), entry("x/a")], [folder("x"), entry("x/b"), entry(".wh.x")]],
    "removed twice": [[entry("x")], [entry(".wh.x")], [entry(".wh.x")], [entry("y")]],
    "removed and back": [[entry("x", data=b"1")], [entry(".wh.x")], [entry("x", data=b"2")]],
    "hard links": [[entry("a", data=b"1"), hardlink("b", "a")], [entry("c", data=b"2"), hardlink("d", "./c")]],
    "implied folders": [
        [folder("a", mode=0o1777, uid=5, mtime=77), folder("a/b", mode=0o700, gid=6, mtime=78)],
        [entry("a/b/c/file")], [entry("a/other")],
    ],
    "implied below removed": [[folder("a", mode=0o700)], [entry(".wh.a")], [entry("a/file")]],
    "whiteout then implied": [[folder("a", mode=0o700), entry("a/old")], [entry(".wh.a"), entry("a/new")]],
    "times": [[folder("d", mtime=5), entry("d/a", mtime=6.25)], [entry("d/.wh.a")]],
    "nothing": [],
    "special": [
        [entry("p", b"6"), entry("n", b"3", devmajor=1, devminor=3, mode=0o666), entry("s", data=b"x", mode=0o4711)],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_an_overlay_shows_what_the_flat_tree_has(name, store, tmp_path):
    """Two ways that have nothing in common above the tar reader, the kernel's and ours."""
    found, paths = imported(store, tmp_path, *IMAGES[name])
    (tmp_path / "flat").mkdir()
    layers.flatten(found, str(tmp_path / "flat"))

    def work():
        target = mounted(paths, tmp_path)
        assert seen(target) == seen(tmp_path / "flat")
        top, flat = os.stat(target), os.stat(tmp_path / "flat")
        assert name == "nothing" or len(IMAGES[name]) or top.st_mode == flat.st_mode

    in_namespace(work)


@pytest.mark.parametrize("count", [1, 127, 300])
def test_many_layers(count, store, tmp_path):
    """127 is what other programs take; 300 are more than fit into a page of options by their paths."""
    _, paths = imported(store, tmp_path, *[[entry(f"file{number}")] for number in range(count)])

    def work():
        assert len(os.listdir(mounted(paths, tmp_path))) == count
        with open("/proc/self/mountinfo") as file:
            (line,) = [line for line in file if str(tmp_path / "target") in line]
        # of what is switched off, the kernel shows what is not its default
        assert (
            "nodev" in line and "redirect_dir=on" not in line and "metacopy=on" not in line and "index=on" not in line
        )

    in_namespace(work)


def test_marks_in_a_layer_are_not_followed(store, tmp_path):
    """Even where one got in, a file's data or a folder's content is not taken from elsewhere (row 35)."""
    lower = [folder("secret", mode=0o700), entry("secret/key", data=b"key")]
    _, paths = imported(store, tmp_path, lower, [folder("open"), entry("small")])
    os.setxattr(os.path.join(paths[1], "open"), "trusted.overlay.redirect", b"/secret")
    os.setxattr(os.path.join(paths[1], "small"), "trusted.overlay.metacopy", b"")
    os.setxattr(os.path.join(paths[1], "small"), "trusted.overlay.redirect", b"/secret/key")

    def work():
        target = mounted(paths, tmp_path)
        try:
            assert os.listdir(target / "open") == []
        except OSError as error:
            assert error.errno == errno.EPERM  # the kernel says: a redirect, and it is not allowed
        try:
            assert (target / "small").read_bytes() == b""
        except OSError as error:
            assert error.errno in (errno.EPERM, errno.EIO)

    in_namespace(work)


def test_what_a_container_changed_is_a_layer(store, tmp_path):
    """Changes through the mount → the tar of the upper folder → a third layer: the same files as were seen before."""
    base = layer(
        folder("etc", mode=0o755), entry("etc/old", data=b"1"), entry("etc/kept", data=b"2"), folder("gone"),
        entry("gone/x"), folder("again"), entry("again/x"), entry("linked", data=b"3"), hardlink("linked2", "linked"),
        symlink("s", "etc"),
    )  # fmt: skip
    _, paths = imported(store, tmp_path, base)

    def change(target):
        (target / "etc/old").unlink()
        (target / "etc/new").write_text("new")
        (target / "etc/new").chmod(0o4711)
        os.setxattr(target / "etc/new", "user.note", b"hello")
        (target / "gone/x").unlink()
        (target / "gone").rmdir()
        (target / "again/x").unlink()
        (target / "again").rmdir()
        (target / "again").mkdir()
        (target / "again/y").write_text("y")
        (target / "linked").write_text("changed")
        (target / "s").unlink()
        (target / "s").mkdir()
        (target / ("deep/" * 30)).mkdir(parents=True)
        os.mkfifo(target / "fifo")
        os.link(target / "etc/new", target / "hard")

    def work():
        target = mounted(paths, tmp_path)
        change(target)
        before = seen(target)
        first, second = io.BytesIO(), io.BytesIO()
        diff.write_upper(str(tmp_path / "upper"), first)
        diff.write_upper(str(tmp_path / "upper"), second)
        assert first.getvalue() == second.getvalue()
        (tmp_path / "again").mkdir()
        _, again = imported(store, tmp_path, base, first.getvalue())
        after = seen(mounted(again, tmp_path / "again"))
        assert after == before

    in_namespace(work)


def test_no_time_is_later_than_the_epoch(tmp_path):
    (tmp_path / "upper/d").mkdir(parents=True)
    (tmp_path / "upper/d/f").write_text("x")
    os.utime(tmp_path / "upper/d/f", (5, 5))
    out = io.BytesIO()
    diff.write_upper(str(tmp_path / "upper"), out, epoch=1000)
    from shepherd.runtime.images import tar_reader

    stream = tar_reader.Stream([out.getvalue()])
    assert [(one.name, one.mtime) for one in tar_reader.entries(stream)] == [
        (b"./", 1000 * 10**9), (b"d/", 1000 * 10**9), (b"d/f", 5 * 10**9),
    ]  # fmt: skip


def test_the_difference_of_two_trees(store, tmp_path):
    """Where no overlay was, a layer comes of comparing: put upon the first tree, it makes the second."""
    same = [folder("d", mode=0o700), entry("d/same", data=b"1")]
    first = [*same, entry("d/changed", data=b"1"), entry("d/gone"), symlink("l", "x"), folder("x"), entry("x/in"),
             entry("y"), entry("mode", data=b"m")]  # fmt: skip
    second = [*same, entry("d/changed", data=b"2", mtime=9), symlink("l", "y"), entry("x"), folder("y"), entry("y/in"),
              entry("mode", data=b"m", mode=0o600), entry("new")]  # fmt: skip
    trees = []
    for name, one in (("one", first), ("two", second)):
        (tmp_path / name).mkdir()
        layers.flatten(imported(store, tmp_path, one)[0], str(tmp_path / name))
        trees.append(tmp_path / name)
    out = io.BytesIO()
    diff.write_difference(str(trees[0]), str(trees[1]), out)
    (tmp_path / "three").mkdir()
    layers.flatten(imported(store, tmp_path, first, out.getvalue())[0], str(tmp_path / "three"))
    ours, wanted = seen(tmp_path / "three"), seen(trees[1])
    for found in (ours, wanted):  # the time of a folder that only lost or got something is not the layer's to say
        found["d"] = found["d"][:4]
    assert ours == wanted
    assert b"d/same" not in out.getvalue()


def test_a_name_that_no_layer_can_have(tmp_path):
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/.wh.x").write_text("")
    with pytest.raises(RuntimeFailure, match="cannot be in a layer"):
        diff.write_upper(str(tmp_path / "upper"), io.BytesIO())


def test_a_container_that_made_links_and_deep_folders(tmp_path, canary):
    """Its upper folder is walked without following anything, and an end is found."""
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/host").symlink_to(canary)
    out = io.BytesIO()
    diff.write_upper(str(tmp_path / "upper"), out)
    assert b"not yours" not in out.getvalue()
    here = os.open(tmp_path / "upper", os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(RuntimeFailure, match="more than 256 folders"):
        diff.write_upper(str(tmp_path / "upper"), io.BytesIO())
    from shepherd.runtime.images import trees

    trees.remove(str(tmp_path / "upper"))
    assert not (tmp_path / "upper").exists()
