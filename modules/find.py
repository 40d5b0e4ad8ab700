"""Files that have something in common."""

import os
import re
import stat
import time

from shepherd.remote import atomic, status
from shepherd.remote import mode as modes

SPEC = {
    "summary": "Return a list of files based on specific criteria",
    "description": "Looks through directories for what meets all of the criteria.",
    "options": {
        "paths": {
            "type": "list",
            "elements": "path",
            "required": True,
            "aliases": ["name", "path"],
            "help": "The directories to search.",
        },
        "patterns": {
            "type": "list",
            "elements": "str",
            "default": [],
            "aliases": ["pattern"],
            "help": "Shell patterns, or with `use_regex` regular expressions, one of which the whole name, without its"
            " directory, must match. Default: any name.",
        },
        "excludes": {
            "type": "list",
            "elements": "str",
            "aliases": ["exclude"],
            "help": "Patterns of the same kind for names to leave out.",
        },
        "use_regex": {"type": "bool", "default": False, "help": "The patterns are regular expressions."},
        "contains": {
            "type": "str",
            "help": "A regular expression that a line of the file must match from its start. For `file_type: file`.",
        },
        "read_whole_file": {
            "type": "bool",
            "default": False,
            "help": "Look for `contains` anywhere in the whole text, which is held in memory.",
        },
        "encoding": {"type": "str", "help": "The encoding of the files, for `contains`. Default: the locale's."},
        "file_type": {
            "type": "str",
            "default": "file",
            "choices": ["any", "directory", "file", "link"],
            "help": "What to look for.",
        },
        "recurse": {"type": "bool", "default": False, "help": "Also look into directories below."},
        "depth": {"type": "int", "help": "How many levels to go down; 1 is the directory itself. Default: all."},
        "follow": {"type": "bool", "default": False, "help": "Also go into directories that are symbolic links."},
        "hidden": {"type": "bool", "default": False, "help": "Include names that begin with a dot."},
        "age": {
            "type": "str",
            "help": "At least that old, or with a minus at most; a number of seconds, or of s, m, h, d or w (`2d`).",
        },
        "age_stamp": {
            "type": "str",
            "default": "mtime",
            "choices": ["atime", "ctime", "mtime"],
            "help": "Which of the times `age` means.",
        },
        "size": {
            "type": "str",
            "help": "At least that large, or with a minus at most; a number of bytes, or of b, k, m, g or t (`10m`)."
            " Not looked at for anything but files.",
        },
        "mode": {"type": "raw", "help": "Their permissions, octal or symbolic."},
        "exact_mode": {"type": "bool", "default": True, "help": "`false`: at least those of `mode`."},
        "get_checksum": {"type": "bool", "default": False, "help": "Digest the files that are found."},
        "checksum_algorithm": {
            "type": "str",
            "default": "sha1",
            "choices": ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"],
            "aliases": ["checksum", "checksum_algo"],
            "help": "How to digest them.",
        },
        "limit": {"type": "int", "help": "Stop when so many are found; upper directories come first."},
    },
    "returns": {
        "files": {
            "type": "list",
            "help": "What was found, each with the fields of stat.",
            "sample": [{"path": "/var/tmp/test1", "mode": "0644", "size": 3}],
        },
        "matched": {"type": "int", "help": "How many were found.", "sample": 14},
        "examined": {"type": "int", "help": "How many were looked at.", "sample": 34},
        "skipped_paths": {"type": "dict", "help": "What could not be searched, and why.", "sample": {}},
        "msg": {"type": "str", "help": "Whether all was searched.", "sample": "All paths examined"},
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "notes": ["Within a directory, names come in alphabetical order."],
    "examples": """
- name: Old logs
  find:
    paths: /var/log
    patterns: ["*.log", "*.gz"]
    age: 4w
    size: 1m
    recurse: true
  register: old

- name: Gone
  file:
    path: "{{ item.path }}"
    state: absent
  loop: "{{ old.files }}"
""",
}

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_NUMBERS = ("uid", "gid", "size", "inode", "dev", "nlink", "atime", "mtime", "ctime")
_KINDS = {"file": stat.S_ISREG, "directory": stat.S_ISDIR, "link": stat.S_ISLNK, "any": bool}


def run(task):
    args = task.args
    if args["limit"] == 0:
        task.fail("limit cannot be 0 (use None for unlimited)")
    skipped = {}
    search = Search(task, skipped)
    files, examined = [], 0
    msg = "All paths examined"
    for top in args["paths"]:
        try:
            if not os.path.isdir(top):
                raise OSError("'%s' is not a directory" % top)
            for looked, found in search.walk(top):
                examined += looked
                room = None if args["limit"] is None else args["limit"] - len(files)
                files.extend(found if room is None else found[:room])
                if room is not None and len(found) >= room:
                    break
        except (OSError, ValueError, LookupError, re.error) as error:
            skipped[top] = error.details if isinstance(error, modes.BadModeError) else str(error)
        if args["limit"] is not None and len(files) >= args["limit"]:
            msg = "Limit of matches reached"
            break
    for path, reason in skipped.items():
        task.warn("Skipped '%s' path due to this access issue: %s\n" % (path, reason))
    if skipped:
        msg = "Not all paths examined, check warnings for details"
    return {
        "changed": False,
        "files": files,
        "matched": len(files),
        "examined": examined,
        "skipped_paths": skipped,
        "msg": msg,
    }


class Search:
    """The criteria of the task, made ready once."""

    def __init__(self, task, skipped):
        """`skipped` is filled in with the paths that could not be searched, and why."""
        self.args = args = task.args
        self.skipped = skipped
        self.now = time.time()
        self.age = _amount(task, "age", _SECONDS)
        self.size = _amount(task, "size", _BYTES)
        self.is_kind = _KINDS[args["file_type"]]
        self._named = self._excluded = self._pattern = None

    def walk(self, top):
        """For each directory: how many entries it has, and the files found in it."""
        args = self.args
        self._named = self._matcher(args["patterns"])
        self._excluded = self._matcher(args["excludes"])
        self._pattern = re.compile(args["contains"]) if args["contains"] is not None else None

        def refused(error):
            self.skipped[error.filename] = str(error)

        level = top.rstrip("/").count("/")
        for base, directories, names in os.walk(top, onerror=refused, followlinks=args["follow"]):
            directories.sort()
            entries = sorted(names) + directories
            depth = base.rstrip("/").count("/") - level + 1
            if args["depth"] and depth > args["depth"]:
                del directories[:]
                yield len(entries), []
                continue
            found = [said for said in (self._look(top, base, name) for name in entries) if said]
            if args["follow"]:
                directories[:] = [name for name in directories if not _is_loop(os.path.join(base, name))]
            yield len(entries), found
            if not args["recurse"]:
                return

    def _matcher(self, patterns):
        """A function that tells whether a name matches one of the patterns; None where there are none."""
        if not patterns:
            return None
        if not self.args["use_regex"]:
            import fnmatch

            patterns = [fnmatch.translate(pattern) for pattern in patterns]
        compiled = [re.compile(pattern) for pattern in patterns]
        if self.args["use_regex"]:
            return lambda name: any(pattern.fullmatch(name) for pattern in compiled)
        return lambda name: any(pattern.match(name) for pattern in compiled)

    def _look(self, top, base, name):
        """What stat says of an entry that meets the criteria; None of any other."""
        args = self.args
        if name.startswith(".") and not args["hidden"]:
            return None
        if self._named is not None and not self._named(name):
            return None
        if self._excluded is not None and self._excluded(name):
            return None
        path = os.path.normpath(os.path.join(base, name))
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None  # gone meanwhile
        if not (self.is_kind(found.st_mode) and self._old(found) and self._permitted(found)):
            return None
        if stat.S_ISREG(found.st_mode):
            if not self._large(found):
                return None
            if args["file_type"] == "file" and self._pattern is not None and not self._contains(top, path):
                return None
        said = _said(path, found)
        if args["get_checksum"] and stat.S_ISREG(found.st_mode) and os.access(path, os.R_OK):
            said["checksum"] = atomic.digest(path, args["checksum_algorithm"])
        return said

    def _old(self, found):
        if self.age is None:
            return True
        age = self.now - getattr(found, "st_" + self.args["age_stamp"])
        return age >= self.age if self.age >= 0 else age <= -self.age

    def _large(self, found):
        if self.size is None:
            return True
        return found.st_size >= self.size if self.size >= 0 else found.st_size <= -self.size

    def _permitted(self, found):
        if self.args["mode"] is None:
            return True
        wanted = modes.parse(self.args["mode"], stat.S_IFMT(found.st_mode))  # symbolic modes start from nothing
        mode = stat.S_IMODE(found.st_mode)
        return mode == wanted if self.args["exact_mode"] else bool(mode & wanted)

    def _contains(self, top, path):
        """Whether the text is found in the file. A file that cannot be read is skipped."""
        encoding = self.args["encoding"]
        try:
            with open(path, encoding=encoding) as stream:
                if self.args["read_whole_file"]:
                    return self._pattern.search(stream.read()) is not None
                return any(self._pattern.match(line) for line in stream)
        except UnicodeDecodeError:
            used = encoding or 'None (default determined by the Python built-in function "open")'
            msg = "Failed to read the file %s due to an encoding error. current encoding: %s"
            self.skipped[top] = msg % (path, used)
        except OSError as error:
            self.skipped[top] = str(error)
        return False


def _is_loop(path):
    """Whether a directory is one of those above it, by way of a link."""
    if not os.path.islink(path):
        return False
    above = os.path.realpath(os.path.dirname(path)).rstrip("/") + "/"
    return above.startswith(os.path.realpath(path).rstrip("/") + "/")


def _amount(task, option, units):
    """A number with a unit; None where the option is not set."""
    text = task.args[option]
    if text is None:
        return None
    found = re.match(r"(-?\d+)([%s])?$" % "".join(units), text.lower())
    if found is None:
        task.fail("failed to process %s" % option, **{option: text})
    return int(found.group(1)) * units[found.group(2) or next(iter(units))]


def _said(path, found):
    mode = found.st_mode
    said = {"path": path, "mode": "%04o" % stat.S_IMODE(mode)}
    said.update((key, is_kind(mode)) for key, is_kind in status.KINDS.items())
    said.update((key, bool(mode & bit)) for key, bit in status.BITS.items())
    said.update((key, getattr(found, status.NUMBERS[key])) for key in _NUMBERS)
    said["pw_name"] = status.user(found.st_uid) or ""
    said["gr_name"] = status.group(found.st_gid) or ""
    return said
