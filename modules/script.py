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


def run(task):
    from shepherd.remote import commands

    args = task.args
    reason = commands.skip_reason(args)
    if reason:
        return {"changed": False, "skipped": True, "msg": "skipped, since %s %s" % reason}
    if task.check:
        if args["creates"] or args["removes"]:
            return {"changed": True, "msg": "Script would have run if not in check mode"}
        return {"changed": False, "skipped": True, "msg": "Script would have run if not in check mode"}
    if args["chdir"]:
        try:
            os.chdir(args["chdir"])
        except OSError as error:
            task.fail("cannot change to the directory %s: %s" % (args["chdir"], error.strerror))
    return _run(task)


def _run(task):
    """Put the script into a file that only its user can read, run it, and take the file away whatever happens."""
    import shlex
    import shutil
    import tempfile

    from shepherd.remote import process

    args = task.args
    path = os.path.join(tempfile.mkdtemp(prefix="shepherd-"), os.path.basename(args["_name"]))
    try:
        with open(path, "wb") as handle:
            shutil.copyfileobj(task.upload, handle)
        os.chmod(path, 0o700)
        command = shlex.split(args["executable"] or "") + [path] + args["_arguments"]
        try:
            finished = process.run(command)
        except OSError as error:
            if error.errno == 8:  # ENOEXEC: no #! line, so it is meant for the shell
                finished = process.run(["/bin/sh"] + command)
            else:
                task.fail("cannot run %s: %s" % (args["_name"], error.strerror), rc=error.errno, stdout="", stderr="")
    finally:
        shutil.rmtree(os.path.dirname(path), ignore_errors=True)
    result = {"changed": True, "rc": finished.status, "stdout": finished.stdout, "stderr": finished.stderr}
    if finished.status != 0:
        result.update(failed=True, msg="non-zero return code")
    return result
