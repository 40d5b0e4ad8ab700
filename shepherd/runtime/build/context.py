"""The build context: a folder, or a tar from standard input; the Containerfile, and what .dockerignore leaves out."""

import os
import stat
import sys

from shepherd.runtime.build import ignore, lines
from shepherd.runtime.build.sources import Tree
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import compression, trees
from shepherd.runtime.images.tar_reader import Stream
from shepherd.runtime.images.unpack import Limits, Unpacker
from shepherd.runtime.linux import paths

NAMES = ("Containerfile", "Dockerfile")
_LARGEST_IGNORE = 1 << 20


class Context:
    """`tree` is what COPY copies from, `containerfile` the bytes of that, `name` what messages call it."""

    def __init__(self, place, file, workspace):
        if place == "-" and file == "-":
            raise RuntimeFailure("standard input cannot be the context and the Containerfile at once")
        self.containerfile = None
        self._given = file
        self.name = file
        if place == "-":
            root = self._from_input(workspace)
        else:
            root = _open_folder(place)
        self.root = workspace.opened(root)
        if file == "-":
            self.containerfile, self.name = _standard_input().read(lines.LARGEST + 1), "Containerfile"
        if self.containerfile is None:
            self._find(place, file)
        self.tree = Tree(self.root, "the context", self._ignore())

    def _find(self, place, file):
        """The Containerfile: at a path of ours, or, without one, in the context. A relative one of a tar is in that."""
        if file is not None and (place != "-" or os.path.isabs(file)):
            path = file
            if place != "-" and not os.path.exists(path) and os.path.exists(os.path.join(place, file)):
                path = os.path.join(place, file)
            try:
                with open(path, "rb") as opened:
                    self.containerfile = opened.read(lines.LARGEST + 1)
            except OSError as error:
                raise RuntimeFailure("cannot read %s: %s" % (file, error.strerror))
            self._given = path
            return
        for name in [file] if file else NAMES:
            self.containerfile = self._read(name, lines.LARGEST + 1)
            if self.containerfile is not None:
                self.name = name
                return
        raise RuntimeFailure("there is no %s in the context" % (file or " and no ".join(NAMES)), "-f names another one")

    def _ignore(self):
        """FILE.dockerignore beside the Containerfile, or else .dockerignore of the context."""
        if self._given and self._given != "-":
            beside = self._given + ".dockerignore"
            if os.path.isfile(beside):
                with open(beside, "rb") as opened:
                    return ignore.parse(opened.read(_LARGEST_IGNORE), os.path.basename(beside))
        for name in [self.name + ".dockerignore", ".dockerignore"]:
            data = self._read(name, _LARGEST_IGNORE)
            if data is not None:
                return ignore.parse(data, name)
        return ignore.Ignore()

    def _read(self, name, most):
        """What is in a file of the context; links lead nowhere out of it."""
        try:
            file = paths.open_inside(self.root, "/" + name, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise RuntimeFailure("cannot read %s of the context: %s" % (name, error.strerror))
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise RuntimeFailure("%s of the context is no file" % name)
            with os.fdopen(os.dup(file), "rb") as opened:
                return opened.read(most)
        finally:
            os.close(file)

    def _from_input(self, workspace):
        """A tar becomes a folder of the build's own; a text is the Containerfile, without any context."""
        source = _standard_input()
        folder = trees.open_folder(workspace.folder("input"))
        start = source.peek(512)[:512] if hasattr(source, "peek") else b""
        if compression.kind_of(start[:4].ljust(4, b"\0")) == "plain" and not _is_tar(start):
            self.containerfile, self.name = source.read(lines.LARGEST + 1), "Containerfile"
            return folder
        _, pieces = compression.pieces(source)
        limits = Limits()
        stream = Stream(pieces)
        # owners of another machine mean nothing here, and no build copies its devices
        Unpacker(folder, "flat", limits, owners=False, devices=False).unpack(stream)
        stream.drain()
        return folder


def _open_folder(place):
    if "://" in place or place.startswith("git@"):
        raise RuntimeFailure("%s: a context is a folder, or - for a tar on standard input" % place, "fetch it first")
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure("cannot read the context %s: %s" % (place, error.strerror))


def _is_tar(start):
    from shepherd.runtime.build.archives import is_header

    return len(start) == 512 and is_header(start)


def _standard_input():
    if sys.stdin is None or sys.stdin.isatty():
        raise RuntimeFailure("standard input is a terminal", "name a folder, or send a tar")
    return sys.stdin.buffer
