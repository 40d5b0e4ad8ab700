"""What happens to a container after `create` (runtime.md, "Operations"): start, kill, delete, pause, resume, update."""

from _signal import SIGKILL  # signal itself costs an import of enum

from shepherd.runtime.bundle import create, document, groups, hooks, schema, state
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
        except RuntimeFailure as error:
            if error.message.startswith("/hooks/startContainer/"):
                remove(container)
            raise
        finally:
            ends.close()
        after_start(container)


def after_start(container) -> None:
    """The poststart hooks."""
    config = container.record["config"]
    if (config.get("hooks") or {}).get("poststart"):
        hooks.run_all(config, "poststart", document.dumps(container.public()))


def kill(root: str, name: str, number: int, everything: bool = False) -> None:
    """Signal a container's first process, or all of its processes.

    SIGKILL is for all of one without a process namespace of its own, whether the first is there or not: nobody else
    ends the others.
    """
    container = state.find(root, name)
    kinds = [one["type"] for one in container.record["config"]["linux"].get("namespaces") or [] if not one.get("path")]
    group = groups.of(container.record)
    if everything or (number == SIGKILL and "pid" not in kinds and group.processes()):
        group.kill(number)
        return
    if container.status() == "stopped":
        raise RuntimeFailure("%s: container not running" % name)
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
    group = groups.of(record)
    if state.alive(record):
        if record.get("paused"):
            group.end()  # a process that is stopped does not end
        state.kill_process(record)
        if not container.wait(1.0):
            group.end()  # perhaps it has stopped itself, in a group of its own making
            if not container.wait():
                raise RuntimeFailure("process %d of container %s does not end" % (record["pid"], container.name))
    group.remove()
    hooks.run_all(record["config"], "poststop", document.dumps(dict(container.public(), status="stopped")))
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
            groups.of(container.record).freeze()
        except BaseException:
            del container.record["paused"]
            container.save()
            raise


def resume(root: str, name: str) -> None:
    """Let them go on."""
    with state.hold(root, name) as container:
        if not container.record.get("paused") or container.status() == "stopped":
            raise RuntimeFailure("container %s is not paused" % name)
        groups.of(container.record).thaw()
        del container.record["paused"]
        container.save()


def update(root: str, name: str, resources: dict) -> None:
    """Change limits: an object as linux.resources has it, with what is to change. All of it, or nothing."""
    schema.check(resources, schema.RESOURCES, "/linux/resources")
    with state.hold(root, name) as container:
        status = container.status()
        if status not in ("running", "created", "paused"):
            raise RuntimeFailure("container %s cannot be updated: it is %s" % (name, status))
        if not resources:
            raise RuntimeFailure("no change is asked for", "say what: --memory, --cpu-quota, --pids-limit or others")
        linux = container.record["config"]["linux"]
        kept = _merged(linux.get("resources") or {}, resources)
        memory = resources.get("memory") or {}
        if memory.get("limit") == -1 and not memory.get("swap"):
            kept["memory"].pop("swap", None)  # a limit of memory and swap together would be one of memory, too
        groups.of(container.record).apply(resources, kept)
        linux["resources"] = kept
        container.save()


def _merged(old, new):
    """Both as one: in objects by field, else what is new, where it is something."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    merged = dict(old)
    for name, value in new.items():
        if value is not None:
            merged[name] = _merged(old.get(name), value)
    return merged
