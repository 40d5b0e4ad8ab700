"""What plays have made of containers and nothing needs any more. `_runtime` is as in container_runtime."""

import os

from shepherd.remote import installed, instances, made

SPEC = {
    "summary": "Remove what containers no longer need",
    "description": "Removes images, networks, instances and volumes that plays have made and nothing uses any more."
    " What no play has made is never touched, nor is what belongs to a stack: that goes with `container_stack`.",
    "options": {
        "what": {
            "type": "list",
            "elements": "str",
            "choices": ["images", "instances", "networks", "volumes"],
            "default": ["images", "networks"],
            "help": "`images`: of which there is no container; `networks`: on which there is none; `instances`: that"
            " have ended, those among them that a play has declared `stopped` or `present`; `volumes`: that no"
            " container has. **What is in them is lost.**",
        },
        "keep": {
            "type": "int",
            "default": 0,
            "help": "How many of the images of each repository (a name without its tag) stay though nothing uses them,"
            " the newest ones.",
        },
    },
    "returns": {
        "removed": {
            "type": "list",
            "help": "What went, or would go.",
            "sample": ["image docker.io/library/shop:1.1", "network back"],
        },
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: Images and networks that nothing uses, but for the last two images of each
  container_prune:
    keep: 2

- name: Everything
  container_prune:
    what: [images, instances, networks, volumes]
""",
}

LEFT_OVER = ("created", "exited", "dead")


def run(task):
    if task.args["keep"] < 0:
        task.fail("keep: should be 0 or more")
    runtime = installed.of_any_version(task)
    removed = []
    if runtime is not None:
        gone = set()  # ids of instances that go: what only they have goes with them
        for kind in ("instances", "networks", "volumes", "images"):  # in this order one makes the next unused
            if kind in task.args["what"]:
                removed += KINDS[kind](task, runtime, gone)
    result = {"changed": bool(removed), "removed": removed}
    if task.diff and removed:
        sides = (dict.fromkeys(removed, word) for word in ("present", "absent"))
        result["diff"] = dict(zip(("before", "after"), sides))
    return result


def _instances(task, runtime, gone):
    found = []
    for record, labels in made.containers(runtime):
        one = instances.Instance(runtime, record)
        if one.name.endswith(".previous"):
            continue  # keeps what was declared before, to go back to
        if made.STACK not in labels and one.state["Status"] in LEFT_OVER and not one.is_running:
            found.append(one.name)
            gone.add(record.id)
    if found and not task.check:
        runtime.run(["rm", "-v"] + sorted(found))
    return ["instance " + name for name in sorted(found)]


def _networks(task, runtime, gone):
    records = runtime.part("containers.record")
    used = set()
    for record in records.everything(runtime.folders):
        if record.id not in gone:
            mode = record.host["NetworkMode"]
            used.update(mode.split(",") if isinstance(mode, str) else mode)
    found = [
        record["name"]
        for record, labels in made.networks(runtime)
        if made.STACK not in labels and record["name"] not in used
    ]
    if found and not task.check:
        runtime.run(["network", "rm"] + sorted(found))
    return ["network " + name for name in sorted(found)]


def _volumes(task, runtime, gone):
    used = runtime.part("containers.removal").users(runtime.folders)
    found = [
        volume.name
        for volume, labels in made.volumes(runtime)
        if made.STACK not in labels and not used.get(volume.name, set()) - gone
    ]
    if found and not task.check:
        runtime.run(["volume", "rm"] + sorted(found))
    return ["volume " + name for name in sorted(found)]


def _images(task, runtime, gone):
    stores = runtime.part("images.store")
    if not os.path.exists(os.path.join(stores.root_folder(), "index.json")):
        return []  # none is made by looking
    store = stores.Store()
    pinned = {digest for identity, digest in store.pins().items() if identity not in gone}
    repositories = {}
    for name, descriptor in made.images(runtime, store):
        repositories.setdefault(name.name, []).append((name, descriptor))
    found = []
    for entries in repositories.values():
        unused = [entry for entry in entries if not _is_pinned(runtime, store, entry[1], pinned)]
        found += unused[: len(unused) - task.args["keep"]] if task.args["keep"] else unused
    if found and not task.check:
        names = {str(name) for name, _descriptor in found}
        runtime.part("images.names").Names(store).remove(lambda name, _descriptor: str(name) in names)
        runtime.part("images.collect").collect(store)
    return ["image " + name for name in sorted(str(name) for name, _descriptor in found)]


def _is_pinned(runtime, store, descriptor, pinned):
    """By a container, which pins the manifest that it was made of."""
    digests = {descriptor.digest}
    try:
        digests.add(runtime.part("images.image").resolve(store, descriptor).digest)
    except runtime.part("errors").RuntimeFailure:
        pass  # of another platform: nothing runs it
    return bool(digests & pinned)


KINDS = {"images": _images, "instances": _instances, "networks": _networks, "volumes": _volumes}
