"""What COPY and ADD put into a root: files of a tree, archives taken apart, and what is fetched from elsewhere."""

import os
import stat

from shepherd.runtime.build import archives, download, sources
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.images import trees


class Local:
    """A source in a tree; with `unpack`, an archive is taken apart."""

    def __init__(self, piece, excludes, unpack):
        self._piece = piece
        self._unpack = unpack and stat.S_ISREG(piece.state.st_mode)
        self._digest = piece.scan(excludes)

    def key(self) -> list:
        """What the result depends on."""
        name = self._piece.inner or ("" if self._piece.is_folder else self._piece.name)
        return [self._digest, name, self._piece.is_folder, self._unpack]

    def place(self, copier, target, into, workspace, plain) -> None:
        """Copy it. `plain`: with the owners and modes that an archive says."""
        if self._unpack and self._piece.entries:
            file = self._piece.open()
            try:
                if archives.is_archive(file):
                    _unpack(file, self._piece.path, copier, target, workspace, plain)
                    return
            finally:
                os.close(file)
        copier.place(self._piece, target, into)


class Remote:
    """A source that is fetched, when it is needed: with a checksum it may not be."""

    def __init__(self, url, checksum, workspace, unpack, destination):
        self._url = url
        self._checksum = checksum
        self._workspace = workspace
        self._unpack = unpack
        self._folder = None
        self._name = download.name_of(url)
        if not self._name and destination.endswith("/"):
            raise Wrong("%s has no name of a file in it, and the destination is a folder" % url, url)
        self._name = self._name or "file"

    def key(self) -> list:
        """As of Local."""
        return ["url", self._name, self._checksum or self._fetch(), self._unpack]

    def _fetch(self):
        """Its digest."""
        self._folder = self._workspace.folder("download")
        opened = trees.open_folder(self._folder)
        try:
            download.fetch(self._url, opened, self._name, self._checksum)
            file = os.open(self._name, sources.READ, dir_fd=opened)
            try:
                return "sha256:" + sources.content_digest(file).hex()
            finally:
                os.close(file)
        finally:
            os.close(opened)

    def place(self, copier, target, into, workspace, plain) -> None:
        """As of Local."""
        if self._folder is None:
            self._fetch()
        root = trees.open_folder(self._folder)
        try:
            state = os.stat(self._name, dir_fd=root, follow_symlinks=False)
            piece = sources.Piece(sources.Tree(root, self._url), self._name, self._name, state, "")
            Local(piece, (), self._unpack).place(copier, target, into, workspace, plain)
        finally:
            os.close(root)


def _unpack(file, what, copier, target, workspace, plain):
    """Straight to where it goes; by way of a folder of ours where owners or modes are to be others."""
    if plain:
        folder, _ = copier.folder(target)
        try:
            archives.unpack(file, folder, what)
        finally:
            os.close(folder)
        return
    place = workspace.folder("unpacked")
    folder = trees.open_folder(place)
    try:
        archives.unpack(file, folder, what)
        for piece in sources.Tree(folder, what, own=True).select("/"):
            piece.scan()
            copier.place(piece, target, True)
    finally:
        os.close(folder)
        trees.remove(place)
