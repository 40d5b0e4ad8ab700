"""The content that comes along with a run: in memory while it is small, then in a file without a name."""

import io

SMALL = 1 << 20  # bytes


class Upload:
    def __init__(self):
        self._pieces = []
        self._size = 0
        self._file = None

    def add(self, piece):
        """Keep a piece. Raises OSError when the disk is full."""
        self._size += len(piece)
        if self._file is not None:
            self._write(piece)
            return
        self._pieces.append(piece)
        if self._size > SMALL:
            import tempfile

            self._file = tempfile.TemporaryFile(prefix="shepherd-", buffering=0)  # noqa: SIM115  # outlives this
            for kept in self._pieces:
                self._write(kept)
            self._pieces = []

    def _write(self, piece):
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]

    def open(self):
        """The whole content as a binary file at its start."""
        if self._file is None:
            return io.BytesIO(b"".join(self._pieces))
        self._file.seek(0)
        return self._file

    def fds(self):
        return [] if self._file is None else [self._file.fileno()]

    def cancel(self):
        """Free it: the disk at once, since the file has no name."""
        if self._file is not None:
            self._file.close()
        self._pieces = []
