"""What is known of containers. `_runtime` is as in container_runtime; another version is as good for looking."""

from shepherd.remote import container_verbs, declaration, installed

SPEC = {
    "summary": "Look at containers",
    "description": "Says which containers are on the target and how they are. It changes nothing, and installs nothing:"
    " where the runtime is not, there are none. Environments and secrets are not among it.",
    "options": {
        "name": {
            "type": "str",
            "help": "Only the container of this name, or the instances declared under it; also a pattern (`shop*`)."
            " Default: all.",
        },
    },
    "returns": {
        "containers": {
            "type": "list",
            "help": "Each with name, id, status, summary (as `docker ps` says it), health, checks (`streak`: how many"
            " failed in a row; `last`: what the last one said), exit_code, error, oom_killed, restarts, created,"
            " started, finished, pid, image, digest, command, app (the name it was declared under), spec, labels,"
            " restart, networks, addresses by network, ports, and mounts (each with type, source, target, read_only).",
            "sample": [{"name": "shop-1", "status": "running", "health": "healthy", "restarts": 0, "app": "shop"}],
        },
        "version": {"type": "str", "help": "The runtime's; empty where there is none.", "sample": "1f2e3d4c5b6a7988"},
    },
    "check": "full",
    "diff": "none",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- container_info:
    name: shop
  register: shop

- name: All of them are well
  assert:
    that: shop.containers | map(attribute='health') | unique == ['healthy']
""",
}


def run(task):
    runtime = installed.of_any_version(task)
    if runtime is None:
        return {"changed": False, "containers": [], "version": ""}
    wanted = task.args["name"] or []  # the command `shepherd ps` asks for several
    found = container_verbs.chosen(runtime, wanted if isinstance(wanted, list) else [wanted])
    return {"changed": False, "containers": [_shown(one) for one in found], "version": runtime.version}


def _shown(one):
    config, state = one.record.config, one.state
    labels = config["Config"].get("Labels") or {}
    shown = one.runtime.part("containers.shown")
    connections = shown.connections(one.record, state)
    own = {declaration.APP, declaration.SPEC, declaration.DECLARED}
    found = dict(
        one.shown(state),
        summary=shown.sentence(state),
        exit_code=state["ExitCode"],
        error=state["Error"],
        oom_killed=state["OOMKilled"],
        restarts=state["RestartCount"],
        created=config["Created"],
        started=state["StartedAt"],
        finished=state["FinishedAt"],
        pid=state["Pid"] if state["Status"] in ("running", "paused") else 0,
        image=config["Config"].get("Image"),
        digest=config["Manifest"],
        command=config["Config"]["Entrypoint"] + config["Config"]["Cmd"],
        app=one.app,
        spec=labels.get(declaration.SPEC),
        labels={name: value for name, value in labels.items() if name not in own},
        restart=(one.record.host.get("RestartPolicy") or {}).get("Name") or "no",
        networks=sorted(connections["networks"]) or [one.record.host["NetworkMode"]],
        ports=shown.ports(one.record, state),
        addresses={name: known.get("address") for name, known in connections["networks"].items()},
        mounts=[_mount(mount) for mount in config.get("Mounts") or []],
    )
    if "Health" in state:
        log = state["Health"].get("Log") or [{}]
        found["checks"] = {"streak": state["Health"].get("FailingStreak", 0), "last": log[-1].get("Output", "")}
    return found


def _mount(found):
    return {
        "type": found["Type"],
        "source": found.get("Name") or found.get("Source") or "",
        "target": found["Destination"],
        "read_only": not found.get("RW", True),
    }
