"""What is known of containers. `_runtime` is as in container_runtime; another version is as good for looking."""

from shepherd.remote import declaration, installed, instances

SPEC = {
    "summary": "Look at containers",
    "description": "Says which containers are on the target and how they are. It changes nothing, and installs nothing:"
    " where the runtime is not, there are none. Environments and secrets are not among it.",
    "options": {
        "name": {
            "type": "str",
            "help": "Only the container of this name, or the instances declared under it. Default: all.",
        },
    },
    "returns": {
        "containers": {
            "type": "list",
            "help": "Each with name, id, status, health, exit_code, restarts, started, image, digest, app (the name it"
            " was declared under), spec, labels, ports and addresses by network.",
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
    records = runtime.part("containers.record")
    found = records.everything(runtime.part("containers.folders").Folders())
    wanted = task.args["name"]
    everything = [instances.Instance(runtime, one) for one in found]
    shown = [_shown(one) for one in everything if wanted in (None, one.name, one.app) and not one.is_kept]
    return {
        "changed": False,
        "containers": sorted(shown, key=lambda one: one["name"]),
        "version": runtime.version,
    }


def _shown(one):
    config, state = one.record.config, one.state
    labels = config["Config"].get("Labels") or {}
    connections = one.runtime.part("containers.shown").connections(one.record, state)
    own = {declaration.APP, declaration.SPEC, declaration.DECLARED}
    return dict(
        one.shown(),
        exit_code=state["ExitCode"],
        restarts=state["RestartCount"],
        started=state["StartedAt"],
        image=config["Config"].get("Image"),
        digest=config["Manifest"],
        app=one.app,
        spec=labels.get(declaration.SPEC),
        labels={name: value for name, value in labels.items() if name not in own},
        ports=one.runtime.part("containers.shown").ports(one.record, state),
        addresses={name: known.get("address") for name, known in connections["networks"].items()},
    )
