"""What dpkg has installed, read from its own file: no program is started, and it takes a millisecond or two.

The file is a list of paragraphs (deb-control(5)); one package is found by searching the bytes for its name, so that
nothing but its own paragraph is taken apart.
"""

import os
import re
from collections import namedtuple

DIRECTORY = "/var/lib/dpkg"
EXTENDED = "/var/lib/apt/extended_states"  # what apt knows beyond that: which packages came along with others

# installed     all its files are there
# configured    it is installed, and its scripts have run to the end
# config        it was removed, and left configuration files
Package = namedtuple("Package", "name architecture version installed configured config")

_GONE = ("not-installed", "config-files", "half-installed")
_CONFIGURED = ("installed", "triggers-pending", "triggers-awaited")


class Status:
    """The packages of this host, as they were when this was made."""

    def __init__(self, directory=DIRECTORY):
        self._data = b"\n" + _read(os.path.join(directory, "status"))
        updates = os.path.join(directory, "updates")
        try:
            names = sorted(name for name in os.listdir(updates) if name.isdigit())
        except OSError:
            names = []
        for name in names:  # what an interrupted dpkg left: whole paragraphs, which hold in place of earlier ones
            self._data += b"\n" + _read(os.path.join(updates, name))
        native = self._find(b"dpkg")
        self.architecture = native[-1].architecture if native else ""

    def _paragraph(self, at):
        start = self._data.rfind(b"\n\n", 0, at + 1)
        end = self._data.find(b"\n\n", at + 1)
        return self._data[max(start, 0) : end if end >= 0 else len(self._data)]

    def _find(self, name):
        found = []
        at = self._data.find(b"\nPackage: " + name + b"\n")
        while at >= 0:
            found.append(_package(self._paragraph(at)))
            at = self._data.find(b"\nPackage: " + name + b"\n", at + 1)
        return found

    def package(self, name):
        """The Package of that name, for the architecture after a colon or else the native one; None where unknown."""
        name, _, architecture = name.partition(":")
        wanted = (self.architecture, "all") if architecture in ("", self.architecture) else (architecture,)
        found = [package for package in self._find(name.encode()) if package.architecture in wanted]
        return found[-1] if found else None

    def names(self):
        """The names of all installed packages."""
        found = []
        for at in re.finditer(rb"\nPackage: (\S+)\n", self._data):
            if _package(self._paragraph(at.start())).installed:
                found.append(at.group(1).decode())
        return found

    def provided(self, name):
        """Whether an installed package provides `name`."""
        pattern = rb"\nProvides:[^\n]*[ ,]" + re.escape(name.partition(":")[0].encode()) + rb"[ ,\n(]"
        return any(_package(self._paragraph(at.start())).installed for at in re.finditer(pattern, self._data))


def _package(paragraph):
    def field(name):
        at = paragraph.find(b"\n" + name + b": ")
        if at < 0:
            return ""
        at += len(name) + 3
        end = paragraph.find(b"\n", at)
        return paragraph[at : end if end >= 0 else len(paragraph)].strip().decode("utf-8", "replace")

    state = field(b"Status").rpartition(" ")[2]
    version = field(b"Version")
    installed = bool(version) and state not in _GONE
    configured = installed and state in _CONFIGURED
    return Package(field(b"Package"), field(b"Architecture"), version, installed, configured, state == "config-files")


def _read(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def automatic(packages):
    """Those of the Packages that apt took in for others, and would remove when nothing needs them."""
    try:
        with open(EXTENDED, encoding="utf-8", errors="replace") as stream:
            paragraphs = stream.read().split("\n\n")
    except OSError:
        return []
    marked = set()
    for paragraph in paragraphs:
        if "Auto-Installed: 1" in paragraph:
            marked.add(paragraph.strip().split("\n")[0].partition(": ")[2])
    return [package for package in packages if package.name in marked]


def compare(left, right):
    """-1, 0 or 1, as one version is older than the other, the same, or newer: deb-version(7)."""
    left_epoch, left = _epoch(left)
    right_epoch, right = _epoch(right)
    if left_epoch != right_epoch:
        return -1 if left_epoch < right_epoch else 1
    left_upstream, _, left_revision = left.rpartition("-") if "-" in left else (left, "", "")
    right_upstream, _, right_revision = right.rpartition("-") if "-" in right else (right, "", "")
    return _compare(left_upstream, right_upstream) or _compare(left_revision, right_revision)


def _epoch(version):
    epoch, colon, rest = version.partition(":")
    return (int(epoch), rest) if colon and epoch.isdigit() else (0, version)


def _compare(left, right):
    """Text and numbers in turn; ~ before everything, even the end, then the end, letters, and other characters."""
    for one, other in _pairs(re.findall(r"[^0-9]*|[0-9]+", left), re.findall(r"[^0-9]*|[0-9]+", right)):
        first, second = _key(one), _key(other)
        if first != second:
            return -1 if first < second else 1
    return 0


def _pairs(left, right):
    left, right = _turns(left), _turns(right)
    for at in range(max(len(left), len(right))):
        empty = "" if at % 2 == 0 else "0"
        yield (left[at] if at < len(left) else empty), (right[at] if at < len(right) else empty)


def _turns(pieces):
    """The pieces as text, number, text, number, …"""
    turns = []
    for piece in pieces:
        if not piece:
            continue
        if piece.isdigit() != (len(turns) % 2 == 1):
            turns.append("" if piece.isdigit() else "0")
        turns.append(piece)
    return turns


def _key(piece):
    if piece.isdigit():
        return int(piece)
    order = [-1 if letter == "~" else ord(letter) if letter.isalpha() else ord(letter) + 256 for letter in piece]
    return order + [0]
