"""Networks of containers. `_runtime` is as in container_runtime."""

from shepherd.remote import declaration, installed

SPEC = {
    "summary": "Manage networks of containers",
    "description": "Makes or removes a network, on which containers find each other by name. What was declared is kept"
    " with it and compared; one that is declared otherwise is made anew, which is refused while containers run on it,"
    " but with `force`.",
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
        "force": {
            "type": "bool",
            "default": False,
            "help": "Make one that is declared otherwise anew although containers run on it: they are off it for that"
            " moment, lose the connections that they have over it, and get other addresses.",
        },
    },
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "name": {"type": "str", "help": "What it is called.", "sample": "front"},
        "id": {"type": "str", "help": "Its id, when it is there.", "sample": "c2a1…"},
        "subnets": {"type": "list", "help": "Its addresses, when it is there.", "sample": ["10.210.0.0/24"]},
        "reconnected": {
            "type": "list",
            "help": "Containers that were taken off it and connected again.",
            "sample": ["shop-1", "shop-2"],
        },
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: A network on which the shop and its database find each other
  container_network:
    name: front

- name: Other addresses, although containers are on it
  container_network:
    name: front
    subnets: [10.7.0.0/24]
    force: true

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
    if result["changed"] and record is not None and after is not None:
        on = _containers_on(runtime, record)
        _check(task, on, declaration.differences(before, after))
        result["reconnected"] = [one.name for one in on]
        if not task.check:
            _make_anew(task, runtime, on, before, after)
    elif result["changed"] and not task.check:
        runtime.run(["network", "rm", args["name"]] if after is None else _creation(args["name"], after))
    if result["changed"] and not task.check:
        record = _record(task, runtime)
    if record is not None and after is not None:
        result.update(id=record["id"], subnets=[one["subnet"] for one in record["subnets"]])
    return result


class _Connected:
    """A container that runs on the network: the words that connect it again; None where no command can."""

    def __init__(self, runtime, network, user):
        self.name = user["name"]
        self.words = None
        record = runtime.part("containers.record").read(runtime.folders, user["container"])
        if record is None:
            return  # a step of a build
        joining, options = runtime.part("network.joining"), record.config.get("Networking") or {}
        given = joining.given_for(options, network, joining.Mode(options).networks[:1] == [network])
        self.words = ["network", "connect"]
        for alias in given.get("aliases") or ():
            self.words += ["--alias", alias]
        for key in ("ip", "ip6"):
            self.words += ["--" + key, given[key]] if given.get(key) else []
        self.words += ["--", network, record.name]


def _containers_on(runtime, record):
    users = runtime.part("network.release").users(runtime.part("network.records").Records(), record)
    return sorted((_Connected(runtime, record["name"], one) for one in users), key=lambda one: one.name)


def _check(task, on, differing):
    """Nothing is touched yet."""
    name = task.args["name"]
    what = "network %s is declared otherwise now (%s)" % (name, ", ".join(differing) or "by no play before")
    fixed = [one.name for one in on if one.words is None]
    if fixed:
        task.fail("%s, and is in use by a build (%s): try again when that has ended" % (what, ", ".join(fixed)))
    if on and not task.args["force"]:
        task.fail(
            "%s, and these containers run on it: %s. Stop them or have them absent first, give the network another"
            " name, or have container_network take them off it for a moment, by `force: true`"
            % (what, ", ".join(one.name for one in on))
        )


def _make_anew(task, runtime, on, before, after):
    """With those that are on it connected again, also where it cannot be made: to one as it was."""
    name, connecting = task.args["name"], [one.words for one in on]
    words = [["network", "disconnect", "--", name, one.name] for one in on]
    words += [["network", "rm", "--", name], _creation(name, after)] + connecting
    done = runtime.attempt_all([(one, ()) for one in words], [_creation(name, before)] + connecting, apart=True)
    if done.status:
        record = _record(task, runtime)
        back = {one.name for one in _containers_on(runtime, record)} if record is not None else set()
        left = [one.name for one in on if one.name not in back]
        text = "network %s could not be made anew: %s" % (name, installed.told(done))
        task.fail(text + ("; these are not on it any more: " + ", ".join(left) if left else ""))


def _creation(name, declared):
    return ["network", "create"] + _words(declared) + ["--", name]


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
