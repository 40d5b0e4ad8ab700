"""Filters on times."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any


def strftime(form: str, second: Any = None, utc: bool = False) -> str:
    """The time `second` (seconds since 1970; None: now) in the format `form`."""
    convert = time.gmtime if utc else time.localtime
    if second is None:
        return time.strftime(form, convert())
    try:
        return time.strftime(form, convert(float(second)))
    except (TypeError, ValueError):
        raise ValueError(f"Invalid value for epoch value ({second})") from None


def to_datetime(text: str, format: str = "%Y-%m-%d %H:%M:%S") -> datetime:  # noqa: A002  # its name in playbooks
    return datetime.strptime(text, format)


FILTERS = {"strftime": strftime, "to_datetime": to_datetime}
