"""How new instances of a container take the place of the old ones, some at a time.

*start-first*: new ones are made and started beside the old ones, as NAME.next, and must become well. Then names and
connections change over: old becomes NAME.old, next becomes NAME, and from one moment to the next new connections go to
it. Those on the old one may end, for so long as is given; then it is stopped. *stop-first*: the old ones are stopped
before the new ones start.

The old ones stay, stopped, until all are through: whatever fails, they take their places again.

A play may be killed at any step. NAME.next never has connections: it can be removed. Where there is NAME.old without
NAME, it was NAME and still serves. Where there are both, the change to NAME was made, or all but its last step.
"""

from shepherd.remote import declaration, instances, previous
from shepherd.remote.instances import NEXT, OLD, NotWell, find_one, place, told_of
from shepherd.remote.steps import VERBS
from shepherd.remote.task import Failure

DEFAULTS = {"order": None, "at_a_time": 1, "drain": "10s", "on_failure": "rollback"}


class Settings:
    """The option `update`. Raises DeclarationError."""

    def __init__(self, given):
        given = dict(DEFAULTS, **{name: value for name, value in (given or {}).items() if value is not None})
        self.asked = given["order"]
        self.at_a_time = given["at_a_time"]
        self.drain = declaration.seconds(given["drain"], "update.drain")
        self.on_failure = given["on_failure"]
        if self.at_a_time < 1:
            raise declaration.DeclarationError("update.at_a_time: should be 1 or more")

    def order(self, changes, old, count):
        """(start-first or stop-first, why the latter although nobody asked for it). `old` is what is replaced."""
        declared = changes.declared
        why = None
        if "host" in declared.get("networks", ()):
            why = "it is on the machine's own network, where two would listen at one place"
        elif declaration.provider(declared) is not None:
            why = "it is on the network of another, where two would listen at one place"
        elif declaration.fixed_ports(declared) and not changes.fronted:
            why = "its ports are translated by the kernel (shepherd.publish=nat), to one instance"
        elif declaration.fixed_ports(declared) and any(one.is_running and not one.front for one in old):
            why = "the instance that runs has its ports for itself"
        elif declared.get("addresses"):
            why = "two cannot have its address %s" % ", ".join(sorted(declared["addresses"].values()))
        elif self.asked is None and count < 2 and declaration.written_volumes(declared):
            volumes = ", ".join(declaration.written_volumes(declared))
            why = "both would write to %s; say `order: start-first` where they may" % volumes
        return ("stop-first" if why else self.asked or "start-first"), why


def leftovers(found):
    """What a play that was killed has left: ([(verb, name)], what is there when that is done)."""
    steps, found = [], dict(found)
    for name in sorted(found):
        if name.endswith(NEXT):
            steps.append(("removed", name))
            del found[name]
    for name in sorted(found):
        if not name.endswith(OLD):
            continue
        base, old = place(name), found[name]
        if base in found and (found[base].is_well or not old.is_running):
            steps.append(("removed", name))
        else:
            steps += [("removed", base)] if base in found else []
            steps.append(("put back", name))
            found[base] = old
        del found[name]
    return steps, found


def rollout(task, runtime, settings, declared, before):
    """The Rollout that a task asks for."""
    back = task.args["state"] == "rolled_back"
    given = (previous.secrets(before), previous.image(before)) if back else ()
    changes = instances.Changes(task, runtime, declared, *given)
    return Rollout(changes, settings, task.args["state"] in ("started", "rolled_back"), before, keep=not back)


class Rollout:
    """The changes to all instances. `before`: the Instance that keeps what was declared before, or None; `start`:
    whether they are to run; `keep`: whether what is replaced is kept as what was declared before."""

    def __init__(self, changes, settings, start, before=None, keep=True):
        self.changes = changes
        self.settings = settings
        self.start = start
        self.before = before
        self.keep = keep
        self.first = False
        self.others = 0  # instances beside those that are changed at a time

    def do(self, plan, count):
        """What is planned (see steps.py), in check mode not: what there is to say of it."""
        changes, task, said = self.changes, self.changes.task, {}
        by = {verb: [(name, one) for found, name, one, _fields in plan if found == verb] for verb in VERBS}
        if by["replaced"] and self.start:
            order, why = self.settings.order(changes, [one for _name, one in by["replaced"]], count)
            said["order"] = order
            if why is not None:
                said["because"] = why
                if self.settings.asked == "start-first":
                    task.warn("%s: stop-first, since %s" % (changes.app, why))
        if not task.check:
            changes.stop(*[name for name, _one in by["stopped"]])
            changes.start([name for name, _one in by["started"]])
            changes.start([name for name, _one in by["restarted"]], again=True)
            created = [name for name, _one in by["created"]]
            self.roll(created, by["replaced"], said.get("order"), count)
            self.remove([name for name, _one in by["removed"]], count)
        return {"update": said} if said else {}

    def tidy(self, steps, found):
        """What `leftovers` found."""
        for verb, name in steps:
            base = place(name)
            if verb == "put back":
                self.changes.rename([(name, base)])
                self.changes.switch([base], [])
                continue
            if name.endswith(OLD):
                self._retire([base], [name])
                if self.keep and found[name].declared != found[base].declared:
                    self.before = previous.keep(self.changes, found[name], self.before)
            self.changes.remove(name)

    def roll(self, created, replaced, order, count):
        """`created`: names; `replaced`: (name, Instance). `count`: how many instances there are to be. Fails the task
        where one does not become well."""
        self.first, done, bad = order == "start-first", [], []
        size = self.settings.at_a_time
        batches = [[(name, None) for name in created]] if created else []
        batches += [replaced[at : at + size] for at in range(0, len(replaced), size)]
        for batch in batches:
            self.others = count - len(batch)
            try:
                self._change(batch)
                done += batch
            except NotWell as found:
                bad.append(found)
                if self.settings.on_failure != "continue":
                    break
            except Failure:
                self._give_up(done)
                raise
        if bad:
            said = self._give_up(done)
            text = "the new instance of container %s is not well: %s%s"
            first = bad[0]
            text %= (place(first.name), first.problem, getattr(first, "then", "") + said)
            self.changes.fail(text, first.checks, first.lines)
        self._finish(done)

    def remove(self, names, count):
        """Instances that are too many; `count` stay."""
        if count:
            self.changes.switch([], names, self.settings.drain)
        self.changes.stop(*names)
        self.changes.remove(*names)

    def _change(self, batch):
        """Some of them. Raises NotWell, Failure, and the old ones are as before."""
        changes, made = self.changes, [name + NEXT for name, _old in batch]
        for _name, old in batch:
            if old is not None:
                old.was_running = old.is_running
        running = [old.name for _name, old in batch if old is not None and old.was_running]
        try:
            held = self.start and self.first
            changes.make([(name, name + NEXT, held and old is not None) for name, old in batch])
            if self.start:
                instead = [] if self.first else running
                if instead and self.others:
                    changes.switch([], instead, self.settings.drain)
                changes.begin(made, instead)
                changes.await_well(made)
        except (NotWell, Failure) as error:
            changes.remove(*made)
            error.then = self._start_again([old.name for _name, old in batch if old is not None])
            raise
        changes.rename([(old.name, name + OLD) for name, old in batch if old is not None])
        changes.rename([(name + NEXT, name) for name, _old in batch])
        if self.start:
            self._retire([name for name, _old in batch], [name + OLD for name, old in batch if old is not None])

    def _retire(self, names, olds):
        """Have `names` serve, and `olds` end when their connections have, or the time for that is over."""
        self.changes.switch(names, olds, self.settings.drain if olds else None)
        self.changes.stop(*olds)

    def _start_again(self, names):
        """Have those run that were there before, whoever stopped them: what to say of it."""
        stopped = [name for name in names if self.start and not find_one(self.changes.runtime, name).is_running]
        if not stopped:
            return "; the old one serves on" if names and self.start else ""
        self.changes.switch(stopped, [])
        for name in stopped:
            done = self.changes.runtime.attempt(["start", name])
            if done.status:
                return "; nor does the old one start: " + told_of(done)
        return "; the old one runs again"

    def _give_up(self, done):
        """Those that were changed before one failed get their old ones back, if so asked: what to say of it."""
        if self.settings.on_failure != "rollback":
            return self._finish(done)
        changes, said = self.changes, ""
        if not self.first:
            changes.switch([], [name for name, _old in done], self.settings.drain if self.others else None)
            changes.stop(*[name for name, _old in done])
        back, stay = [], []
        for name, old in done:
            try:
                if old is not None and self.start and old.was_running:
                    changes.begin([name + OLD])
                    changes.await_well([name + OLD])
                back.append((name, old))
            except NotWell as found:
                said += "; the old instance of %s is not well either, the new one stays: %s" % (name, found.problem)
                stay.append(name)
        new, places = [name for name, _old in back], [name for name, old in back if old is not None]
        changes.switch([name + OLD for name in places], new, self.settings.drain)
        changes.remove(*new)
        changes.rename([(name + OLD, name) for name in places])
        changes.switch(places, [])
        if stay:
            self._start_again(stay)
            changes.remove(*[name + OLD for name in stay])
        return ("; %s as before" % ", ".join(places) if places else "") + said

    def _finish(self, done):
        """The old ones go."""
        olds = [old for _name, old in done if old is not None]
        if olds and self.keep and olds[0].declared != self.changes.declared:
            self.before = previous.keep(self.changes, olds[0], self.before)
        self.changes.remove(*[name + OLD for name, old in done if old is not None])
        return ""
