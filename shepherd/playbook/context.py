"""What a loader knows while it reads: the files it has read, and what the tasks at hand stand in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd import documents, spec
from shepherd.errors import ParseError, ShepherdError, UndefinedVariable
from shepherd.origin import Origin, origin_of
from shepherd.playbook.model import Settings
from shepherd.templating import Layer, Scope, Templates, is_template

if TYPE_CHECKING:
    from shepherd.playbook.model import Role, Task

ROLES_PATH = ("~/.ansible/roles", "/usr/share/ansible/roles", "/etc/ansible/roles")


class Loader:
    """Reads files once. `library` are the folders of the user's modules; folders beside playbooks and in roles join it.

    `roles_path` are folders of roles, looked in after `roles/` beside the playbook.
    """

    def __init__(
        self,
        templates: Templates | None = None,
        *,
        extra_vars: Mapping[str, Any] | None = None,
        roles_path: Sequence[str] = ROLES_PATH,
        library: Iterable[str] = (),
    ) -> None:
        self.templates = templates or Templates()
        self.extra_vars = extra_vars or {}
        self.roles_path = tuple(os.path.expanduser(path) for path in roles_path)  # noqa: PTH111  # text, as it is shown
        self.library: tuple[str, ...] = tuple(library)
        self.role_files: dict[tuple[str, str, str], Any] = {}
        self._documents: dict[str, Any] = {}
        self._contexts: dict[int, tuple[Task, Context]] = {}

    def document(self, path: str) -> Any:
        if path not in self._documents:
            self._documents[path] = documents.load(path)
        return self._documents[path]

    def add_library(self, directory: str) -> None:
        """Find modules in `directory` too, if it is there, before Shepherd's own."""
        if directory not in self.library and Path(directory).is_dir():
            self.library = (*self.library, directory)

    def spec(self, name: str) -> spec.Spec:
        return spec.load_spec(name, self.library)

    def remember(self, task: Task, context: Context) -> None:
        """Keep what an include stands in until it runs."""
        self._contexts[id(task)] = (task, context)

    def context_of(self, task: Task) -> Context:
        kept = self._contexts.get(id(task))
        if kept is not None:
            return kept[1]
        directory = task.search_path[-1] if task.search_path else str(Path.cwd())
        return Context(
            self,
            task.origin.file,
            directory,
            Collected(),
            task.settings,
            task.vars,
            task.params,
            task.notify,
            task.role,
        )


class PlayVariables:
    """A play's own variables, as far as the names of static imports may use them: no host's."""

    def __init__(self, loader: Loader, values: Mapping[str, Any], files: Sequence[Any], directory: str) -> None:
        self._loader = loader
        self._values = values
        self._files = files
        self._directory = directory
        self._layers: list[Layer] | None = None

    def layers(self) -> list[Layer]:
        """Highest precedence first. Files whose names depend on a host, or that are not there, are left out."""
        if self._layers is None:
            own = [Layer(self._values, name="play vars")]
            scope = Scope([Layer(self._loader.extra_vars), *own], self._loader.templates)
            files = [Layer(values, name="vars_files") for values in self._read(scope)]
            self._layers = [*reversed(files), *own]
        return self._layers

    def _read(self, scope: Scope) -> Iterator[Mapping[str, Any]]:
        for written in self._files:
            for choice in written if isinstance(written, list) else [written]:
                try:
                    name = str(self._loader.templates.render(choice, scope))
                except ShepherdError:
                    continue
                path = next((path for path in self._candidates(name) if os.access(path, os.R_OK)), None)
                if path is not None:
                    values = self._loader.document(path)
                    if isinstance(values, Mapping):
                        yield values
                    break

    def _candidates(self, name: str) -> Iterator[str]:
        name = os.path.expanduser(name)  # noqa: PTH111
        yield os.path.join(self._directory, "vars", name)
        yield os.path.join(self._directory, name)


class Collected:
    """What roles bring to a play beside their tasks. Handlers by their file: the last use of a role counts."""

    def __init__(self) -> None:
        self.roles: list[Role] = []
        self.handlers: dict[str, tuple[Task, ...]] = {}

    def add_handlers(self, key: str, tasks: tuple[Task, ...]) -> None:
        self.handlers.pop(key, None)
        self.handlers[key] = tasks

    def all_handlers(self) -> tuple[Task, ...]:
        return tuple(task for tasks in self.handlers.values() for task in tasks)


class Context(NamedTuple):
    """What a list of tasks stands in: inherited keywords and variables (nearest first), its file, its role.

    `directory` is the playbook's. `imports` are the files under way, outermost first: a static import may not come
    back to one of them.
    """

    loader: Loader
    file: str
    directory: str
    collected: Collected
    settings: Settings = Settings()
    vars: tuple[Mapping[str, Any], ...] = ()
    params: tuple[Mapping[str, Any], ...] = ()
    notify: tuple[Any, ...] = ()
    role: Role | None = None
    play: PlayVariables | None = None
    handlers: bool = False
    imports: tuple[str, ...] = ()

    def having(
        self, settings: Settings, values: Mapping[str, Any] | None = None, notify: tuple[Any, ...] = ()
    ) -> Context:
        """The context of what stands inside a block, an import or a use of a role."""
        own = (values, *self.vars) if values else self.vars
        return self._replace(settings=settings, vars=own, notify=(*notify, *self.notify))

    def in_file(self, path: str, origin: Origin | None) -> Context:
        """The context of a file that is imported statically. Raises ParseError where it imports itself."""
        if path in self.imports:
            chain = " → ".join(os.path.relpath(file, self.directory) for file in (*self.imports, path))
            raise ParseError(f"a file imports itself: {chain}", origin=origin, hint="use include_tasks with a `when`")
        return self._replace(file=path, imports=(*self.imports, path))

    @property
    def search_path(self) -> tuple[str, ...]:
        """The folders relative files are looked for in: the role's, its parents', this file's, the playbook's."""
        roles = (self.role.path, *(parent.path for parent in self.role.parents)) if self.role else ()
        return tuple(dict.fromkeys((*roles, os.path.dirname(self.file), self.directory)))

    def name(self, written: Any, what: str, origin: Origin | None, also: Mapping[str, Any] | None = None) -> str:
        """A name that must be known before anything runs: a template may use the variables of the play and above."""
        if not isinstance(written, str) or not is_template(written):
            return str(written)
        try:
            return str(self.loader.templates.render(written, self._scope(also or {})))
        except UndefinedVariable as error:
            raise ParseError(
                f"Error when evaluating variable in {what}: {written}: {error.message}",
                origin=origin_of(written) or origin,
                hint="a static import may use vars, vars_files and extra vars, not facts or inventory variables; "
                "an include reads its name when it runs",
            ) from None

    def _scope(self, own: Mapping[str, Any]) -> Scope:
        chain = (self.role, *self.role.parents) if self.role else ()
        magic = {"playbook_dir": self.directory}
        if self.role:
            magic.update(role_path=self.role.path, role_name=self.role.name)
        return Scope(
            [
                Layer(magic, trusted=False),
                Layer(self.loader.extra_vars),
                *map(Layer, self.params),
                *(Layer(role.params) for role in chain),
                Layer(own),
                *map(Layer, self.vars),
                *(Layer(role.vars) for role in chain),
                *(self.play.layers() if self.play else ()),
                *(Layer(role.defaults) for role in chain),
            ],
            self.loader.templates,
        )
