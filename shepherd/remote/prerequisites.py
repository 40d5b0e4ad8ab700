"""What a declared container needs of the machine, looked for before anything is touched."""

from shepherd.remote import declaration, instances, static_addresses


def check(task, runtime, declared, count):
    """What is not there, or cannot be, before anything is touched."""
    provider = declaration.provider(declared)
    if provider is not None and instances.find_one(runtime, provider) is None and not task.check:
        task.fail("networks: there is no container %s here, whose network it is to have" % provider)
    for name in declared.get("networks", ()) if provider is None else ():
        try:
            known = name in ("none", "host", "bridge") or runtime.network(name) is not None
        except runtime.part("errors").RuntimeFailure as error:
            task.fail("networks: %s" % error.message)
        if not known and not task.check:
            task.fail("there is no network %s here: declare it with container_network first" % name)
    static_addresses.check(task, runtime, declared, count)
    fixed = declaration.fixed_ports(declared)
    if count > 1 and fixed and not instances.is_fronted(runtime, declared):
        task.fail("ports: %s can be published by one container alone on these networks, and there are %d replicas"
                  % (fixed[0], count))  # fmt: skip
