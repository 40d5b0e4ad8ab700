"""What a stack needs, done: in order, each service behind those that it waits for."""

import time

from shepherd.remote import instances
from shepherd.remote.stack_plan import is_done

LOOK = 0.1  # seconds between looks at one that is to complete


class Work:
    """Does what was planned."""

    def __init__(self, stack, plan):
        self.stack = stack
        self.task = stack.task
        self.plan = plan

    def do(self):
        pruned = self.plan.pruned() if self.task.args["prune"] else []
        for kind, name in pruned:
            if kind == "container":  # first: others may want its ports
                self.stack.remove(kind, name, False)
        for kind, options in self.plan.resources:
            self.stack.sub(kind, options, False, "%s %s" % (kind, options["name"]))
            self.stack.changes.append("%s %s: created" % (kind, options["name"]))
        waited = {}
        for one in self.stack.wanted["services"]:
            for need in one["needs"]:
                waited.setdefault(need["service"], set()).add(need["condition"])
        for one in self.stack.wanted["services"]:
            self._service(one)
            if "healthy" in waited.get(one["service"], ()):
                self._wait_for_health(one)
        for kind, name in pruned:
            if kind != "container":
                self.stack.remove(kind, name, False)

    def _service(self, one):
        planned = self.plan.steps.get(one["service"])
        if not planned:
            return
        what = "service %s" % one["service"]
        if ": restarted" in planned[0]:
            for each in self.plan.found(one):
                self.stack.runtime.run(["restart", each.name], (), what + ": ")
            self.stack.changes += planned
            return
        result = self.stack.sub("container", one["options"], False, what)
        self.stack.changes += result["changes"]
        if one["once"] and one["options"]["state"] != "absent":
            self._wait_for_end(one)

    def _wait_for_end(self, one):
        deadline = time.monotonic() + self.task.args["complete"]
        for each in self.plan.found(one):
            while not is_done(each):
                status = each.state["Status"]
                if status == "exited" and not each.is_running:
                    self._fail(one, each, "ended with %d" % each.state["ExitCode"])
                if time.monotonic() > deadline:
                    self._fail(one, each, "has not completed after %d seconds" % self.task.args["complete"])
                time.sleep(LOOK)

    def _wait_for_health(self, one):
        for each in self.plan.found(one):
            check = each.record.config["Config"].get("Healthcheck") or {}
            if not check or check.get("Test") == ["NONE"]:
                self._fail(one, each, "has no health check, and others wait for it to be healthy")
            deadline = time.monotonic() + instances.limit(check)
            while each.health != "healthy":
                if each.health == "unhealthy" or time.monotonic() > deadline or not each.is_running:
                    self._fail(one, each, "is not healthy, and others wait for it")
                time.sleep(LOOK)

    def _fail(self, one, instance, problem):
        done = self.stack.runtime.attempt(["logs", "--tail", instances.LINES, instance.name])
        lines = (done.stdout + done.stderr).splitlines()[-instances.LINES :]
        text = "service %s: %s %s" % (one["service"], instance.name, problem)
        if lines:
            text += "\nits last lines:\n  " + "\n  ".join(lines)
        self.task.fail(text, log=lines, changes=self.stack.changes)
