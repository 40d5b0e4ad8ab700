"""One stage, from its FROM on: each instruction in turn changes the files, what the image says, or the variables."""

import json
import os

from shepherd.runtime.build import containerfile, copying, download, mounting, running, sources, users
from shepherd.runtime.build import words as texts
from shepherd.runtime.build.additions import Local, Remote
from shepherd.runtime.build.cache import key_of
from shepherd.runtime.build.chain import Chain
from shepherd.runtime.build.instructions import check_mode
from shepherd.runtime.build.problems import Wrong, shown
from shepherd.runtime.build.settings import Settings, check
from shepherd.runtime.errors import RuntimeFailure

# Variables that are there without ARG, and are neither in a key nor in the history
PROXIES = [one for name in ("http", "https", "ftp", "no", "all") for one in (name.upper() + "_PROXY", name + "_proxy")]
_SHOWN = ("ADD", "COPY", "RUN", "WORKDIR")
_SCRIPT = "/dev/build-script"
LONGEST_TITLE = 160


class StageBuild:
    """`build` is the Build; `chain`, `table` (`config` of the image), `history` and `arguments` are what
    it begins with, and after `run` what it came to."""

    def __init__(self, build, stage, chain, table, history, arguments, author=None):
        self.build = build
        self.stage = stage
        self.chain = chain
        self.settings = Settings(table, author)
        self.history = list(history)
        self.arguments = dict(arguments)
        self.platform = build.platform
        self._step = None

    def run(self, instructions):
        total = sum(one.name in _SHOWN for one in instructions) + 1
        count = 1
        for instruction in instructions:
            self.build.prepare(instruction, self.stage)
            if instruction.name in _SHOWN:
                count += 1
                title = " ".join(instruction.text.split())
                title = title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…"
                self._step = self.build.progress.step("[%s %d/%d] %s" % (self.stage.title, count, total, title))
            try:
                HANDLERS[instruction.name](self, instruction)
            except Wrong as wrong:
                raise self._failure(wrong, instruction)
            except RuntimeFailure as error:
                if error.message.startswith(self.build.file.problems.name + ":"):
                    raise  # of another stage, with its place
                raise self._failure(Wrong(error.message, None, error.hint), instruction)
            except UnicodeError:
                wrong = Wrong("this Python takes names for ASCII, and there are others", None, "set LC_ALL=C.UTF-8")
                raise self._failure(wrong, instruction)
            except OSError as error:
                where = "%s: " % error.filename if isinstance(error.filename, str) else ""
                raise self._failure(Wrong("%s%s" % (where, error.strerror or error)), instruction)

    def _failure(self, wrong, instruction):
        if self._step is not None:
            self._step.failed(wrong.message)
        if instruction in self.stage.instructions:
            return self.build.file.failure(wrong, instruction)
        hint = wrong.hint
        return RuntimeFailure(
            "ONBUILD of the base of %s: %s: %s" % (self.stage.title, instruction.text, wrong.message), hint
        )

    # Words and history

    @property
    def variables(self):
        found = {name: value for name, value in self.arguments.items() if value is not None}
        found.update(self.settings.environment)
        return found

    def _expand(self, text, instruction):
        return texts.expand(text, self.variables, instruction.escape)

    def _option(self, instruction, name):
        value = instruction.options.get(name)
        return self._expand(value, instruction) if value is not None else None

    def _note(self, text, empty=True):
        """Into the history; an instruction that makes no layer has the time of the last one that did."""
        entry = {"created_by": text}
        if self.chain.created:
            entry["created"] = self.chain.created
        if empty:
            entry["empty_layer"] = True
        self.history.append(entry)

    def _change_files(self, key, make, text, link=False):
        """Go on with what the step of this key made before, or with the layer that `make()` returns as a Chain."""
        cache, before = self.build.cache, len(self.chain.layers)
        found = cache.find(key)
        if found is not None:
            self._step.cached()
        else:
            with cache.lock(key):
                found = cache.find(key)
                if found is not None:
                    self._step.cached()
                else:
                    layer = make()
                    found = layer if link else self.chain.plus(layer)
                    cache.keep(key, found)
                    self._step.done()
        self.chain = self.chain.plus(found) if link else found
        if link:
            self.chain.save(self.build.store, self.build.lease)
        self._note(text, len(self.chain.layers) == before)

    # Files

    def _copy(self, instruction):
        options = instruction.options
        *given, destination = [self._expand(one, instruction) for one in instruction.arguments]
        marks = {document.mark: document for document in instruction.documents}
        excludes = sources.excludes([self._expand(one, instruction) for one in options.get("exclude", ())])
        origin = options.get("from")
        tree = self.build.tree(origin, self.stage)
        unpack = options.get("unpack") if instruction.name == "ADD" else False  # None: local archives alone
        found = []
        for text, word in zip(given, instruction.arguments):
            if word in marks:
                found.append(Local(self._document(marks[word], instruction), excludes, False))
            elif instruction.name == "ADD" and download.is_url(text):
                checksum = self._option(instruction, "checksum")
                found.append(Remote(text, checksum, self.build.workspace, unpack is True, destination))
            else:
                if instruction.name == "ADD":
                    download.check(text)
                    if options.get("checksum"):
                        raise Wrong("--checksum is for what is fetched by HTTP", "--checksum")
                pieces = tree.select(text, options.get("parents", False))
                found += [Local(piece, excludes, unpack is not False) for piece in pieces]
        into = destination.endswith("/") or os.path.basename(destination) in (".", "..") or len(found) > 1
        target = os.path.normpath(os.path.join("/", self.settings.folder, destination))
        link, owner = bool(options.get("link")), self._option(instruction, "chown")
        mode = self._option(instruction, "chmod")
        if mode is not None:
            check_mode(mode)
        key = key_of(
            instruction.name,
            "" if link else self.chain.key,
            [one.key() for one in found],
            [target, into, owner, mode, bool(origin), self.build.epoch],
        )

        def make():
            with self.build.workspace.change(Chain() if link else self.chain) as change:
                if owner is not None:
                    user = users.resolve(None if link else change.root, owner, same_group=True)
                    ids = (user.uid, user.gid)
                else:
                    ids = None if tree.own else (0, 0)
                function = copying.mode_function(mode) if mode is not None else None
                copier = copying.Copier(change.root, ids, function, self.build.workspace.moment())
                for one in found:
                    one.place(copier, target, into, self.build.workspace, owner is None and function is None)
                return change.commit()

        self._change_files(key, make, instruction.text, link)

    def _document(self, document, instruction):
        """A here-document as a file."""
        content = document.content
        if document.expand:
            content = texts.expand_document(content, self.variables, instruction.escape)
        name = os.path.basename(document.name)
        if name in ("", ".", ".."):
            raise Wrong("a file cannot be called %s" % document.name, document.mark)
        folder = self.build.workspace.folder("document")
        with open(os.path.join(folder, name), "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(content)
        os.chmod(os.path.join(folder, name), 0o644)
        moment = self.build.workspace.moment()
        os.utime(os.path.join(folder, name), ns=(moment, moment))
        return self.build.open_tree(folder, "the build").select(name.replace("\\", "\\\\"))[0]

    def _workdir(self, instruction):
        path = os.path.normpath(
            os.path.join("/", self.settings.folder, self._expand(instruction.arguments, instruction))
        )
        path = "/" + path.lstrip("/")
        self.settings.table["WorkingDir"] = path
        key = key_of("WORKDIR", self.chain.key, path, self.settings.user, self.build.epoch)

        def make():
            with self.build.workspace.change(self.chain) as change:
                owner = (0, 0)
                if self.settings.user:
                    user = users.resolve(change.root, self.settings.user)
                    owner = (user.uid, user.gid)
                copier = copying.Copier(change.root, owner, None, self.build.workspace.moment())
                os.close(copier.folder(path)[0])
                return change.commit()

        self._change_files(key, make, instruction.text)

    # Programs

    def _run(self, instruction):
        mounts = [mounting.parse(self._expand(one, instruction)) for one in instruction.options.get("mount", ())]
        network = self._network(instruction)
        security = self._option(instruction, "security") or "sandbox"
        if security != "sandbox":
            raise Wrong("--security=%s is not possible: steps run as containers do" % security, "--security")
        command, script = self._command(instruction)
        build = self.build
        given = mounting.Mounts(
            build.workspace, mounts, self.settings.folder,
            lambda name: build.tree(name, self.stage), lambda name: build.chain(name, self.stage), build.secret,
        )  # fmt: skip
        variables = {name: value for name, value in self.arguments.items() if value is not None}
        declared = {name: value for name, value in variables.items() if name not in self.settings.environment}
        with given:
            key = key_of(
                "RUN", self.chain.key, command, script, sorted(self.settings.environment.items()),
                sorted(declared.items()), self.settings.user, self.settings.folder, given.key(), network, build.epoch,
                str(self.platform),
            )  # fmt: skip

            def make():
                given.make()
                table = given.table() + (self._script(script) if script is not None else [])
                with build.workspace.change(self.chain, [build.runner.stub(given.targets())]) as change:
                    user = users.resolve(change.root, self.settings.user or "0")
                    environment = dict(build.proxies, **dict(declared, **self.settings.environment))
                    environment.update(given.environment)
                    environment.setdefault("PATH", running.PATH.partition("=")[2])
                    process = {
                        "args": command,
                        "env": ["%s=%s" % pair for pair in environment.items()],
                        "cwd": self.settings.folder,
                        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": user.groups},
                    }
                    code = build.runner.run(change.path, process, table, network, self._step.output)
                    self._step.output(b"")
                    if code:
                        hint = (
                            "steps have no network unless asked: --network bridge or --network host"
                            if network == "none"
                            else None
                        )
                        raise Wrong("the command ended with exit code %d" % code, None, hint)
                    return change.commit()

            shown = "".join(" %s=%s" % pair for pair in sorted(declared.items()))
            counted = "|%d%s " % (len(declared), shown) if declared else ""
            self._change_files(key, make, "RUN %s%s" % (counted, " ".join(command)))

    def _network(self, instruction):
        asked = self._option(instruction, "network")
        if asked in (None, "default"):
            return self.build.network
        network = asked
        if network not in running.NETWORKS:
            raise Wrong("there is no network %s for a step" % network, network, "one of: none, host, default")
        if network == "host" and not self.build.host_network:
            raise Wrong("the machine's network was not given to this build", "--network", "with --network host it is")
        return network

    def _command(self, instruction):
        """(words to execute, content of a script or None)"""
        if not instruction.shell:
            return instruction.arguments, None
        text, documents = instruction.arguments, instruction.documents
        if len(documents) == 1 and text.strip() == documents[0].mark:
            content = documents[0].content
            if content.startswith("#!"):
                return [_SCRIPT], content
            return self.settings.shell + [content], None
        if documents:
            text += "\n" + "".join(document.text for document in documents)
        return self.settings.shell + [text], None

    def _script(self, content):
        """In /dev, which is not the image's."""
        place = os.path.join(self.build.workspace.folder("script"), "script")
        with open(place, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(content)
        os.chmod(place, 0o755)
        return [{"destination": _SCRIPT, "type": "bind", "source": place, "options": ["bind", "ro", "nosuid", "nodev"]}]

    # What the image says

    def _arg(self, instruction):
        for name, default in instruction.arguments:
            given = self.build.argument(name)
            if given is not None:
                self.arguments[name] = given
            elif default is not None:
                self.arguments[name] = self._expand(default, instruction)
            else:
                inherited = self.build.globals_.get(name, self.arguments.get(name))
                self.arguments[name] = inherited
        self._note(instruction.text)

    def _env(self, instruction):
        before = self.variables  # one instruction does not see what it sets itself
        pairs = [tuple(texts.expand(one, before, instruction.escape) for one in pair) for pair in instruction.arguments]
        for name, value in pairs:
            if not name or "=" in name or "\0" in name + value:
                raise Wrong("%s is no name of a variable" % shown(name)[:40])
        self.settings.set_environment(pairs)
        self._note("ENV " + " ".join("%s=%s" % pair for pair in pairs))

    def _label(self, instruction):
        self.settings.set_labels(
            [tuple(self._expand(one, instruction) for one in pair) for pair in instruction.arguments]
        )
        self._note(instruction.text)

    def _cmd(self, instruction):
        self.settings.set_command(self._listed(instruction))
        self._note("CMD " + _json(self.settings.table["Cmd"]))

    def _entrypoint(self, instruction):
        self.settings.set_entrypoint(self._listed(instruction))
        self._note("ENTRYPOINT " + _json(self.settings.table["Entrypoint"]))

    def _listed(self, instruction):
        if not instruction.shell:
            return instruction.arguments
        return self.settings.shell + [instruction.arguments] if instruction.arguments else []

    def _expose(self, instruction):
        self.settings.expose(texts.expand_words(instruction.arguments, self.variables, instruction.escape))
        self._note(instruction.text)

    def _volume(self, instruction):
        paths = [self._expand(one, instruction) for one in instruction.arguments]
        if not all(paths):
            raise Wrong("a volume has an empty path")
        self.settings.add_volumes(paths)
        self._note(instruction.text)

    def _user(self, instruction):
        self.settings.table["User"] = self._expand(instruction.arguments, instruction)
        self._note("USER " + self.settings.user)

    def _stop_signal(self, instruction):
        self.settings.set_stop_signal(self._expand(instruction.arguments, instruction))
        self._note(instruction.text)

    def _shell(self, instruction):
        self.settings.table["Shell"] = instruction.arguments
        self._note(instruction.text)

    def _health_check(self, instruction):
        self.settings.set_health_check(instruction.arguments, instruction.options)
        self._note(instruction.text)

    def _on_build(self, instruction):
        self.settings.table["OnBuild"] = (self.settings.table.get("OnBuild") or []) + [instruction.arguments]
        self._note(instruction.text)

    def _maintainer(self, instruction):
        self.settings.author = instruction.arguments
        self._note(instruction.text)


HANDLERS = {
    "ADD": StageBuild._copy,
    "ARG": StageBuild._arg,
    "CMD": StageBuild._cmd,
    "COPY": StageBuild._copy,
    "ENTRYPOINT": StageBuild._entrypoint,
    "ENV": StageBuild._env,
    "EXPOSE": StageBuild._expose,
    "HEALTHCHECK": StageBuild._health_check,
    "LABEL": StageBuild._label,
    "MAINTAINER": StageBuild._maintainer,
    "ONBUILD": StageBuild._on_build,
    "RUN": StageBuild._run,
    "SHELL": StageBuild._shell,
    "STOPSIGNAL": StageBuild._stop_signal,
    "USER": StageBuild._user,
    "VOLUME": StageBuild._volume,
    "WORKDIR": StageBuild._workdir,
}


def _json(words):
    return json.dumps(words)


def of_base(build, stage, image):
    """A StageBuild that begins with an image in the store, and its triggers as instructions."""
    document = image.config.document
    table = dict(image.config.settings)
    check(table, stage.start.arguments[0])
    waiting = table.pop("OnBuild", None) or []
    history = [dict(one) for one in image.config.history]
    found = StageBuild(build, stage, Chain.of(image), table, history, {}, document.get("author"))
    return found, containerfile.triggers(waiting, "ONBUILD of %s" % stage.start.arguments[0])
