"""What `command` and `shell` share: whether to run, running it, and the result."""

import os
from datetime import datetime

from shepherd.remote import process


def skip_reason(args):
    """Why the conditions `creates` and `removes` say not to run: (path, "exists" or "does not exist"), or None."""
    if args["creates"] and _matches(args["creates"]):
        return args["creates"], "exists"
    if args["removes"] and not _matches(args["removes"]):
        return args["removes"], "does not exist"
    return None


def _matches(pattern):
    if not any(letter in pattern for letter in "*?["):
        return os.path.lexists(pattern)
    import glob

    return bool(glob.glob(pattern))


def run(task, command, shown):
    """Run `command` (a list), unless the task says not to; `shown` is what the result calls it."""
    args = task.args
    result = {"changed": False, "stdout": "", "stderr": "", "rc": None, "cmd": shown, "start": None, "end": None}
    result["delta"] = None
    if args["chdir"]:
        try:
            os.chdir(args["chdir"])
        except OSError as error:
            task.fail("Unable to change directory before execution: %s" % _reason(error, args["chdir"]), **result)
    result["msg"] = ""
    reason = skip_reason(args)
    result["rc"] = 0
    if reason:
        result["stdout"] = "skipped, since %s %s" % reason
        result["msg"] = "%s not run command since '%s' %s" % (("Would" if task.check else "Did",) + reason)
    elif task.check:
        result["msg"] = "Command would have run if not in check mode"
        if args["creates"] or args["removes"]:
            result["changed"] = True
        else:
            result["skipped"] = True
    else:
        _execute(task, command, result)
    return result


def _execute(task, command, result):
    args = task.args
    stdin = args["stdin"]
    if stdin is not None and args["stdin_add_newline"]:
        stdin += "\n"
    start = datetime.now()
    try:
        finished = process.run(command, stdin=stdin)
    except OSError as error:
        import shlex

        shown = " ".join(shlex.quote(word) for word in command)
        task.fail(_reason(error, command[0]), rc=error.errno, cmd=shown, stdout="", stderr="")
    end = datetime.now()
    out, err = finished.stdout, finished.stderr
    if args["strip_empty_ends"]:
        out, err = out.rstrip("\r\n"), err.rstrip("\r\n")
    result.update(changed=True, rc=finished.status, stdout=out, stderr=err)
    result.update(start=str(start), end=str(end), delta=str(end - start))
    if finished.status != 0:
        result.update(failed=True, msg="non-zero return code")


def _reason(error, path):
    """An OSError as people know it from Python, the path as bytes."""
    return "[Errno %d] %s: %r" % (error.errno, os.strerror(error.errno), os.fsencode(path))
