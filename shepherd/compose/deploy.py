"""`deploy` of a service: how many, with what, started again when, replaced how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shepherd.compose import shape

if TYPE_CHECKING:
    from shepherd.compose.where import Where

_ONE_MACHINE = "a stack is on the machine that the play names"
_LIMITS = {"cpus": shape.number, "memory": shape.size, "pids": shape.count}
_RESERVATIONS = {
    "cpus": shape.meaningless("processors are shared, none is kept for somebody"),
    "memory": shape.size,
    "pids": shape.unsupported(),
    "devices": shape.unsupported("say the `devices` of the service"),
    "generic_resources": shape.unsupported(),
}
_POLICY = {
    "condition": shape.choice("none", "on-failure", "any"),
    "delay": shape.meaningless("the time between starts begins at 0.1 s and doubles"),
    "max_attempts": shape.count,
    "window": shape.meaningless("a start counts as a success after 10 s"),
}


_UPDATE = {
    "parallelism": shape.count,
    "order": shape.choice("stop-first", "start-first"),
    "failure_action": shape.choice("rollback", "pause", "continue"),
    "monitor": shape.seconds,
    "delay": shape.meaningless("the next instances are replaced when these are well"),
    "max_failure_ratio": shape.unsupported("the first that does not become well is a failure"),
}


def _mode(value: Any, where: Where) -> str:
    return str(shape.choice("replicated", "global", "replicated-job", "global-job")(value, where))


deploy = shape.fields(
    {
        "mode": _mode,
        "replicas": shape.count,
        "resources": shape.fields({"limits": shape.fields(_LIMITS), "reservations": shape.fields(_RESERVATIONS)}),
        "restart_policy": shape.fields(_POLICY),
        "update_config": shape.fields(_UPDATE),
        "rollback_config": shape.meaningless("what was there before an update serves again at once"),
        "placement": shape.meaningless(_ONE_MACHINE),
        "labels": shape.meaningless("they are for a service of a cluster; `labels` are for its containers"),
        "endpoint_mode": shape.meaningless(_ONE_MACHINE),
    }
)


def restart(found: dict[str, Any]) -> str | None:
    """The word of `container` for a restart_policy."""
    policy = found.get("restart_policy")
    if policy is None:
        return None
    name = {"none": "no", "on-failure": "on-failure", "any": "always"}[policy.get("condition", "any")]
    if "max_attempts" in policy and name == "on-failure":
        return f"{name}:{policy['max_attempts']}"
    return name


def update(found: dict[str, Any], replicas: int | None) -> dict[str, Any] | None:
    """The option `update` of `container`."""
    said = found.get("update_config", {})
    made = {"order": said.get("order"), "on_failure": said.get("failure_action")}
    if "parallelism" in said:
        made["at_a_time"] = said["parallelism"] or replicas or 1  # 0: all of them
    return {name: value for name, value in made.items() if value is not None} or None
