"""Facts that somebody left on the host: programs and files that end in .fact."""

import os

from shepherd.remote import wire
from shepherd.remote.facts import files


def collect(known):
    found = {}
    path = known.fact_path
    if not path or not os.path.isdir(path):
        return {"local": found}
    for name in sorted(files.listing(path)):
        if name.endswith(".fact"):
            found[name[: -len(".fact")]] = _fact(os.path.join(path, name), known)
    return {"local": found}


def _fact(path, known):
    if os.access(path, os.X_OK) and not os.path.isdir(path):
        from shepherd.remote import process

        try:
            finished = process.run([path])
        except OSError as error:
            return _broken(known, "Could not execute fact script (%s): %s" % (path, error))
        if finished.status != 0:
            return _broken(
                known, "Failure executing fact script (%s), rc: %s, err: %s" % (path, finished.status, finished.stderr)
            )
        content = finished.stdout
    else:
        content = files.text(path, "")
        if not content and not os.access(path, os.R_OK):
            return _broken(known, "error loading fact - file (%s) not found or empty" % path)
    try:
        return wire.loads(content.strip())
    except ValueError:
        return _ini(path, content, known)


def _ini(path, content, known):
    import configparser

    parser = configparser.ConfigParser()
    try:
        parser.read_string(content)
    except configparser.Error:
        return _broken(known, "error loading facts as JSON or ini - please check content: %s" % path)
    try:
        return {section: dict(parser.items(section)) for section in parser.sections()}
    except configparser.Error as error:
        return _broken(known, "error loading facts as ini - please check content: %s (%s)" % (path, error))


def _broken(known, message):
    known.task.warn(message)
    return message
