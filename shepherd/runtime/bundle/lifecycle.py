"""What happens to a container after `create` (runtime.md, "Operations"): start, kill, delete, pause, resume, update."""

import _signal as signal  # signal itself costs an import of enum
import sys

from shepherd.runtime.bundle import create, document, hooks, state
from shepherd.runtime.errors import RuntimeFailure


def start(root: str, name: str) -> None:
    """Let a created container run its program."""
    with state.hold(root, name) as container:
        status = container.status()
        if status != "created":
            raise RuntimeFailure("container %s cannot be started: it is %s" % (name, status))
        ends = create.connect(container)
        try:
            ends.say(b"start")
            if ends.hear():
                raise RuntimeFailure("the container's process said something it should not")
        finally:
            ends.close()
        after_start(container)


def after_start(container) -> None:
    """The poststart hooks. Where one fails the container is ended."""
    config = container.record["config"]
    if not (config.get("hooks") or {}).get("poststart"):
        return
    try:
        hooks.run(config, "poststart", document.dumps(container.public()))
    except RuntimeFailure:
        state.kill_process(container.record)
        raise


def kill(root: str, name: str, number: int, everything: bool = False) -> None:
    """Signal a container's first process, or all of its processes."""
    container = state.find(root, name)
    if everything:
        create.open_group(container.record["group"]).kill(number)
        return
    if container.status() == "stopped":
        raise RuntimeFailure("container %s is not running" % name)
    container.send(number)


def delete(root: str, name: str, force: bool = False) -> None:
    """Take a container away that has ended; with `force`, end it."""
    try:
        container = state.hold(root, name)
    except RuntimeFailure:
        if force and state.check_name(name) not in state.names(root):
            state.sweep(root)
            return  # that it is not there is what was asked for
        raise
    with container:
        status = container.status()
        if status == "creating" and not state.alive(container.record):
            status = "stopped"  # who was making it is gone, for we have its lock
        if status != "stopped" and not force:
            raise RuntimeFailure("container %s cannot be deleted: it is %s" % (name, status), "end it, or use --force")
        remove(container)
    state.sweep(root)


def remove(container) -> None:
    """Undo what `create` did, whatever there is of it. The container is held."""
    record = container.record
    group = create.open_group(record["group"])
    if record.get("paused"):
        group.thaw()
    state.kill_process(record)
    if not container.wait():
        raise RuntimeFailure("process %d of container %s does not end" % (record["pid"], container.name))
    group.kill(signal.SIGKILL)
    group.remove()
    shown = dict(container.public(), status="stopped")
    for message in hooks.run_all(record["config"], "poststop", document.dumps(shown)):
        sys.stderr.write("shepherd-runtime: %s\n" % message)
    container.remove()


def pause(root: str, name: str) -> None:
    """Stop all processes of a running container where they are."""
    with state.hold(root, name) as container:
        status = container.status()
        if status not in ("running", "created"):
            raise RuntimeFailure("container %s cannot be paused: it is %s" % (name, status))
        container.record["paused"] = True
        container.save()
        try:
            create.open_group(container.record["group"]).freeze()
        except BaseException:
            del container.record["paused"]
            container.save()
            raise


def resume(root: str, name: str) -> None:
    """Let them go on."""
    with state.hold(root, name) as container:
        if not container.record.get("paused") or container.status() == "stopped":
            raise RuntimeFailure("container %s is not paused" % name)
        create.open_group(container.record["group"]).thaw()
        del container.record["paused"]
        container.save()


def update(root: str, name: str, resources: dict) -> None:
    """Change limits: an object as linux.resources has it, with what is to change."""
    with state.hold(root, name) as container:
        status = container.status()
        if status not in ("running", "created", "paused"):
            raise RuntimeFailure("container %s cannot be updated: it is %s" % (name, status))
        create.open_group(container.record["group"]).apply(resources)
        kept = container.record["config"]["linux"].setdefault("resources", {})
        for controller, values in resources.items():
            if isinstance(values, dict) and isinstance(kept.get(controller), dict):
                kept[controller].update(values)
            else:
                kept[controller] = values
        container.save()
