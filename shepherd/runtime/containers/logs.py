"""Reading a container's log back, through the files it was rotated into."""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.containers import clock
from shepherd.runtime.errors import RuntimeFailure

_BLOCK = 1 << 16


def parts(path: str) -> list:
    """The files, the oldest first."""
    found, number = [path], 1
    while os.path.exists("%s.%d" % (path, number)):
        found.insert(0, "%s.%d" % (path, number))
        number += 1
    return [one for one in found if os.path.exists(one)]


class Entry:
    """A line: `text` with its line feed, `stream`, `time` as it is written."""

    def __init__(self, line: bytes):
        found = document.loads(line, "the log")
        self.text, self.stream, self.time = found["log"], found["stream"], found["time"]

    @property
    def seconds(self) -> float:
        """Since 1970."""
        return clock.seconds_of(self.time)


def _entry(line):
    """None for what is no line of a log: a power cut may have left half of one."""
    try:
        return Entry(line)
    except (RuntimeFailure, KeyError, TypeError):
        return None


def _opened(paths):
    """Those that are there: a monitor may rename them at any moment."""
    found = []
    for path in paths:
        try:
            found.append(open(path, "rb"))  # noqa: SIM115 - open for as long as it is read
        except FileNotFoundError:
            continue
    return found


class Reader:
    """All lines from some place on; more when there are more."""

    def __init__(self, path: str, tail=None):
        self._path = path
        self._files = []
        self._rest = b""
        while True:
            found, start = parts(path), 0
            try:
                if tail is not None:
                    found, start = _tail(found, tail)
            except FileNotFoundError:
                continue  # renamed between two looks
            self._files = _opened(found)
            if len(self._files) == len(found):
                break
            self.close()
        if self._files:
            self._files[0].seek(start)

    def close(self) -> None:
        """Give the files back."""
        for file in self._files:
            file.close()

    def entries(self):
        """Those that are there now."""
        while True:
            if not self._files:
                self._files = _opened([self._path])
                if not self._files:
                    return
            for line in self._files[0]:
                line = self._rest + line
                self._rest = b""
                if not line.endswith(b"\n"):
                    self._rest = line
                    break
                entry = _entry(line)
                if entry is not None:
                    yield entry
            if len(self._files) > 1:
                self._files.pop(0).close()
                continue
            if not self._moved():
                return

    def _moved(self):
        """Whether the file was renamed, and there is a newer one; what it got before that is read first."""
        held = os.fstat(self._files[0].fileno())
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        if held.st_ino == now.st_ino:
            if now.st_size < self._files[0].tell():
                self._files[0].seek(0)  # it was emptied (max-file=1)
                return True
            return False
        if held.st_size > self._files[0].tell():
            return True
        self._files.pop(0).close()
        for number in range(9, 0, -1):  # those in between, if it was renamed more than once
            try:
                between = os.stat("%s.%d" % (self._path, number))
            except FileNotFoundError:
                continue
            if between.st_ino == held.st_ino:
                self._files += _opened("%s.%d" % (self._path, later) for later in range(number - 1, 0, -1))
                break
        self._files += _opened([self._path])
        return bool(self._files)


def _tail(found, count):
    """(the files, where to begin in the first of them) for the last `count` lines, read from the end."""
    chosen = []
    for path in reversed(found):
        chosen.insert(0, path)
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            place = end
            while place > 0:
                start = max(0, place - _BLOCK)
                file.seek(start)
                block = file.read(place - start)
                if place == end and block.endswith(b"\n"):
                    block, place = block[:-1], place - 1
                    if count == 0:
                        return chosen, end
                at = len(block)
                while True:
                    at = block.rfind(b"\n", 0, at)
                    if at < 0:
                        break
                    count -= 1
                    if count <= 0:
                        return chosen, start + at + 1
                place = start
            if end:
                count -= 1  # its first line
            if count <= 0:
                return chosen, 0
    return chosen, 0
