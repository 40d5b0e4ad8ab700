"""From a context and its Containerfile to an image with a name."""

import os

from shepherd.runtime.build import containerfile, context, running, stages, words, worker
from shepherd.runtime.build.cache import Cache, expire
from shepherd.runtime.build.chain import Chain
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.build.progress import Progress
from shepherd.runtime.build.sources import Tree
from shepherd.runtime.build.staging import prefix, sweep
from shepherd.runtime.build.workspace import Workspace
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import documents, reference, trees
from shepherd.runtime.images import image as images
from shepherd.runtime.images.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, Platform
from shepherd.runtime.images.names import Names
from shepherd.runtime.images.store import Store


class Options:
    """What is asked for, as the command line has it."""

    def __init__(self, context_path="."):
        self.context = context_path  # a folder, or "-" for standard input
        self.file = None  # path of the Containerfile, "-" for standard input
        self.tags = []
        self.arguments = {}  # --build-arg
        self.target = None
        self.labels = {}
        self.cache = True
        self.pull = False
        self.platform = None  # a Platform
        self.secrets = {}  # id → ("file", path) or ("env", name)
        self.network = "none"
        self.host_network = False  # whether a step may ask for the machine's
        self.quiet = False
        self.epoch = None  # seconds: SOURCE_DATE_EPOCH
        self.settings = None  # images.transport.Settings, for bases that have to be pulled
        self.credentials = None


def build(options, store=None) -> dict:
    """Build the image: {"id": digest of its configuration, "digest": of its manifest}. Raises RuntimeFailure."""
    tags = [reference.parse(one) for one in options.tags]
    if any(tag.digest is not None for tag in tags):
        raise RuntimeFailure("an image that is yet to be built cannot be named by a digest")
    store = store or Store()

    def work(cable=None):
        with store.lease() as lease:
            return Build(options, store, lease).run(tags, cable)

    try:
        if options.network in running.NETWORKS:
            return worker.run(work)
        from shepherd.runtime.build.cable import Cable

        with Cable(store, prefix(store) + os.urandom(8).hex(), options.network) as cable:
            return worker.run(lambda: work(cable))
    except worker.Died:
        clean_up(store)
        raise


def clean_up(store) -> None:
    """Take away what builds left that were killed."""
    groups = running.groups_of(prefix(store))  # first: the folder of one that lives is there before its groups
    running.remove_groups(groups, sweep(store))


class Build:
    """One build, in its process. What stages need of it is public."""

    def __init__(self, options, store, lease):
        self.options = options
        self.store = store
        self.lease = lease
        self.progress = Progress(quiet=options.quiet)
        self.platform = options.platform or Platform.of_this_machine()
        self.epoch = options.epoch
        self.network = options.network
        self.host_network = options.host_network or options.network == "host"
        self.cache = Cache(store, lease, options.cache)
        self.file = None
        self.globals_ = {}
        self.workspace = None
        self.runner = None
        self._context = None
        self._built = {}  # number of a stage → StageBuild
        self._images = {}  # (name, platform) → Image
        self._trees = {}
        self._unused = set(options.arguments)

    def run(self, tags, cable):
        options = self.options
        clean_up(self.store)
        with Workspace(self.store, self.lease, self.epoch) as self.workspace:
            found = context.Context(options.context, options.file, self.workspace)
            self._context = found.tree
            self.file = containerfile.parse(found.containerfile, found.name)
            self._set_globals()
            with running.Runner(self.workspace, cable) as self.runner:
                last = self._stage(self.file.target(options.target))
            image = self._write(last)
        for name in sorted(self._unused - set(stages.PROXIES) - {"SOURCE_DATE_EPOCH"}):
            self.progress.warn("--build-arg %s is for no ARG" % name)
        names = Names(self.store)
        for tag in tags:
            names.set(tag, image)
        if not tags:
            names.keep(image)
        identity = images.read(self.store, image, self.platform).id
        self.progress.say("image %s" % identity)
        for tag in tags:
            self.progress.say("named %s" % tag.familiar)
        expire(self.store)
        return {"id": str(identity), "digest": str(image.digest)}

    # Variables

    def _set_globals(self):
        """Those of the platform, and of the ARGs before the first FROM, which only a FROM or an ARG sees."""
        here = Platform.of_this_machine()
        for side, one in (("BUILD", here), ("TARGET", self.platform)):
            self.globals_.update(
                {
                    side + "PLATFORM": str(one),
                    side + "OS": one.system,
                    side + "ARCH": one.architecture,
                    side + "VARIANT": str(one).split("/", 2)[2] if str(one).count("/") > 1 else "",
                }
            )
        self.globals_["TARGETSTAGE"] = self.options.target or "default"
        for instruction in self.file.arguments:
            for name, default in instruction.arguments:
                given = self.argument(name)
                if given is None and default is not None:
                    given = self._in_place(instruction, words.expand, default, self._known(), instruction.escape)
                if given is not None or name not in self.globals_:
                    self.globals_[name] = given

    def _known(self):
        return {name: value for name, value in self.globals_.items() if value is not None}

    def _in_place(self, instruction, call, *arguments):
        try:
            return call(*arguments)
        except Wrong as wrong:
            raise self.file.failure(wrong, instruction)

    def argument(self, name):
        """What --build-arg says of it, or None."""
        self._unused.discard(name)
        return self.options.arguments.get(name)

    @property
    def proxies(self):
        given = self.options.arguments
        return {name: given[name] for name in stages.PROXIES if name in given}

    def secret(self, name):
        """Its content, or None."""
        kind, value = self.options.secrets.get(name, (None, None))
        if kind == "env":
            return os.fsencode(os.environ.get(value, ""))
        if kind is None:
            return None
        try:
            with open(value, "rb") as file:
                return file.read(1 << 20)
        except OSError as error:
            raise RuntimeFailure("the secret %s: %s: %s" % (name, value, error.strerror))

    # Stages and images

    def _stage(self, stage):
        found = self._built.get(stage.number)
        if found is None:
            found = self._built[stage.number] = self._build_stage(stage)
        return found

    def _build_stage(self, stage):
        start = stage.start
        known = self._known()
        name = self._in_place(start, words.expand, start.arguments[0], known, start.escape)
        platform = start.options.get("platform")
        if platform is not None:
            platform = self._in_place(start, words.expand, platform, known, start.escape)
        if not name:
            raise self.file.failure(Wrong("the name of the base is empty", start.arguments[0]), start)
        before = self.file.find(name, stage.number) if not name.isdigit() else None
        if before is not None:
            base = self._stage(before)
            waiting = base.settings.table.get("OnBuild") or []
            table = {key: value for key, value in base.settings.table.items() if key != "OnBuild"}
            found = stages.StageBuild(
                self, stage, base.chain, table, base.history, base.arguments, base.settings.author
            )
            triggers = containerfile.triggers(waiting, "ONBUILD of %s" % before.title)
        elif name.lower() == "scratch":
            table = {"Env": [running.PATH], "WorkingDir": "/"}
            found, triggers = stages.StageBuild(self, stage, Chain(), table, [], {}), []
        else:
            total = sum(one.name in ("ADD", "COPY", "RUN", "WORKDIR") for one in stage.instructions) + 1
            step = self.progress.step("[%s 1/%d] FROM %s" % (stage.title, total, name))
            try:
                image = self._image(name, Platform.parse(platform) if platform else self.platform)
                found, triggers = stages.of_base(self, stage, image)
            except RuntimeFailure as error:
                step.failed(error.message)
                raise self.file.failure(Wrong(error.message, start.arguments[0], error.hint), start)
            found.platform = image.config.platform
            step.done()
        found.run(triggers + stage.instructions)
        return found

    def _image(self, name, platform):
        found = self._images.get((name, str(platform)))
        if found is None:
            found = self._images[name, str(platform)] = self._find_image(name, platform)
        return found

    def _find_image(self, name, platform):
        if not self.options.pull:
            try:
                descriptor = images.find_descriptor(self.store, name)
                self.lease.add(descriptor.digest)
                found = images.read(self.store, descriptor, platform)
                self.lease.add(found.manifest_descriptor.digest)
                if found.config.platform.suits(platform) and all(
                    self.store.has(one.digest) for one in found.manifest.layers
                ):
                    return found
            except RuntimeFailure:
                pass  # not here, or not all of it, or not for this platform
        from shepherd.runtime.images.pull import pull
        from shepherd.runtime.images.transport import Settings

        wanted = reference.parse(name)
        settings = self.options.settings or Settings()
        descriptor = pull(self.store, wanted, settings, self.lease, self.options.credentials, platform)
        return images.read(self.store, descriptor, platform)

    def prepare(self, instruction, stage) -> None:
        """Build the stages that the instruction takes files from."""
        for origin, _ in containerfile.origins(instruction):
            before = self.file.find(origin, stage.number)
            if before is not None:
                self._stage(before)

    def chain(self, origin, stage) -> Chain:
        """The files of another stage (its name or number) or of an image."""
        before = self.file.find(origin, stage.number)
        if before is not None:
            return self._stage(before).chain
        return Chain.of(self._image(origin, self.platform))

    def tree(self, origin, stage) -> Tree:
        """The same to be copied from; None is the context."""
        if origin is None:
            return self._context
        chain = self.chain(origin, stage)
        found = self._trees.get((origin, chain.key))
        if found is None:
            found = self._trees[origin, chain.key] = Tree(self.workspace.view(chain), origin, own=True)
        return found

    def open_tree(self, folder, what) -> Tree:
        """A folder of this build's own."""
        return Tree(self.workspace.opened(trees.open_folder(folder)), what)

    # The image

    def _write(self, built):
        """Its Descriptor."""
        settings, platform = built.settings, built.platform
        if self.options.labels:
            settings.set_labels(self.options.labels.items())
        created = built.chain.created or self.workspace.created()
        document = {
            "architecture": platform.architecture,
            "os": platform.system,
            "created": created,
            "config": settings.table,
            "rootfs": {"type": "layers", "diff_ids": [str(one) for one in built.chain.diff_ids]},
            "history": [dict({"created": created}, **one) for one in built.history],
        }
        if platform.variant:
            document["variant"] = platform.variant
        if settings.author:
            document["author"] = settings.author
        data = documents.write(document)
        about = Descriptor(OCI_CONFIG, self.store.add(data, self.lease), len(data))
        manifest = Manifest(OCI_MANIFEST, about, [one for one, _ in built.chain.layers], {})
        data = documents.write(manifest.as_json())
        return Descriptor(OCI_MANIFEST, self.store.add(data, self.lease), len(data))


def secret_of(text) -> tuple:
    """(id, (kind, value)) of --secret id=…,src=… or id=…,env=…. Raises RuntimeFailure."""
    keys = dict(part.partition("=")[::2] for part in text.split(","))
    name = keys.pop("id", "")
    kind = keys.pop("type", None)
    path = keys.pop("src", None) or keys.pop("source", None)
    variable = keys.pop("env", None)
    if not name or keys or (path and variable) or kind not in (None, "file", "env"):
        raise RuntimeFailure("--secret has the form id=NAME,src=FILE or id=NAME,env=VARIABLE")
    if not path and not variable:
        path, variable = (None, name) if kind == "env" or name in os.environ else (name, None)
    if kind == "env" and path:
        path, variable = None, path
    if path and not os.path.isfile(path):
        raise RuntimeFailure("--secret id=%s: there is no file %s" % (name, path))
    if variable and variable not in os.environ:
        raise RuntimeFailure("--secret id=%s: there is no variable %s" % (name, variable))
    return name, ("file", os.path.abspath(path)) if path else ("env", variable)
