"""Addresses that a container is declared to have: whether they can be had, before anything is touched."""


def check(task, runtime, declared, count):
    """Fail the task where an address is none of its network, the gateway's, or another container's."""
    said = declared.get("addresses", {})
    if said and count > 1:
        address = sorted(said.values())[0]
        task.fail("networks: the address %s can be one container's alone, and there are %d replicas" % (address, count))
    for key, text in sorted(said.items()):
        name, _dot, kind = key.rpartition(".")
        try:
            record = runtime.network(name)
            problem = None if record is None else _problem(task, runtime, record, kind, text)
        except runtime.part("errors").RuntimeFailure as error:
            problem = error.message
        if problem:
            task.fail("networks: %s: %s" % (name, problem))


def _problem(task, runtime, record, kind, text):
    """What is wrong with an address in the network of that record; None: nothing."""
    addresses, networks = runtime.part("network.addresses"), runtime.part("network.networks")
    family, number = addresses.parse(text)
    if (family == addresses.INET6) != (kind == "ipv6_address"):
        return "%s is no %s" % (text, kind)
    entry = networks.subnet(record, family)
    if entry is None:
        return "it has no addresses of %s" % ("IPv6" if kind == "ipv6_address" else "IPv4")
    subnet, text = addresses.Subnet.parse(entry["subnet"]), addresses.canonical(text)
    if (family, number) not in subnet or number - subnet.base not in subnet.usable():
        return "%s is no address for a container in %s" % (text, entry["subnet"])
    if text == entry["gateway"]:
        return "%s is the gateway" % text
    records = runtime.part("network.records")
    for one in records.Records().containers():
        shown = one["networks"].get(record["name"]) or {}
        is_ours = _is_ours(one["name"], task.args["name"])
        if not is_ours and text in (shown.get("address"), shown.get("address6")) and records.alive(one):
            return "%s is container %s's" % (text, one["name"])
    return None


def _is_ours(name, app):
    """Whether a container of that name is an instance of the app, or what is left of a change to one."""
    from shepherd.remote import instances

    base = instances.place(name)
    return base == app or (base.startswith(app + "-") and base[len(app) + 1 :].isdigit())
