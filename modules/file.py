"""Files, directories and links: their existence, attributes and times."""

import os

from shepherd.remote import attributes, directories, file_times

SPEC = {
    "summary": "Manage files, directories and links, and their attributes",
    "description": "Creates, changes or removes a file, directory, symbolic or hard link, and sets owner, group, mode,"
    " flags and times. It never writes content: use copy, template or lineinfile for that.",
    "include": ["file_attributes"],
    "options": {
        "path": {"type": "path", "required": True, "aliases": ["dest", "name"], "help": "The path to manage."},
        "state": {
            "type": "str",
            "choices": ["absent", "directory", "file", "hard", "link", "touch"],
            "help": "`absent` removes, directories with all in them. `directory` makes it and its missing parents."
            " `file` only changes attributes of what exists. `link` and `hard` link `path` to `src`. `touch` makes an"
            " empty file, or updates the times. Default: the state that `path` has; else `directory` with `recurse`,"
            " else `file`.",
        },
        "src": {
            "type": "path",
            "help": "What a link points to; a relative one is relative to the link's directory. For `link` and `hard`.",
        },
        "recurse": {
            "type": "bool",
            "default": False,
            "help": "Give the attributes to everything inside, too. For `state: directory`.",
        },
        "force": {
            "type": "bool",
            "default": False,
            "help": "Make a link although `src` does not exist, or a file or an empty directory is in the way.",
        },
        "follow": {
            "type": "bool",
            "default": True,
            "help": "Where `path` is a symbolic link, manage what it points to.",
        },
        "access_time": {
            "type": "str",
            "help": "The time of last access: `preserve`, `now`, or a time as `access_time_format` says. Default:"
            " `preserve`, for `touch` `now`.",
        },
        "access_time_format": {
            "type": "str",
            "default": "%Y%m%d%H%M.%S",
            "help": "How `access_time` is written, in the letters of strftime(3).",
        },
        "modification_time": {
            "type": "str",
            "help": "The time of last modification: `preserve`, `now`, or a time as `modification_time_format` says."
            " Default: `preserve`, for `touch` `now`.",
        },
        "modification_time_format": {
            "type": "str",
            "default": "%Y%m%d%H%M.%S",
            "help": "How `modification_time` is written, in the letters of strftime(3).",
        },
    },
    "identity": ["path"],
    "absent": {"state": "absent"},
    "returns": {
        "path": {"type": "str", "help": "The path, for absent, directory and file.", "sample": "/etc/motd"},
        "dest": {"type": "str", "help": "The path, for touch, link and hard.", "sample": "/etc/motd"},
        "src": {"type": "str", "help": "Where the link points to, for link and hard.", "sample": "motd.new"},
        "state": {"type": "str", "help": "What is there now: file, directory, link, hard or absent.", "sample": "file"},
        "mode": {"type": "str", "help": "Its permissions.", "sample": "0644"},
        "owner": {"type": "str", "help": "Its owner.", "sample": "root"},
        "group": {"type": "str", "help": "Its group.", "sample": "root"},
        "uid": {"type": "int", "help": "Its owner's number.", "sample": 0},
        "gid": {"type": "int", "help": "Its group's number.", "sample": 0},
        "size": {"type": "int", "help": "Its size in bytes.", "sample": 1024},
    },
    "check": "full",
    "diff": "partial",
    "since": "0.1",
    "notes": ["`attributes` with + or - changes nothing where the flags are already as asked."],
    "examples": """
- name: A directory for the application
  file:
    path: /srv/app
    state: directory
    owner: www-data
    mode: "0750"

- name: The current release
  file:
    path: /srv/app/current
    src: releases/42
    state: link

- name: Everything readable, only directories searchable
  file:
    path: /srv/app
    recurse: true
    mode: u=rwX,g=rX,o=

- name: No old configuration
  file:
    path: /etc/old.d
    state: absent
""",
}


def run(task):
    args = task.args
    path = args["path"]
    before = _state(path)
    state = args["state"]
    if state is None:
        state = before if before != "absent" else "directory" if args["recurse"] else "file"
    if args["recurse"] and state != "directory":
        _fail(task, "recurse option requires state to be 'directory'", path)
    if args["src"] is not None and state not in ("link", "hard"):
        _fail(task, "src option requires state to be 'link' or 'hard'", path)
    if state == "hard" and args["src"] is not None and os.path.isdir(path):
        path = os.path.join(path, os.path.basename(args["src"]))
    return _STATES[state](task, path)


def _state(path):
    try:
        return attributes.kind(os.lstat(path))
    except OSError:
        return "absent"


def _fail(task, msg, path, **result):
    task.fail(msg, path=path, **dict(result, **attributes.info(path)))


def _followed(task, path):
    """The path to work on and its state: a symbolic link's target where `follow` says so."""
    if task.args["follow"] and os.path.islink(path):
        path = os.path.realpath(path)
    return path, _state(path)


def _diff(path, before=None, after=None):
    diff = {"before": {"path": path}, "after": {"path": path}}
    if before != after:
        diff["before"]["state"] = before
        diff["after"]["state"] = after
    return diff


def _result(key, path, changed, diff, **more):
    result = dict(more, changed=changed, diff=diff)
    result[key] = path
    result.update(attributes.info(path))
    return result


def _absent(task, path):
    before = _state(path)
    if before == "absent":
        return {"path": path, "changed": False, "state": "absent"}
    diff = _diff(path, before, "absent")
    if task.diff and before == "directory":
        diff["before"]["path_content"] = _content(path)
    if not task.check:
        try:
            if before == "directory":
                import shutil

                shutil.rmtree(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            pass  # somebody was faster
        except OSError as error:
            verb = "rmtree" if before == "directory" else "unlinking"
            _fail(task, "%s failed: %s" % (verb, error), path)
    return _result("path", path, True, diff, state="absent")


def _content(path):
    """All that goes when a tree goes."""
    directories, files = [], []
    for base, subdirectories, names in os.walk(path):
        directories.extend(os.path.join(base, name) for name in subdirectories)
        files.extend(os.path.join(base, name) for name in names)
    return {"directories": directories, "files": files}


def _file(task, path):
    times = file_times.asked(task, "preserve")
    path, before = _followed(task, path)
    if before not in ("file", "hard"):
        info = attributes.info(path)
        info["state"] = before
        task.fail("file (%s) is %s, cannot continue" % (path, before), path=path, **info)
    diff = _diff(path)
    changed = _attributes(task, path, diff)
    changed |= file_times.apply(task, path, times, diff)
    return _result("path", path, changed, diff)


def _directory(task, path):
    times = file_times.asked(task, "preserve")
    path, before = _followed(task, path)
    if before not in ("absent", "directory"):
        _fail(task, "%s already exists as a %s" % (path, before), path)
    diff = _diff(path, before, "directory")
    changed = before == "absent"
    if changed:
        if task.check:
            return {"path": path, "changed": True, "diff": diff}
        _make_directories(task, path, diff)
    changed |= _attributes(task, path, diff)
    changed |= file_times.apply(task, path, times, diff)
    if task.args["recurse"]:
        changed |= _recurse(task, path, times)
    return _result("path", path, changed, diff)


def _make_directories(task, path, diff):
    """Make `path` and the parents it lacks, each with the attributes asked for."""
    for directory in directories.missing(path):
        try:
            os.mkdir(directory)
        except FileExistsError:
            if not os.path.isdir(directory):
                _fail(task, "There was an issue creating %s as requested: it is no directory" % directory, path)
        except OSError as error:
            _fail(task, "There was an issue creating %s as requested: %s" % (directory, error), path)
        _attributes(task, directory, diff)


def _recurse(task, path, times):
    """Attributes and times for all that is inside. Symbolic links are followed where `follow` says so."""
    changed = False
    for base, subdirectories, files in os.walk(path):
        for name in subdirectories + files:
            inner = os.path.join(base, name)
            if not os.path.islink(inner):
                changed |= _attributes(task, inner, None)
                changed |= file_times.apply(task, inner, times, None)
                continue
            changed |= attributes.apply(task, inner, _without_mode(task))
            if task.args["follow"] and os.path.exists(inner):
                target = os.path.realpath(inner)
                changed |= _attributes(task, target, None)
                changed |= file_times.apply(task, target, times, None)
                if os.path.isdir(target) and not _inside(target, path):
                    changed |= _recurse(task, target, times)
    return changed


def _without_mode(task):
    desired = attributes.wanted(task)
    desired.pop("mode", None)
    return desired


def _inside(target, path):
    """Whether a link's target is part of the tree, or the tree of it: walked anyway, or without an end."""
    root = os.path.realpath(path)
    return (target + "/").startswith(root + "/") or (root + "/").startswith(target + "/")


def _link(task, path):
    args = task.args
    src = args["src"]
    before = _state(path)
    if src is None and args["follow"] and before == "link" and os.path.exists(path):
        src = os.readlink(path)
    if src is None and before == "absent":
        task.fail("src is required for creating new symlinks")
    base = path if before == "directory" else os.path.dirname(path)
    if src is not None and not args["force"] and not os.path.exists(os.path.join(base, src)):
        msg = 'src file does not exist, use "force=yes" if you really want to create the link: %s'
        _fail(task, msg % os.path.join(base, src), path, src=src)
    changed, diff = _link_change(task, path, src, before)
    if changed and not task.check:
        _place(task, path, before, lambda at: os.symlink(src, at))
    if task.check and not os.path.exists(path):
        return {"dest": path, "src": src, "changed": changed, "diff": diff}
    if args["follow"] and not os.path.exists(path):
        task.warn(
            "Cannot set fs attributes on a non-existent symlink target. follow should be set to False to avoid this."
        )
    else:
        target = os.path.realpath(path) if args["follow"] else path
        changed |= attributes.apply(task, target, attributes.wanted(task), diff)
        changed |= file_times.apply(task, target, file_times.asked(task, "preserve"), diff, args["follow"])
    return _result("dest", path, changed, diff, src=src)


def _link_change(task, path, src, before):
    """Whether the link must be made, and the diff; fails where something in the way may not go."""
    diff = _diff(path)
    if before == "link":
        old = os.readlink(path)
        if src is None or old == src:
            return False, diff
        diff["before"]["src"] = old
        diff["after"]["src"] = src
        return True, diff
    if before != "absent":
        if not task.args["force"]:
            _fail(task, "refusing to convert from %s to symlink for %s" % (before, path), path)
        if before == "directory" and os.listdir(path):
            _fail(task, "the directory %s is not empty, refusing to convert it" % path, path)
    return True, _diff(path, before, "link")


def _place(task, path, before, make):
    """Let `make(path)` make a link, in the place of what is there, if anything, in one step."""
    beside = os.path.join(os.path.dirname(path), ".shepherd-%d-%s.tmp" % (os.getpid(), os.urandom(6).hex()))
    try:
        if before == "absent":
            make(path)
            return
        make(beside)
        try:
            if before == "directory":
                os.rmdir(path)
            os.rename(beside, path)
        finally:
            if os.path.lexists(beside):
                os.unlink(beside)
    except OSError as error:
        verb = "linking" if before == "absent" else "replacing"
        _fail(task, "Error while %s: %s" % (verb, error), path)


def _hard(task, path):
    args = task.args
    src = args["src"]
    before = _state(path)
    if src is None and before != "hard":
        task.fail("src is required for creating new hardlinks")
    if src is not None and not os.path.exists(src):
        task.fail("src does not exist", dest=path, src=src, **attributes.info(path))
    diff = _diff(path)
    changed = before == "absent" or (src is not None and not _same(path, src))
    if changed:
        if before == "directory":
            _fail(task, "refusing to convert from directory to hardlink for %s" % path, path)
        if before in ("file", "hard") and not args["force"]:
            what = "file" if before == "file" else "different hard link"
            task.fail("Cannot link, %s exists at destination" % what, dest=path, src=src, **attributes.info(path))
        if before != "hard":
            diff = _diff(path, before, "hard")
        if before == "link":
            diff["before"]["src"], diff["after"]["src"] = os.readlink(path), src
        if not task.check:
            _place(task, path, before, lambda at: os.link(src, at))
    if task.check and not os.path.exists(path):
        return {"dest": path, "src": src, "changed": changed, "diff": diff}
    changed |= attributes.apply(task, path, attributes.wanted(task), diff)
    changed |= file_times.apply(task, path, file_times.asked(task, "preserve"), diff)
    return _result("dest", path, changed, diff, src=src)


def _same(path, src):
    try:
        return os.path.samestat(os.lstat(path), os.stat(src))
    except OSError:
        return False


def _touch(task, path):
    times = file_times.asked(task, "now")
    before = _state(path)
    if before == "absent" and task.check:
        return {"dest": path, "changed": True}
    changed = before == "absent"
    if changed:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError as error:
            _fail(task, "Error, could not touch target: %s" % error, path)
    diff = _diff(path, before, "touch")
    target = os.path.realpath(path) if task.args["follow"] else path
    changed |= attributes.apply(task, target, attributes.wanted(task), diff)
    changed |= file_times.apply(task, target, times, diff, task.args["follow"])
    return _result("dest", path, changed, diff)


def _attributes(task, path, diff):
    return attributes.apply(task, path, attributes.wanted(task), diff)


_STATES = {
    "absent": _absent,
    "directory": _directory,
    "file": _file,
    "hard": _hard,
    "link": _link,
    "touch": _touch,
}
