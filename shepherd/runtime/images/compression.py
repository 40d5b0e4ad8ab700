"""Compressed files as a stream of pieces: gzip by zlib, zstd by Python 3.14's compression.zstd or the zstd program.

What a file is compressed with is seen in its first bytes, whatever its name or media type says: what comes out is
verified by its digest, so a wrong guess cannot pass.
"""

import os
import zlib

from shepherd.runtime.errors import RuntimeFailure

CHUNK = 1 << 18
_INPUT = 1 << 18
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte from 0x50 to 0x5f: RFC 8878, 3.1.2


def kind_of(start: bytes) -> str:
    """plain, gzip or zstd, by the first four bytes of a file."""
    if start.startswith(_GZIP):
        return "gzip"
    if start.startswith(_ZSTD) or (start[1:4] == _ZSTD_SKIPPABLE and 0x50 <= start[0] <= 0x5F):
        return "zstd"
    return "plain"


def pieces(file):
    """(kind, iterator of bytes) of what is in `file`, from its beginning; `file` is binary and may be a pipe."""
    start = b""
    while len(start) < 4:
        more = file.read(4 - len(start))
        if not more:
            break
        start += more
    kind = kind_of(start)
    return kind, {"plain": _plain, "gzip": _gzip, "zstd": _zstd}[kind](file, start)


def _plain(file, start):
    if start:
        yield start
    while True:
        data = file.read(CHUNK)
        if not data:
            return
        yield data


def _gzip(file, start):
    """Members one after the other (RFC 1952, 2.2); zeros may follow, as tapes have them."""
    data = start + file.read(_INPUT)
    while data:
        member = zlib.decompressobj(31)
        while not member.eof:
            try:
                out = member.decompress(data, CHUNK)
            except zlib.error as error:
                raise RuntimeFailure("not good gzip: %s" % error)
            if out:
                yield out
            data = member.unused_data if member.eof else member.unconsumed_tail
            if not data and not member.eof:
                data = file.read(_INPUT)
                if not data and not out:
                    raise RuntimeFailure("the gzip data ends in the middle")
        data = data or file.read(_INPUT)
        while data and not data.strip(b"\0"):
            data = file.read(_INPUT)


def _zstd(file, start):
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        return _zstd_program(file, start)
    return _zstd_library(zstd, file, start)


def _zstd_library(zstd, file, start):
    data = start + file.read(_INPUT)
    while data:
        frame = zstd.ZstdDecompressor()
        while not frame.eof:
            try:
                out = frame.decompress(data, CHUNK)
            except zstd.ZstdError as error:
                raise RuntimeFailure("not good zstd: %s" % error)
            if out:
                yield out
            data = b""
            if not frame.eof and frame.needs_input:
                data = file.read(_INPUT)
                if not data:
                    raise RuntimeFailure("the zstd data ends in the middle")
        data = frame.unused_data or file.read(_INPUT)


def _zstd_program(file, start):
    import subprocess
    import threading

    try:
        child = subprocess.Popen(
            ["zstd", "-dcq", "--no-progress"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise RuntimeFailure(
            "this is compressed with zstd, which Python has from 3.14 on", "install the program zstd, or use gzip"
        )
    feeder = threading.Thread(target=_feed, args=(file, start, child.stdin), daemon=True)
    feeder.start()
    try:
        while True:
            data = child.stdout.read(CHUNK)
            if not data:
                break
            yield data
        said = child.stderr.read(2000).decode("utf-8", "replace").strip()
        if child.wait():
            raise RuntimeFailure("not good zstd: %s" % (said or "the program zstd failed"))
    finally:
        child.stdout.close()
        child.stderr.close()
        if child.poll() is None:
            child.kill()
            child.wait()
        feeder.join()


def _feed(file, start, pipe):
    try:
        data = start
        while data:
            pipe.write(data)
            data = file.read(_INPUT)
    except (OSError, ValueError):
        pass  # the program ended; its exit status says why
    finally:
        try:
            pipe.close()
        except OSError:
            pass


def pump(source, depth=8):
    """The pieces of the iterator `source`, made ahead of their use in a thread: zlib and hashlib leave Python free.

    What `source` raises is raised here. Closing this closes `source`.
    """
    import queue
    import threading

    ready = queue.Queue(depth)
    stopped = threading.Event()

    def put(item):
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.2)  # so that a reader who went away is noticed
                return True
            except queue.Full:
                pass
        return False

    def work():
        try:
            for piece in source:
                if not put((piece, None)):
                    break
            else:
                put((None, None))
        except BaseException as error:
            put((None, error))
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            piece, error = ready.get()
            if error is not None:
                raise error
            if piece is None:
                return
            yield piece
    finally:
        stopped.set()
        thread.join()


class _Compressed:
    """A binary file that compresses into another one."""

    def __init__(self, file, compressor):
        self._file = file
        self._compressor = compressor

    def write(self, data):
        out = self._compressor.compress(data)
        if out:
            self._file.write(out)
        return len(data)

    def close(self):
        self._file.write(self._compressor.flush())


class Gzip(_Compressed):
    """The same bytes in are the same bytes out (no name, no time)."""

    def __init__(self, file, level=6):
        super().__init__(file, zlib.compressobj(level, zlib.DEFLATED, 31))


def compressor(kind, file):
    """A file that compresses into `file` (kind: plain, gzip or zstd); close() writes the end and leaves `file` open."""
    if kind == "gzip":
        return Gzip(file)
    if kind == "zstd":
        return _zstd_writer(file)
    return _Plain(file)


class _Plain:
    def __init__(self, file):
        self.write = file.write

    def close(self):
        pass


def _zstd_writer(file):
    try:
        from compression import zstd
    except ImportError:
        return _ZstdProgram(file)
    return _Compressed(file, zstd.ZstdCompressor())


class _ZstdProgram:
    def __init__(self, file):
        import subprocess
        import threading

        try:
            self._child = subprocess.Popen(["zstd", "-cq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except FileNotFoundError:
            raise RuntimeFailure(
                "zstd is not there: Python has it from 3.14 on", "install the program zstd, or use gzip"
            )
        self._thread = threading.Thread(target=self._collect, args=(file,), daemon=True)
        self._failure = None
        self._thread.start()

    def _collect(self, file):
        try:
            while True:
                data = os.read(self._child.stdout.fileno(), _INPUT)
                if not data:
                    return
                file.write(data)
        except BaseException as error:
            self._failure = error
            self._child.kill()

    def write(self, data):
        try:
            return self._child.stdin.write(data)
        except OSError:
            self.close()
            raise

    def close(self):
        try:
            self._child.stdin.close()
        except OSError:
            pass
        self._thread.join()
        self._child.stdout.close()
        status = self._child.wait()
        if self._failure is not None:
            raise self._failure
        if status:
            raise RuntimeFailure("the program zstd failed")
