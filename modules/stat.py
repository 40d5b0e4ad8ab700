"""What there is to know about a path."""

import os
import stat

from shepherd.remote import atomic, attributes, process, status

SPEC = {
    "summary": "Retrieve file or file system status",
    "description": "Answers what stat(2) says of a path, with a digest of the content, its MIME type and its flags.",
    "options": {
        "path": {"type": "path", "required": True, "aliases": ["dest", "name"], "help": "The path to look at."},
        "follow": {"type": "bool", "default": False, "help": "Look at what a symbolic link points to."},
        "get_checksum": {"type": "bool", "default": True, "help": "Digest the content of a file."},
        "checksum_algorithm": {
            "type": "str",
            "default": "sha1",
            "choices": ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"],
            "aliases": ["checksum", "checksum_algo"],
            "help": "How to digest it.",
        },
        "get_mime": {
            "type": "bool",
            "default": True,
            "aliases": ["mime", "mime_type", "mime-type"],
            "help": "Ask file(1) for MIME type and encoding; `unknown` where there is none. It takes milliseconds.",
        },
        "get_attributes": {
            "type": "bool",
            "default": True,
            "aliases": ["attr", "attributes"],
            "help": "Read the flags that lsattr(1) shows; none where the file system has none.",
        },
    },
    "returns": {
        "stat": {
            "type": "dict",
            "help": "Only `exists` where nothing is there.",
            "contains": {
                "exists": {"type": "bool", "help": "Whether anything is there.", "sample": True},
                "path": {"type": "str", "help": "The path.", "sample": "/etc/motd"},
                "mode": {"type": "str", "help": "Permissions, octal.", "sample": "0644"},
                "isreg": {"type": "bool", "help": "A file."},
                "isdir": {"type": "bool", "help": "A directory."},
                "islnk": {"type": "bool", "help": "A symbolic link."},
                "ischr": {"type": "bool", "help": "A character device."},
                "isblk": {"type": "bool", "help": "A block device."},
                "isfifo": {"type": "bool", "help": "A named pipe."},
                "issock": {"type": "bool", "help": "A socket."},
                "uid": {"type": "int", "help": "The owner's number."},
                "gid": {"type": "int", "help": "The group's number."},
                "pw_name": {"type": "str", "help": "The owner's name, if it has one."},
                "gr_name": {"type": "str", "help": "The group's name, if it has one."},
                "size": {"type": "int", "help": "Bytes."},
                "blocks": {"type": "int", "help": "Blocks of 512 bytes that it takes."},
                "block_size": {"type": "int", "help": "Bytes at which reading it is efficient."},
                "device_type": {"type": "int", "help": "The device that a device file stands for."},
                "inode": {"type": "int", "help": "Its inode."},
                "dev": {"type": "int", "help": "The device it is on."},
                "nlink": {"type": "int", "help": "How many hard links it has."},
                "atime": {"type": "float", "help": "Last access, seconds since the epoch."},
                "mtime": {"type": "float", "help": "Last change of the content."},
                "ctime": {"type": "float", "help": "Last change of the inode."},
                "rusr": {
                    "type": "bool",
                    "help": "The owner may read; likewise wusr, xusr, rgrp, wgrp, xgrp, roth, ...",
                },
                "isuid": {"type": "bool", "help": "The set-user-id bit."},
                "isgid": {"type": "bool", "help": "The set-group-id bit."},
                "readable": {"type": "bool", "help": "We may read it."},
                "writeable": {"type": "bool", "help": "We may write it."},
                "executable": {"type": "bool", "help": "We may execute it."},
                "lnk_source": {"type": "str", "help": "The absolute path that a link ends at."},
                "lnk_target": {"type": "str", "help": "What the link says."},
                "checksum": {"type": "str", "help": "The digest of a file that we may read."},
                "mimetype": {"type": "str", "help": "Its MIME type.", "sample": "text/plain"},
                "charset": {"type": "str", "help": "Its encoding.", "sample": "us-ascii"},
                "attributes": {"type": "list", "help": "Names of its flags.", "sample": ["extents"]},
                "attr_flags": {"type": "str", "help": "Letters of its flags.", "sample": "e"},
                "version": {"type": "str", "help": "Its generation in the file system."},
            },
        },
    },
    "check": "full",
    "diff": "none",
    "since": "0.1",
    "notes": ["With `follow`, MIME type and flags are those of what the link points to, too."],
    "examples": """
- name: Is there a lock?
  stat:
    path: /run/app.lock
    get_checksum: false
    get_mime: false
  register: lock

- name: Wait for the other one
  fail:
    msg: locked
  when: lock.stat.exists
""",
}


def run(task):
    args = task.args
    path = args["path"]
    try:
        found = os.stat(path) if args["follow"] else os.lstat(path)
    except FileNotFoundError:
        return {"changed": False, "stat": {"exists": False}}
    except OSError as error:
        return task.fail(error.strerror)
    said = {"exists": True, "path": path, "mode": "%04o" % stat.S_IMODE(found.st_mode)}
    said.update((key, is_kind(found.st_mode)) for key, is_kind in status.KINDS.items())
    said.update((key, bool(found.st_mode & bit)) for key, bit in status.BITS.items())
    said.update((key, getattr(found, name)) for key, name in status.NUMBERS.items() if hasattr(found, name))
    said["readable"] = os.access(path, os.R_OK)
    said["writeable"] = os.access(path, os.W_OK)
    said["executable"] = os.access(path, os.X_OK)
    for key, number, name_of in (("pw_name", found.st_uid, status.user), ("gr_name", found.st_gid, status.group)):
        name = name_of(number)
        if name is not None:
            said[key] = name
    if said["islnk"]:
        said["lnk_source"] = os.path.realpath(path)
        said["lnk_target"] = os.readlink(path)
    if said["isreg"] and said["readable"] and args["get_checksum"]:
        said["checksum"] = _digest(task, path, args["checksum_algorithm"])
    if args["get_mime"]:
        said["mimetype"], said["charset"] = _mime(path, args["follow"])
    if args["get_attributes"]:
        said.update(attributes.flags(os.path.realpath(path) if args["follow"] else path))
    return {"changed": False, "stat": said}


def _digest(task, path, algorithm):
    try:
        return atomic.digest(path, algorithm)
    except ValueError as error:
        return task.fail("Could not hash file '%s' with algorithm '%s': %s" % (path, algorithm, error))


def _mime(path, follow):
    """MIME type and encoding as file(1) names them, or "unknown"."""
    options = ["--brief", "--mime-type", "--mime-encoding"] + (["--dereference"] if follow else [])
    try:
        found = process.run(["file"] + options + ["--", path], environment={"LC_ALL": "C.UTF-8"})
    except OSError:
        return "unknown", "unknown"
    kind, mark, charset = found.stdout.strip().partition("; charset=")
    if found.status != 0 or not mark or " " in kind:
        return "unknown", "unknown"
    return kind, charset
