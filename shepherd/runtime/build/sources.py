"""Which files are meant, and what they are: a context's, a stage's or an image's.

A tree is walked by file descriptor. Links on the way to a source lead where they would lead with the tree as the root,
never out of it; links below it are copied as links. What `.dockerignore` leaves out is not there, by whatever way.
"""

import hashlib
import os
import stat

from shepherd.runtime.build import matching
from shepherd.runtime.build.ignore import Ignore, clean
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import trees
from shepherd.runtime.linux import paths

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEEPEST = 250  # folders in one another: what a layer may have, less those of the destination
_CHUNK = 1 << 20


class Tree:
    """The files below the folder of the descriptor `root`. `what` is what messages call it.

    `own`: their owners mean something, and so do devices; otherwise they are this machine's.
    """

    def __init__(self, root, what, ignore=None, own=False):
        self.root = root
        self.what = what
        self.ignore = ignore or Ignore()
        self.own = own
        self._top = os.readlink(paths.shown(root)).rstrip("/")

    def open(self, path) -> tuple:
        """(descriptor, path without links) of what is there. Raises OSError."""
        found = paths.open_inside(self.root, "/" + path)
        real = os.readlink(paths.shown(found))[len(self._top) :].strip("/")
        if self.ignore.leaves_out(real) and not self._may_enter(found, real):
            os.close(found)
            raise FileNotFoundError(2, "left out by .dockerignore", path)
        return found, real

    def _may_enter(self, found, real):
        return stat.S_ISDIR(os.fstat(found).st_mode) and self.ignore.may_return_below(real)

    def select(self, text, parents=False) -> list:
        """The Pieces that a source's text means. Raises Wrong where there are none."""
        keep, path = self._pivot(text) if parents else ("", clean(text))
        try:
            found = self._matches(path) if matching.is_pattern(path) else [path]
            pieces = [self._piece(one, keep, parents) for one in found]
        except matching.BadPattern as error:
            raise Wrong("%s: %s" % (text, error), text)
        except OSError as error:
            why = "is not in %s" % self.what if error.errno in (2, 20) else "cannot be read: %s" % error.strerror
            raise Wrong(
                "%s %s" % (text, why), text, error.strerror if error.errno == 2 and "left" in str(error) else None
            )
        if not pieces:
            raise Wrong("nothing in %s is called %s" % (self.what, text), text)
        return pieces

    @staticmethod
    def _pivot(text):
        """(what comes before /./ and is not kept of a path, the whole path)."""
        before, pivot, after = text.lstrip("/").partition("/./") if not text.startswith("./") else ("", "", text)
        if not pivot:
            return "", clean(text)
        return clean(before), clean(before + "/" + after)

    def _piece(self, path, keep, parents):
        found, real = self.open(path)
        try:
            state = os.fstat(found)
        finally:
            os.close(found)
        inner = path[len(keep) :].strip("/") if parents else ""
        return Piece(self, path, real, state, inner)

    def _matches(self, path):
        parts = path.split("/")
        fixed = 0
        while not matching.is_pattern(parts[fixed]):
            fixed += 1
        start = "/".join(parts[:fixed])
        try:
            top, real = self.open(start)
        except OSError:
            return []
        try:
            folder = os.open(paths.shown(top), trees.FOLDER & ~os.O_NOFOLLOW)
        except NotADirectoryError:
            return []
        finally:
            os.close(top)
        try:
            rest = parts[fixed:]
            if "**" in "/".join(rest):
                pattern = matching.compiled("/".join(rest))
                inner = [one for one in self._all_below(folder, real, "") if pattern.match(one)]
            else:
                inner = list(self._below(folder, real, [matching.compiled(one, False) for one in rest]))
        finally:
            os.close(folder)
        return [start + "/" + one if start else one for one in inner]

    def _below(self, folder, real, patterns):
        for name in sorted(os.listdir(folder)):
            if not patterns[0].match(name):
                continue
            place = real + "/" + name if real else name
            if len(patterns) == 1:
                if not self.ignore.leaves_out(place) or self.ignore.may_return_below(place):
                    yield name
                continue
            try:
                inner = trees.open_folder(name, folder)
            except OSError:
                continue
            try:
                for one in self._below(inner, place, patterns[1:]):
                    yield name + "/" + one
            finally:
                os.close(inner)

    def _all_below(self, folder, real, prefix):
        if prefix.count("/") > _DEEPEST:
            raise RuntimeFailure("%s is too deep in %s" % (ascii(prefix)[:100], self.what))
        for name in sorted(os.listdir(folder)):
            place = real + "/" + name if real else name
            gone = self.ignore.leaves_out(place)
            if gone and not self.ignore.may_return_below(place):
                continue
            try:
                inner = trees.open_folder(name, folder)
            except OSError:
                inner = None
            if inner is None:
                if not gone:
                    yield prefix + name
                continue
            try:
                if not gone:
                    yield prefix + name
                for one in self._all_below(inner, place, prefix + name + "/"):
                    yield one
            finally:
                os.close(inner)


class Entry:
    """One file below a source: its `path` from there ("" is the source itself), `state` (as os.stat has it)."""

    __slots__ = ("depth", "link", "name", "path", "state")

    def __init__(self, path, name, depth, state, link=None):
        self.path = path
        self.name = name
        self.depth = depth
        self.state = state
        self.link = link


class Piece:
    """A source that was found: a file or a folder. `inner` is the path that --parents keeps of it, or "".

    `scan` fills `entries`, in the order in which they are copied: a folder, and then what is in it.
    """

    def __init__(self, tree, path, real, state, inner):
        self.tree = tree
        self.path = path
        self.real = real
        self.state = state
        self.inner = inner
        self.entries = []

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.state.st_mode)

    @property
    def name(self):
        return os.path.basename(self.path)

    def open(self) -> int:
        """The source, to be read."""
        found, _ = self.tree.open(self.path)
        try:
            return os.open(paths.shown(found), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        finally:
            os.close(found)

    def scan(self, excludes=()) -> str:
        """Find all that belongs to it, and return the digest of that: names, kinds, modes, content; owners and devices
        where they mean something; no times."""
        self.entries = []
        scanner = _Scanner(self, excludes)
        kind = stat.S_IFMT(self.state.st_mode)
        if kind == stat.S_IFDIR:
            top = self.open()
            try:
                scanner.take_folder(top, "", self.real, 1)
                # the folder's own attributes matter where it comes to be at a new place
                scanner.note("", os.fstat(top), _attributes(top))
            finally:
                os.close(top)
        elif not _any(excludes, self.name, self.real):
            if kind not in (stat.S_IFREG, stat.S_IFIFO) and not self.tree.own:
                raise Wrong("%s is no file and no folder" % self.path, self.path)
            self.entries.append(Entry("", self.name, 0, self.state))
            if kind == stat.S_IFREG:
                file = self.open()
                try:
                    scanner.note("", os.fstat(file), _attributes(file), file)
                finally:
                    os.close(file)
            else:
                scanner.note("", self.state, {})
        return scanner.digest()


class _Scanner:
    def __init__(self, piece, excludes):
        self._piece = piece
        self._tree = piece.tree
        self._excludes = excludes
        self._hasher = hashlib.sha256()

    def digest(self):
        return self._hasher.hexdigest()

    def take_folder(self, folder, path, real, depth):
        if depth > _DEEPEST:
            raise RuntimeFailure("%s has more than %d folders in one another" % (self._piece.path, _DEEPEST))
        entries, ignore = self._piece.entries, self._tree.ignore
        for name in sorted(os.listdir(folder)):
            inner = path + "/" + name if path else name
            place = real + "/" + name if real else name
            if _any(self._excludes, inner, place):
                continue
            gone = bool(ignore) and ignore.leaves_out(place)
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                if gone and not ignore.may_return_below(place):
                    continue
                before = len(entries)
                entries.append(Entry(inner, name, depth, state))
                below = trees.open_folder(name, folder)
                try:
                    self.take_folder(below, inner, place, depth + 1)
                    if gone and len(entries) == before + 1:
                        entries.pop()
                        continue
                    self.note(inner, state, _attributes(below))
                finally:
                    os.close(below)
            elif not gone:
                self._take(folder, inner, name, state, depth)

    def _take(self, folder, inner, name, state, depth):
        kind, link = stat.S_IFMT(state.st_mode), None
        if kind == stat.S_IFSOCK:
            return  # means nothing without the process that listens
        if kind in (stat.S_IFBLK, stat.S_IFCHR) and not self._tree.own:
            raise Wrong("%s/%s is a device of this machine" % (self._piece.path, inner), self._piece.path)
        if kind == stat.S_IFLNK:
            link = os.readlink(name, dir_fd=folder)
        self._piece.entries.append(Entry(inner, name, depth, state, link))
        if kind == stat.S_IFREG:
            file = os.open(name, READ, dir_fd=folder)
            try:
                self.note(inner, state, _attributes(file), file)
            finally:
                os.close(file)
        else:
            self.note(inner, state, {}, link=link)

    def note(self, path, state, attributes, file=None, link=None):
        """Into the digest, each field with its length."""
        fields = [os.fsencode(path), b"%o" % state.st_mode]
        if self._tree.own:
            fields.append(b"%d:%d:%d" % (state.st_uid, state.st_gid, state.st_rdev))
        if link is not None:
            fields.append(os.fsencode(link))
        for key in sorted(attributes):
            fields += [key.encode(), attributes[key]]
        if file is not None:
            fields.append(content_digest(file))
        for field in fields:
            self._hasher.update(b"%d:" % len(field) + field)
        self._hasher.update(b".")


def content_digest(file) -> bytes:
    """Of what is in the file of this descriptor, from its beginning."""
    hasher = hashlib.sha256()
    while True:
        data = os.read(file, _CHUNK)
        if not data:
            return hasher.digest()
        hasher.update(data)


def _attributes(file) -> dict:
    """The extended attributes that are copied, and go into a layer."""
    try:
        names = os.listxattr(file)
    except OSError:
        return {}  # a file system without them
    return {name: os.getxattr(file, name) for name in names if is_copied(name)}


def is_copied(name) -> bool:
    return name == "security.capability" or (name.startswith("user.") and not name.startswith("user.overlay."))


def excludes(patterns) -> list:
    """--exclude, compiled. Raises Wrong."""
    found = []
    for text in patterns:
        try:
            found.append(matching.compiled(clean(text)))
        except matching.BadPattern as error:
            raise Wrong("%s: %s" % (text, error), text)
    return found


def _any(patterns, *paths_of_it):
    return any(pattern.match(path) for pattern in patterns for path in paths_of_it)
