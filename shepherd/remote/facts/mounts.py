"""What is mounted, and how full it is."""

import os

from shepherd.remote.facts import files

NETWORK = ("nfs", "cifs", "smb", "ceph", "gluster", "fuse", "9p", "afs", "ncp", "lustre", "ocfs", "gfs")


def collect(known):
    found = []
    uuids = {}
    for name in files.listing("/dev/disk/by-uuid"):
        uuids[os.path.realpath("/dev/disk/by-uuid/" + name)] = name
    binds = _binds()
    for line in files.lines("/proc/self/mounts"):
        fields = [_unescaped(field) for field in line.split(" ")]
        if len(fields) < 6:
            continue
        device, path, kind, options, dump, number = fields[:6]
        if not (device.startswith(("/", "\\")) or ":/" in device) or kind == "none":
            continue
        mount = {"mount": path, "device": device, "fstype": kind, "options": options}
        mount.update(dump=int(dump), passno=int(number))
        if path in binds and "bind" not in options:
            mount["options"] += ",bind"
        mount.update(_size(path, kind, known.timeout))
        mount["uuid"] = uuids.get(os.path.realpath(device), "N/A") if uuids else "N/A"
        found.append(mount)
    return {"mounts": found}


def _unescaped(text):
    """Blanks and the like are written as \\040."""
    if "\\" not in text:
        return text
    pieces = text.split("\\")
    done = pieces[0]
    for piece in pieces[1:]:
        if len(piece) >= 3 and piece[:3].isdigit():
            done += chr(int(piece[:3], 8)) + piece[3:]
        else:
            done += "\\" + piece
    return done


def _binds():
    """The mounts that show a part of a file system alone."""
    found = set()
    for line in files.lines("/proc/self/mountinfo"):
        fields = line.split(" ")
        if len(fields) > 4 and fields[3] != "/":
            found.add(_unescaped(fields[4]))
    return found


def _size(path, kind, timeout):
    """The sizes of a mount. A file server that is gone never answers: then there is a note in their place."""
    answer = {}

    def ask():
        try:
            told = os.statvfs(path)
        except OSError:
            return
        answer.update(
            size_total=told.f_frsize * told.f_blocks,
            size_available=told.f_frsize * told.f_bavail,
            block_size=told.f_bsize,
            block_total=told.f_blocks,
            block_available=told.f_bavail,
            block_used=told.f_blocks - told.f_bavail,
            inode_total=told.f_files,
            inode_available=told.f_favail,
            inode_used=told.f_files - told.f_favail,
        )

    if not kind.startswith(NETWORK):
        ask()
        return answer
    import threading

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        return {"note": "Could not get extra information due to timeout"}
    return dict(answer)
