"""The options of those verbs that speak to a registry, and the file that has their defaults."""

import os

from shepherd.runtime.errors import RuntimeFailure

DEFAULTS = "/etc/shepherd/registries.json"  # {"insecure": [HOST], "mirrors": {DOMAIN: [URL]}, "realms": {HOST: [HOST]}}


def add(parser) -> None:
    parser.add_argument("--auth-file", "--authfile", metavar="FILE", help="credentials, as containers-auth.json(5)")
    parser.add_argument("--creds-file", metavar="FILE", help="USER:PASSWORD in a file, or on standard input with -")
    parser.add_argument("--tls-ca", metavar="FILE", help="certificates of authorities to believe besides the system's")
    parser.add_argument(
        "--insecure", metavar="HOST", action="append", default=[], help="do not ask HOST[:PORT] for TLS"
    )
    parser.add_argument("--mirror", metavar="DOMAIN=URL", action="append", default=[], help="ask this one first")
    parser.add_argument("--realm", metavar="HOST=HOST", action="append", default=[], help="where tokens may come from")
    parser.add_argument("--platform", metavar="OS/ARCHITECTURE", help="of an image for more than one")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but the result")


def settings(options):
    from shepherd.runtime.images.transport import Settings

    found = _defaults(os.environ.get("SHEPHERD_REGISTRIES") or DEFAULTS)
    mirrors, realms = dict(found.get("mirrors") or {}), dict(found.get("realms") or {})
    for kind, words in ((mirrors, options.mirror), (realms, options.realm)):
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or not name or not value:
                raise RuntimeFailure("not of the form NAME=VALUE: %s" % ascii(word)[:200])
            kind[name] = list(kind.get(name, ())) + [value]
    insecure = list(found.get("insecure") or ()) + options.insecure
    return Settings(insecure, options.tls_ca, realms, mirrors)


def credentials(options):
    from shepherd.runtime.images.credentials import Credentials, from_file

    given = from_file(options.creds_file) if options.creds_file else None
    return Credentials(options.auth_file, given)


def platform(options):
    from shepherd.runtime.images.manifest import Platform

    return Platform.parse(options.platform) if options.platform else None


def report(options):
    from shepherd.runtime.images.pull import Report

    return Report() if options.quiet else _Lines()


class _Lines:
    """What happens, on standard error: standard output has the result."""

    def resolved(self, name, digest):
        self._write("%s is %s" % (name, digest))

    def blob(self, digest, status):
        self._write("%s: %s" % (digest.hex[:12], status))

    def _write(self, line):
        import sys

        sys.stderr.write(line + "\n")


def _defaults(path):
    from shepherd.runtime.images import documents

    try:
        with open(path, "rb") as file:
            found = documents.read(file.read(), path)
    except FileNotFoundError:
        return {}
    lists = [found.get("insecure") or []] + list((found.get("mirrors") or {}).values())
    if not all(isinstance(one, list) and all(isinstance(item, str) for item in one) for one in lists):
        raise RuntimeFailure("%s does not have the form it should" % path)
    return found
