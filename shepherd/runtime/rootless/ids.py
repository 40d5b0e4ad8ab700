"""Which ids an ordinary user's containers have: the user is root, and the subordinate ids are those from 1 on.

subuid(5), subgid(5): NAME:START:COUNT, where NAME may be a number. Who has none, or no newuidmap(1) to be given them
by, has one id: everything inside is root's.
"""

import os

from shepherd.runtime.errors import RuntimeFailure

PROGRAMS = ("newuidmap", "newgidmap")


def wanted() -> tuple:
    """(uids, gids) of this user's namespace, as config.json has them. Raises RuntimeFailure."""
    number = os.geteuid()
    names = {_name(number), str(number)} - {None}
    found = [
        _mapping(own, _ranges(path, names, own), path)
        for path, own in (("/etc/subuid", number), ("/etc/subgid", os.getegid()))
    ]
    if all(len(one) > 1 for one in found) and all(_is_there(name) for name in PROGRAMS):
        return tuple(found)
    return tuple(one[:1] for one in found)


def shown(uids: list, gids: list) -> str:
    """The same as text, a line a range."""
    lines = []
    for kind, ranges in (("uid", uids), ("gid", gids)):
        lines += ["%s %d %d %d\n" % (kind, one["containerID"], one["hostID"], one["size"]) for one in ranges]
    return "".join(lines)


def _name(number):
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return None


def _is_there(program):
    folders = (os.environ.get("PATH") or os.defpath).split(":")
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in folders if folder)


def _ranges(path, names, own):
    """(start, count) of each line for this user. What is another's too is refused: both would own it."""
    ours, others = [], []
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    for line in lines:
        fields = line.split("#")[0].strip().split(":")
        if len(fields) != 3 or not (fields[1].isdigit() and fields[2].isdigit()):
            continue
        found = int(fields[1]), int(fields[2])
        if found[1]:
            (ours if fields[0] in names else others).append((*found, fields[0]))
    for start, count, _ in ours:
        if start + count > 1 << 32 or start == 0:
            raise RuntimeFailure("%s: %d:%d are no subordinate ids" % (path, start, count))
        for other, size, name in others + [(own, 1, "the user as such")]:
            if start < other + size and other < start + count:
                raise RuntimeFailure(
                    "%s gives this user ids that are also those of %s" % (path, name),
                    "have the administrator give each user a range of its own",
                )
    return [(start, count) for start, count, _ in sorted(set(ours))]


def _mapping(own, ranges, path):
    mapping = [{"containerID": 0, "hostID": own, "size": 1}]
    following, end = 1, 0
    for start, count in ranges:
        if start < end:
            raise RuntimeFailure("%s gives this user some ids twice" % path)
        mapping.append({"containerID": following, "hostID": start, "size": count})
        following += count
        end = start + count
    return mapping
