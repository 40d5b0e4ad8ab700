"""When a container that ended is started again (docker run --restart)."""

from shepherd.runtime.errors import RuntimeFailure

NAMES = ("no", "always", "on-failure", "unless-stopped")
FIRST, LONGEST = 0.1, 60.0  # seconds between an end and the next start: doubled each time
LASTED = 10.0  # seconds after which a start counts as a success, and the wait begins anew


def parse(text: str) -> dict:
    """`on-failure:3` → {"Name": "on-failure", "MaximumRetryCount": 3}. Raises RuntimeFailure."""
    name, colon, count = text.partition(":")
    name = name or "no"
    if name not in NAMES or (colon and (name != "on-failure" or not count.isdigit())):
        raise RuntimeFailure(
            "--restart: should be one of %s, on-failure:NUMBER, and is %.40r" % (", ".join(NAMES), text)
        )
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def again(policy: dict, code: int, stopped: bool, count: int) -> bool:
    """Whether it is to be started again after it ended with `code`, for the `count`th time."""
    name = policy.get("Name") or "no"
    if stopped or name == "no":
        return False
    if name == "on-failure":
        most = policy.get("MaximumRetryCount") or 0
        return code != 0 and (not most or count < most)
    return True


def at_boot(policy: dict, lost: bool, stopped: bool) -> bool:
    """Whether it is to run after the machine's start; `lost`: it ran when the machine went down."""
    name = policy.get("Name") or "no"
    return name == "always" or (name == "unless-stopped" and not stopped) or (name == "on-failure" and lost)


def wait(before: float, lasted: float) -> float:
    """Seconds to wait now, after having waited `before`, and having run for so long since."""
    if lasted >= LASTED or not before:
        return FIRST
    return min(before * 2, LONGEST)
