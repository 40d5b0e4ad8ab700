"""From what is to what should be: the difference of two plain dicts, and the step that closes it."""


def difference(current, desired):
    """The keys of `desired` whose values differ from `current`, as (before, after): two dicts with the same keys."""
    differing = [key for key in desired if current.get(key) != desired[key]]
    return {key: current.get(key) for key in differing}, {key: desired[key] for key in differing}


def converge(task, current, desired, apply):
    """Bring `current` to `desired`: `apply(after)` gets what differs, and is not called in check mode.

    Returns the fields of a result: {"changed": bool}, and in diff mode "diff" {"before": dict, "after": dict}.
    """
    before, after = difference(current, desired)
    if after and not task.check:
        apply(after)
    result = {"changed": bool(after)}
    if task.diff:
        result["diff"] = {"before": before, "after": after}
    return result
