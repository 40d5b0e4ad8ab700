"""The content that comes along with a run: in memory while it is small, then in a file without a name."""

SMALL = 1 << 20  # bytes


class Upload:
    def __init__(self):
        self._pieces = []
        self._size = 0
        self.file = None  # where it is large

    def add(self, piece):
        """Keep a piece. Raises OSError when the disk is full."""
        self._size += len(piece)
        if self.file is not None:
            self._write(piece)
            return
        self._pieces.append(piece)
        if self._size > SMALL:
            import tempfile

            self.file = tempfile.TemporaryFile(prefix="shepherd-", buffering=0)  # noqa: SIM115  # outlives this
            for kept in self._pieces:
                self._write(kept)
            self._pieces = []

    def _write(self, piece):
        view = memoryview(piece)
        while view:
            view = view[self.file.write(view) :]

    def content(self):
        """All of it, where it is small; b"" where it is in the file."""
        return b"".join(self._pieces)

    def cancel(self):
        """Free it: the disk at once, since the file has no name."""
        if self.file is not None:
            self.file.close()
        self._pieces = []
