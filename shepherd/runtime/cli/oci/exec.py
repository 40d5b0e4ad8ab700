"""`exec [OPTIONS] ID COMMAND…`: another process in a container."""

from shepherd.runtime.bundle import config, document, execute, state
from shepherd.runtime.cli import oci
from shepherd.runtime.cli.oci import options
from shepherd.runtime.errors import RuntimeFailure

TABLE = {
    "--process": ("process", str),
    "-p": ("process", str),
    "--console-socket": ("console_socket", str),
    "--pid-file": ("pid_file", str),
    "--detach": ("detach", bool),
    "-d": ("detach", bool),
    "--tty": ("tty", bool),
    "-t": ("tty", bool),
    "--cwd": ("cwd", str),
    "--env": ("env", list),
    "-e": ("env", list),
    "--user": ("user", str),
    "-u": ("user", str),
    "--additional-gids": ("groups", list),
    "-g": ("groups", list),
    "--cap": ("capabilities", list),
    "-c": ("capabilities", list),
    "--no-new-privs": ("no_new_privileges", bool),
    "--apparmor": ("apparmor", str),
    "--process-label": ("label", str),
    "--preserve-fds": ("preserve_fds", int),
    "--ignore-paused": ("ignore_paused", bool),
    "--cgroup": ("groups_inside", list),
}


def run(chosen, words: list) -> int:
    """The verb: the exit code is the command's."""
    found = options.parse(words, TABLE, "exec [OPTIONS] ID COMMAND…", 1, None, until_first=True)
    container = state.find(oci.root(chosen), found.rest[0])
    process = document.read(found.process) if found.process else _process(container, found)
    if found.process and found.tty:
        process["terminal"] = True
    config.check_process(process, "" if found.process else "/process")
    asked = execute.Request(container, process)
    asked.console_socket = found.console_socket
    asked.pid_file = found.pid_file
    asked.preserved = found.preserve_fds or 0
    asked.ignore_paused = found.ignore_paused
    asked.groups_inside = found.groups_inside
    return execute.run(asked, found.detach)


def _process(container, found):
    """The container's process with what the options change."""
    if len(found.rest) < 2:
        raise RuntimeFailure("a command is missing", "usage: shepherd-runtime exec [OPTIONS] ID COMMAND…")
    process = document.loads(document.dumps(container.record["config"]["process"]).encode(), "process")
    process["args"] = found.rest[1:]
    process["terminal"] = found.tty
    process.pop("consoleSize", None)
    process["env"] = (process.get("env") or []) + found.env
    if found.cwd:
        process["cwd"] = found.cwd
    if found.user is not None:
        user, colon, group = found.user.partition(":")
        process["user"] = dict(process["user"], uid=identity("--user", user))
        if colon:
            process["user"]["gid"] = identity("--user", group)
    if found.groups:
        process["user"]["additionalGids"] = [identity("--additional-gids", one) for one in found.groups]
    if found.capabilities:
        sets = process["capabilities"] = dict(process.get("capabilities") or {})
        for name in ("bounding", "effective", "permitted"):  # never inheritable: it would outlive a change of user
            sets[name] = sorted(set(sets.get(name) or []) | set(found.capabilities))
    if found.no_new_privileges:
        process["noNewPrivileges"] = True
    for name, value in (("apparmorProfile", found.apparmor), ("selinuxLabel", found.label)):
        if value is not None:
            process[name] = value
    return process


def identity(option: str, text: str) -> int:
    """A user's or group's number; digits alone, for names are the image's business. Raises RuntimeFailure."""
    if (
        not (text.isdigit() and text.isascii() if hasattr(text, "isascii") else text.isdigit())
        or int(text) > (1 << 32) - 2
    ):
        raise RuntimeFailure("%s: should be numbers as in 1000:1000, and is %.40r" % (option, text))
    return int(text)
