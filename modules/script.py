"""Run a script of the controller on the host."""

import os

SPEC = {
    "summary": "Run a script of the controller on the host",
    "description": "The script is sent over the connection and run; any language that the host has will do. Nothing of"
    " it stays on the host.",
    "free_form": "cmd",
    "options": {
        "cmd": {"type": "str", "help": "The script, looked for in `files/` of the role, and its arguments."},
        "chdir": {"type": "path", "help": "Run it in this directory of the host."},
        "creates": {
            "type": "path",
            "help": "A path or glob pattern on the host. Where it exists, the script does not run.",
        },
        "removes": {
            "type": "path",
            "help": "A path or glob pattern on the host. Where it does not exist, the script does not run.",
        },
        "executable": {"type": "str", "help": "What to run it with, such as `python3` or `/bin/bash -e`."},
        "decrypt": {
            "type": "bool",
            "default": True,
            "help": "Decrypt a script that is encrypted with a vault. Vaults are not supported yet.",
        },
    },
    "returns": {
        "rc": {"type": "int", "help": "Its exit status, 0 for success; negative: the signal that ended it."},
        "stdout": {"type": "str", "help": "What it wrote to its standard output."},
        "stderr": {"type": "str", "help": "What it wrote to its standard error."},
    },
    "check": "partial",
    "diff": "none",
    "platforms": ["posix"],
    "since": "0.1",
    "notes": ["In check mode it does not run; with `creates` or `removes` the result says whether it would."],
    "examples": """
- name: Set up the cluster, once
  script: setup.sh --join "{{ groups['db'] | first }}"
  args:
    creates: /var/lib/cluster/joined

- name: A script in Python
  script:
    cmd: report.py --all
    executable: python3
""",
}


# the first word of a command line, as a shell reads it: the script's name; the arguments follow
NAME = r"""\s*(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+"""


def run(task):
    from shepherd.remote import commands

    args = task.args
    reason = commands.skip_reason(args)
    if reason:
        option = "creates" if reason[1] == "exists" else "removes"
        return {"changed": False, "skipped": True, "msg": "%s %s, matching %s option" % (reason + (option,))}
    if task.check:
        if args["creates"] or args["removes"]:
            return {"changed": True}
        return {"changed": False, "skipped": True, "msg": "Check mode is not supported for this task."}
    if args["chdir"]:
        if not os.path.isabs(args["chdir"]):
            task.fail("chdir %s must be an absolute path for a Unix-aware remote node" % args["chdir"])
        try:
            os.chdir(args["chdir"])
        except OSError as error:
            task.fail("cannot change to the directory %s: %s" % (args["chdir"], error.strerror))
    return _run(task)


def _run(task):
    """Put the script into a file that only its user can read, run it, and take the file away whatever happens."""
    import re
    import shlex
    import shutil
    import tempfile

    from shepherd.remote import process

    args = task.args
    directory = tempfile.mkdtemp(prefix="shepherd-", dir=_place(tempfile.gettempdir()))
    path = os.path.join(directory, os.path.basename(args["_name"]))
    arguments = args["cmd"][re.match(NAME, args["cmd"], re.DOTALL).end() :]
    command = ("%s " % args["executable"] if args["executable"] else "") + shlex.quote(path) + arguments
    try:
        with open(path, "wb") as handle:
            shutil.copyfileobj(task.upload, handle)
        os.chmod(path, 0o700)
        finished = process.run(
            ["/bin/sh", "-c", command]
        )  # the shell reads the arguments, and runs what has no #! line
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    result = {"changed": True, "rc": finished.status, "stdout": finished.stdout, "stderr": finished.stderr}
    if finished.status != 0:
        result.update(failed=True, msg="non-zero return code")
    return result


def _place(usual):
    """A directory where programs may run: many systems forbid that in /tmp."""
    for place in (usual, "/var/tmp", os.path.expanduser("~")):
        try:
            if not os.statvfs(place).f_flag & os.ST_NOEXEC and os.access(place, os.W_OK | os.X_OK):
                return place
        except OSError:
            pass
    return usual
