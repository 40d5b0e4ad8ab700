"""Instances of a declared container on this machine: what is there, and how one takes the place of another.

A new instance is made under the name NAME.next, so that all that can be wrong with it before it starts is known while
the old one runs. Then the old one is stopped and the new one started; when that is healthy it gets the name. Otherwise
it goes, and the old one is started again. What a play that was killed has left under NAME.next and NAME.old is removed
by the next one.
"""

import os
import time

from shepherd.remote import declaration

NEXT, OLD = LEFT = ".next", ".old"
LINES = 20  # of a log that are shown
LOOK = 0.05  # seconds between looks at an instance that starts
MARGIN = 10.0  # seconds beyond the limits of its health check


class Instance:
    """A container that is there. `state` is as `inspect` has it, `declared` what was declared of it ({}: not by us)."""

    def __init__(self, runtime, record):
        self.runtime = runtime
        self.record = record
        self.name = record.name
        labels = record.config["Config"].get("Labels") or {}
        self.app = labels.get(declaration.APP)
        self.declared = declaration.kept(labels) or {}

    @property
    def state(self):
        return self.runtime.part("containers.shown").state(self.record)

    @property
    def is_running(self):
        """With somebody who looks after it."""
        lost = self.runtime.part("containers.recovery").needed(self.record, self.record.state())
        return self.state["Status"] in ("running", "paused", "restarting") and not lost

    @property
    def health(self):
        """healthy, unhealthy, starting; None without a check."""
        return (self.state.get("Health") or {}).get("Status")

    def shown(self):
        state = self.state
        found = {"name": self.name, "id": self.record.id, "status": state["Status"]}
        if "Health" in state:
            found["health"] = state["Health"]["Status"]
        return found


def find(runtime, app):
    """{name: Instance} of NAME, NAME-1, … and of what was left of changes to them."""
    records = runtime.part("containers.record")
    folders = runtime.part("containers.folders").Folders()
    try:
        names = os.listdir(folders.names)
    except OSError:
        return {}
    found = {}
    for name in names:
        if name != app and not name.startswith((app + "-", app + ".")):
            continue
        base = name
        for suffix in LEFT:
            base = base[: -len(suffix)] if base.endswith(suffix) else base
        if base == app or (base.startswith(app + "-") and base[len(app) + 1 :].isdigit()):
            record = records.look(folders, name)
            if record is not None:
                found[name] = Instance(runtime, record)
    return found


def names(args):
    """What the instances are called."""
    if args["replicas"] is None:
        return [args["name"]]
    return ["%s-%d" % (args["name"], number) for number in range(1, args["replicas"] + 1)]


class Changes:
    """Makes and ends instances of what is declared."""

    def __init__(self, task, runtime, declared):
        self.task = task
        self.runtime = runtime
        self.declared = declared

    def remove(self, name):
        self.runtime.run(["rm", "-f", "-v", name])

    def stop(self, name):
        self.runtime.run(["stop", name])

    def start(self, instance):
        """Start one that is there, and wait until it is well."""
        done = self.runtime.attempt(["start", instance.name])
        problem = told_of(done) or self._problem(instance.name)
        if problem:
            self._fail(instance.name, "container %s did not start: %s" % (instance.name, problem))

    def replace(self, name, old, start):
        """Have a new instance at `name`; `old` is the Instance there, or None."""
        self.make(name, name + NEXT)
        if start:
            was_running = old is not None and old.is_running
            if was_running:
                self.stop(old.name)
            done = self.runtime.attempt(["start", name + NEXT])
            problem = told_of(done) or self._problem(name + NEXT)
            if problem:
                self._go_back(name, old, was_running, problem)
        if old is not None:
            self.runtime.run(["rename", old.name, name + OLD])
        self.runtime.run(["rename", name + NEXT, name])
        if old is not None:
            self.remove(name + OLD)

    def make(self, name, called):
        """Make an instance for the place `name`, under another name for now."""
        secrets = self.task.args["secrets"] or {}
        words, files = declaration.words(self.declared, self.task.args["name"], called), []
        if "hostname" not in self.declared and "host" not in self.declared.get("networks", ()):
            words += ["--hostname", name]
        for key in sorted(secrets):
            words += ["--secret", "%s=/dev/fd/%d" % (key, 100 + len(files))]
            files.append(declaration.content(secrets[key]))
        words = ["create"] + words + declaration.arguments(self.declared)
        self.runtime.run(words, files, "container %s cannot be made: " % name)

    def _go_back(self, name, old, was_running, problem):
        answers, lines = self._answers(name + NEXT), self._lines(name + NEXT)
        self.remove(name + NEXT)
        text = "the new instance of container %s is not well: %s" % (name, problem)
        if was_running:
            done = self.runtime.attempt(["start", old.name])
            text += "; the old one runs again" if not done.status else "; nor does the old one start: " + told_of(done)
        self._fail(None, text, answers, lines)

    def _fail(self, name, text, answers=(), lines=()):
        if name is not None:
            answers, lines = self._answers(name), self._lines(name)
        if answers:
            text += "\nits last checks: " + "; ".join(answers)
        if lines:
            text += "\nits last lines:\n  " + "\n  ".join(lines)
        self.task.fail(text, health=list(answers), log=list(lines))

    def _lines(self, name):
        done = self.runtime.attempt(["logs", "--tail", LINES, name])
        return (done.stdout + done.stderr).splitlines()[-LINES:]

    def _answers(self, name):
        instance = find_one(self.runtime, name)
        if instance is None:
            return []
        log = (self._health or instance.state.get("Health") or {}).get("Log") or []
        return ["%d: %s" % (one["ExitCode"], one["Output"].strip()[:400]) for one in log[-3:]]

    _health = None  # what the last look at the instance that starts saw of its health: it is gone when that ends

    def _problem(self, name):
        """Wait until an instance that was started is well: what is wrong with it, or an empty text."""
        began = time.monotonic()
        self._health = None
        while True:
            instance = find_one(self.runtime, name)
            if instance is None:
                return "it is gone"
            state, check = instance.state, instance.record.config["Config"].get("Healthcheck")
            checked = bool(check) and check.get("Test") != ["NONE"]
            self._health = state.get("Health") or self._health
            if state["Status"] not in ("running", "paused") or state["RestartCount"]:
                if not checked and state["Status"] == "exited" and not state["ExitCode"] and not self._goes_on():
                    return ""  # it had something to do, and has done it
                return "it ended with %d%s" % (state["ExitCode"], state["Error"] and ": " + state["Error"])
            health, waited = (state.get("Health") or {}).get("Status"), time.monotonic() - began
            if health == "unhealthy":
                return "its health check failed"
            if health == "healthy" or (not checked and waited >= self.task.args["settle"]):
                return ""
            if checked and waited > limit(check):
                return "it was not healthy after %d seconds" % waited
            time.sleep(LOOK)

    def _goes_on(self):
        return self.declared.get("restart", "no") != "no"


def find_one(runtime, name):
    """The Instance of that name; None where there is none."""
    folders = runtime.part("containers.folders").Folders()
    record = runtime.part("containers.record").look(folders, name)
    return None if record is None else Instance(runtime, record)


def limit(check):
    """Seconds after which a health check (Docker's Healthcheck, in nanoseconds) has said yes or no."""
    interval, timeout = (check.get("Interval") or 3e10) / 1e9, (check.get("Timeout") or 3e10) / 1e9
    tries = (check.get("Retries") or 3) + 1
    return (check.get("StartPeriod") or 0) / 1e9 + (interval + timeout) * tries + MARGIN


def told_of(done):
    """What a command that failed says; an empty text where it did not."""
    from shepherd.remote import installed

    return installed.told(done) if done.status else ""
