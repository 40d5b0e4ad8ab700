"""What `command` and `shell` share: whether to run, running it, and the result."""

import os
import time

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
    start = time.time()
    try:
        finished = process.run(command, stdin=stdin)
    except OSError as error:
        import shlex

        shown = " ".join(shlex.quote(word) for word in command)
        task.fail(_reason(error, command[0]), rc=error.errno, cmd=shown, stdout="", stderr="")
    end = time.time()
    out, err = finished.stdout, finished.stderr
    if args["strip_empty_ends"]:
        out, err = out.rstrip("\r\n"), err.rstrip("\r\n")
    result.update(changed=True, rc=finished.status, stdout=out, stderr=err)
    result.update(start=_moment(start), end=_moment(end), delta=_span(end - start))
    if finished.status != 0:
        result.update(failed=True, msg="non-zero return code")


def words(text):
    """A command line as its words, quotes and backslashes understood. Raises ValueError where a quote is not closed."""
    if not any(letter in text for letter in "'\"\\"):
        for blank in "\t\r\n":
            text = text.replace(blank, " ")
        return [word for word in text.split(" ") if word]
    import shlex  # with all that it imports, longer than most commands take

    return shlex.split(text)


def _moment(seconds):
    """A time as `str(datetime)` has it, without that module's 3 ms."""
    whole, micro = divmod(int(seconds * 1000000), 1000000)
    return "%s.%06d" % (time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole)), micro)


def _span(seconds):
    """A time span as `str(timedelta)` has it: hours, minutes, seconds, days in front where there are any."""
    whole, micro = divmod(max(int(seconds * 1000000), 0), 1000000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    front = "%d day%s, " % (days, "" if days == 1 else "s") if days else ""
    return "%s%d:%02d:%02d.%06d" % (front, hours, minutes, whole, micro)


def _reason(error, path):
    """An OSError as people know it from Python, the path as bytes."""
    return "[Errno %d] %s: %r" % (error.errno, os.strerror(error.errno), os.fsencode(path))
