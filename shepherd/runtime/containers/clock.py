"""Times as Docker writes them: RFC 3339 with nanoseconds, in UTC."""

import time

from shepherd.runtime.errors import RuntimeFailure

NEVER = "0001-01-01T00:00:00Z"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def stamp(seconds=None) -> str:
    """The time now, or of seconds since 1970."""
    seconds = time.time() if seconds is None else seconds
    whole = int(seconds // 1)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return "%s.%09dZ" % (text, (seconds - whole) * 1000000000)


def seconds_of(text: str) -> float:
    """Seconds since 1970 of such a time, with Z or an offset. Raises ValueError."""
    import calendar

    date, rest = text[:19], text[19:]
    whole = calendar.timegm(time.strptime(date, "%Y-%m-%dT%H:%M:%S"))
    offset = 0
    if rest.endswith("Z"):
        rest = rest[:-1]
    elif rest[-6:-5] in ("+", "-"):
        offset = int(rest[-5:-3]) * 3600 + int(rest[-2:]) * 60
        offset = -offset if rest[-6] == "-" else offset
        rest = rest[:-6]
    return whole - offset + (float("0" + rest) if rest else 0.0)


def duration(text: str, option: str) -> float:
    """Seconds of a length of time as Go writes it: 1m30s, 500ms; a number alone is seconds. Raises RuntimeFailure."""
    total, number = 0.0, ""
    rest = text.strip()
    try:
        if rest.replace(".", "", 1).isdigit():
            return float(rest)
        while rest:
            while rest and (rest[0].isdigit() or rest[0] == "."):
                number, rest = number + rest[0], rest[1:]
            unit = next(one for one in sorted(_UNITS, key=len, reverse=True) if rest.startswith(one))
            total, number, rest = total + float(number) * _UNITS[unit], "", rest[len(unit) :]
        if text:
            return total
    except (StopIteration, ValueError):
        pass
    raise RuntimeFailure("%s: should be a time such as 1m30s, and is %.40r" % (option, text))


def moment(text: str, option: str) -> float:
    """Seconds since 1970 of a date, of a Unix time, or of how long ago something was (10m). Raises RuntimeFailure."""
    try:
        return float(text)
    except ValueError:
        pass
    for form in (text, text + "Z", text + ":00Z", text + "T00:00:00Z"):
        try:
            return seconds_of(form)
        except (ValueError, IndexError):
            continue
    return time.time() - duration(text, option)


def ago(seconds: float) -> str:
    """About how long something lasted: `3 minutes`, as Docker says it."""
    for length, name in ((31536000, "year"), (5184000, "month"), (1209600, "week"), (172800, "day"), (7200, "hour")):
        if seconds >= length:
            unit = {"year": 31536000, "month": 2592000, "week": 604800, "day": 86400, "hour": 3600}[name]
            return "%d %ss" % (seconds // unit, name)
    if seconds >= 2760:
        return "About an hour"
    if seconds >= 120:
        return "%d minutes" % (seconds // 60)
    if seconds >= 60:
        return "About a minute"
    return "Less than a second" if seconds < 1 else "%d second%s" % (seconds, "s"[: int(seconds) != 1])
