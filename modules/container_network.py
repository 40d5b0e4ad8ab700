"""Networks of containers. `_runtime` is as in container_runtime."""

from shepherd.remote import declaration, installed

SPEC = {
    "summary": "Manage networks of containers",
    "description": "Makes or removes a network, on which containers find each other by name. What was declared is kept"
    " with it and compared; one that is declared otherwise is made anew, which is refused while containers are on it.",
    "options": {
        "name": {"type": "str", "required": True, "help": "What the network is called."},
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "Whether it shall be there.",
        },
        "subnets": {
            "type": "list",
            "elements": "str",
            "help": "Its addresses, such as `10.5.0.0/24`: one range of IPv4, one of IPv6. Default: one that is free.",
        },
        "gateways": {"type": "list", "elements": "str", "help": "The host's addresses on it. Default: the first."},
        "ranges": {"type": "list", "elements": "str", "help": "The parts of the subnets that containers get."},
        "ipv6": {"type": "bool", "default": False, "help": "IPv6 as well."},
        "internal": {"type": "bool", "default": False, "help": "Nothing goes out and nothing comes in."},
        "options": {
            "type": "dict",
            "help": "Options of the driver, such as `{shepherd.publish: nat}`; see the runtime's page on networks.",
        },
        "labels": {"type": "dict", "help": "Labels. Those that begin with `shepherd.` are our own."},
    },
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "name": {"type": "str", "help": "What it is called.", "sample": "front"},
        "id": {"type": "str", "help": "Its id, when it is there.", "sample": "c2a1…"},
        "subnets": {"type": "list", "help": "Its addresses, when it is there.", "sample": ["10.210.0.0/24"]},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: A network on which the shop and its database find each other
  container_network:
    name: front

- name: One that is cut off
  container_network:
    name: back
    internal: true
    subnets: [10.5.0.0/24]
""",
}

_LISTS = (("subnets", "--subnet"), ("gateways", "--gateway"), ("ranges", "--ip-range"))
_SWITCHES = (("ipv6", "--ipv6"), ("internal", "--internal"))
_PAIRS = (("options", "--opt"), ("labels", "--label"))


def run(task):
    args = task.args
    runtime = installed.find(task)
    if runtime is None and not task.check:
        return installed.needed() if args["state"] == "present" else {"changed": False, "name": args["name"]}
    record = None if runtime is None else _record(task, runtime)
    before = None if record is None else declaration.kept(record["labels"]) or {}
    after = _declared(args) if args["state"] == "present" else None
    result = {"changed": before != after, "name": args["name"]}
    if result["changed"] and task.diff:
        sides = ({args["name"]: "absent" if one is None else one} for one in (before, after))
        result["diff"] = dict(zip(("before", "after"), sides))
    if result["changed"] and not task.check:
        if record is not None:
            runtime.run(["network", "rm", args["name"]])
        if after is not None:
            runtime.run(["network", "create"] + _words(after) + ["--", args["name"]])
        record = _record(task, runtime)
    if record is not None and after is not None:
        result.update(id=record["id"], subnets=[one["subnet"] for one in record["subnets"]])
    return result


def _record(task, runtime):
    try:
        return runtime.network(task.args["name"])
    except runtime.part("errors").RuntimeFailure as error:
        return task.fail("name: %s" % error.message)


def _declared(args):
    found = {name: sorted(args[name] or ()) for name, _word in _LISTS}
    found.update((name, args[name] or None) for name, _word in _SWITCHES)
    for name, _word in _PAIRS:
        found[name] = {str(key): str(value) for key, value in (args[name] or {}).items()}
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _words(declared):
    found = declaration.labels(declared)
    found += [one for name, word in _LISTS for value in declared.get(name, ()) for one in (word, value)]
    found += [word for name, word in _SWITCHES if declared.get(name)]
    for name, word in _PAIRS:
        found += [one for pair in declared.get(name, {}).items() for one in (word, "%s=%s" % pair)]
    return found
