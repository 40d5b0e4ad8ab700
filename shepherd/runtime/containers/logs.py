"""Reading a container's log back, through the files it was rotated into."""

import os

from shepherd.runtime.bundle import document
from shepherd.runtime.containers import clock
from shepherd.runtime.errors import RuntimeFailure

_BLOCK = 1 << 16


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


def _opened(path):
    """The files of a log, open, the oldest first, as they are between two renamings of a monitor.

    One file at a time gets its new name, so that a name may be missing while others are older.
    """
    while True:
        files = []
        try:
            names = _names(path)
            for name in names:
                files.append(open(name, "rb"))  # noqa: SIM115 - open for as long as it is read
            same = [os.fstat(file.fileno()).st_ino for file in files] == [os.stat(name).st_ino for name in names]
            if same and _names(path) == names:
                return files
        except FileNotFoundError:
            pass
        for file in files:
            file.close()


def _names(path):
    folder, base = os.path.split(path)
    try:
        older = [name[len(base) + 1 :] for name in os.listdir(folder or ".") if name.startswith(base + ".")]
    except FileNotFoundError:
        return []  # the container is gone
    numbers = sorted((int(one) for one in older if one.isdigit()), reverse=True)
    return ["%s.%d" % (path, number) for number in numbers] + ([path] if os.path.exists(path) else [])


class Reader:
    """All lines from some place on; more when there are more."""

    def __init__(self, path: str, tail=None):
        self._path = path
        self._files = _opened(path)
        self._rest = b""
        if tail is not None:
            self._skip(*_tail(self._files, tail))

    def _skip(self, count, start):
        for file in self._files[:count]:
            file.close()
        del self._files[:count]
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
                self._files = _opened(self._path)
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
                self._next()
                continue
            if not self._moved():
                return

    def _next(self):
        self._files.pop(0).close()
        self._rest = b""  # half a line, and nothing will end it

    def _moved(self):
        """Whether the file was renamed, and there is a newer one; what it got before that is read first."""
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        held = os.fstat(self._files[0].fileno())  # after that look: what has another name gets no more lines
        if held.st_ino == now.st_ino:
            if now.st_size < self._files[0].tell():
                self._files[0].seek(0)  # it was emptied (max-file=1)
                return True
            return False
        if held.st_size > self._files[0].tell():
            return True
        self._next()
        self._files = _opened(self._path)
        numbers = [os.fstat(file.fileno()).st_ino for file in self._files]
        if held.st_ino in numbers:  # else it was the oldest, and is gone
            self._skip(numbers.index(held.st_ino) + 1, 0)
        return bool(self._files)


def _tail(files, count):
    """(how many files come before, where to begin in the next) for the last `count` lines, read from the end."""
    for number in range(len(files) - 1, -1, -1):
        file = files[number]
        end = file.seek(0, os.SEEK_END)
        place = end
        while place > 0:
            start = max(0, place - _BLOCK)
            file.seek(start)
            block = file.read(place - start)
            if place == end and block.endswith(b"\n"):
                block, place = block[:-1], place - 1
                if count == 0:
                    return number, end
            at = len(block)
            while True:
                at = block.rfind(b"\n", 0, at)
                if at < 0:
                    break
                count -= 1
                if count <= 0:
                    return number, start + at + 1
            place = start
        file.seek(0)
        if end:
            count -= 1  # its first line
        if count <= 0:
            return number, 0
    return 0, 0
