"""Addresses that a container is declared to have: whether they can be had, before anything is touched."""


def check(task, runtime, declared, count):
    """Fail the task where an address is none of its network, the gateway's, or another container's."""
    said = declared.get("addresses", {})
    if said and count > 1:
        address = sorted(said.values())[0]
        task.fail("networks: the address %s can be one container's alone, and there are %d replicas" % (address, count))
    for key, text in sorted(said.items()):
        name, _dot, kind = key.rpartition(".")
        if (":" in text) != (kind == "ipv6_address"):
            task.fail("networks: %s: %s is no %s" % (name, text, kind))
        try:
            record = runtime.network(name)
            if record is None:
                continue
            runtime.part("network.joining").check_address(record, text)
            owner = _owner(task, runtime, name, runtime.part("network.addresses").canonical(text))
        except runtime.part("errors").RuntimeFailure as error:
            task.fail("networks: %s: %s" % (name, error.message))
        if owner is not None:
            task.fail("networks: %s: %s is container %s's" % (name, text, owner))


def _owner(task, runtime, network, address):
    """The name of another app's container that has the address; None: there is none."""
    records = runtime.part("network.records")
    for one in records.Records().containers():
        shown = one["networks"].get(network) or {}
        has_it = address in (shown.get("address"), shown.get("address6"))
        if has_it and not _is_ours(one["name"], task.args["name"]) and records.alive(one):
            return one["name"]
    return None


def _is_ours(name, app):
    """Whether a container of that name is an instance of the app, or what is left of a change to one."""
    from shepherd.remote import instances

    base = instances.place(name)
    return base == app or (base.startswith(app + "-") and base[len(app) + 1 :].isdigit())
