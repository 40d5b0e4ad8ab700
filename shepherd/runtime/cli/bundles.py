"""Whether a command line is meant for bundles, as the callers of OCI runtimes write it, or for named containers.

A verb that only one of the two has decides. Of those that both have (`create`, `start`, `run`, `exec`, `kill`, `ps`,
`events`, `pause`, `update`), a command is for bundles where it

1. has an option before the verb that runc has and we have not (--log, --systemd-cgroup, …), or
2. has one after it that only bundles have (--bundle, --process, …), or
3. names a container that is known as a bundle's, and none of ours has that name.
"""

import os

_GLOBAL = {"--root": True, "--state": True, "--log": True, "--log-format": True, "--criu": True, "--rootless": True,
           "--systemd-cgroup": False, "--debug": False}  # fmt: skip
_OURS = ("--root", "--state")
# of the verbs that both have: the options that only bundles have; and all that take a value, of either kind
_ONLY = {
    "create": ("--bundle", "-b", "--console-socket", "--pid-file", "--no-pivot", "--preserve-fds", "--no-new-keyring"),
    "exec": ("--process", "-p", "--console-socket", "--pid-file", "--cap", "--cwd", "--ignore-paused"),
    "events": ("--stats", "--interval"),
    "kill": ("--all", "-a"),
    "update": ("--resources", "-r"),
    "ps": (),
    "start": (),
    "pause": (),
}
_ONLY["run"] = (*_ONLY["create"], "--keep", "--no-subreaper")
_SAME = ("-d", "--detach")
_VALUED = {
    "exec": "--process -p --console-socket --pid-file --cap -c --cwd --env -e --user -u --additional-gids -g "
    "--apparmor --process-label --preserve-fds --workdir -w --env-file --detach-keys",
    "ps": "--format -f --filter --last -n",
    "kill": "--signal -s",
    "events": "--interval --since --until --filter -f --format",
    "start": "--detach-keys",
}
_BOTH = frozenset(_ONLY)


def are_meant(words: list, ours: tuple) -> bool:
    """Whether it is for bundles; `ours` are the verbs of named containers, images and the like."""
    root, state, place, foreign = None, None, 0, False
    while place < len(words) and words[place].startswith("-"):
        option, equals, value = words[place].partition("=")
        if option not in _GLOBAL:
            return foreign or option in ("--version", "-v")
        foreign = foreign or option not in _OURS
        if _GLOBAL[option] and not equals:
            place += 1
            value = words[place] if place < len(words) else ""
        if option == "--root":
            root = value
        elif option == "--state":
            state = value
        place += 1
    if place >= len(words):
        return foreign
    verb, rest = words[place], words[place + 1 :]
    if verb not in _BOTH:
        from shepherd.runtime.cli import oci

        return verb not in ours and (foreign or verb in oci.VERBS)
    if foreign:
        return True
    if verb in ("create", "run"):
        return _has_early(rest)
    valued = [word for word in rest if word.startswith("-")] if verb == "update" else _VALUED.get(verb, "").split()
    named = _first_argument(rest, valued)
    before = rest[: rest.index(named)] if named is not None else rest
    if any(word.partition("=")[0] in _ONLY[verb] for word in before):
        return True
    return named is not None and not _is_ours(named, root, state) and _is_bundle(named, root, state)


def _has_early(words):
    """Whether an option of bundles comes first, or after others that mean the same to both and take no value."""
    for word in words:
        if word not in _SAME:
            return word.partition("=")[0] in _ONLY["run"]
    return False


def _first_argument(words, valued):
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and word != "-":
            skip = word in valued
        else:
            return word
    return None


def _is_ours(word, root, state):
    from shepherd.runtime.containers import record
    from shepherd.runtime.containers.folders import Folders
    from shepherd.runtime.errors import RuntimeFailure

    try:
        return record.look(Folders(root, state), word) is not None
    except RuntimeFailure:
        return True  # the beginning of more than one id


def _is_bundle(word, root, state):
    from shepherd.runtime.bundle.state import default_root

    folder = root or os.environ.get("SHEPHERD_RUNTIME_ROOT")
    state = state or os.environ.get("SHEPHERD_RUNTIME_STATE")
    places = [folder] if root else []
    places.append(os.path.join(state, "bundles") if state else default_root())
    return "/" not in word and any(os.path.exists(os.path.join(place, word, "state.json")) for place in places)
