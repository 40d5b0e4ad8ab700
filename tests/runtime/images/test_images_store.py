"""The store: what is there after a crash at any step, names, leases, pins, collection."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest
from image_maker import Layout, entry, layer, sha256

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, collect, image, layers, removal
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.store import Store
from tests import warm
from tests.patience import seconds

ROOT = Path(__file__).parents[3]


def imported(store, tmp_path, name="app:1", *contents):
    layout = Layout(tmp_path / f"layout-{len(os.listdir(tmp_path))}")
    found = [layer(*one) for one in contents or ([entry("file", data=name.encode())],)]
    layout.name(layout.image(found), name)
    with store.lease() as lease:
        descriptor = archive.load(store, str(layout.path), lease)[0][1]
        layers.ensure(image.read(store, descriptor))
    return descriptor


def contents(store) -> tuple[int, int]:
    return len(os.listdir(store.path("blobs/sha256"))), len(os.listdir(store.path("layers")))


def test_a_name_that_goes_to_another_image(store, tmp_path):
    first = imported(store, tmp_path)
    names = Names(store)
    names.set(parse("other:1"), first)
    layout = Layout(tmp_path / "second")
    layout.name(layout.image([layer(entry("second"))]), "app:1")
    with store.lease() as lease:
        second = archive.load(store, str(layout.path), lease)[0][1]
    assert names.get(parse("app:1")).digest == second.digest and names.get(parse("other:1")).digest == first.digest
    names.set(parse("other:1"), second)
    assert [name for name, one in names.all() if one.digest == first.digest] == [None]
    collect.collect(store)
    assert image.find(store, first.digest.hex[:12]).descriptor.digest == first.digest  # until it is pruned
    names.set(parse("again:1"), first)
    assert [str(name.familiar) for name, one in names.all() if one.digest == first.digest] == ["again:1"]


def test_finding_by_id(store, tmp_path):
    descriptor = imported(store, tmp_path)
    found = image.find(store, "app:1")
    for text in (found.id.hex[:12], str(found.id), str(descriptor.digest), descriptor.digest.hex[:5],
                 f"app@{descriptor.digest}"):  # fmt: skip
        assert image.find(store, text).id == found.id
    for text in ("absent", "app:2", "0" * 64, "app@sha256:" + "0" * 64, "ffffffff"):
        with pytest.raises(RuntimeFailure, match="no such image"):
            image.find(store, text)


def test_removal_and_collection(store, tmp_path):
    shared = [entry("shared")]
    imported(store, tmp_path, "a:1", shared, [entry("a")])
    second = imported(store, tmp_path, "b:1", shared, [entry("b")])
    assert contents(store) == (7, 3)
    removal.remove(store, "a:1")
    done = collect.collect(store)
    assert contents(store) == (4, 2) and len(done.blobs) == 3 and len(done.layers) == 1 and done.size > 0
    store.pin("container1", second.digest)
    with pytest.raises(RuntimeFailure, match="needed by the container container1"):
        removal.remove(store, "b:1")
    removal.remove(store, "b:1", force=True)
    collect.collect(store)
    assert contents(store) == (4, 2)
    store.unpin("container1")
    collect.collect(store)
    assert contents(store) == (0, 0)


@pytest.mark.parametrize("owner", ["../x", "a/b", "", "-f", "x" * 129, "a\0b", "é", ".", ".."])
def test_owners_that_are_no_names(owner, store, tmp_path):
    descriptor = imported(store, tmp_path)
    with pytest.raises(RuntimeFailure, match="not a name"):
        store.pin(owner, descriptor.digest)
    with pytest.raises(RuntimeFailure, match="not a name"):
        store.unpin(owner)


def test_a_lease_ends_with_its_process(store):
    data = b"leased"
    ready, child_end = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        with store.lease() as lease:
            store.add(data, lease)
            child_end.send("ready")
            signal.pause()
        os._exit(0)
    try:
        assert ready.recv() == "ready"
        collect.collect(store, partial=True)
        assert store.has(Digest(sha256(data)))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    collect.collect(store, partial=True)
    assert not store.has(Digest(sha256(data))) and os.listdir(store.path("leases")) == []


def test_a_lease_of_somebody_killed_while_writing_it(store):
    Path(store.path("leases", "dead")).write_text("sha256:12")
    with store.lease() as lease:
        os.write(lease._fd, b"sha256:34")
        collect.collect(store)
    assert os.listdir(store.path("leases")) == []


def test_a_blob_that_comes_between_the_look_for_it_and_its_turn_is_not_taken_again(store, monkeypatch):
    digest, has = Digest(sha256(b"late")), store.has

    def late(asked):
        monkeypatch.setattr(store, "has", has)
        with Store(store.root).lease() as lease:
            store.add(b"late", lease)
        return False

    monkeypatch.setattr(store, "has", late)
    with store.lease() as lease, store.ingest(digest, 4, lease) as ingest:
        assert ingest.present
    assert os.listdir(store.path("staging")) == []


def test_two_ingest_the_same_blob_at_once(store):
    data, results = os.urandom(100000), []
    digest = Digest(sha256(data))

    def work():
        with store.lease() as lease, store.ingest(digest, len(data), lease) as ingest:
            results.append(ingest.present)
            if not ingest.present:
                ingest.start_again()
                for start in range(0, len(data), 1000):
                    ingest.write(data[start : start + 1000])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] + [True] * 7 and store.read(digest) == data
    assert os.listdir(store.path("staging")) == []


def test_what_is_finished_while_rubbish_is_looked_for_is_none(store, monkeypatch):
    """Finished between the collection's look at it and its lock: another may be at work under its name by then."""
    data = b"content"
    digest = Digest(sha256(data))
    try_lock = collect.files.try_lock
    with store.lease() as lease, store.ingest(digest, len(data), lease) as first:
        first.start_again()
        first.write(data)
        (name,) = os.listdir(store.path("staging"))
        staged = os.stat(store.path("staging", name))

        def late(fd):
            if not first.present and os.path.samestat(os.fstat(fd), staged):
                first.commit(lease)
                first.close()
            return try_lock(fd)

        monkeypatch.setattr(collect.files, "try_lock", late)
        collect.collect(store, partial=True)
        assert first.present and store.read(digest) == data


def test_a_damaged_blob_is_seen(store, tmp_path):
    descriptor = imported(store, tmp_path)
    path = Path(store.blob_path(descriptor.digest))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"layers", b"lawyer"))
    with pytest.raises(RuntimeFailure, match="damaged"):
        image.find(store, "app:1")


PROGRAM = """
import os, sys
sys.path.insert(0, {root!r})
from shepherd.runtime.images import archive, image, layers
from shepherd.runtime.images.store import Store
left = int(sys.argv[2])
def watched(call):
    def wrapper(*words, **names):
        global left
        if left == 0:
            os.kill(os.getpid(), 9)
        left -= 1
        return call(*words, **names)
    return wrapper
for name in ("rename", "mkdir", "open", "unlink", "link", "symlink", "fsync", "write", "rmdir", "utime"):
    setattr(os, name, watched(getattr(os, name)))
store = Store(sys.argv[1])
with store.lease() as lease:
    found = archive.load(store, {layout!r}, lease)
    layers.ensure(image.read(store, found[0][1]))
print("done")
"""


def test_killed_at_any_step(tmp_path):
    """An import and its unpacking, killed before its n-th change: the next one does it, and nothing is left over."""
    layout = Layout(tmp_path / "layout")
    layout.name(layout.image([layer(entry("a", data=b"x"), entry("d/b")), layer(entry(".wh.a"))]), "app:1")
    program = PROGRAM.format(root=str(ROOT), layout=str(layout.path))
    step, finished = 0, False
    while not finished:
        place = tmp_path / f"store{step}"
        done = warm.run(
            [sys.executable, "-I", "-S", "-c", program, str(place), str(step)],
            capture_output=True,
            text=True,
            timeout=seconds(60),
        )
        finished = done.stdout == "done\n"
        assert finished or done.returncode == -signal.SIGKILL, done.stderr
        store = Store(str(place))
        for _, descriptor in Names(store).all():
            image.read(store, descriptor)  # what has a name is whole
        with store.lease() as lease:
            found = archive.load(store, str(layout.path), lease)
            first, second = layers.ensure(image.read(store, found[0][1]))
        assert sorted(os.listdir(first)) == ["a", "d"] and os.listdir(second) == ["a"]
        collect.collect(store, partial=True)
        assert contents(store) == (4, 2)
        removal.remove(store, "app:1")
        collect.collect(store, partial=True)
        assert contents(store) == (0, 0)
        assert os.listdir(store.path("staging")) == [] == os.listdir(store.path("leases"))
        assert not [name for name in os.listdir(place) if name.startswith("index.json.")]
        shutil.rmtree(place)
        step += 3
    assert step > 100
