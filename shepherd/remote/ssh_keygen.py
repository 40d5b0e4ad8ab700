"""Make a user's SSH key with ssh-keygen(1).

It runs as the user, so that a link planted in a home directory leads nowhere root could write; where the home is not
the user's, or the key lies elsewhere, as we are. The passphrase is typed into a terminal of its own: arguments can be
read by everybody.
"""

import os
import pty  # all that is needed is imported now: as the user we may not be able to read the standard library
from contextlib import contextmanager

from shepherd.remote import process, programs


def path_of(args, home):
    """The path of the private key."""
    return os.path.join(home, args["ssh_key_file"] or ".ssh/id_%s" % args["ssh_key_type"])


def ensure(task, user, result):
    """Make the key where it is missing or `force` is given. Fills in the result's fields; True when it changes."""
    args = task.args
    path = path_of(args, user.home)
    public = path + ".pub"
    result["ssh_key_file"] = path
    changed = True
    if os.path.exists(path):
        if args["force"]:
            task.warn('Overwriting existing ssh key private file "%s"' % path)
            if os.path.exists(public):
                task.warn('Overwriting existing ssh key public file "%s"' % public)
        else:
            task.warn('Found existing ssh key private file "%s", no force, so skipping ssh-keygen generation' % path)
            changed = False
    if changed and not task.check:
        if not os.path.exists(user.home):
            task.fail("User %s home directory does not exist" % user.name, name=user.name, rc=1)
        own = os.path.abspath(path).startswith(user.home.rstrip("/") + "/") and os.stat(user.home).st_uid == user.uid
        with _as(user) if own else _mine(user, path):
            _generate(task, path)
    result["ssh_fingerprint"] = ""
    result["ssh_public_key"] = None
    if os.path.exists(public):
        shown = process.run([programs.need(task, "ssh-keygen"), "-l", "-f", path])
        result["ssh_fingerprint"] = (shown.stdout if shown.status == 0 else shown.stderr).strip()
        with open(public, encoding="utf-8", errors="surrogateescape") as stream:
            result["ssh_public_key"] = stream.read().strip()
    return changed


@contextmanager
def _as(user):
    """Be the user: real and effective, so that what is started cannot go back; the saved id lets us."""
    if os.geteuid() != 0 or user.uid == 0:
        yield
        return
    groups = os.getgroups()
    os.initgroups(user.name, user.gid)
    os.setresgid(user.gid, user.gid, 0)
    os.setresuid(user.uid, user.uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@contextmanager
def _mine(user, path):
    """Stay who we are, and give the user what was made."""
    directory = os.path.dirname(path)
    made = not os.path.exists(directory)
    yield
    for name in [path, path + ".pub"] + ([directory] if made else []):
        os.lchown(name, user.uid, user.gid)


def _generate(task, path):
    args = task.args
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    for name in (path, path + ".pub"):
        if os.path.lexists(name):
            os.unlink(name)
    comment = args["ssh_key_comment"]
    if comment is None:
        comment = "ansible-generated on %s" % os.uname().nodename
    argv = [programs.need(task, "ssh-keygen"), "-t", args["ssh_key_type"], "-C", comment, "-f", path]
    if args["ssh_key_bits"]:
        argv += ["-b", str(args["ssh_key_bits"])]
    if args["ssh_key_passphrase"]:
        status, message = _typed(argv, args["ssh_key_passphrase"])
    else:
        finished = process.run(argv + ["-N", ""])
        status, message = finished.status, finished.stderr or finished.stdout
    if status != 0:
        task.fail(message, name=args["name"], rc=status)


def _typed(argv, passphrase):
    """Run `argv` on a terminal and answer its prompts: (exit status, what it wrote)."""
    process.started += 1
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    written = b""
    answered = 0
    try:
        while True:
            try:
                data = os.read(terminal, 4096)
            except OSError:  # EIO is how a terminal ends
                break
            if not data:
                break
            written += data
            if written.count(b"assphrase") > answered and written.rstrip().endswith(b":"):
                answered = written.count(b"assphrase")
                os.write(terminal, passphrase.encode("utf-8", "surrogateescape") + b"\n")
    finally:
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
    return process.exit_status(status), written.decode("utf-8", "replace")
