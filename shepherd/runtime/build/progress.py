"""What a person sees of a build, line by line on standard error, in the form of Docker's `--progress plain`."""

import os
import time

from shepherd.runtime.build.problems import shown


class Progress:
    """Writes to the descriptor `file`; nothing at all if `quiet`."""

    def __init__(self, file=2, quiet=False):
        self._file = file
        self._quiet = quiet
        self._count = 0

    def say(self, text) -> None:
        if not self._quiet:
            data = (text + "\n").encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._file, data) :]

    def warn(self, text) -> None:
        self.say("warning: " + text)

    def step(self, title):
        self._count += 1
        return Step(self, self._count, title)


class Step:
    """One step, from its title to how it ended."""

    def __init__(self, progress, number, title):
        self._progress = progress
        self._mark = "#%d" % number
        self._began = time.monotonic()
        self._rest = b""
        self.say(title)

    def say(self, text):
        self._progress.say("%s %s" % (self._mark, shown(text)))

    def cached(self):
        self.say("CACHED")

    def done(self):
        self.say("DONE %.1fs" % (time.monotonic() - self._began))

    def failed(self, why):
        self.say("ERROR: " + why)

    def output(self, data) -> None:
        """What a program wrote, as it comes; empty data is its end."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if self._rest and (not data or len(self._rest) > 8192):
            lines.append(self._rest)
            self._rest = b""
        now = time.monotonic() - self._began
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
            self.say("%.3f %s" % (now, text))
