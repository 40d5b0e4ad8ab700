"""Install a package from a file, or from where a URL points."""

import os
import re
from contextlib import contextmanager

from shepherd.remote import dpkg, process, programs


def install(task, apt):
    """Install the file of the option `deb`, and what it needs. Fills in apt's result."""
    with _local(task, task.args["deb"]) as path:
        if not os.path.exists(path):
            message = "Unable to install package: E:Could not open file %s - open (2: No such file or directory)"
            task.fail(message % path)
        told = process.run([programs.need(task, "dpkg-deb"), "-f", path, "Package", "Version", "Architecture"])
        if told.status != 0:
            task.fail("Unable to install package: %s" % (told.stderr.strip() or "%s is no package" % path))
        fields = dict(line.split(": ", 1) for line in told.stdout.strip().split("\n"))
        found = dpkg.Status().package("%(Package)s:%(Architecture)s" % fields)
        for key in ("cache_updated", "cache_update_time"):
            apt.result.pop(key)
        if found and found.configured:
            order = dpkg.compare(fields["Version"], found.version)
            if order == 0 and not task.args["force"]:
                apt.result.update(changed=False, stdout="", stderr="")
                return
            if order < 0 and not (task.args["allow_downgrade"] or task.args["force"]):
                task.fail("A later version is already installed")
        # apt's own user need not be able to read it
        apt.change("install", [path], ["-o", "APT::Sandbox::User=root"] + (["--reinstall"] if found else []))


@contextmanager
def _local(task, place):
    """The path of the file here; one that had to be fetched is removed in the end."""
    if not re.match(r"(https?|ftp)://", place):
        yield os.path.abspath(place)
        return
    import shutil
    import tempfile

    directory = tempfile.mkdtemp(prefix="shepherd-deb-")
    try:
        yield _fetched(task, place, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _fetched(task, url, directory):
    import shutil
    import urllib.request

    path = os.path.join(directory, os.path.basename(url.partition("?")[0]) or "package")
    if not path.endswith(".deb"):
        path += ".deb"
    try:
        with urllib.request.urlopen(url, timeout=30) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target)
    except OSError as error:
        task.fail("Failure downloading %s, Request failed: %s" % (url, error))
    return path
