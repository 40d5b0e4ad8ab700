"""One more process in a container that runs (docker exec)."""

import os

from shepherd.runtime.bundle import config as checks
from shepherd.runtime.bundle import document, execute, state, unprivileged
from shepherd.runtime.containers import root, users
from shepherd.runtime.containers.specification import everything_we_have, granted_capabilities, merge_environment
from shepherd.runtime.linux import user_namespace


def process(record, arguments: list, env=(), user=None, folder=None, terminal=False, privileged=False) -> dict:
    """The process object: the container's own with what is different. Raises RuntimeFailure."""
    container = state.find(record.folders.started, record.id)
    made = document.loads(document.dumps(container.record["config"]["process"]).encode("ascii"), "process")
    made.update(args=list(arguments), terminal=terminal)
    made.pop("consoleSize", None)
    made["env"] = merge_environment([one for one in made["env"] if not one.startswith("TERM=") or terminal], list(env))
    if terminal and not any(one.startswith("TERM=") for one in made["env"]):
        made["env"].append("TERM=xterm")
    if folder:
        made["cwd"] = os.path.normpath("/" + folder).replace("//", "/")
    if user is not None:
        place = root.open_running(record, record.state())
        try:
            made["user"] = users.resolve(place, user, record.host.get("GroupAdd") or ())
        finally:
            os.close(place)
        if user_namespace.of_user():
            unprivileged.adapt_user(made["user"])
    if privileged:
        made["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), everything_we_have())
    checks.check_process(made, "")
    return made


def request(record, made: dict) -> execute.Request:
    """What bundle.execute takes."""
    container = state.find(record.folders.started, record.id)
    profile = container.record["config"]["linux"].get("seccomp")
    if profile:
        from shepherd.runtime.containers import filters

        compiled = filters.default(record.folders.root, granted_capabilities(record.host))
        if profile == compiled:
            container.record["config"]["linux"]["seccomp"] = compiled
    return execute.Request(container, made)


def start(record, made: dict) -> int:
    """Start it with this process's streams: its pid, a child of this process."""
    return execute.start(request(record, made))
