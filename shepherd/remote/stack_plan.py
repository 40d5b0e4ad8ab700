"""What a stack needs: each part looked at by the module that converges it, before any is touched."""

import errno
import os

from shepherd.remote import declaration, instances, made
from shepherd.remote.task import Failure


class Problems:
    """What is in the way: `with problems:` around each check, then `tell`, so that all of it is told at once."""

    def __init__(self, task):
        self.task = task
        self.found = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if not isinstance(error, Failure):
            return False
        self.found.append(error)
        return True

    def tell(self):
        """Fail the task where anything was found."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            lines = dict.fromkeys("  %s" % error.result["msg"] for error in self.found)
            self.task.fail("%d things are in the way:\n%s" % (len(lines), "\n".join(lines)))


class Plan:
    """What the modules say they would do. Whatever can be found wrong without touching anything is, all at once."""

    def __init__(self, stack):
        self.stack = stack
        self.task = stack.task
        self.diff = {"before": {}, "after": {}}
        self.changes = []
        self.services = {}
        self.steps = {}  # of services that are to be changed: replaced, started, … as `container` says it
        self.following = set()  # those of which nothing is to be changed but what they depend on
        self.options = {one["service"]: one["options"] for one in stack.wanted["services"]}
        self.resources = []  # (kind, options) of networks and volumes to make
        self.orphans = self._orphans()
        problems = stack.problems
        with problems:
            if self.task.args["prune"]:
                self._prune()
        for kind in ("network", "volume"):
            for options in stack.wanted[kind + "s"]:
                with problems:
                    self._resource(kind, options)
        for one in stack.wanted["services"]:
            checks = (self._check_platform, self._check_health, self._service)
            for check in checks[: 2 if one["service"] in stack.lacking else 3]:
                with problems:
                    check(one)
        self._check_ports(problems)
        problems.tell()

    def _orphans(self):
        """What has the stack's label and is not declared: {kind: names}."""
        found = {"container": [], "network": [], "volume": []}
        if self.stack.runtime is not None:
            found = made.of_stack(self.stack.runtime, self.stack.name)
        wanted = {
            kind: {one["name"] for one in self.stack.wanted[kind + "s"]} | set(self.stack.wanted["external"][kind])
            for kind in ("network", "volume")
        }
        wanted["container"] = {one["options"]["name"] for one in self.stack.wanted["services"]}
        return {kind: [name for name in names if name not in wanted[kind]] for kind, names in found.items()}

    def pruned(self):
        """(kind, name) of what goes."""
        kinds = ["container", "network"] + (["volume"] if self.task.args["remove_volumes"] else [])
        return [(kind, name) for kind in kinds for name in self.orphans[kind]]

    def _prune(self):
        self.stack.check_free(self.pruned())
        for kind, name in self.pruned():
            self.changes.append("%s %s: removed" % (kind, name))
            self.diff["before"]["%s %s" % (kind, name)] = "present"
            self.diff["after"]["%s %s" % (kind, name)] = "absent"

    def _resource(self, kind, options):
        name, stack = options["name"], self.stack
        what = "%s %s" % (kind, name)
        labels = None if stack.runtime is None else stack.look(kind, name)
        if labels is not None and labels.get(made.STACK) != stack.name:
            self.task.fail("%s: is there, and not this stack's: say `external: true`, or name another" % what)
        result = stack.sub(kind, options, True, what)
        if not result["changed"]:
            return
        self.resources.append((kind, options))
        self.changes.append("%s: %s" % (what, "created" if labels is None else "replaced"))
        for side, shown in (result.get("diff") or {}).items():
            self.diff[side][what] = shown[name]

    def _check_ours(self, one):
        """Another stack or task may have declared a container of that name."""
        for each in self.found(one):
            labels = each.record.config["Config"].get("Labels") or {}
            if labels.get(made.STACK) != self.stack.name:
                self.task.fail(
                    "service %s: the container %s is there, and not this stack's: say another `container_name`"
                    % (one["service"], each.name)
                )

    def _service(self, one):
        self._check_ours(one)
        options = dict(one["options"])
        if self.task.check:
            options["_image"] = self.stack.meaning(options["image"])
        if one["once"] and options["state"] != "absent":
            options["state"] = "present"  # as long as what was declared has been done
        result = self.stack.sub("container", options, True, "service %s" % one["service"])
        changes = result["changes"]
        if options["state"] == "present" and not changes and not all(is_done(each) for each in self.found(one)):
            changes = ["%s: started" % options["name"]]
        self.services[one["service"]] = result["instances"]
        if not changes:
            changes = self._followed(one)
            self.following.update([one["service"]] if changes else [])
        if changes:
            self._check_words(one)
            self.steps[one["service"]] = changes
            self.changes += changes
        for side, shown in (result.get("diff") or {}).items():
            self.diff[side].update(shown)

    def _check_words(self, one):
        """What the runtime would refuse when the instance is made: said now, while nothing is touched."""
        runtime, options = self.stack.runtime, one["options"]
        if runtime is None or options["state"] == "absent":
            return
        declared = declaration.declare(options, "", "")  # it could be: `container` has looked
        words = declaration.words(declared, options["name"], options["name"]) + declaration.arguments(declared)
        reading, specification = runtime.part("cli.run_options"), runtime.part("containers.specification")
        try:
            wanted = reading.request(reading.read(words, "create"))
            specification.granted_capabilities(wanted.host)
        except runtime.part("errors").RuntimeFailure as error:
            self.task.fail("service %s: %s" % (one["service"], error.message))
        for device in wanted.host["Devices"]:
            if not os.path.exists(device["PathOnHost"]):
                self.task.fail("service %s: there is no device %s here" % (one["service"], device["PathOnHost"]))

    def _check_platform(self, one):
        if one["platform"] is None or self.stack.runtime is None:
            return
        here = str(self.stack.runtime.part("images.manifest").Platform.of_this_machine())
        if one["platform"].split("/")[:2] != here.split("/")[:2]:
            self.task.fail("service %s: is for %s, and this machine is %s" % (one["service"], one["platform"], here))

    def _check_health(self, one):
        """Who waits for another to be healthy waits for one that has a check, of its own or its image's."""
        for need in one["needs"]:
            if need["condition"] == "healthy" and not self._has_check(self.options[need["service"]]):
                self.task.fail(
                    "service %s: waits for %s to be healthy, which has no health check"
                    % (one["service"], need["service"])
                )

    def _has_check(self, options):
        declared = options["health"] or {}
        if declared.get("disable") or any(declared.get(name) for name in ("command", "exec", "http", "tcp")):
            return not declared.get("disable")
        runtime = self.stack.runtime
        if runtime is None or runtime.meaning(options["image"]) is None:
            return True  # that is not known yet
        store = runtime.part("images.store").Store()
        settings = runtime.part("images.image").find(store, options["image"]).config.settings
        test = (settings.get("Healthcheck") or {}).get("Test") or ["NONE"]
        return test[0] != "NONE"

    def _check_ports(self, problems):
        """Ports of the machine that somebody else has, before anything is touched."""
        if self.stack.runtime is None:
            return
        parse = self.stack.runtime.part("network.ports").parse_ports
        ours = set()
        for _record, labels in made.containers(self.stack.runtime):
            if labels.get(made.STACK) == self.stack.name:
                ours.update(parse((declaration.kept(labels) or {}).get("ports", [])))
        for one in self.stack.wanted["services"]:
            is_changed = one["service"] in self.steps or one["service"] in self.stack.lacking
            if not is_changed or one["options"]["state"] == "absent":
                continue
            for port in parse(one["options"]["ports"] or []):
                if port.first and port.first == port.last and port not in ours and _is_taken(port):
                    with problems:
                        self.task.fail(
                            "service %s: the port %d/%s of %s is somebody else's"
                            % (one["service"], port.first, port.protocol, port.address)
                        )

    def found(self, one):
        """The instances of a service that are there."""
        if self.stack.runtime is None:
            return []
        names = instances.names(one["options"])
        return [each for each in (instances.find_one(self.stack.runtime, name) for name in names) if each is not None]

    def _followed(self, one):
        """What is to be started again, or replaced, since something that it depends on is."""
        done, causes = "restarted", []
        for need in one["needs"]:
            steps = self.steps.get(need["service"], ())
            verbs = {step.partition(" (")[0].rpartition(": ")[2] for step in steps}
            for verb in ("replaced", "restarted", "started"):
                if verb in verbs and (need.get("network") or (need["restart"] and verb == "replaced")):
                    causes.append("%s is %s" % (need["service"], verb))
                    if need.get("network") and verb == "replaced":
                        done = "replaced"  # the network that it had is gone with the other
                    break
        if not causes or one["once"]:
            return []
        return ["%s: %s (%s)" % (each.name, done, ", ".join(causes)) for each in self.found(one)]


def _is_taken(port):
    import socket  # for the ports of what is changed alone

    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as who listens does: old connections do not count
        try:
            one.bind((port.address, port.first))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def is_done(instance):
    return instance.state["Status"] == "exited" and not instance.state["ExitCode"]
