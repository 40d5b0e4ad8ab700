"""Users and groups as the system knows them.

passwd(5) and group(5) are asked through the C library, and so with LDAP and the like where those are set up; `local`
reads the files alone. shadow(5) is always read from the file: Python's module for it is gone since 3.13.
"""

from collections import namedtuple

PASSWD = "/etc/passwd"
SHADOW = "/etc/shadow"
GROUP = "/etc/group"

User = namedtuple("User", "name uid gid comment home shell")
Group = namedtuple("Group", "name gid members")
# Days; -1 where the field is empty. `changed` and `expires` count from 1970-01-01.
Shadow = namedtuple("Shadow", "password changed minimum maximum warn inactive expires")


def entries(path):
    """The lines of a colon-separated file as lists of fields; comments and NIS lines left out."""
    try:
        with open(path, "rb") as stream:
            text = stream.read().decode("utf-8", "surrogateescape")
    except OSError:
        return
    for line in text.split("\n"):
        if line and line[0] not in "#+-":
            yield line.split(":")


def user(name, local=False):
    """The User, or None."""
    if local:
        for fields in entries(PASSWD):
            if fields[0] == name and len(fields) >= 7:
                return User(name, int(fields[2]), int(fields[3]), fields[4], fields[5], fields[6])
        return None
    import pwd

    try:
        found = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return None
    return User(found.pw_name, found.pw_uid, found.pw_gid, found.pw_gecos, found.pw_dir, found.pw_shell)


def groups(local=False):
    """Every Group."""
    if local:
        for fields in entries(GROUP):
            if len(fields) >= 4:
                yield Group(fields[0], int(fields[2]), [name for name in fields[3].split(",") if name])
        return
    import grp

    for found in grp.getgrall():
        yield Group(found.gr_name, found.gr_gid, found.gr_mem)


def group(name, local=False):
    """The Group of that name, or None."""
    if local:
        for found in groups(local):
            if found.name == name:
                return found
        return None
    import grp

    try:
        found = grp.getgrnam(name)
    except (KeyError, ValueError):
        return None
    return Group(found.gr_name, found.gr_gid, found.gr_mem)


def group_called(text, local=False):
    """The Group of a name or else of a number in digits, or None."""
    found = group(text, local)
    if found is None and text.isdigit():
        number = int(text)
        if local:
            return next((one for one in groups(local) if one.gid == number), None)
        import grp

        try:
            found = grp.getgrgid(number)
        except (KeyError, OverflowError):
            return None
        found = Group(found.gr_name, found.gr_gid, found.gr_mem)
    return found


def memberships(name, primary, local=False):
    """The names of the groups that list the user as a member, without the one whose number is `primary`."""
    return {found.name for found in groups(local) if name in found.members and found.gid != primary}


def shadow(name):
    """The user's Shadow; one without a password where the file has none or cannot be read."""
    for fields in entries(SHADOW):
        if fields[0] == name and len(fields) >= 8:
            return Shadow(fields[1], *[int(field) if field.lstrip("-").isdigit() else -1 for field in fields[2:8]])
    return Shadow("", -1, -1, -1, -1, -1, -1)


def definition(name, default):
    """A setting of /etc/login.defs (login.defs(5)) as text."""
    try:
        with open("/etc/login.defs", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                words = line.split()
                if len(words) > 1 and words[0] == name:
                    return words[1]
    except OSError:
        pass
    return default
