"""`sequence`: numbers as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from shepherd.errors import TemplateError

if TYPE_CHECKING:
    from shepherd.templating.lookups import Lookup
    from shepherd.templating.lookups.asking import Asking

# start-end/stride:format, of which only the end is needed; numbers may be hexadecimal (0x…) or octal (0…)
_NUMBER = r"(?:0?x[0-9a-f]+|[0-9]+)"
_SHORT = re.compile(rf"(?:({_NUMBER})-)?({_NUMBER})(?:/({_NUMBER}))?(?::(.+))?", re.IGNORECASE)
_OPTIONS = ("start", "end", "stride", "count", "format")


def sequence(terms: list[Any], asking: Asking) -> list[Any]:
    """`start=1 end=9 stride=2 count=3 format=host%02d`, or short `1-9/2:host%02d`; a list for each term, joined."""
    found: list[str] = []
    for term in terms:
        short = _SHORT.fullmatch(str(term))
        if short:
            written = dict(zip(("start", "end", "stride", "format"), short.groups(), strict=True))
            options = {**asking.options, **{name: value for name, value in written.items() if value is not None}}
        else:
            rest, told = asking.written_in(str(term), _OPTIONS)
            if rest:
                raise TemplateError(f"unrecognized arguments to with_sequence: {rest}")
            options = told.options
        found += _numbers(options)
    return found


def _numbers(options: dict[str, Any]) -> list[str]:
    start, stride = _whole(options, "start", 1), _whole(options, "stride", 1)
    end, count = options.get("end"), options.get("count")
    if end is None and count is None:
        raise TemplateError("must specify count or end in with_sequence")
    if end is not None and count is not None:
        raise TemplateError("can't specify both count and end in with_sequence")
    if count is not None:
        number = _whole(options, "count", 0)
        if number == 0:
            return []
        last = start + (number - 1) * stride
    else:
        last = _whole(options, "end", 0)
    if stride == 0:
        return []
    if stride > 0 and last < start:
        raise TemplateError("to count backwards make stride negative")
    if stride < 0 and last > start:
        raise TemplateError("to count forward don't make stride negative")
    form = str(options.get("format", "%d"))
    if form.replace("%%", "").count("%") != 1:
        raise TemplateError(f"bad formatting string: {form}")
    try:
        return [form % number for number in range(start, last + (1 if stride > 0 else -1), stride)]
    except (ValueError, TypeError):
        raise TemplateError(f"bad formatting string: {form}") from None


def _whole(options: dict[str, Any], name: str, default: int) -> int:
    value = options.get(name, default)
    if isinstance(value, int):
        return value
    text = str(value).lower()
    base = 16 if "x" in text else 8 if re.fullmatch(r"0[0-7]+", text) else 10
    try:
        return int(text, base)
    except ValueError:
        raise TemplateError(f"can't parse {name}={value} as an integer") from None


LOOKUPS: dict[str, Lookup] = {"sequence": sequence}
