"""Layers that are not what they say: rows 37, 38, 41 and 42 of the threats to a runtime.

The rows: bombs, wrong digests and sizes, attributes that cannot be, imports and collections at the same time.
"""

from __future__ import annotations

import gzip
import os
import stat
import threading
from pathlib import Path

import pytest
from image_maker import Layout, entry, folder, layer, sha256
from raw_layers import header, unpack_raw

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, collect, image, layers
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.unpack import Limits

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="layers are unpacked as root: owners, devices, trusted xattrs"
)


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
