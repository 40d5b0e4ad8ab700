"""Instances of a declared container on this machine: what is there, how one is made, started and found to be well.

    NAME, or NAME-1 to NAME-N    the instances
    NAME.next, NAME-1.next, …    on the way to one of these places: without connections and shared names
    NAME.old, NAME-1.old, …      was there before, and goes when the change is through
    NAME.previous                was never started: keeps what was declared before, its secrets, its image (previous.py)

How one takes the place of another is in rolling.py.
"""

import os
import time
from bisect import bisect_left

from shepherd.remote import declaration

NEXT, OLD = LEFT = ".next", ".old"
PREVIOUS = ".previous"
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
        self.spec = labels.get(declaration.SPEC)
        self.declared = declaration.kept(labels) or {}

    @property
    def state(self):
        return self.runtime.part("containers.shown").state(self.record)

    @property
    def is_running(self):
        return self.runs(self.state)

    def runs(self, state):
        """Whether it does, with somebody who looks after it, in that state."""
        alive = state["Status"] in ("running", "paused", "restarting")
        return alive and not self.runtime.part("containers.recovery").needed(self.record, state)

    @property
    def is_kept(self):
        """It is none that runs, but keeps what was declared before."""
        return bool(self.app) and self.name == self.app + PREVIOUS

    @property
    def is_well(self):
        """It runs, and nothing says that it is ill."""
        return self.is_running and self.health != "unhealthy"

    @property
    def front(self):
        """With whom it shares its ports: the app; empty where it has them for itself, or none."""
        return (self.record.config.get("Networking") or {}).get("front") or ""

    @property
    def health(self):
        """healthy, unhealthy, starting; None without a check."""
        return (self.state.get("Health") or {}).get("Status")

    def shown(self, state):
        """What a module says of it."""
        found = {"name": self.name, "id": self.record.id, "status": state["Status"]}
        if "Health" in state:
            found["health"] = state["Health"]["Status"]
        return found


def find(runtime, app):
    """{name: Instance} of NAME, NAME-1, …, of what was left of changes to them, and of NAME.previous."""
    records = runtime.part("containers.record")
    folders = runtime.folders
    found = {}
    for name in _beginning(folders.names, app):
        if name != app and name[len(app)] not in "-.":
            continue
        base = place(name)
        if base == app or name == app + PREVIOUS or (base.startswith(app + "-") and base[len(app) + 1 :].isdigit()):
            record = _record(records, folders, name)
            if record is not None:
                found[name] = Instance(runtime, record)
    return found


_listed = {"state": None, "names": []}  # of a folder of names, sorted: for the items of a loop
_SETTLED = 1.0  # seconds after which a change would have given a folder another time, however coarse the clock


def _beginning(folder, word):
    """The names in a folder that begin with the word."""
    try:
        about = os.stat(folder)
        state = (about.st_dev, about.st_ino, about.st_mtime_ns)
        if _listed["state"] != state:
            settled = about.st_mtime < time.time() - _SETTLED
            _listed.update(state=state if settled else None, names=sorted(os.listdir(folder)))
    except OSError:
        return
    names = _listed["names"]
    for at in range(bisect_left(names, word), len(names)):
        if not names[at].startswith(word):
            return
        yield names[at]


def _record(records, folders, name):
    """The record that has a name of the folder of names; None where that is left over."""
    try:
        record = records.read(folders, os.readlink(os.path.join(folders.names, name)))
    except OSError:
        return None
    return record if record is not None and record.name == name else None


def place(name):
    """NAME-1 of NAME-1.next."""
    for suffix in LEFT:
        name = name[: -len(suffix)] if name.endswith(suffix) else name
    return name


def names(args):
    """What the instances are called."""
    if args["replicas"] is None:
        return [args["name"]]
    return ["%s-%d" % (args["name"], number) for number in range(1, args["replicas"] + 1)]


class NotWell(Exception):  # noqa: N818  # what became of an instance
    """A new instance that did not become well: `problem` as half a sentence, its last checks, its last lines."""

    def __init__(self, name, problem, checks, lines):
        Exception.__init__(self, "%s: %s" % (name, problem))
        self.name, self.problem, self.checks, self.lines = name, problem, checks, lines


class Changes:
    """Makes and ends instances of what is declared.

    `secrets` are bytes by name; `image` is the image's name, where it is not the declaration's. `fronted`: instances
    share their ports and names (network/front.py of the runtime).
    """

    def __init__(self, task, runtime, declared, secrets=None, image=None):
        self.task = task
        self.runtime = runtime
        self.app = task.args["name"]
        self.declared = declared
        if secrets is None:
            secrets = {key: declaration.content(value) for key, value in (task.args["secrets"] or {}).items()}
        self.secrets = secrets
        self.image = image
        self.fronted = is_fronted(runtime, declared)
        self.began = {}  # name: when it was started (time.monotonic)

    def remove(self, *names):
        if names:
            self.runtime.run(["rm", "-f", "-v"] + list(names))

    def stop(self, *names):
        if names:
            self.runtime.run(["stop"] + list(names))

    def rename(self, pairs):
        """Give those in `pairs` of names the second one."""
        if pairs:
            self._run([(["rename"] + list(pair), ()) for pair in pairs])

    def _run(self, commands):
        done = self.runtime.attempt_all(commands)
        if done.status:
            self.task.fail(told_of(done), rc=done.status)

    def switch(self, serve, hold, wait=None):
        """From now on new connections go to those in `serve`, and none to those in `hold`.

        `wait`: seconds that the latter's connections have to end. Those that share nothing are left out.
        """
        words = []
        for word, names in (("--serve", serve), ("--hold", hold)):
            for name in names:
                one = find_one(self.runtime, name)
                words += [word, name] if one is not None and one.front == self.app else []
        if words:
            self.runtime.run(["front", self.app] + words + ([] if wait is None else ["--wait", wait]))

    def start(self, names, again=False):
        """Start some that are there, `again`: that run, and wait until they are well."""
        try:
            self.begin(names, names if again else ())
            self.await_well(names)
        except NotWell as found:
            self.fail("container %s did not start: %s" % (found.name, found.problem), found.checks, found.lines)

    def make(self, wanted):
        """Make instances: for each its place, how it is called for now, and whether it gets no connections yet."""
        if not wanted:
            return
        done = self.runtime.attempt_all([self._creation(*one) for one in wanted])
        if done.status:
            failed = wanted[min(len(done.stdout.splitlines()), len(wanted) - 1)][0]  # a line for each that was made
            self.task.fail("container %s cannot be made: %s" % (failed, told_of(done)), rc=done.status)

    def _creation(self, name, called, held):
        words, files = declaration.words(self.declared, self.app, called), []
        shared = "host" in self.declared.get("networks", ()) or declaration.provider(self.declared) is not None
        if "hostname" not in self.declared and not shared:
            words += ["--hostname", name]
        if self.fronted:
            words += ["--front", self.app] + (["--held"] if held else [])
        for key in sorted(self.secrets):
            words += ["--secret", "%s=/dev/fd/%d" % (key, 100 + len(files))]
            files.append(self.secrets[key])
        return ["create"] + words + declaration.arguments(self.declared, self.image), files

    def fail(self, text, answers=(), lines=()):
        """Fail the task with the last checks and lines of what was not well."""
        if answers:
            text += "\nits last checks: " + "; ".join(answers)
        if lines:
            text += "\nits last lines:\n  " + "\n  ".join(lines)
        self.task.fail(text, health=list(answers), log=list(lines))

    def begin(self, names, instead=()):
        """Start those, all together. Raises NotWell for the first that cannot be.

        Those in `instead` are stopped first, by the same command, which goes on when this process is killed between
        the two. Where that command itself is killed, they are started again, and none of the others runs beside them.
        """
        if not names:
            return
        commands = [(["stop"] + list(instead), ())] if instead else []
        commands.append((["start"] + list(names), ()))
        back = [["stop"] + list(names), ["start"] + list(instead)] if instead else []
        done = self.runtime.attempt_all(commands, apart=bool(instead), killed=back)
        began = time.monotonic()
        self.began.update((name, began) for name in names)
        if done.status:
            said = done.stdout.splitlines()  # the names of those that run
            raise self._not_well(next((name for name in names if name not in said), names[0]), told_of(done), None)

    def await_well(self, names):
        """Wait until those that were begun are well, all of them together. Raises NotWell for the first that is not."""
        waiting, seen = list(names), {}  # of the health of those that wait: it is gone when one ends
        while waiting:
            for name in list(waiting):
                instance = find_one(self.runtime, name)
                if instance is None:
                    raise NotWell(name, "it is gone", [], [])
                seen[name] = instance.state.get("Health") or seen.get(name)
                problem = self._problem(instance, time.monotonic() - self.began[name])
                if problem:
                    raise self._not_well(name, problem, seen[name])
                if problem is not None:
                    waiting.remove(name)
            if waiting:
                time.sleep(LOOK)

    def _problem(self, instance, waited):
        """What is wrong with one that started so many seconds ago; empty: nothing; None: that is not known yet."""
        state, check = instance.state, instance.record.config["Config"].get("Healthcheck")
        checked = bool(check) and check.get("Test") != ["NONE"]
        if state["Status"] not in ("running", "paused") or state["RestartCount"]:
            goes_on = self.declared.get("restart", "no") != "no"
            if not checked and state["Status"] == "exited" and not state["ExitCode"] and not goes_on:
                return ""  # it had something to do, and has done it
            return "it ended with %d%s" % (state["ExitCode"], state["Error"] and ": " + state["Error"])
        health = (state.get("Health") or {}).get("Status")
        if health == "unhealthy":
            return "its health check failed"
        if health == "healthy" or (not checked and waited >= self.task.args["settle"]):
            return ""
        if checked and waited > limit(check):
            return "it was not healthy after %d seconds" % waited
        return None

    def _not_well(self, name, problem, health):
        done = self.runtime.attempt(["logs", "--tail", LINES, name])
        lines = (done.stdout + done.stderr).splitlines()[-LINES:]
        log = (health or {}).get("Log") or []
        return NotWell(
            name, problem, ["%d: %s" % (one["ExitCode"], one["Output"].strip()[:400]) for one in log[-3:]], lines
        )


def is_fronted(runtime, declared):
    """Whether instances of this declaration can share ports: not on another's network, nor where it translates."""
    networks = declared.get("networks") or ["bridge"]
    if any(name in ("none", "host") or name.startswith("container:") for name in networks):
        return False
    records = [runtime.network(name) for name in networks]
    return not any(one and (one.get("options") or {}).get("shepherd.publish") == "nat" for one in records)


def moved(runtime, instance, declared):
    """What of an instance's network is another's than declared, as `declaration.differences` has it.

    It has that of the container which had the name when it was made; that one has been replaced since.
    """
    provider = declaration.provider(declared)
    other = None if provider is None else find_one(runtime, provider)
    has = instance.record.host["NetworkMode"].partition(":")[2]
    if other is None or has == other.record.id:
        return {}
    return {"networks": tuple("container %s (%s)" % (provider, one[:12]) for one in (has, other.record.id))}


def left_behind(runtime, state, declared):
    """The same of one that has the network of an earlier start of the declared container: nothing reaches it there."""
    provider = declaration.provider(declared)
    other = None if provider is None else find_one(runtime, provider)
    if other is None:
        return {}
    about = other.state
    has, now = _network_of(state), _network_of(about)
    if None in (has, now) or has == now:
        return {}
    return {"networks": ("container %s as it ran before" % provider, "as it runs since %s" % about["StartedAt"])}


def _network_of(state):
    """What tells a running container's network namespace from others (namespaces(7)); None where it does not run."""
    try:
        about = os.stat("/proc/%d/ns/net" % state["Pid"])
    except OSError:
        return None
    return about.st_dev, about.st_ino


def find_one(runtime, name):
    """The Instance of that name; None where there is none."""
    record = runtime.part("containers.record").look(runtime.folders, name)
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
