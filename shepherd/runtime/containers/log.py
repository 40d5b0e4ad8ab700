"""A container's log as Docker's `json-file` driver writes it: a line of JSON for each line that it said.

    {"log":"hello\\n","stream":"stdout","time":"2026-01-02T03:04:05.678901234Z"}

A line longer than 16 KiB is several, of which only the last one's text ends in a line feed. A file that would grow
beyond `size` is renamed to .1 (.1 to .2, …), and the oldest of `count` files goes.
"""

import os
import time

try:
    from _json import encode_basestring_ascii as _quoted  # json itself would be a tenth of a monitor's memory
except ImportError:
    from json.encoder import py_encode_basestring_ascii as _quoted

LONGEST = 16384  # bytes of a line
_SEVERAL = 1 << 20


class Log:
    """`path` of the newest file; `size` in bytes (0: no limit) and `count` of files."""

    def __init__(self, path: str, size: int, count: int):
        self._path = path
        self._size = size
        self._count = count
        self._rest = {}
        self._second = (0, "")
        self._descriptor = -1
        self._length = 0
        self._open()

    def _open(self):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._length = os.fstat(self._descriptor).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Keep what was said on `stream` (stdout, stderr); an unfinished line waits for its end."""
        rest = self._rest.get(stream)
        if rest:
            data = rest + data
        *lines, rest = data.split(b"\n")
        now = self._now()
        text = []
        for line in lines:
            self._take(text, stream, now, line + b"\n")
        while len(rest) >= LONGEST:
            self._take(text, stream, now, rest[:LONGEST])
            rest = rest[LONGEST:]
        self._rest[stream] = rest
        self._put(text)

    def flush(self) -> None:
        """Nothing more will be said: unfinished lines are kept as they are."""
        for stream, rest in self._rest.items():
            if rest:
                text = []
                self._take(text, stream, self._now(), rest)
                self._put(text)
        self._rest.clear()

    def close(self) -> None:
        """Unfinished lines are kept; the file is closed."""
        self.flush()
        os.close(self._descriptor)

    def _take(self, text, stream, now, line):
        for start in range(0, len(line), LONGEST):
            piece = _quoted(line[start : start + LONGEST].decode("utf-8", "replace"))
            text.append('{"log":%s,"stream":"%s","time":"%s"}\n' % (piece, stream, now))

    def _now(self):
        now = time.time()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return "%s.%09dZ" % (self._second[1], (now - second) * 1000000000)

    def _put(self, lines):
        """As few writes as there can be: the file is changed between lines."""
        waiting, length = [], 0
        for line in lines:
            if self._size and self._length + length + len(line) > self._size and self._length + length:
                self._append("".join(waiting))
                waiting, length = [], 0
                self._rotate()
            waiting.append(line)
            length += len(line)
            if length > _SEVERAL:
                self._append("".join(waiting))
                waiting, length = [], 0
        self._append("".join(waiting))

    def _append(self, text):
        """What finds no room on the disk is lost, but never leaves half a line."""
        data = text.encode("ascii")
        if not data:
            return
        try:
            done = os.write(self._descriptor, data)
            if done < len(data):
                end = data.rfind(b"\n", 0, done) + 1
                os.ftruncate(self._descriptor, self._length + end)
                done = end
        except OSError:
            return
        self._length += done

    def _rotate(self):
        try:
            for number in range(self._count - 1, 0, -1):
                older = "%s.%d" % (self._path, number - 1) if number > 1 else self._path
                try:
                    os.rename(older, "%s.%d" % (self._path, number))
                except FileNotFoundError:
                    continue
            if self._count <= 1:
                os.ftruncate(self._descriptor, 0)
                self._length = 0
                return
            before = self._descriptor
            self._open()
            os.close(before)
        except OSError:
            return  # no room for another: it goes on in the old one


def limits(config: dict) -> tuple:
    """(bytes, files) of a HostConfig.LogConfig: 16 MiB in 4 files where nothing is said."""
    options = config.get("Config") or {}
    size = options.get("max-size")
    return parse_size(size) if size is not None else 16 << 20, int(
        options.get("max-file") or (4 if size is None else 1)
    )


def parse_size(text: str) -> int:
    """Bytes of 10m, 1g, 500k; -1 is no limit (0). Raises ValueError."""
    if text == "-1":
        return 0
    text = text.lower().rstrip("b") if text[-1:].isalpha() else text
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
    return int(float(text[:-1]) * units[text[-1]]) if text[-1:] in units else int(text)
