"""Users and passwords for registries, from the files other clients keep them in (containers-auth.json(5)).

A password is never an argument of a program: everybody on the machine can read those.
"""

import base64
import json
import os
import re
import sys

from shepherd.runtime.errors import RuntimeFailure

_HUB = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")  # what the entry for Docker Hub may be called
_HELPER = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")


class Credentials:
    """`find(reference)` gives (user, password) or None. `given`, (user, password), is for every registry."""

    def __init__(self, auth_file=None, given=None):
        self._given = given
        self._files = [auth_file] if auth_file else _usual_files()
        self._needed = auth_file is not None

    def find(self, reference):
        if self._given is not None:
            return self._given
        for path in self._files:
            document = _read(path, self._needed)
            found = _look_up(document, reference, path)
            if found is not None:
                return found
        return None


def from_text(text: str):
    """(user, password) of `USER:PASSWORD`, one line."""
    user, colon, password = text.rstrip("\r\n").partition(":")
    if not colon or not user:
        raise RuntimeFailure("the credentials do not have the form USER:PASSWORD")
    return user, password


def from_file(path: str):
    """The same from a file, or from standard input for `-`."""
    try:
        if path == "-":
            return from_text(sys.stdin.readline())
        with open(path) as file:
            return from_text(file.readline())
    except (OSError, UnicodeDecodeError) as error:
        raise RuntimeFailure("cannot read credentials from %s: %s" % (path, getattr(error, "strerror", "not UTF-8")))


def _usual_files():
    found = []
    if os.environ.get("REGISTRY_AUTH_FILE"):
        return [os.environ["REGISTRY_AUTH_FILE"]]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.geteuid()
    found.append(os.path.join(runtime, "containers", "auth.json"))
    found.append("/run/containers/%d/auth.json" % os.geteuid())
    home = os.path.expanduser("~")
    found.append(os.path.join(home, ".config", "containers", "auth.json"))
    docker = os.environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker")
    found.append(os.path.join(docker, "config.json"))
    return found


def _read(path, needed):
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read().decode("utf-8"))
    except FileNotFoundError:
        if needed:
            raise RuntimeFailure("no such file of credentials: %s" % path)
        return {}
    except OSError as error:
        raise RuntimeFailure("cannot read credentials from %s: %s" % (path, error.strerror))
    except ValueError:
        raise RuntimeFailure("%s is not JSON" % path)
    if not isinstance(found, dict):
        raise RuntimeFailure("%s is not a JSON object" % path)
    return found


def _look_up(document, reference, path):
    """The entry of the longest part of the name: HOST/TEAM/APP before HOST/TEAM before HOST."""
    auths, helpers = document.get("auths") or {}, document.get("credHelpers") or {}
    if not isinstance(auths, dict) or not isinstance(helpers, dict):
        raise RuntimeFailure("%s has auths that are not an object" % path)
    parts = reference.name.split("/")
    for count in range(len(parts), 0, -1):
        for key in _keys("/".join(parts[:count])):
            if key in helpers:
                return _ask(helpers[key], key, path)
            if isinstance(auths.get(key), dict) and (auths[key].get("auth") or auths[key].get("username")):
                return _decoded(auths[key], path)
    if document.get("credsStore") and isinstance(document["credsStore"], str):
        for key in _keys(reference.domain):
            found = _ask(document["credsStore"], key, path)
            if found is not None:
                return found
    return None


def _keys(name):
    return _HUB if name == "docker.io" else (name, "https://" + name, "https://%s/v1/" % name, "http://" + name)


def _decoded(entry, path):
    if not entry.get("auth"):
        return str(entry["username"]), str(entry.get("password", ""))
    try:
        text = base64.b64decode(entry["auth"]).decode("utf-8")
    except (ValueError, TypeError):
        raise RuntimeFailure("%s has an auth that is not base64" % path)
    return from_text(text.rstrip("\0"))


def _ask(helper, key, path):
    """docker-credential-helpers' protocol: the host on standard input, JSON on standard output."""
    import subprocess

    if not isinstance(helper, str) or _HELPER.match(helper) is None:
        raise RuntimeFailure("%s names an impossible credential helper" % path)
    program = "docker-credential-" + helper
    try:
        child = subprocess.Popen([program, "get"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError:
        raise RuntimeFailure("%s needs the program %s, which is not here" % (path, program))
    said, _ = child.communicate(key.encode())
    if child.returncode:
        return None  # it has none for this host
    try:
        found = json.loads(said.decode("utf-8"))
        return str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError):
        raise RuntimeFailure("the program %s did not answer as credential helpers do" % program)
