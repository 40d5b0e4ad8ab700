"""Services where systemd is not: scripts in /etc/init.d, run by OpenRC or by nothing but init.

A manager has four methods: exists, running, enabled (what is so), control(verb) and enable(wanted) (what to do).
"""

import os
import time

from shepherd.remote import programs
from shepherd.remote.facts import files

# LSB core, "init script actions": the exit status of `status`
STOPPED = (1, 2, 3)


def manager(task, name):
    """The manager of the service `name` on this host."""
    if programs.find("rc-service") and os.path.isdir("/etc/runlevels"):
        return OpenRC(task, name)
    return SysV(task, name)


class SysV:
    """A script in /etc/init.d, and links to it in the directories of the runlevels."""

    def __init__(self, task, name):
        self.task = task
        self.name = name
        self.script = "/etc/init.d/" + name

    def exists(self):
        return os.path.exists(self.script)

    def _command(self, verb):
        service = programs.find("service")
        return ([service, self.name] if service else [self.script]) + [verb] + self.task.args["arguments"].split()

    def _told(self, verb):
        from shepherd.remote import process

        return process.run(self._command(verb), environment={"LC_ALL": "C", "LANGUAGE": None})

    def running(self):
        """Whether it runs; None when the script does not say."""
        told = self._told("status")
        text = (told.stdout + told.stderr).lower().replace(self.name.lower(), "")
        if any(mark in text for mark in ("not running", "stopped", "is dead", "stop/waiting", "inactive")):
            return False
        if told.status == 0:
            return True
        if told.status in STOPPED:
            return False
        return True if "running" in text else None

    def control(self, verb):
        told = self._told(verb)
        if told.status != 0:
            self.task.fail((told.stderr or told.stdout or "%s %s failed" % (self.name, verb)).strip(), rc=told.status)

    def enabled(self):
        for level in "2345":
            for link in files.listing("/etc/rc%s.d" % level) or files.listing("/etc/rc.d/rc%s.d" % level):
                if link[0] == "S" and link[1:3].isdigit() and link[3:] == self.name:
                    return True
        return False

    def enable(self, wanted):
        commands = programs.Commands(self.task, name=self.name)
        if programs.find("update-rc.d"):
            if wanted:
                commands.run(["update-rc.d", self.name, "defaults"])
            commands.run(["update-rc.d", self.name, "enable" if wanted else "disable"])
        else:
            if wanted:
                commands.run(["chkconfig", "--add", self.name])
            commands.run(["chkconfig", self.name, "on" if wanted else "off"])


class OpenRC(SysV):
    """The same with rc-service(8), and runlevels that have names."""

    def _command(self, verb):
        return [programs.need(self.task, "rc-service"), self.name, verb] + self.task.args["arguments"].split()

    def enabled(self):
        return os.path.lexists("/etc/runlevels/%s/%s" % (self.task.args["runlevel"], self.name))

    def enable(self, wanted):
        verb = "add" if wanted else "delete"
        programs.Commands(self.task, name=self.name).run(["rc-update", verb, self.name, self.task.args["runlevel"]])


def converge(task, found):
    """Bring the service that the manager `found` looks after to what the arguments say. Returns the result."""
    args = task.args
    result = {"changed": False, "name": args["name"]}
    if not found.exists():
        task.fail("Could not find the requested service %s: host" % args["name"])
    before, after = {}, {}
    if args["enabled"] is not None:
        result["enabled"] = args["enabled"]
        enabled = found.enabled()
        if enabled != args["enabled"]:
            before["enabled"], after["enabled"] = enabled, args["enabled"]
            if not task.check:
                found.enable(args["enabled"])
    if args["state"] is not None:
        result["state"] = "stopped" if args["state"] == "stopped" else "started"
        running = _running(task, found)
        verbs = _verbs(args["state"], running)
        if verbs:
            before["state"] = "started" if running else "stopped"
            after["state"] = args["state"]
            if not task.check:
                _control(found, verbs, args["sleep"])
    result["changed"] = bool(after)
    if task.diff:
        result["diff"] = {"before": before, "after": after}
    return result


def _running(task, found):
    pattern = task.args["pattern"]
    if pattern:
        return _in_processes(pattern)
    running = found.running()
    if running is None:
        task.fail("failed determining service state, possible typo of service name?")
    return running


def _in_processes(pattern):
    """Whether a process, other than this one and those that started it, has `pattern` in its command line."""
    mine = {str(os.getpid()), str(os.getppid())}
    for number in files.listing("/proc"):
        if not number.isdigit() or number in mine:
            continue
        if pattern in files.text("/proc/%s/cmdline" % number, "").replace("\0", " "):
            return True
    return False


def _verbs(state, running):
    if state == "started":
        return [] if running else ["start"]
    if state == "stopped":
        return ["stop"] if running else []
    if state == "reloaded":
        return ["reload"] if running else ["start"]
    return ["stop", "start"]


def _control(found, verbs, sleep):
    for verb in verbs:
        if verb == "start" and len(verbs) > 1 and sleep:
            time.sleep(sleep)
        found.control(verb)
