"""What is to be done to the instances of a declared container, and how that is said."""

from shepherd.remote import declaration, instances

VERBS = ("created", "replaced", "started", "restarted", "stopped", "removed")


def plan(args, found, seen, wanted, declared):
    """(what is done, the instance's name, the Instance there or None, {field: (old, new)}). `seen`: their states."""
    shown = args["show_env"]
    running = args["state"] in ("started", "rolled_back")
    for name in wanted:
        one = found.get(name)
        if one is None:
            yield "created", name, None, declaration.differences({}, declared, shown)
            continue
        changes, state = declaration.differences(one.declared, declared, shown), seen[name]
        changes = changes or instances.moved(one.runtime, one, declared)
        if not changes and running and (state.get("Health") or {}).get("Status") == "unhealthy":
            changes = {"health": ("unhealthy", "healthy")}
        if changes or args["recreate"]:
            yield "replaced", name, one, changes
        elif running and not one.runs(state):
            yield "started", name, one, {"status": (state["Status"], "running")}
        elif running:
            changes = instances.left_behind(one.runtime, state, declared)
            if changes:
                yield "restarted", name, one, changes
        elif args["state"] == "stopped" and one.runs(state):
            yield "stopped", name, one, {"status": (state["Status"], "exited")}
    for name in sorted(set(found) - set(wanted)):
        yield "removed", name, found[name], {"state": ("present", "absent")}


def told(verb, name, changes):
    """A step as a sentence."""
    if verb in ("created", "removed"):
        return "%s: %s" % (name, verb)
    fields = ", ".join("%s: %s → %s" % (field, _word(pair[0]), _word(pair[1])) for field, pair in changes.items())
    return "%s: %s%s" % (name, verb, " (%s)" % fields if fields else "")


def _word(value):
    return "none" if value is None else value if isinstance(value, str) else str(value)


def diff(plan):
    """The two sides of what is planned."""
    sides = []
    for side in (0, 1):
        found = {}
        for _verb, name, _one, changes in plan:
            fields = {field: pair[side] for field, pair in changes.items() if pair[side] is not None}
            found[name] = fields or ("absent" if side == 0 else "present")
        sides.append(found)
    return {"before": sides[0], "after": sides[1]}
