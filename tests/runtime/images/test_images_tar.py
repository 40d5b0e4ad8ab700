"""The tar reader and writer, against GNU tar, Python's tarfile, and any bytes at all."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_maker import entry, folder, hardlink, layer, symlink, tree

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import diff, tar_reader, trees
from shepherd.runtime.images.tar_writer import TarWriter
from shepherd.runtime.images.unpack import Limits, Unpacker

SAMPLE = layer(
    folder("d", mode=0o750), entry("d/file", data=b"content" * 100, mtime=1.5), symlink("d/l", "file"),
    hardlink("h", "d/file"),
    entry("n" * 90 + "/" + "m" * 150, data=b"x", pax_headers={"SCHILY.xattr.user.a": "b"}), entry("d/.wh.gone"),
    entry("fifo", tarfile.FIFOTYPE), entry("d/.wh..wh..opq"),
)  # fmt: skip


def unpack(data: bytes, root: Path, form: str = "trusted", chunk: int = 1 << 20) -> None:
    fd = trees.open_folder(str(root))
    try:
        pieces = [data[start : start + chunk] for start in range(0, len(data), chunk)]
        Unpacker(fd, form, Limits(size=1 << 26)).unpack(tar_reader.Stream(pieces))
    finally:
        os.close(fd)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with one of everything."""
    place = tmp_path / "source"
    (place / "folder" / "inner").mkdir(parents=True)
    (place / "folder" / "inner" / "file").write_bytes(os.urandom(70000))
    (place / ("long-" * 30)).mkdir()
    (place / ("long-" * 30) / ("name-" * 40)).write_text("long")
    (place / "link").symlink_to("folder/" + "x" * 150)
    os.link(place / "folder/inner/file", place / "hard")
    os.mkfifo(place / "fifo")
    with (place / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.seek(3 << 20)
        file.write(b"more")
        file.truncate(5 << 20)
    with (place / "sparse-many").open("wb") as file:
        for number in range(60):
            file.seek(number * 65536)
            file.write(b"part")
        file.truncate(70 * 65536)
    (place / "odd\nname \xe9").write_text("odd")
    (place / "setuid").write_text("x")
    (place / "setuid").chmod(0o4755)
    os.setxattr(place / "setuid", "user.note", b"\0\xff=\n")
    os.utime(place / "folder", ns=(1, 1234567890123456789))
    if os.geteuid() == 0:
        os.chown(place / "setuid", 1234567, 7654321)
        (place / "setuid").chmod(0o4755)
        os.mknod(place / "device", 0o20600, os.makedev(1, 3))
    return place


LONG = "long-" * 30
UNKNOWN = {"--format=ustar": ["link", LONG, "setuid"], "--format=v7": ["link", LONG, "setuid", "fifo", "device"]}


FORMATS = ["gnu", "ustar", "pax", "v7", "oldgnu", "gnu --sparse"]
FORMATS += [f"pax --sparse --sparse-version={version}" for version in ("0.0", "0.1", "1.0")]


@pytest.mark.parametrize("options", [f"--format={one}" for one in FORMATS])
@pytest.mark.parametrize("chunk", [1000, 1 << 20])
def test_what_gnu_tar_writes(options, chunk, source, tmp_path):
    for path in UNKNOWN.get(options, []):
        whole = source / path
        if whole.is_dir():
            shutil.rmtree(whole)
        elif os.path.lexists(whole):
            whole.unlink()
    words = [
        "tar",
        "-C",
        source,
        *options.split(),
        *(["--xattrs"] if "pax" in options else []),
        "-cf",
        tmp_path / "x.tar",
        ".",
    ]
    subprocess.run(words, check=True)
    (tmp_path / "root").mkdir()
    unpack((tmp_path / "x.tar").read_bytes(), tmp_path / "root", chunk=chunk)
    theirs, ours = tree(source), tree(tmp_path / "root")
    if "pax" not in options:  # they know whole seconds, and no attributes
        theirs, ours = (
            {path: (*one[:4], one[4] and one[4] // 10**9, one[5]) for path, one in found.items()}
            for found in (theirs, ours)
        )
    assert ours == theirs
    if "sparse" in options:
        for name in ("sparse", "sparse-many"):
            assert (tmp_path / "root" / name).stat().st_blocks * 512 < (source / name).stat().st_size / 2
    assert (tmp_path / "root/hard").stat().st_ino == (tmp_path / "root/folder/inner/file").stat().st_ino


def test_what_we_write_is_what_others_read(source, tmp_path):
    out = io.BytesIO()
    diff.write_tree(str(source), out)
    (tmp_path / "x.tar").write_bytes(out.getvalue())
    (tmp_path / "gnu").mkdir()
    subprocess.run(
        ["tar", "-C", tmp_path / "gnu", "--xattrs", "--xattrs-include=*", "-xpf", tmp_path / "x.tar"], check=True
    )
    assert tree(tmp_path / "gnu") == tree(source)
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert len(tar.getmembers()) == len(tree(source))
    (tmp_path / "ours").mkdir()
    unpack(out.getvalue(), tmp_path / "ours")
    assert tree(tmp_path / "ours") == tree(source)


NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)


@settings(deadline=None)
@given(
    NAMES, NAMES, st.integers(0, 2**32 - 2), st.integers(-(10**18), 10**19),
    st.dictionaries(NAMES.filter(lambda key: b"=" not in key), st.binary(max_size=50), max_size=3),
)  # fmt: skip
def test_what_is_written_is_read_again(name, link, uid, mtime, xattrs):
    out = io.BytesIO()
    writer = TarWriter(out)
    writer.add(name, tar_reader.SYMLINK, 0o777, uid=uid, gid=uid, mtime=mtime, link=link, xattrs=xattrs)
    writer.add(b"last", tar_reader.FILE, size=0)
    writer.close()
    assert len(out.getvalue()) % 512 == 0
    first, last = tar_reader.entries(tar_reader.Stream([out.getvalue()]))
    assert (first.name, first.link, first.uid, first.gid, first.mtime) == (name, link, uid, uid, mtime)
    assert (first.xattrs or {}) == xattrs and last.name == b"last"


class Fuzzed:
    """A folder for many unpackings, beside one that none may touch."""

    def __init__(self):
        self.top = Path(tempfile.mkdtemp())
        (self.top / "canary").mkdir()
        (self.top / "canary/file").write_text("as it was")
        self.before = tree(self.top / "canary")

    def unpack(self, data: bytes) -> None:
        root = self.top / "root"
        root.mkdir()
        try:
            for form in ("trusted", "flat"):
                try:
                    unpack(data, root, form)
                except RuntimeFailure:
                    continue
            assert sorted(os.listdir(self.top)) == ["canary", "root"] and tree(self.top / "canary") == self.before
        finally:
            trees.remove(str(root))


@pytest.fixture(scope="module")
def fuzzed():
    found = Fuzzed()
    yield found
    shutil.rmtree(found.top)


CHANGES = st.lists(
    st.tuples(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="trusted xattrs are root's")


@needs_root
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, checked=st.booleans())
def test_a_changed_tar_is_unpacked_inside_or_refused(fuzzed, changes, checked):
    """Bytes changed anywhere; where `checked`, the headers' checksums are made right again, so that more is tried."""
    data = bytearray(SAMPLE)
    for place, new in changes:
        data[place : place + len(new)] = new
    del data[len(SAMPLE) :]
    if checked:
        for start in range(0, len(data) - 511, 512):
            if data[start + 257 : start + 262] == b"ustar":
                data[start + 148 : start + 156] = b" " * 8
                data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    fuzzed.unpack(bytes(data))


PATHS = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh.", ".wh..wh..opq", "canary", "file"]), max_size=4
).map("/".join)
TARGETS = PATHS | st.sampled_from(["/", "../canary", "../../..", "a", "/a/b", "../canary/file"])
ENTRIES = st.lists(
    st.tuples(st.sampled_from([b"0", b"1", b"2", b"5", b"6", b"3"]), PATHS, TARGETS, st.sampled_from([b"", b"data"])),
    max_size=12,
)


@needs_root
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=ENTRIES)
def test_any_entries_are_unpacked_inside_or_refused(fuzzed, found):
    made = []
    for kind, name, target, data in found:
        fields = {"linkname": target} if kind in b"12" else {}
        fields.update({"devmajor": 1, "devminor": 3} if kind == b"3" else {})
        made.append(entry(name, kind, data if kind == b"0" else b"", **fields))
    fuzzed.unpack(layer(*made))


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_a_tar_or_refused(data):
    try:
        for _ in tar_reader.entries(tar_reader.Stream([data])):
            pass
    except RuntimeFailure:
        return


def test_a_tar_cut_anywhere_is_seen(tmp_path):
    data = layer(entry("f", data=b"x" * 1000))
    for end in (1, 511, 513, 1000, 1511):
        with pytest.raises(RuntimeFailure):
            list(tar_reader.entries(tar_reader.Stream([data[:end]])))
    assert (
        len(list(tar_reader.entries(tar_reader.Stream([data[:1512]])))) == 1
    )  # without its padding, as umoci writes it
