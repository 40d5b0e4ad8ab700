"""Units of systemd, by systemctl(1)."""

import os

from shepherd.remote import programs

RUNNING = ("active", "activating")
# How systemctl calls a unit that comes up by itself at boot, as far as it can say so (is-enabled).
ENABLED = ("enabled", "enabled-runtime", "alias")
FIXED = ("static", "generated", "transient", "indirect")  # has nothing to switch on or off


def booted():
    """Whether systemd is process 1: sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def offline():
    """Whether this is a system at rest: a chroot, or what SYSTEMD_OFFLINE of systemctl(1) says to be one."""
    from shepherd.remote.facts import virtual

    said = os.environ.get("SYSTEMD_OFFLINE", "").lower()
    return said in ("1", "yes", "true", "on") or virtual.chroot(None)["is_chroot"]


class Systemctl:
    """systemctl for one service manager: of the system, of the user, or what all users have in common (`global`)."""

    def __init__(self, task, scope="system", force=False, no_block=False):
        self.task = task
        self.scope = scope
        self._program = programs.need(task, "systemctl")
        self._options = [] if scope == "system" else ["--" + scope]
        self._options += ["--force"] if force else []
        self._options += ["--no-block"] if no_block else []
        self._environment = {"LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
        if scope == "user" and not os.environ.get("XDG_RUNTIME_DIR"):
            self._environment["XDG_RUNTIME_DIR"] = "/run/user/%d" % os.geteuid()

    def run(self, *words):
        from shepherd.remote import process

        return process.run([self._program] + self._options + list(words), environment=self._environment)

    def show(self, name):
        """The unit's properties as text, by name. Fails when no manager answers."""
        finished = self.run("show", "--", name)
        if finished.status != 0:
            self.task.fail(
                finished.stderr.strip() or finished.stdout.strip(),
                rc=finished.status,
                cmd=" ".join([self._program] + self._options),
                stdout=finished.stdout,
                stderr=finished.stderr,
            )
        return properties(finished.stdout)

    def file_state(self, name, shown):
        """How the unit is set up to come at boot: "enabled", "disabled", "masked", "static", … and "" for unknown."""
        state = shown.get("UnitFileState", "")
        if state in ("", "generated", "bad"):  # the manager does not know of init scripts, systemctl does
            told = self.run("is-enabled", "--", name).stdout.strip().split("\n")[-1]
            state = told if told in ("enabled", "disabled", "masked") or not state else state
        return state


def properties(text):
    """The output of `systemctl show`. A value in braces may go on over several lines."""
    found = {}
    name = None
    for line in text.split("\n"):
        if name is not None:
            found[name] += "\n" + line
            if line.rstrip().endswith("}"):
                name = None
            continue
        key, equals, value = line.partition("=")
        if not equals:
            continue
        found[key] = value.strip()
        if value.lstrip().startswith("{") and not value.rstrip().endswith("}"):
            name = key
    return found


def converge(task, systemctl, name, state=None, enabled=None, masked=None):
    """Bring a unit about. Returns the result: name, status (as it was before), and what was asked for."""
    for letter in "*?[":
        if letter in name:
            task.fail(
                "This module does not currently support using glob patterns, found '%s' in service name: %s"
                % (letter, name)
            )
    status = systemctl.show(name) if _manager_is_asked(task, systemctl, name, state) else {}
    result = {"changed": False, "name": name, "status": status}
    before, after = {}, {}
    found = status.get("LoadState") != "not-found"  # where nobody was asked, systemctl says it later
    if not found and masked is None and (state is not None or enabled is not None):
        task.fail("Could not find the requested service %s: host" % name)
    file_state = None
    if masked is not None or enabled is not None:
        file_state = systemctl.file_state(name, status)
    if enabled is not None and not status and file_state in ("", "not-found"):
        task.fail("Could not find the requested service %s: host" % name)
    if masked is not None:
        is_masked = file_state.startswith("masked") or status.get("LoadState") == "masked"
        if is_masked != masked:
            before["masked"], after["masked"] = is_masked, masked
            _do(task, systemctl, "mask" if masked else "unmask", name, "Failed to %s the service (%s): %s")
            file_state = "masked" if masked else systemctl.file_state(name, {}) if not task.check else "disabled"
    if enabled is not None:
        result["enabled"] = enabled
        is_enabled = _enabled(file_state, enabled)
        if is_enabled != enabled:
            before["enabled"], after["enabled"] = is_enabled, enabled
            _do(task, systemctl, "enable" if enabled else "disable", name, "Unable to %s service %s: %s")
    if state is not None:
        result["state"] = "stopped" if state == "stopped" else "started"
        verb = _verb(state, status) if status else None
        if verb:
            before["state"] = status.get("ActiveState", "unknown")
            after["state"] = {"start": "active", "stop": "inactive"}.get(verb, verb + "ed")
            _do(task, systemctl, verb, name, "Unable to %s service %s: %s")
    result["changed"] = bool(after)
    if task.diff:
        result["diff"] = {"before": before, "after": after}
    return result


def _manager_is_asked(task, systemctl, name, state):
    """Whether there is a service manager to ask for the unit. It takes none to enable and to mask."""
    if systemctl.scope == "global":
        if state is not None:
            task.fail("What all users get has no state: with scope=global there is only `enabled` and `masked`")
        return False
    if systemctl.scope == "user" or booted():
        return True
    if state is not None and offline():
        task.warn("systemd does not run here: the state of %s stays as it is" % name)
        return False
    return state is not None


def _enabled(file_state, wanted):
    """Whether the unit counts as enabled. What can be neither counts as what is wanted."""
    if file_state in FIXED or file_state.startswith("masked"):
        return wanted
    return file_state in ENABLED


def _verb(state, status):
    """What systemctl must be told to bring about `state`, or None."""
    active = status.get("ActiveState")
    if state == "started":
        return None if active in RUNNING else "start"
    if state == "stopped":
        return "stop" if active in RUNNING or active == "deactivating" else None
    if state == "reloaded":
        return "reload" if active in RUNNING else "start"
    return "restart"


def _do(task, systemctl, verb, name, complaint):
    if task.check:
        return
    finished = systemctl.run(verb, "--", name)
    if finished.status != 0:
        task.fail((complaint % (verb, name, finished.stderr or finished.stdout)).rstrip(), rc=finished.status)
