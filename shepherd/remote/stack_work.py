"""What a stack needs, done: each service as soon as those that it waits for are there, beside the others."""

import select
import time

from shepherd.remote import instances
from shepherd.remote.branch import Branch
from shepherd.remote.stack_plan import is_done
from shepherd.remote.task import Failure

LOOK = 0.1  # seconds between looks at what is waited for
MOST = 8  # services that are changed at once


class Work:
    """Does what was planned. Fails the task with what was done before it."""

    def __init__(self, stack, plan):
        self.stack = stack
        self.task = stack.task
        self.plan = plan
        self.services = {one["service"]: one for one in stack.wanted["services"]}
        self.branches = {}  # service: Branch, of those that are being changed
        self.began = time.monotonic()

    def do(self):
        try:
            self._do()
        except Failure as failure:
            done = self.stack.changes
            text = failure.result["msg"] + ("\ndone before it: " + "; ".join(done) if done else "")
            more = {name: value for name, value in failure.result.items() if name != "msg"}
            self.task.fail(text, **dict(more, changes=done))

    def _do(self):
        pruned = self.plan.pruned() if self.task.args["prune"] else []
        for kind, name in pruned:
            if kind == "container":  # first: others may want its ports
                self.stack.remove(kind, name, False)
        for kind, options in self.plan.resources:
            self.stack.sub(kind, options, False, "%s %s" % (kind, options["name"]))
            self.stack.changes.append("%s %s: created" % (kind, options["name"]))
        self._change_all()
        for kind, name in pruned:
            if kind != "container":
                self.stack.remove(kind, name, False)

    def _change_all(self):
        """When one fails, those that have begun end, and no other begins."""
        waiting = [one for one in self.stack.wanted["services"] if one["service"] in self.plan.steps]
        failures = []
        while self.branches or (waiting and not failures):
            try:
                for one in [] if failures else list(waiting):
                    if len(self.branches) < MOST and self._may_begin(one, {other["service"] for other in waiting}):
                        waiting.remove(one)
                        self.branches[one["service"]] = Branch(lambda one=one: self._told(one))
            except Failure as failure:
                failures.append(failure)
            failures += self._finished()
        if failures:
            raise failures[0]

    def _finished(self):
        """The failures of those that have ended meanwhile."""
        failures = []
        names = {branch: name for name, branch in self.branches.items()}
        for branch in select.select(list(names), [], [], LOOK)[0]:
            del self.branches[names[branch]]
            answer = branch.answer()
            for warning in answer["warnings"]:
                self.task.warn(warning)
            self.stack.changes += answer["changes"]
            if answer["failed"] is not None:
                failures.append(Failure(**answer["failed"]))
        return failures

    def _may_begin(self, one, waiting):
        """Whether all is there that a service waits for. Raises Failure where it never will be."""
        for need in one["needs"]:
            other = need["service"]
            if other in waiting:
                return False
            if other in self.branches:
                if need["condition"] != "started" or need["restart"] or not self._is_up(self.services[other]):
                    return False
            elif need["condition"] == "healthy" and not self._is_healthy(self.services[other]):
                return False
        return True

    def _is_up(self, one):
        """Whether a service that is being changed has begun to run, though it may not be well yet."""
        if not all(": created" in change for change in self.plan.steps[one["service"]]):
            return False  # the one that runs is the old one
        found = [self._one(name + instances.NEXT) or self._one(name) for name in instances.names(one["options"])]
        return all(each is not None and each.state["Status"] == "running" for each in found)

    def _one(self, name):
        return instances.find_one(self.stack.runtime, name)

    def _is_healthy(self, one):
        """Of one that was not changed, or is through. Raises Failure where it is not and will not be."""
        for each in self.plan.found(one):
            if each.health == "healthy":
                continue
            check = each.record.config["Config"].get("Healthcheck") or {}
            late = time.monotonic() > self.began + instances.limit(check)
            if not check or each.health == "unhealthy" or not each.is_running or late:
                self._fail(one, each, "is not healthy, and others wait for it")
            return False
        return True

    # One service, in a process of its own

    def _told(self, one):
        before, changes, failed = len(self.task.warnings), [], None
        try:
            changes = self._change(one)
        except Failure as failure:
            failed = failure.result
        return {"changes": changes, "failed": failed, "warnings": self.task.warnings[before:]}

    def _change(self, one):
        planned, what = self.plan.steps[one["service"]], "service %s" % one["service"]
        if one["service"] in self.plan.following and ": restarted" in planned[0]:
            for each in self.plan.found(one):
                self.stack.runtime.run(["restart", each.name], (), what + ": ")
            return planned
        result = self.stack.sub("container", one["options"], False, what)
        if one["once"] and one["options"]["state"] != "absent":
            self._wait_for_end(one)
        return result["changes"] or planned

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

    def _fail(self, one, instance, problem):
        done = self.stack.runtime.attempt(["logs", "--tail", instances.LINES, instance.name])
        lines = (done.stdout + done.stderr).splitlines()[-instances.LINES :]
        text = "service %s: %s %s" % (one["service"], instance.name, problem)
        if lines:
            text += "\nits last lines:\n  " + "\n  ".join(lines)
        self.task.fail(text, log=lines)
