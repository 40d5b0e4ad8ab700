"""Files and whole directories, from the controller or from elsewhere on the target, to their place.

What the action on the controller and this module say to each other, beside the documented options:

One file or `content`. The action gives `_checksum` (sha1 of the new content), `_size` (bytes), `_original_basename`
(the source's; not for `content`) and resolves `mode: preserve`; it may upload a small content at once. Where the
content is needed and did not come, the answer is {"need": "content"} and nothing was changed: the action runs the
module again with the same arguments and the upload. With diff this may happen in check mode, too.

A directory. The action gives `_tree`, a list of entries as shepherd/remote/tree.py describes them, with the mode of
files where `mode: preserve` is asked for and None elsewhere. `dest` is where the entries go (the source's own name is
part of their paths where its path has no trailing slash). The answer {"need": [paths]} names the files whose content is
missing or other; nothing was changed. The action runs the module again with one upload: those contents, one after the
other; and with `_need` set to that list, which saves digesting everything again. Where nothing is needed the first
answer is the result.
"""

import os

from shepherd.remote import atomic, attributes, contents, destination, tree

SPEC = {
    "summary": "Copy files to remote locations",
    "description": "Copies a file, a directory, or the text in `content` from the controller to the target, or, with"
    " `remote_src`, from one place on the target to another. What is the same already is not sent.",
    "include": ["file_attributes", "validate", "backup"],
    "options": {
        "src": {
            "type": "path",
            "help": "The file or directory to copy: on the controller, looked for in `files/`, or on the target with"
            " `remote_src`. Of a directory that ends in `/` only what is inside is copied.",
        },
        "content": {"type": "raw", "help": "The content itself, in place of `src`. Data becomes JSON."},
        "dest": {
            "type": "path",
            "required": True,
            "help": "Where it goes. A file goes into a `dest` that is a directory or ends in `/`; that is made where"
            " it does not exist. Otherwise the directory of `dest` must exist.",
        },
        "force": {
            "type": "bool",
            "default": True,
            "help": "`false` leaves files that exist as they are, whatever their content.",
        },
        "remote_src": {"type": "bool", "default": False, "help": "`src` is on the target."},
        "directory_mode": {
            "type": "raw",
            "help": "Permissions of directories that are made, and of those inside a directory that is copied.",
        },
        "follow": {
            "type": "bool",
            "default": False,
            "help": "Where `dest` is a symbolic link to a file, write that file; else the link becomes a file.",
        },
        "local_follow": {
            "type": "bool",
            "help": "Copy what symbolic links in a directory point to, not the links. Default: `true`, with"
            " `remote_src` `false`.",
        },
        "checksum": {"type": "str", "help": "The sha1 that the content must have; anything else fails."},
        "decrypt": {"type": "bool", "default": True, "help": "Decrypt a `src` that is a vault."},
    },
    "constraints": {"mutually_exclusive": [["src", "content"]]},
    "identity": ["dest"],
    "returns": {
        "dest": {"type": "str", "help": "Where it went.", "sample": "/etc/motd"},
        "src": {"type": "str", "help": "Where it came from.", "sample": "files/motd"},
        "checksum": {
            "type": "str",
            "help": "The content's sha1.",
            "sample": "6e642bb8dd5c2e027bf21dd923337cbb4214f827",
        },
        "md5sum": {
            "type": "str",
            "help": "The content's MD5, when it was written.",
            "sample": "2a5aeecc61dc98c4d780b14",
        },
        "backup_file": {
            "type": "str",
            "help": "The copy of the old file.",
            "sample": "/etc/motd.4.2026-02-12@22:09:00~",
        },
        "owner": {"type": "str", "help": "The file's owner.", "sample": "root"},
        "group": {"type": "str", "help": "The file's group.", "sample": "root"},
        "uid": {"type": "int", "help": "The owner's number.", "sample": 0},
        "gid": {"type": "int", "help": "The group's number.", "sample": 0},
        "mode": {"type": "str", "help": "The file's permissions.", "sample": "0644"},
        "size": {"type": "int", "help": "The file's size in bytes.", "sample": 1220},
        "state": {"type": "str", "help": "What it is: file, hard or directory.", "sample": "file"},
    },
    "check": "full",
    "diff": "full",
    "since": "0.1",
    "notes": [
        "`mode: preserve` gives files the permissions of the source.",
        "`owner`, `group` and `mode` are set before the new file can be opened by anybody.",
    ],
    "examples": """
- name: A configuration file
  copy:
    src: app.conf
    dest: /etc/app.conf
    owner: root
    mode: "0644"
    backup: true

- name: A line of text
  copy:
    content: "{{ inventory_hostname }}\\n"
    dest: /etc/cluster-name

- name: A directory, what is inside
  copy:
    src: site/
    dest: /srv/www
    mode: preserve

- name: Only what visudo accepts
  copy:
    src: sudoers
    dest: /etc/sudoers
    validate: visudo -cf %s
""",
}


def run(task):
    args = task.args
    if args.get("_tree") is not None:
        return _uploaded_tree(task)
    if not args["remote_src"]:
        return _uploaded_file(task)
    if args["src"] is None or not os.path.exists(args["src"]):
        task.fail("Source %s not found" % args["src"])
    if not os.access(args["src"], os.R_OK):
        task.fail("Source %s not readable" % args["src"])
    if os.path.isdir(args["src"]):
        return _local_tree(task)
    return _local_file(task)


# One file


def _uploaded_file(task):
    args = task.args
    dest = destination.of_file(task, args.get("_original_basename"))
    result = {"dest": dest, "src": args["src"]}
    exists = os.path.lexists(dest)
    if exists and os.path.exists(dest) and not args["force"]:
        return dict(result, changed=False)
    checksum = args.get("_checksum") or args["checksum"]
    if exists and not os.path.islink(dest) and os.path.isfile(dest) and _digest(dest, args.get("_size")) == checksum:
        return _unchanged(task, dest, checksum)
    shown = task.diff and not (args.get("_size") or 0) > contents.LIMIT
    if task.upload is None and (shown or not task.check):
        return {"changed": False, "need": "content"}
    destination.check_parent(task, dest)
    header = args["src"] if args["src"] is not None else dest
    result["checksum"] = checksum
    return _write(task, dest, task.upload, header, attributes.wanted(task), result)


def _local_file(task):
    args = task.args
    dest = destination.of_file(task, os.path.basename(args["src"]))
    result = {"dest": dest, "src": args["src"]}
    if os.path.exists(dest) and not args["force"]:
        return dict(result, msg="file already exists", changed=False, **attributes.info(dest))
    desired = attributes.wanted(task)
    with open(args["src"], "rb") as stream:
        found = os.fstat(stream.fileno())
        if desired.get("mode") == "preserve":
            desired["mode"] = found.st_mode & 0o7777
        result["checksum"] = checksum = atomic.digest(args["src"])
        if args["checksum"] and args["checksum"] != checksum:
            _fail_checksum(task, checksum, args["checksum"])
        same = os.path.isfile(dest) and not os.path.islink(dest)
        if not same or _digest(dest, found.st_size) != checksum:
            destination.check_parent(task, dest)
            if os.path.lexists(dest):
                desired.setdefault("mode", found.st_mode & 0o7777)
            return _write(task, dest, stream, args["src"], desired, result)
    diff = {}
    result["changed"] = attributes.apply(task, dest, desired, diff)
    result["md5sum"] = _md5(args["src"])
    if task.diff and diff:
        result["diff"] = [contents.of_attributes(dest, diff)]
    result.update(attributes.info(dest))
    return result


def _digest(path, size):
    """The sha1 of a file; None, without reading it, where its size is not the one looked for."""
    if size is not None and os.path.getsize(path) != size:
        return None
    return atomic.digest(path)


def _md5(path):
    try:
        return atomic.digest(path, "md5")
    except ValueError:  # forbidden on this machine
        return None


def _fail_checksum(task, checksum, expected):
    msg = "Copied file does not match the expected checksum. Transfer failed."
    task.fail(msg, checksum=checksum, expected_checksum=expected)


def _unchanged(task, dest, checksum):
    """The content is right already; the attributes may not be."""
    diff = {"before": {"path": dest}, "after": {"path": dest}}
    changed = attributes.apply(task, dest, attributes.wanted(task), diff)
    result = {"changed": changed, "dest": dest, "path": dest, "checksum": checksum, "diff": diff}
    result.update(attributes.info(dest))
    return result


def _write(task, dest, stream, header, desired, result):
    """Put the rest of `stream` at `dest`."""
    import hashlib

    args = task.args
    result["changed"] = True
    if task.diff:
        result["diff"] = [contents.difference(dest, stream, header)]
    diff = {}
    existed = os.path.isfile(dest) and not os.path.islink(dest)
    if task.check:
        if existed:
            attributes.apply(task, dest, desired, diff)
    else:
        with atomic.Draft(task, dest) as draft:
            sha1 = hashlib.sha1()
            try:
                md5 = hashlib.md5()
            except ValueError:  # forbidden on this machine
                md5 = None
            draft.copy(stream, sha1, *([md5] if md5 else []))
            result["checksum"] = sha1.hexdigest()
            result["md5sum"] = md5.hexdigest() if md5 else None
            for expected in (args["checksum"], args.get("_checksum")):
                if expected and expected != result["checksum"]:
                    _fail_checksum(task, result["checksum"], expected)
            tree.validate(task, draft)
            if args["backup"] and os.path.exists(dest):
                result["backup_file"] = atomic.backup(task, dest)
            draft.commit(desired, diff, keep=not args["remote_src"])
    if task.diff and diff and existed:  # a new file had no attributes before
        result["diff"].append(contents.of_attributes(dest, diff))
    result.update(attributes.info(dest))
    return result


# A directory


def _uploaded_tree(task):
    args = task.args
    import hashlib

    def desired(entry, _):
        if entry.kind == "dir":
            return destination.for_directories(task)
        chosen = attributes.wanted(task) if entry.mode is None else attributes.wanted(task, mode=entry.mode)
        if entry.kind == "link":
            chosen.pop("mode", None)
        return chosen

    def write(entry, draft):
        sha1 = hashlib.sha1()
        draft.copy(task.upload, sha1, size=entry.size)
        return sha1.hexdigest()

    whole = tree.Tree(task, args["dest"], args["_tree"], desired, write)
    differing = args.get("_need")
    if differing is None:
        differing = whole.differing()
        if differing and task.upload is None and not task.check:
            return {"changed": False, "need": differing}
    _bring(task, whole, args["dest"], differing)
    result = {"dest": os.path.join(args["dest"], ""), "src": args["src"], "changed": whole.changed}
    if task.diff and whole.before:
        result["diff"] = {"before": whole.before, "after": whole.after}
    return result


def _local_tree(task):
    args = task.args
    import hashlib

    src, dest = args["src"], args["dest"]
    name = os.path.basename(src)
    top = dest if os.path.isdir(dest) else None
    place = os.path.join(dest, name)
    shown = place if top or dest.endswith("/") else dest
    if os.path.isdir(place) and name and not args["force"]:
        return dict(msg="file already exists", src=src, dest=place, changed=False, **attributes.info(place))
    if not dest.endswith("/"):
        destination.check_parent_exists(task, dest)
    mode = os.stat(src).st_mode & 0o7777

    def desired(entry, made):
        chosen = attributes.wanted(task)
        asked = chosen.pop("mode", None)
        if entry.kind != "link" and (made or asked == "preserve"):
            chosen["mode"] = entry.mode
        return chosen

    def write(entry, draft):
        sha1 = hashlib.sha1()
        with open(os.path.join(src, entry.name), "rb") as stream:
            draft.copy(stream, sha1)
        return sha1.hexdigest()

    entries = tree.scan(src, bool(args["local_follow"]))
    whole = tree.Tree(task, place, entries, desired, write)
    differing = whole.differing()
    made = _bring(task, whole, place, differing, mode)
    asked = attributes.wanted(task)
    if asked.get("mode") == "preserve":
        asked["mode"] = mode
    if not (made and task.check):
        whole.changed |= attributes.apply(task, shown, asked)
    result = {"dest": shown, "src": src, "md5sum": None, "checksum": None, "changed": whole.changed}
    if task.diff and whole.before:
        result["diff"] = {"before": whole.before, "after": whole.after}
    result.update(attributes.info(shown))
    return result


def _bring(task, whole, place, differing, mode=None):
    """Put a tree in its place. True where that had to be made; `mode` is what it then gets."""
    made = not os.path.isdir(place)
    if made:
        if os.path.lexists(place.rstrip("/")):
            task.fail("can not copy a directory to %s: it is no directory" % place)
        whole.changed = True
        destination.make_directories(task, place)
        if mode is not None and not task.check:
            attributes.apply(task, place, {"mode": mode})
    try:
        whole.bring(differing)
    except OSError as error:
        task.fail("could not copy all of the directory: %s" % error)
    return made
