"""Layers that mean harm: rows 30 to 38, 41 and 42 of the threats to a runtime, each with a canary on the host.

The rows: paths that leave the tree, links, hard links, roots that are none, whiteouts, marks of an overlay, special
files, bombs, wrong digests, attributes that cannot be.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import threading
from pathlib import Path

import pytest
from image_maker import Layout, entry, folder, hardlink, layer, sha256, symlink, tree

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, collect, image, layers, tar_reader, trees
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.unpack import Limits, Unpacker

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


def header(name: bytes, kind: bytes, data: bytes = b"", size: bytes | None = None, **fields: bytes) -> bytes:
    block = bytearray(512)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:108] = fields.get("mode", b"0000644\0")
    block[108:116] = fields.get("uid", b"0000000\0")
    block[116:124] = fields.get("gid", b"0000000\0")
    block[124:136] = size or b"%011o\0" % len(data)
    block[136:148] = fields.get("mtime", b"00000000000\0")
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = fields.get("link", b"")[:100].ljust(100, b"\0")
    block[257:265] = fields.get("magic", b"ustar\x0000")
    block[329:345] = fields.get("device", b"0000000\x000000000\0")
    extra = fields.get("extra", b"")
    block[386 : 386 + len(extra)] = extra
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512)


def unpack_raw(data: bytes, root: Path, limits: Limits | None = None, form: str = "trusted") -> Unpacker:
    fd = trees.open_folder(str(root))
    try:
        unpacker = Unpacker(fd, form, limits)
        unpacker.unpack(tar_reader.Stream([data]))
        return unpacker
    finally:
        os.close(fd)


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


# 37: bombs


def test_a_bomb_of_zeros(store, tmp_path, canary):
    data = layer(entry("zeros", data=bytes(32 << 20)))
    limits = Limits(ratio=100, ratio_from=8 << 20)
    with pytest.raises(RuntimeFailure, match="bomb"):
        limited(store, tmp_path, data, limits)
    assert os.listdir(store.path("staging")) == [] == os.listdir(store.path("layers"))


def limited(store, tmp_path, data, limits, blob=None):
    layout = Layout(tmp_path / "bomb")
    if blob is not None:
        descriptor = layout.image([blob], [sha256(data)], how="plain")
    else:
        descriptor = layout.image([data])
    layout.name(descriptor, "bomb:1")
    with store.lease() as lease:
        found = image.read(store, archive.load(store, str(layout.path), lease)[0][1])
        return layers.ensure(found, limits)


def test_a_bomb_of_many_gzip_members(store, tmp_path, canary):
    data = layer(entry("zeros", data=bytes(16 << 20)))
    parts = [data[start : start + (1 << 20)] for start in range(0, len(data), 1 << 20)]
    blob = b"".join(gzip.compress(part, mtime=0) for part in parts)
    with pytest.raises(RuntimeFailure, match="bomb"):
        limited(store, tmp_path, data, Limits(ratio=100, ratio_from=4 << 20), blob)


def test_gzip_of_many_members_that_is_none(store, tmp_path):
    data = layer(entry("file", data=os.urandom(3 << 20)))
    parts = [data[start : start + 100000] for start in range(0, len(data), 100000)]
    blob = b"".join(gzip.compress(part, mtime=0) for part in parts) + bytes(700)
    (path,) = limited(store, tmp_path, data, None, blob)
    assert (Path(path) / "file").stat().st_size == 3 << 20


def test_more_than_is_allowed(store, tmp_path, canary):
    with pytest.raises(RuntimeFailure, match="more than 1048576 bytes"):
        limited(store, tmp_path, layer(entry("big", data=os.urandom(2 << 20))), Limits(size=1 << 20))


def test_more_entries_than_are_allowed(tmp_path, canary):
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(RuntimeFailure, match="more than 10 entries"):
        unpack_raw(layer(*[entry(f"f{number}") for number in range(11)]), root, Limits(entries=10))


def test_a_full_disk_is_seen_before_it_is_full(tmp_path, canary):
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(RuntimeFailure, match="No space left"):
        unpack_raw(layer(entry("big", data=bytes(65 << 20))), root, Limits(reserve=1 << 60))


@pytest.mark.parametrize("size", [b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7, b"77777777777\0"])
def test_a_size_that_is_a_lie(size, tmp_path, canary):
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(RuntimeFailure):
        unpack_raw(header(b"huge", b"0", b"few bytes", size), root)


def test_a_sparse_file_of_eight_exabytes(tmp_path, canary):
    root = tmp_path / "root"
    root.mkdir()
    size = b"\x80\0\0\0" + (2**63 - 512).to_bytes(8, "big")
    extra = bytes(12 * 2 * 4) + b"\0" + size
    with pytest.raises(RuntimeFailure, match="seems to have"):
        unpack_raw(header(b"huge", b"S", magic=b"ustar  \0", extra=extra) + bytes(1024), root)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_of_a_gigabyte(kind, tmp_path, canary):
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(RuntimeFailure, match="a header of"):
        unpack_raw(header(b"x", kind, size=b"%011o\0" % (1 << 30)), root)


# 38: digests and sizes


def damaged(tmp_path, store, change):
    layout = Layout(tmp_path / "damaged")
    data = layer(entry("file", data=b"content"))
    descriptor = layout.image([data])
    layout.name(descriptor, "bad:1")
    change(layout, data)
    with store.lease() as lease:
        return layers.ensure(image.read(store, archive.load(store, str(layout.path), lease)[0][1]))


@pytest.mark.parametrize("kind", ["changed", "cut", "longer"])
def test_a_blob_that_is_not_its_digest(kind, tmp_path, store):
    def change(layout, data):
        path = layout.path / "blobs/sha256" / sha256(gzip.compress(data, 1, mtime=0))[7:]
        was = path.read_bytes()
        path.write_bytes({"changed": b"X" + was[1:], "cut": was[:-9], "longer": was + b"more"}[kind])

    with pytest.raises(RuntimeFailure, match="other content"):
        damaged(tmp_path, store, change)
    assert Names(store).all() == [] and os.listdir(store.path("layers")) == []


@pytest.mark.parametrize("size", [-1, 1, 10**15, "10", None, True])
def test_a_size_that_is_not_the_blobs(size, tmp_path, store):
    layout = Layout(tmp_path / "layout")
    descriptor = layout.image([layer(entry("file"))])
    text = (layout.path / "blobs/sha256" / descriptor["digest"][7:]).read_text()
    import json

    document = json.loads(text)
    document["layers"][0]["size"] = size
    changed = layout.described(json.dumps(document).encode(), descriptor["mediaType"])
    layout.name(changed, "bad:1")
    with store.lease() as lease, pytest.raises(RuntimeFailure):
        archive.load(store, str(layout.path), lease)


def test_a_diff_id_that_is_not_the_layers(unpacked, store):
    with pytest.raises(RuntimeFailure, match="not what the image says"):
        unpacked([entry("file")], diff_ids=["sha256:" + "0" * 64])
    assert os.listdir(store.path("layers")) == [] == os.listdir(store.path("staging"))


@pytest.mark.parametrize(
    "digest", ["sha256:../../x", "sha256:" + "A" * 64, "md5:" + "0" * 32, "sha256:" + "0" * 63, "", 7]
)
def test_a_digest_that_is_none(digest, tmp_path, store, canary):
    layout = Layout(tmp_path / "layout")
    layout.name({**layout.image([layer(entry("file"))]), "digest": digest}, "bad:1")
    with store.lease() as lease, pytest.raises(RuntimeFailure, match="not a digest"):
        archive.load(store, str(layout.path), lease)


@pytest.mark.parametrize(
    "name", ["blobs/sha256/../../../../etc/x", "blobs/sha256/x", "blobs/md5/" + "0" * 32, "blobs/x"]
)
def test_a_blob_whose_name_is_no_digest(name, tmp_path, store, canary):
    path = tmp_path / "bad.tar"
    path.write_bytes(layer(entry(name, data=b"x"), entry("index.json", data=b"{}")))
    with store.lease() as lease, pytest.raises(RuntimeFailure):
        archive.load(store, str(path), lease)


def test_extra_bytes_after_the_tar_are_verified_too(unpacked, store):
    data = layer(entry("file"))
    (path,) = unpacked(data + b"more than the tar")
    assert path.name == sha256(data + b"more than the tar")[7:]
    with pytest.raises(RuntimeFailure, match="not what the image says"):
        unpacked(data + b"other", diff_ids=[sha256(data)])


# 41: attributes


def test_the_last_of_many_entries_wins(unpacked):
    (path,) = unpacked(
        [entry("f", data=b"first", mode=0o600), entry("f", data=b"last", mode=0o640, uid=3), entry("F", data=b"other"),
         entry("e\u0301"), entry("\u00e9")]
    )  # fmt: skip
    assert (path / "f").read_bytes() == b"last" and stat.S_IMODE((path / "f").stat().st_mode) == 0o640
    assert len(os.listdir(path)) == 4


def test_a_folder_of_mode_0_before_what_is_in_it(unpacked):
    (path,) = unpacked([folder("d", mode=0, mtime=5), folder("d/e", mode=0o500, mtime=6), entry("d/e/f", mtime=7)])
    assert stat.S_IMODE((path / "d").stat().st_mode) == 0 and (path / "d").stat().st_mtime == 5
    assert (path / "d/e").stat().st_mtime == 6 and (path / "d/e/f").stat().st_mtime == 7


@pytest.mark.parametrize("mtime", [-1.5, -(2**33), 2**33 + 0.25, 1.123456789])
def test_times_before_and_after(mtime, unpacked):
    (path,) = unpacked([entry("f", mtime=mtime)])
    kept = (path / "f").stat().st_mtime
    # a disk's file system may have less room than one in memory
    assert kept in (pytest.approx(mtime, abs=2), pytest.approx(max(mtime, -(2**31)), abs=2))


@pytest.mark.parametrize("ids", [(2**32 - 2, 2**32 - 2), (2**31 + 5, 7)])
def test_large_ids(ids, unpacked):
    (path,) = unpacked([entry("f", uid=ids[0], gid=ids[1])])
    assert ((path / "f").stat().st_uid, (path / "f").stat().st_gid) == ids


@pytest.mark.parametrize("field", [{"uid": 2**32 - 1}, {"gid": 2**63}, {"uid": 2**40}])
def test_ids_that_cannot_be(field, unpacked):
    with pytest.raises(RuntimeFailure, match="impossible ids"):
        unpacked([entry("f", **field)])


# 42: at the same time


def test_imports_and_collections_at_once(store, tmp_path):
    """Four importers of images that share a layer, and one who collects all the time: nothing in use goes away."""
    shared = layer(*[entry(f"shared{number}", data=b"s" * 1000) for number in range(20)])
    layouts = []
    for number in range(4):
        layout = Layout(tmp_path / f"layout{number}")
        layout.name(layout.image([shared, layer(entry(f"own{number}"))]), f"app:{number}")
        layouts.append(layout)
    stop, failures = threading.Event(), []

    def work(number):
        try:
            for _ in range(10):
                with store.lease() as lease:
                    found = archive.load(store, str(layouts[number].path), lease)
                    paths = layers.ensure(image.read(store, found[0][1]))
                    assert len(os.listdir(paths[0])) == 20 and os.listdir(paths[1]) == [f"own{number}"]
                    Names(store).remove(lambda name, _: name is not None and name.tag == str(number))
                    assert len(os.listdir(paths[0])) == 20 and os.listdir(paths[1]) == [f"own{number}"]
        except BaseException as error:  # noqa: BLE001  raised again in the test's own thread
            failures.append(error)

    def sweep():
        try:
            while not stop.wait(0.002):  # a lock that is let go and taken at once would keep the importers waiting
                collect.collect(store, partial=True)
        except BaseException as error:  # noqa: BLE001  raised again in the test's own thread
            failures.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    sweeper = threading.Thread(target=sweep)
    for thread in [*workers, sweeper]:
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    sweeper.join()
    if failures:
        raise failures[0]
    collect.collect(store, partial=True)
    for part in ("blobs/sha256", "layers", "staging", "leases"):
        assert os.listdir(store.path(part)) == []
