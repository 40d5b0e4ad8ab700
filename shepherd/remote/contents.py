"""What a new content changes, for people to read: the diff of a file that is replaced as a whole."""

import os
import stat

LIMIT = 104448  # bytes of a file that are still shown


def difference(path, stream, source):
    """The diff between the file at `path` and the rest of the binary stream, which is then back where it was.

    {"before": text, "before_header": path, "after": text, "after_header": source}. In place of a text that is too long
    or none: "dst_larger" or "src_larger" with the limit, "dst_binary" or "src_binary" with 1. `stream` None: the size
    of the new content alone is known, and it is too long.
    """
    diff = {}
    try:
        old = os.stat(path)
    except OSError:
        old = None
    if old is None:
        diff["before"] = ""
    elif not stat.S_ISREG(old.st_mode) or old.st_size > LIMIT:
        diff["dst_larger"] = LIMIT
    else:
        with open(path, "rb") as current:
            _add(diff, "dst", "before", current.read(LIMIT), path)
    start = None if stream is None else stream.tell()
    data = b"" if stream is None else stream.read(LIMIT + 1)
    if stream is None or len(data) > LIMIT:
        diff["src_larger"] = LIMIT
    else:
        _add(diff, "src", "after", data, source)
    if stream is not None:
        stream.seek(start)
    return diff


def _add(diff, end, side, data, header):
    if b"\0" in data:
        diff[end + "_binary"] = 1
    else:
        diff[side + "_header"] = header
        diff[side] = data.decode("utf-8", "replace")


def of_attributes(path, diff):
    """What `attributes.apply` noted, as an item of a list of diffs."""
    header = "%s (file attributes)" % path
    return dict(diff, before_header=header, after_header=header)
