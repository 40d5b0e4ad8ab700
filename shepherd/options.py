"""Options that a module declares, and arguments checked against them.

The same check runs twice: before anything is rendered, where values that are templates pass, and on the values that
a task really gets. Messages are worded as ansible-core words them, because people search for them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from warnings import warn

from shepherd.conversions import CONVERSIONS, FALSE, TRUE, type_name
from shepherd.errors import ParseError, nearest
from shepherd.origin import Origin, origin_of
from shepherd.templating import is_template


class OptionError(ParseError):
    """Arguments that a module does not take."""


class OptionWarning(UserWarning):
    """Arguments that a module takes, but that are hardly meant."""


class Place(NamedTuple):
    """Where arguments come from, for messages. `within` are the options that lead to a mapping inside a mapping."""

    module: str
    args: Mapping[Any, Any]
    origin: Origin | None = None
    within: tuple[str, ...] = ()

    def inside(self, name: str, args: Mapping[Any, Any]) -> Place:
        return self._replace(args=args, within=(*self.within, name))

    def error(self, message: str, name: str | None = None, hint: str | None = None) -> OptionError:
        """`name` is the argument to point at."""
        place = origin_of(self.args, name) if name is not None else origin_of(self.args)
        return OptionError(message, origin=place or self.origin, hint=hint)

    def found_in(self) -> str:
        return f" found in {' -> '.join(self.within)}" if self.within else ""


class Option(NamedTuple):
    """One option. `options` are those of the mapping (or of each mapping of the list) that it holds."""

    name: str
    type: str = "str"
    elements: str | None = None
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    aliases: tuple[str, ...] = ()
    help: str = ""
    no_log: bool = False
    options: Options | None = None
    since: str = ""
    expression: bool = False  # a condition in Jinja, which is never rendered as a text
    sample: Any = None

    @classmethod
    def read(cls, name: str, declared: Mapping[str, Any]) -> Option:
        """An option from its literal in a SPEC."""
        fields = dict(declared)
        inner = fields.pop("options", None)
        constraints = fields.pop("constraints", {})
        return cls(
            name=name,
            choices=tuple(fields.pop("choices", None) or ()),
            aliases=tuple(fields.pop("aliases", None) or ()),
            options=Options.read(inner, constraints) if inner else None,
            **fields,
        )

    def value(self, given: Any, place: Place, rendered: bool) -> Any:
        """`given` as this option's type, its choices and inner options checked."""
        if given is None and self.default is None and not self.required:
            value = None
        else:
            value = self._convert(given, self.type, place)
        if value is not None and self.elements and not (self.options and self.elements == "dict"):
            value = [self._convert(element, self.elements, place, element=True) for element in value]
        if self.choices:
            value = self._choose(value, place)
        if value is not None and self.options:
            if self.type == "list":
                value = [self._inner(element, self.options, place, rendered) for element in value]
            else:
                value = self._inner(value, self.options, place, rendered)
        return value

    def _convert(self, value: Any, wanted: str, place: Place, element: bool = False) -> Any:
        try:
            return CONVERSIONS[wanted](value)
        except ValueError as error:
            if element:
                subject = f"Elements value for option '{self.name}' is of type {type_name(value)}"
            else:
                subject = f"argument '{self.name}' is of type {type_name(value)}"
            inside = f" found in '{' -> '.join(place.within)}'." if place.within else ""
            message = f"{subject}{inside} and we were unable to convert to {wanted}: {error}"
            raise place.error(message, self.name) from None

    def _inner(self, value: Any, options: Options, place: Place, rendered: bool) -> Any:
        if not rendered and is_template(value):
            if isinstance(value, str):
                return value
        elif isinstance(value, str):
            value = self._convert(value, "dict", place)
        if not isinstance(value, Mapping):
            kind = type(value).__name__
            message = f"Value '{value}' in the sub parameter field '{self.name}' must be a mapping, not '{kind}'"
            raise place.error(message, self.name)
        return options.values(value, place.inside(self.name, value), rendered=rendered)

    def _choose(self, value: Any, place: Place) -> Any:
        shown = ", ".join(map(str, self.choices))
        if isinstance(value, list):
            wrong = [element for element in value if element not in self.choices]
            if not wrong:
                return value
            message = f"must be one or more of: {shown}. Got no match for: {', '.join(map(str, wrong))}"
        else:
            if value in self.choices:
                return value
            # YAML reads an unquoted yes or no as a boolean: the one choice that means the same was meant
            for truth, words in (("True", TRUE), ("False", FALSE)):
                meant = words.intersection(map(str, self.choices))
                if value == truth and len(meant) == 1:
                    return next(iter(meant))
            wrong = [value]
            message = f"must be one of: {shown}, got: {value}"
        hint = nearest(str(wrong[0]), map(str, self.choices))
        raise place.error(f"value of {self.name} {message}{place.found_in()}", self.name, hint)


class Options:
    """The options of a module, or of a mapping that an option holds, and what holds between them."""

    def __init__(self, options: Iterable[Option], constraints: Mapping[str, Any]) -> None:
        self.by_name = {option.name: option for option in options}
        self.constraints = constraints
        self.aliases = {alias: option.name for option in self.by_name.values() for alias in option.aliases}
        self.required = [option.name for option in self.by_name.values() if option.required]

    @classmethod
    def read(cls, declared: Mapping[str, Mapping[str, Any]], constraints: Mapping[str, Any]) -> Options:
        return cls((Option.read(name, fields) for name, fields in declared.items()), constraints)

    def __iter__(self) -> Iterator[Option]:
        return iter(self.by_name.values())

    def values(
        self, args: Mapping[str, Any], place: Place, *, rendered: bool = True, accepts_any: bool = False
    ) -> dict[str, Any]:
        """All options by main name: what `args` says, else the default. Raises OptionError.

        Names that begin with _ are ours, between a module's two halves, and pass unchecked. With `rendered` False,
        values that are templates pass, and count as set only where it does not matter what they turn out to be.
        """
        given = self._named(args, place, accepts_any)
        self._exclusive(given, place, rendered)
        for option in self.by_name.values():
            if option.default is not None and option.name not in given:
                given[option.name] = copy.copy(option.default)
        missing = [name for name in self.required if name not in given]
        if missing:
            raise place.error(f"missing required arguments: {', '.join(sorted(missing))}{place.found_in()}")
        for written in args:
            name = self.aliases.get(written, written)
            if name in self.by_name:
                option, value = self.by_name[name], given[name]
                if rendered or not is_template(value) or (option.options and not isinstance(value, str)):
                    given[name] = option.value(value, place, rendered)
        if self.constraints:
            self._dependent(given, place, rendered)
        for name in self.by_name:
            given.setdefault(name, None)
        return given

    def secrets(self, args: Mapping[str, Any]) -> Iterator[str]:
        """The texts in normalised `args` that must not be shown."""
        for option in self.by_name.values():
            value = args.get(option.name)
            if value is None:
                continue
            if option.no_log:
                yield from _texts(value)
            elif option.options:
                for inner in value if isinstance(value, list) else [value]:
                    yield from option.options.secrets(inner)

    def _named(self, args: Mapping[str, Any], place: Place, accepts_any: bool) -> dict[str, Any]:
        """`args` by main names. Of an option given under two names the alias holds, and the user is told."""
        given: dict[str, Any] = {}
        renamed: list[str] = []
        unknown: list[str] = []
        for name, value in args.items():
            if name in self.aliases:
                renamed.append(name)
            elif name in self.by_name or accepts_any or str(name).startswith("_"):
                given[name] = value
            else:
                unknown.append(name)
        if unknown:
            raise self._unsupported(sorted(map(str, unknown)), place)
        renamed.sort(key=lambda alias: self.by_name[self.aliases[alias]].aliases.index(alias))
        for alias in renamed:
            name = self.aliases[alias]
            if name in given:
                warn(OptionWarning(f"Both option {name} and its alias {alias} are set."), stacklevel=2)
            given[name] = args[alias]
        return given

    def _unsupported(self, unknown: list[str], place: Place) -> OptionError:
        prefix = "".join(f"{name}." for name in place.within)
        supported = ", ".join(sorted(self.by_name))
        if self.aliases:
            supported += f" ({', '.join(sorted(self.aliases))})"
        shown = ", ".join(prefix + name for name in unknown)
        hint = nearest(unknown[0], [*self.by_name, *self.aliases])
        message = (
            f"Unsupported parameters for ({place.module}) module: {shown}. Supported parameters include: {supported}."
        )
        return place.error(message, unknown[0], hint)

    def _exclusive(self, given: Mapping[str, Any], place: Place, rendered: bool) -> None:
        for names in self.constraints.get("mutually_exclusive", ()):
            present = [name for name in names if name in given and (rendered or not may_vanish(given[name]))]
            if len(present) > 1:
                message = f"parameters are mutually exclusive: {'|'.join(names)}{place.found_in()}"
                raise place.error(message, present[1])

    def _dependent(self, given: Mapping[str, Any], place: Place, rendered: bool) -> None:
        """What an option needs beside it. Before rendering, a name that is written counts as given."""

        def sure(name: str) -> bool:
            return name in given and (rendered or not may_vanish(given[name]))

        for names in self.constraints.get("required_together", ()):
            if any(map(sure, names)) and not all(name in given for name in names):
                raise place.error(f"parameters are required together: {', '.join(names)}{place.found_in()}")
        for names in self.constraints.get("required_one_of", ()):
            if not any(name in given for name in names):
                raise place.error(f"one of the following is required: {', '.join(names)}{place.found_in()}")
        for name, value, needed, *rest in self.constraints.get("required_if", ()):
            if given.get(name) != value or name not in given:
                continue
            missing = [other for other in needed if other not in given]
            any_of = bool(rest and rest[0])
            if missing and (len(missing) == len(needed) or not any_of):
                which = "any" if any_of else "all"
                message = f"{name} is {value} but {which} of the following are missing: {', '.join(missing)}"
                raise place.error(message + place.found_in(), name)
        for name, needed in self.constraints.get("required_by", {}).items():
            if not sure(name) or given[name] is None:
                continue
            missing = [other for other in ([needed] if isinstance(needed, str) else needed) if given.get(other) is None]
            if missing:
                message = f"missing parameter(s) required by '{name}': {', '.join(missing)}{place.found_in()}"
                raise place.error(message, name)


def may_vanish(value: Any) -> bool:
    """Whether `value` is a template as a whole: it may turn out as `omit`."""
    return isinstance(value, str) and is_template(value) and value.strip().startswith("{")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
    elif not isinstance(value, bool) and value != "":
        yield str(value)
