"""Layers that mean harm: rows 30 to 36 of the threats to a runtime, each with a canary on the host.

The rows: paths that leave the tree, links, hard links, roots that are none, whiteouts, marks of an overlay, special
files.
"""

from __future__ import annotations

import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest
from image_maker import Layout, entry, folder, hardlink, layer, symlink, tree
from raw_layers import header, unpack_raw

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, image, layers, tar_reader, trees
from shepherd.runtime.images.unpack import Unpacker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="layers are unpacked as root: owners, devices, trusted xattrs"
)


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


# 30: names


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/../../b", "./..//x", "..", "a/..", "/../x", "a\0b", "x" * 5000, "/".join(["d"] * 300), "y" * 256],
    ids=lambda name: ascii(name)[:20],
)
def test_a_name_that_leaves_the_tree_or_cannot_be(name, canary, tmp_path):
    root = tmp_path / "above" / "beside" / "root"
    root.mkdir(parents=True)
    before = tree(tmp_path)
    with pytest.raises(RuntimeFailure):
        unpack_raw(raw(name.encode(), data=b"escaped"), root)
    within = str(root.relative_to(tmp_path))
    after = {path: found for path, found in tree(tmp_path).items() if within not in path}
    assert {path: found for path, found in before.items() if within not in path} == after


@pytest.mark.parametrize(
    ("name", "where"),
    [("/abs/file", "abs/file"), ("a//b", "a/b"), ("./c", "c"), ("new\nline", "new\nline"), ("-f", "-f")],
)
def test_a_name_that_is_only_odd(name, where, unpacked, canary):
    (path,) = unpacked([entry(name, data=b"inside")])
    assert (path / where).read_bytes() == b"inside"


def raw(name: bytes, kind: bytes = b"0", data: bytes = b"", link: bytes = b"") -> bytes:
    """A tar with any name at all, by a pax header where it is long or odd."""
    records = b""
    for key, value in ((b"path", name), (b"linkpath", link)):
        if value:
            length = len(key) + len(value) + 3
            while len(str(length)) + len(key) + len(value) + 3 != length:
                length = len(str(length)) + len(key) + len(value) + 3
            records += b"%d %s=%s\n" % (length, key, value)
    return header(b"pax", b"x", records) + header(b"short", kind, data) + bytes(1024)


# 31: symbolic links on the way


@pytest.mark.parametrize("form", ["trusted", "flat"])
@pytest.mark.parametrize("to", ["absolute", "relative", "root", "above"])
def test_a_file_below_a_link_to_the_host(to, form, canary, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    targets = {
        "absolute": str(canary), "relative": "../canary", "root": "/", "above": "../../../../../..",
    }  # fmt: skip
    unpack_raw(layer(symlink("d", targets[to]), entry("d/secret", data=b"mine")), root, form=form)
    inside = {
        "absolute": root / str(canary)[1:] / "secret",
        "relative": root / "canary" / "secret",
        "root": root / "secret",
        "above": root / "secret",
    }
    assert inside[to].read_bytes() == b"mine"  # where a process in the container would have it
    assert (canary / "secret").read_text() == "not yours"


def test_a_link_across_layers(unpacked, canary):
    lower, upper = unpacked([symlink("d", str(canary))], [entry("d/secret", data=b"mine")])
    assert lower.joinpath("d").is_symlink() and upper.joinpath("d/secret").read_bytes() == b"mine"
    assert not upper.joinpath("d").is_symlink()


def test_a_link_across_layers_of_a_flat_tree(store, canary, tmp_path):
    found = imported(store, tmp_path, [symlink("d", str(canary))], [entry("d/secret", data=b"mine")])
    (tmp_path / "flat").mkdir()
    layers.flatten(found, str(tmp_path / "flat"))
    assert (tmp_path / "flat/d/secret").read_bytes() == b"mine" and not (tmp_path / "flat/d").is_symlink()


def imported(store, tmp_path, *contents):
    layout = Layout(tmp_path / f"made{len(os.listdir(tmp_path))}")
    layout.name(layout.image([layer(*one) for one in contents]), f"app:{len(os.listdir(tmp_path))}")
    with store.lease() as lease:
        return image.read(store, archive.load(store, str(layout.path), lease)[0][1])


@pytest.mark.parametrize("links", [["a>a"], ["a>b", "b>a"], [f"l{n}>l{n + 1}" for n in range(50)]])
def test_links_that_go_round(links, unpacked, canary):
    made = [symlink(*one.split(">")) for one in links]
    with pytest.raises(RuntimeFailure, match="too many links"):
        unpacked([*made, entry(links[0].split(">")[0] + "/file")])


def test_a_folder_replaced_by_a_link(unpacked, canary):
    (path,) = unpacked(
        [folder("d"), entry("d/old"), symlink("d", str(canary)), entry("d/secret", data=b"mine"), entry("after/x")]
    )
    assert (path / "d").is_symlink() and (path / str(canary)[1:] / "secret").read_bytes() == b"mine"


def test_a_folder_entry_takes_the_place_of_a_link(unpacked, canary):
    (path,) = unpacked([symlink("d", str(canary)), folder("d", mode=0o700, uid=7), entry("d/secret", data=b"mine")])
    assert not (path / "d").is_symlink() and (path / "d").stat().st_uid == 7


def test_a_file_entry_takes_the_place_of_a_link(unpacked, canary):
    (path,) = unpacked([symlink("d", str(canary / "secret")), entry("d", data=b"mine", mode=0o777, uid=5)])
    assert not (path / "d").is_symlink()


def test_attributes_do_not_go_through_a_link(unpacked, canary):
    unpacked([folder("d"), symlink("l", str(canary)), symlink("l", str(canary / "secret"), uid=9, gid=9, mtime=1)])


# 32: hard links


@pytest.mark.parametrize(
    "target", ["/etc/shadow", "../../etc/shadow", "absent", "/", ".", "d", "up/etc/shadow", "w", "toolong/" + "x" * 300]
)
def test_a_hard_link_to_what_is_not_the_layers(target, unpacked, canary):
    with pytest.raises(RuntimeFailure):
        unpacked([folder("d"), symlink("up", "../../../../../.."), entry(".wh.w"), hardlink("x", target)])


def test_a_hard_link_to_a_link_links_the_link(unpacked, canary):
    (path,) = unpacked([symlink("l", str(canary / "secret")), hardlink("x", "l"), entry("y")])
    assert (path / "x").is_symlink() and (path / "x").lstat().st_ino == (path / "l").lstat().st_ino
    assert (canary / "secret").stat().st_nlink == 1


def test_a_hard_link_to_a_lower_layers_file_of_a_flat_tree(store, canary, tmp_path):
    found = imported(store, tmp_path, [entry("a", data=b"lower")], [hardlink("b", "a")])
    (tmp_path / "flat").mkdir()
    with pytest.raises(RuntimeFailure, match="no file of this layer"):
        layers.flatten(found, str(tmp_path / "flat"))


# 33: the root


@pytest.mark.parametrize("name", [".", "./", "/", "/.", ""])
def test_the_root_as_something_else(name, canary, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    for kind, link in ((b"2", str(canary).encode()), (b"0", b""), (b"3", b""), (b"1", b"x")):
        if kind == b"0" and name.endswith("/"):
            continue  # a file whose name ends so is a folder, as it was before tar had folders
        with pytest.raises(RuntimeFailure):
            unpack_raw(header(name.encode(), kind, link=link) + bytes(1024), root)
    assert root.is_dir() and not root.is_symlink()


# 34: whiteouts


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh..."])
def test_a_whiteout_of_nothing(name, unpacked, canary):
    with pytest.raises(RuntimeFailure):
        unpacked([folder("d"), entry(name)])


def test_a_whiteout_with_a_path(unpacked, canary):
    with pytest.raises(RuntimeFailure):
        unpacked([entry(".wh.../secret")], [entry(".wh.../../x")])


@pytest.mark.parametrize("form", ["trusted", "flat"])
def test_a_whiteout_below_a_link_to_the_host(form, canary, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    names = ["d/.wh.secret", "d/.wh.inner", "d/inner/.wh..wh..opq", "d/.wh..wh..opq"]
    unpack_raw(layer(symlink("d", str(canary)), *[entry(name) for name in names]), root, form=form)


def test_whiteouts_are_of_lower_layers_only(unpacked, canary):
    (path,) = unpacked(
        [entry("kept", data=b"x"), entry(".wh.kept"), entry(".wh.new"), entry("new", data=b"y"),
         folder("d"), entry("d/x", data=b"z"), entry("d/.wh..wh..opq"), entry(".wh.gone"), entry(".wh..wh.plnk")]
    )  # fmt: skip
    assert (path / "kept").read_bytes() == b"x" and (path / "new").read_bytes() == b"y"
    assert (path / "d/x").read_bytes() == b"z" and os.getxattr(path / "d", "trusted.overlay.opaque") == b"y"
    assert is_whiteout(path / "gone")
    assert not [name for name in os.listdir(path) if name.startswith(".wh.")]


def test_a_deep_tree_is_removed_without_following(store, canary, tmp_path):
    deep = "/".join(["d" * 15] * 200)
    found = imported(store, tmp_path, [entry(deep + "/file"), symlink("d" * 15 + "/host", str(canary))],
                     [entry(".wh." + "d" * 15)])  # fmt: skip
    (tmp_path / "flat").mkdir()
    layers.flatten(found, str(tmp_path / "flat"))
    assert os.listdir(tmp_path / "flat") == []


# 35: marks of an overlay


def test_marks_of_an_overlay_are_not_taken_from_a_layer(unpacked, canary):
    attributes = {
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.trusted.other": "y",
        "SCHILY.xattr.security.selinux": "x",
        "SCHILY.xattr.user.fine": "kept",
    }
    (path,) = unpacked(
        [folder("d", pax_headers=attributes), entry("f", pax_headers=attributes), folder(".", pax_headers=attributes)]
    )
    for name in ("d", "f", "."):
        assert [one for one in os.listxattr(path / name) if one != "security.selinux"] == ["user.fine"]


def test_a_character_device_that_would_remove(unpacked, canary):
    with pytest.raises(RuntimeFailure, match="0:0"):
        unpacked([entry("passwd", tarfile.CHRTYPE, devmajor=0, devminor=0)])


# 36: special files


def test_special_files_lie_in_a_store_that_nobody_else_enters(unpacked, store, canary):
    (path,) = unpacked(
        [entry("su", data=b"x", mode=0o6755), entry("disk", tarfile.BLKTYPE, devmajor=8, devminor=0, mode=0o666),
         entry("pipe", tarfile.FIFOTYPE)]
    )  # fmt: skip
    assert stat.S_IMODE((path / "su").stat().st_mode) == 0o6755
    assert stat.S_ISBLK((path / "disk").lstat().st_mode) and stat.S_ISFIFO((path / "pipe").lstat().st_mode)
    assert stat.S_IMODE(os.stat(store.root).st_mode) == 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_an_ordinary_user_gets_no_devices(tmp_path, canary):
    root = tmp_path / "root"
    root.mkdir()
    fd = trees.open_folder(str(root))
    made = layer(entry("disk", tarfile.BLKTYPE, devmajor=8), entry("file", uid=12345))
    Unpacker(fd, "trusted", owners=False, devices=False).unpack(tar_reader.Stream([made]))
    os.close(fd)
    assert os.listdir(root) == ["file"] and (root / "file").stat().st_uid == os.geteuid()
