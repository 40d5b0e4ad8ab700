"""Volumes of containers. `_runtime` is as in container_runtime."""

from shepherd.remote import declaration, installed

SPEC = {
    "summary": "Manage volumes of containers",
    "description": "Makes or removes a named volume: a folder on the target that outlives the containers it is for.",
    "options": {
        "name": {"type": "str", "required": True, "help": "What the volume is called."},
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "Whether it shall be there. `absent` removes all that is in it; it is refused while a container has"
            " it.",
        },
        "labels": {"type": "dict", "help": "Labels. Those that begin with `shepherd.` are our own."},
        "recreate": {
            "type": "bool",
            "default": False,
            "help": "Make a volume anew that was declared otherwise. **All that is in it is lost.** Without it such a"
            " volume is an error.",
        },
    },
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "name": {"type": "str", "help": "What it is called.", "sample": "shop-data"},
        "path": {
            "type": "str",
            "help": "The folder, when it is there.",
            "sample": "/var/lib/shepherd/volumes/shop-data/_data",
        },
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: A place for the shop's data
  container_volume:
    name: shop-data
""",
}


def run(task):
    args = task.args
    name = args["name"]
    runtime = installed.find(task)
    if runtime is None and not task.check:
        return installed.needed() if args["state"] == "present" else {"changed": False, "name": name}
    volume = None if runtime is None else _look(task, runtime)
    before = None if volume is None else declaration.kept(volume.about.get("Labels"))
    after = None
    if args["state"] == "present":
        after = {"labels": {str(key): str(value) for key, value in (args["labels"] or {}).items()}}
    if volume is not None and before is None:
        before = dict(after or {"labels": {}})  # made with a container, or by hand: a volume like any other
    result = {"changed": before != after, "name": name}
    if result["changed"] and volume is not None and after is not None and not args["recreate"]:
        task.fail("the volume %s was declared otherwise: %r; `recreate: true` loses what is in it" % (name, before))
    if result["changed"] and task.diff:
        sides = ({name: "absent" if one is None else one} for one in (before, after))
        result["diff"] = dict(zip(("before", "after"), sides))
    if result["changed"] and not task.check:
        if volume is not None:
            runtime.run(["volume", "rm", "--", name])
        if after is not None:
            labels = [one for pair in after["labels"].items() for one in ("--label", "%s=%s" % pair)]
            runtime.run(["volume", "create"] + declaration.labels(after) + labels + ["--", name])
        volume = _look(task, runtime)
    if volume is not None and after is not None:
        result["path"] = volume.data
    return result


def _look(task, runtime):
    volumes, folders = runtime.part("volumes.volume"), runtime.folders
    try:
        return volumes.look(folders.root, volumes.check_name(task.args["name"]))
    except runtime.part("errors").RuntimeFailure as error:
        return task.fail("name: %s" % error.message)
