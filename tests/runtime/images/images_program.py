"""The path of an image through the store, on whatever Python runs this: images_program.py CHECKOUT FOLDER.

Standard library alone and no pytest, since the oldest Pythons of targets have none. Prints `fine` at the end.
"""

import hashlib
import io
import json
import os
import sys
import tarfile

sys.path.insert(0, sys.argv[1])
from shepherd.runtime.cli import main
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import archive, collect, diff, image, layers, tar_reader, trees
from shepherd.runtime.images.pull import pull
from shepherd.runtime.images.reference import parse
from shepherd.runtime.images.store import Store
from shepherd.runtime.images.transport import Settings
from shepherd.runtime.images.unpack import Unpacker

FOLDER = sys.argv[2]


def layer(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, data in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mtime = 1.5
            info.mode = 0o750 if kind == tarfile.DIRTYPE else 0o640
            if kind == tarfile.SYMTYPE:
                info.linkname = data
                data = b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def docker_archive(path, *contents):
    names = [f"{number}/layer.tar" for number in range(len(contents))]
    diff_ids = ["sha256:" + hashlib.sha256(data).hexdigest() for data in contents]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    listed = [{"Config": "config.json", "RepoTags": ["app:1"], "Layers": names}]
    members = [("config.json", tarfile.REGTYPE, json.dumps(config).encode())]
    members += [(name, tarfile.REGTYPE, data) for name, data in zip(names, contents)]  # noqa: B905  has no strict before 3.10
    members.append(("manifest.json", tarfile.REGTYPE, json.dumps(listed).encode()))
    with open(path, "wb") as file:
        file.write(layer(*members))


def check(wanted, found):
    if wanted != found:
        raise AssertionError(f"{found!r}, not {wanted!r}")


def refused(call, *words):
    try:
        call(*words)
    except RuntimeFailure as error:
        return error.message
    raise AssertionError(f"not refused: {words!r}")


def make(data, place):
    os.mkdir(place)
    root = trees.open_folder(place)
    try:
        Unpacker(root).unpack(tar_reader.Stream([data]))
    finally:
        os.close(root)


def run():
    source = os.path.join(FOLDER, "app.tar")
    first = layer(("d", tarfile.DIRTYPE, b""), ("d/a", tarfile.REGTYPE, b"a" * 3000000), ("l", tarfile.SYMTYPE, "/d"))
    docker_archive(source, first, layer(("d/.wh.a", tarfile.REGTYPE, b""), ("n\u00e9w", tarfile.REGTYPE, b"n")))
    os.environ["SHEPHERD_RUNTIME_ROOT"] = os.path.join(FOLDER, "store")
    check(0, main(["image", "import", source]))
    for words in (["images"], ["history", "app:1"], ["image", "inspect", "app:1"]):
        check(0, main(words))
    packed = os.path.join(FOLDER, "saved.tar.gz")
    check(0, main(["save", "-o", packed, "app:1"]))
    store = Store(os.path.join(FOLDER, "other"))
    with store.lease() as lease:
        found = image.read(store, archive.load(store, packed, lease)[0][1])
        lower, upper = layers.ensure(found)
    check(3000000, os.stat(os.path.join(lower, "d/a")).st_size)
    check(1500000000, os.stat(os.path.join(lower, "d/a")).st_mtime_ns)
    check(0, os.lstat(os.path.join(upper, "d/a")).st_rdev)
    check([b"d", "n\u00e9w".encode()], sorted(os.listdir(os.fsencode(upper))))
    flat = os.path.join(FOLDER, "flat")
    os.mkdir(flat)
    layers.flatten(found, flat)
    check([], os.listdir(os.path.join(flat, "d")))
    out = io.BytesIO()
    diff.write_tree(flat, out)
    make(out.getvalue(), os.path.join(FOLDER, "again"))
    check(sorted(os.listdir(os.fsencode(flat))), sorted(os.listdir(os.fsencode(os.path.join(FOLDER, "again")))))
    refused(make, layer(("../x", tarfile.REGTYPE, b"x")), os.path.join(FOLDER, "escaped"))
    with store.lease() as lease:
        said = refused(pull, store, parse("127.0.0.1:1/app"), Settings(delays=()), lease)
        check(True, said.startswith("cannot reach 127.0.0.1:1"))
    check(0, main(["rmi", "-f", "app:1"]))
    collect.collect(store)


run()
sys.stdout.write("fine\n")
