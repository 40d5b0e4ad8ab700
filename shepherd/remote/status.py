"""The fields that stat and find answer, as tables over a stat result; and the names of its numbers."""

import stat

KINDS = {
    "isdir": stat.S_ISDIR,
    "ischr": stat.S_ISCHR,
    "isblk": stat.S_ISBLK,
    "isreg": stat.S_ISREG,
    "isfifo": stat.S_ISFIFO,
    "islnk": stat.S_ISLNK,
    "issock": stat.S_ISSOCK,
}
BITS = {
    "rusr": stat.S_IRUSR,
    "wusr": stat.S_IWUSR,
    "xusr": stat.S_IXUSR,
    "rgrp": stat.S_IRGRP,
    "wgrp": stat.S_IWGRP,
    "xgrp": stat.S_IXGRP,
    "roth": stat.S_IROTH,
    "woth": stat.S_IWOTH,
    "xoth": stat.S_IXOTH,
    "isuid": stat.S_ISUID,
    "isgid": stat.S_ISGID,
}
NUMBERS = {
    "uid": "st_uid",
    "gid": "st_gid",
    "size": "st_size",
    "inode": "st_ino",
    "dev": "st_dev",
    "nlink": "st_nlink",
    "atime": "st_atime",
    "mtime": "st_mtime",
    "ctime": "st_ctime",
    "blocks": "st_blocks",
    "block_size": "st_blksize",
    "device_type": "st_rdev",
}


def user(uid):
    """The name of a uid, or None."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def group(gid):
    """The name of a gid, or None."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None
