"""Who we are."""

import os


def collect(_):
    import pwd

    uid = os.getuid()
    name = next((os.environ[key] for key in ("LOGNAME", "USER", "LNAME", "USERNAME") if os.environ.get(key)), None)
    try:
        entry = pwd.getpwnam(name) if name else pwd.getpwuid(uid)
    except KeyError:
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:  # an account without an entry, as in some containers
            entry = pwd.struct_passwd((str(uid), "x", uid, os.getgid(), "", os.environ.get("HOME", "/"), "/bin/sh"))
    return {
        "user_id": name or entry.pw_name,
        "user_uid": entry.pw_uid,
        "user_gid": entry.pw_gid,
        "user_gecos": entry.pw_gecos,
        "user_dir": entry.pw_dir,
        "user_shell": entry.pw_shell,
        "real_user_id": uid,
        "effective_user_id": os.geteuid(),
        "real_group_id": os.getgid(),
        "effective_group_id": os.getegid(),
    }
