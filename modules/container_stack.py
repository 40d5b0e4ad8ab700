"""A stack of containers that a Compose file declares.

What the action on the controller and this module say to each other: `_runtime` as in container_runtime. `_stack` is
what the file declares (`shepherd/compose/declare.py`), with the options of the modules that converge it, complete.
`_absent` are the options by which each of them takes something away. `_expected`, in check mode, are the digests that
earlier tasks would have given names of images. Where files are missing that containers mount, and something is to be
done, the answer is {"need": "files", "files": [name, …]}: nothing is changed yet, and the module is run again with
those as upload, a tar.
"""

from shepherd.modules import container, container_image, container_network, container_volume

from shepherd.remote import installed, made, sent
from shepherd.remote.stack_plan import Plan, Problems
from shepherd.remote.stack_work import Work
from shepherd.remote.task import Failure, Task

SPEC = {
    "summary": "Manage stacks of containers, as Compose files declare them",
    "description": "Reads a Compose file on the controller and converges what it declares: networks, volumes, images"
    " and containers, each service behind those that it depends on. What is not supported is an error that names it,"
    " with its place, and nothing is touched. A service that differs is replaced as `container` does it, and no other.",
    "options": {
        "name": {
            "type": "str",
            "required": True,
            "help": "What the stack is called. Its containers are NAME-SERVICE, its networks and volumes NAME_….",
        },
        "file": {
            "type": "list",
            "elements": "str",
            "help": "The Compose file on the controller, looked for in `files/`; several are merged, the later ones on"
            " top.",
        },
        "project_directory": {
            "type": "str",
            "help": "What relative paths in it are relative to, and where its `.env` is. Default: the first file's"
            " folder.",
        },
        "directory": {
            "type": "str",
            "help": "A folder on the target for relative sources of mounts that containers write to: `./data:/data` is"
            " DIRECTORY/data there. Files, and folders with `:ro`, are sent from the controller in any case.",
        },
        "env": {
            "type": "dict",
            "default": {},
            "help": "Variables for `${…}` in the file. They hold before those of `.env`; the controller's own"
            " environment is not looked at.",
        },
        "secrets": {
            "type": "dict",
            "default": {},
            "no_log": True,
            "help": "More variables, which hold before all others and are shown nowhere: for `secrets` of the file that"
            " say `environment`, and for `${…}`.",
        },
        "profiles": {"type": "list", "elements": "str", "default": [], "help": "Profiles that are active; `*`: all."},
        "prune": {
            "type": "bool",
            "default": False,
            "help": "Remove containers and networks that were made for this stack and are no longer declared. Without"
            " it they are told of. What this module did not make is never touched.",
        },
        "remove_volumes": {
            "type": "bool",
            "default": False,
            "help": "With `prune` or `absent`: the stack's volumes, too. **What is in them is lost.**",
        },
        "relay": {
            "type": "bool",
            "default": False,
            "help": "Whether hosts give the images that are built to each other, as by `container_image`.",
        },
        "state": {
            "type": "str",
            "choices": ["absent", "present"],
            "default": "present",
            "help": "`absent`: nothing of the stack is there but its volumes and images. The file is not needed then.",
        },
        "show_env": {"type": "list", "elements": "str", "default": [], "help": "Variables whose values may be seen."},
        "settle": {
            "type": "float",
            "default": 1.0,
            "help": "Seconds that a new instance without a health check must run, to count as well.",
        },
        "complete": {
            "type": "float",
            "default": 600.0,
            "help": "Seconds that a service may take which others wait for to have completed.",
        },
    },
    "constraints": {"required_if": [["state", "present", ["file"]]]},
    "identity": ["name"],
    "absent": {"state": "absent"},
    "returns": {
        "changes": {
            "type": "list",
            "help": "What was done, and why, in order.",
            "sample": ["network blog_default: created", "blog-web: replaced (env.LEVEL: info → debug)"],
        },
        "services": {
            "type": "dict",
            "help": "The instances of each service.",
            "sample": {"web": [{"name": "blog-web", "id": "5d0b…", "status": "running", "health": "healthy"}]},
        },
        "orphans": {
            "type": "list",
            "help": "What was made for this stack and is no longer declared.",
            "sample": ["container blog-old"],
        },
        "health": {"type": "list", "help": "When it failed: the last answers of the health check.", "sample": []},
        "log": {"type": "list", "help": "When it failed: the last lines of the log.", "sample": []},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["linux"],
    "since": "0.1",
    "examples": """
- name: A Compose file as it is
  container_stack:
    name: blog
    file: compose.yml
    prune: true

- name: With another one on top of it, and variables
  container_stack:
    name: blog
    file: [compose.yml, compose.production.yml]
    env: {VERSION: "{{ version }}"}
    secrets: {DATABASE_PASSWORD: "{{ vaulted_password }}"}
    profiles: [metrics]

- name: No longer
  container_stack:
    name: blog
    state: absent
""",
}

EMPTY = {"networks": [], "volumes": [], "external": {"network": [], "volume": []}, "services": [], "items": []}
MODULES = {"container": container, "image": container_image, "network": container_network, "volume": container_volume}


def run(task):
    args = task.args
    runtime = installed.find(task)
    if runtime is None and not task.check:
        return installed.needed() if args["state"] == "present" else {"changed": False, "changes": [], "orphans": []}
    stack = Stack(task, runtime)
    return stack.absent() if args["state"] == "absent" else stack.present()


class Stack:
    """The work of one run. `changes` is what was done, or would be; `diff` its two sides."""

    def __init__(self, task, runtime):
        self.task = task
        self.runtime = runtime
        self.name = task.args["name"]
        self.wanted = task.args.get("_stack") or EMPTY
        self.changes = []
        self.diff = {"before": {}, "after": {}}
        self.problems = Problems(task)
        self.lacking = set()  # services whose image is not there, and is to be

    def sub(self, kind, options, check, what):
        """Run the module of a kind here. Its failure is the task's."""
        one = Task(dict(options, _runtime=self.task.args["_runtime"]), check, self.task.diff)
        try:
            result = MODULES[kind].run(one)
        except Failure as failure:
            more = {name: value for name, value in failure.result.items() if name != "msg"}
            self.task.fail("%s: %s" % (what, failure.result["msg"]), **more)
        for warning in one.warnings:
            if warning not in self.task.warnings:
                self.task.warn(warning)
        return result

    # What there is to do

    def present(self):
        self._check_external()
        pulls = self._pulls()
        lacking = sent.missing(self.name, self.wanted["items"])
        plan = Plan(self)
        if self.task.check:
            return self._result(plan, pulls, lacking)
        if lacking and self.task.upload is None:
            return {"changed": False, "need": "files", "files": lacking}
        if pulls:
            self._pull(pulls)
            plan = Plan(self)  # now that it is known which images they are
        if lacking:
            sent.unpack(self.name, self.task.upload)
        result = self._result(plan, pulls, lacking)
        if plan.changes:
            Work(self, plan).do()
            result["services"] = Plan(self).services
        sent.forget(self.name, self.wanted["items"] + made.mounted(self.runtime, self.name, sent.folder(self.name)))
        return result

    def _result(self, plan, pulls, lacking):
        """`pulls` and `lacking`: images that are fetched and files that are sent, besides what is planned."""
        fetched = self.changes if not self.task.check else ["image %s: fetched" % options["name"] for options in pulls]
        changes = fetched + ["file %s: sent" % name for name in lacking] + plan.changes
        orphans = ["%s %s" % (kind, name) for kind in sorted(plan.orphans) for name in plan.orphans[kind]]
        result = {"changed": bool(changes), "changes": changes, "orphans": orphans, "services": plan.services}
        gone = ["%s %s" % step for step in plan.pruned()] if self.task.args["prune"] else []
        left = [name for name in orphans if name not in gone]
        if left:
            words = [] if self.task.args["prune"] else ["`prune: true`"]
            words += ["`remove_volumes: true`"] if any(name.startswith("volume ") for name in left) else []
            self.task.warn(
                "made for the stack %s, and no longer declared: %s; they stay without %s"
                % (self.name, ", ".join(left), " and ".join(words))
            )
        if self.task.diff and changes:
            result["diff"] = plan.diff
        return result

    def _check_external(self):
        for kind, names in sorted(self.wanted["external"].items()):
            for name in names:
                if self.runtime is not None and self.look(kind, name) is None and not self.task.check:
                    with self.problems:
                        self.task.fail("%s %s: is external, and there is none: make it first" % (kind, name))

    def look(self, kind, name):
        """The labels of a network or volume; None where it is not there."""
        try:
            if kind == "network":
                record = self.runtime.network(name)
                return None if record is None else record["labels"] or {}
            folders = self.runtime.folders
            volumes = self.runtime.part("volumes.volume")
            volume = volumes.look(folders.root, volumes.check_name(name))
            return None if volume is None else volume.about.get("Labels") or {}
        except self.runtime.part("errors").RuntimeFailure as error:
            return self.task.fail("%s: %s" % (kind, error.message))

    # Images

    def meaning(self, name):
        """The digest that a name means, or would mean by now; None where there is no such image."""
        expected = (self.task.args.get("_expected") or {}).get(name) if self.task.check else None
        if expected is not None or self.runtime is None:
            return expected
        try:
            return self.runtime.meaning(name)
        except self.runtime.part("errors").RuntimeFailure as error:
            return self.task.fail("image %s: %s" % (name, error.message))

    def _pulls(self):
        """The options of container_image for what is to be fetched."""
        found = {}
        for one in self.wanted["services"]:
            name, policy = one["options"]["image"], one["pull"]
            here = self.meaning(name)
            if here is None and policy in ("never", "built") and not self.task.check:
                self.lacking.add(one["service"])
                with self.problems:
                    self.task.fail("service %s: there is no image %s here" % (one["service"], name))
            if policy == "always" or (policy == "missing" and here is None):
                found[name] = one["image"]
        if self.task.check:
            return [found[name] for name in sorted(found) if self.meaning(name) is None]
        return [found[name] for name in sorted(found)]

    def _pull(self, pulls):
        for options in pulls:
            result = self.sub("image", options, False, "image %s" % options["name"])
            if result["changed"]:
                self.changes.append("image %s: fetched" % options["name"])

    # Taking all of it away

    def absent(self):
        found = {"container": [], "network": [], "volume": []}
        if self.runtime is not None:
            found = made.of_stack(self.runtime, self.name)
        kinds = ["container", "network"] + (["volume"] if self.task.args["remove_volumes"] else [])
        gone = [(kind, name) for kind in kinds for name in found[kind]]
        self.check_free(gone)
        for kind, name in gone:
            self.remove(kind, name, self.task.check)
        if not self.task.check:
            sent.forget(self.name, ())
        kept = [] if "volume" in kinds else ["volume " + name for name in found["volume"]]
        result = {"changed": bool(self.changes), "changes": self.changes, "orphans": kept}
        if self.task.diff and self.changes:
            result["diff"] = self.diff
        return result

    def check_free(self, gone):
        """None of (kind, name) that are to go is somebody else's, too. Before any of them goes."""
        others = made.others_on(self.runtime, self.name) if gone else {}
        for step in gone:
            if step in others:
                self.task.fail("%s %s: cannot go: the container %s is on it" % (step + (others[step],)))

    def remove(self, kind, name, check):
        options = dict(self.task.args["_absent"][kind], name=name)
        if self.sub(kind, options, check, "%s %s" % (kind, name))["changed"]:
            self.changes.append("%s %s: removed" % (kind, name))
            self.diff["before"]["%s %s" % (kind, name)] = "present"
            self.diff["after"]["%s %s" % (kind, name)] = "absent"
