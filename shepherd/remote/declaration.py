"""What a play declares of a container: as plain data that can be compared, and as the words of the runtime's command.

Two declarations are compared, never a declaration and what an engine made of it: what was declared is kept with each
instance, as the label `shepherd.declared`, and its digest as `shepherd.spec`. Of secrets it has a keyed digest.
"""

from shepherd.remote import fingerprint, wire  # whose JSON is here already: the package takes 10 ms to import

APP, SPEC, DECLARED = "shepherd.app", "shepherd.spec", "shepherd.declared"
HIDDEN = "(hidden)"

_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# option: the command's, for a text or number; for a list, of which each word is given
_VALUES = (("user", "--user"), ("workdir", "--workdir"), ("hostname", "--hostname"), ("restart", "--restart"),
           ("stop_signal", "--stop-signal"), ("stop_timeout", "--stop-timeout"), ("domainname", "--domainname"),
           ("ipc", "--ipc"), ("pid", "--pid"), ("uts", "--uts"), ("oom_score_adj", "--oom-score-adj"),
           ("shm_size", "--shm-size"))  # fmt: skip
_LISTS = (("volumes", "--volume"), ("tmpfs", "--tmpfs"), ("ports", "--publish"), ("cap_add", "--cap-add"),
          ("cap_drop", "--cap-drop"), ("devices", "--device"), ("group_add", "--group-add"),
          ("security_opt", "--security-opt"))  # fmt: skip
_ORDERED = (("dns", "--dns"), ("dns_search", "--dns-search"), ("dns_opt", "--dns-option"))
_PAIRS = (("env", "--env"), ("labels", "--label"), ("sysctls", "--sysctl"), ("ulimits", "--ulimit"),
          ("extra_hosts", "--add-host"))  # fmt: skip
_SWITCHES = (("read_only", "--read-only"), ("init", "--init"), ("privileged", "--privileged"), ("tty", "--tty"),
             ("stdin_open", "--interactive"))  # fmt: skip
_LIMITS = (("memory", "--memory"), ("memory_swap", "--memory-swap"), ("reservation", "--memory-reservation"),
           ("cpus", "--cpus"), ("cpu_shares", "--cpu-shares"), ("cpuset", "--cpuset-cpus"),
           ("pids", "--pids-limit"))  # fmt: skip
ADDRESSES = {"ipv4_address": "--ip", "ipv6_address": "--ip6"}
_LOG = (("driver", "--log-driver", "%s"), ("max_size", "--log-opt", "max-size=%s"),
        ("max_file", "--log-opt", "max-file=%s"))  # fmt: skip
_CHECKS = (("command", "--health-cmd"), ("http", "--health-http"), ("tcp", "--health-tcp"),
           ("retries", "--health-retries"))  # fmt: skip
_TIMES = (("interval", "--health-interval"), ("timeout", "--health-timeout"),
          ("start_period", "--health-start-period"), ("start_interval", "--health-start-interval"))  # fmt: skip


class DeclarationError(ValueError):
    """What cannot be meant; the message names the option."""


def size(text, option):
    """Bytes of 256M, 1.5g or a number."""
    word = str(text).strip().lower()
    if word == "-1":
        return -1
    word = word[:-1] if word.endswith(("kb", "mb", "gb", "tb", "ib")) else word
    word = word[:-1] if word.endswith(("ki", "mi", "gi", "ti")) else word
    unit = _UNITS.get(word[-1:])
    try:
        found = int(float(word[:-1] if unit else word) * (unit or 1))
    except (ValueError, OverflowError):
        found = 0
    if found <= 0:
        raise DeclarationError("%s: should be a size such as 256M, and is %.40r" % (option, text))
    return found


def seconds(text, option):
    """Seconds of 1m30s, 500ms or a number."""
    rest, total = str(text).strip(), 0.0
    try:
        return _positive(float(rest))
    except ValueError:
        pass
    try:
        while rest:
            digits = len(rest) - len(rest.lstrip("0123456789."))
            number, rest = float(rest[:digits]), rest[digits:]
            unit = "ms" if rest.startswith("ms") else rest[:1]
            total, rest = total + number * _SECONDS[unit], rest[len(unit) :]
        return _positive(total)
    except (ValueError, KeyError):
        raise DeclarationError("%s: should be a time such as 1m30s, and is %.40r" % (option, text)) from None


def _positive(number):
    if not 0 <= number < 1e9:
        raise ValueError
    return number


def declare(args, digest, salt):
    """The declaration of the options `args` with the image of that digest, as data that JSON can hold.

    What is not declared is not in it. `salt` is the key of the digests of secrets. Raises DeclarationError.
    """
    found = {"image": args["image"], "digest": digest}
    for name, reader in _READERS:
        value = args[name]
        if value is not None and value is not False and value != [] and value != {}:
            found[name] = value if reader is None else reader(value, name)
    if args["networks"]:
        found["networks"], found["addresses"] = _networks(args["networks"])
    if args["secrets"]:
        found["secrets"] = {str(key): _keyed(salt, value) for key, value in args["secrets"].items()}
    found = {key: value for key, value in found.items() if value not in (None, [], {})}
    found["salt"] = salt
    _check(found)
    return found


def _networks(given):
    """(names, {"NETWORK.ipv4_address": address}), so that a diff names what of it is another."""
    names, addresses = [], {}
    for one in given:
        said = dict(one) if isinstance(one, dict) else {"name": one}
        if not said.get("name"):
            raise DeclarationError("networks: %.80r should say its `name`" % (one,))
        names.append(str(said.pop("name")))
        for key, value in said.items():
            if key not in ADDRESSES:
                raise DeclarationError(
                    "networks: %s: there is no %.40r, but %s" % (names[-1], key, ", ".join(ADDRESSES))
                )
            if value:
                addresses["%s.%s" % (names[-1], key)] = str(value)
    return names, addresses


def _words(given, option):
    """The words of a command: a list has them, a text is taken apart as a shell would, and no shell runs."""
    if isinstance(given, (list, tuple)):
        return [str(one) for one in given]
    if isinstance(given, dict):
        raise DeclarationError("%s: should be a list of words, and is a mapping" % option)
    from shepherd.remote import commands

    try:
        return commands.words(str(given))
    except ValueError as error:
        raise DeclarationError("%s: %s in %.80r" % (option, str(error).lower(), given)) from None


def _text(value):
    """As YAML's values are meant in an environment: true and false, and nothing for null."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    return str(value)


def _keyed(salt, value):
    return fingerprint.keyed(salt.encode(), content(value))


def content(value):
    """The bytes of a secret."""
    return str(value).encode("utf-8", "surrogateescape")


def _in_any_order(given, _option):
    return sorted(map(str, given))


def _names(given, _option):
    return sorted(set(given))


def _in_order(given, _option):
    return [str(one) for one in given]


def _pairs(given, _option):
    return {str(key): _text(value) for key, value in given.items()}


def _said(given, _option):
    return {name: value for name, value in given.items() if value is not None}


def _limits(given, _option):
    found = {}
    for name, _word in _LIMITS:
        value = given.get(name)
        if value is not None:
            is_size = name in ("memory", "memory_swap", "reservation")
            found[name] = size(value, "resources." + name) if is_size else value
    return found


def _health(given, _option):
    if given.get("disable"):
        return {"disable": True}
    found = {name: given[name] for name, _word in _CHECKS if given.get(name) is not None}
    if given.get("exec"):
        found["exec"] = _words(given["exec"], "health.exec")
    for name, _word in _TIMES:
        if given.get(name) is not None:
            found[name] = seconds(given[name], "health." + name)
    return found


# option: what makes of its value what is kept; None: it is kept as it is
_READERS = (
    [(name, size if name == "shm_size" else None) for name, _word in _VALUES]
    + [(name, _in_any_order) for name, _word in _LISTS]
    + [(name, None) for name, _word in _SWITCHES]
    + [(name, _in_order) for name, _word in _ORDERED]
    + [(name, _pairs) for name, _word in _PAIRS]
    + [("aliases", _names), ("command", _words), ("entrypoint", _words)]
    + [("log", _said), ("resources", _limits), ("health", _health)]
)


def _check(found):
    for name in found.get("env", ()):
        if not name or "=" in name or "\0" in name + found["env"][name]:
            raise DeclarationError("env: %.60r is no name of a variable" % name)
    for name in found.get("labels", ()):
        if name in (APP, SPEC, DECLARED) or not name or "=" in name:
            raise DeclarationError("labels: %.60r is no name, or is taken" % name)
    networks = found.get("networks", [])
    if len(networks) > 1 and (set(networks) & {"none", "host"} or provider(found)):
        raise DeclarationError("networks: none, host and container:NAME stand alone")
    if provider(found) is not None:
        for option in ("ports", "hostname", "dns", "dns_search", "dns_opt", "extra_hosts", "aliases", "addresses"):
            if found.get(option):
                raise DeclarationError("%s: is of the container whose network it has: say it there" % option)
    if found.get("addresses") and set(networks) & {"none", "host", "bridge"}:
        raise DeclarationError("networks: an address is for a network that container_network has made")


def provider(declared):
    """The name of the container whose network it has; None: it has its own."""
    first = (declared.get("networks") or [""])[0]
    return first[len("container:") :] if first.startswith("container:") else None


def fixed_ports(declared):
    """The words of ports that name one of the machine's."""
    return [word for word in declared.get("ports", ()) if _is_fixed(word)]


def written_volumes(declared):
    """Volumes and folders of the machine that instances may write to."""
    found = []
    for word in declared.get("volumes", ()):
        source, _colon, rest = word.partition(":")
        if "ro" not in rest.partition(":")[2].split(","):
            found.append(source)
    return found


def _is_fixed(word):
    """Whether a port of the machine is named, and not a range of them or none."""
    outside = word.partition("/")[0].rpartition(":")[0]
    return outside.rpartition(":")[2].isdigit()


def digest_of(declared):
    """What the label `shepherd.spec` says."""
    return fingerprint.sha256(wire.dumps(declared, in_order=True).encode())


def labels(declared):
    """The words that keep a declaration with what was made of it."""
    found = ["--label", "%s=%s" % (SPEC, digest_of(declared))]
    return found + ["--label", "%s=%s" % (DECLARED, wire.dumps(declared, in_order=True))]


def kept(labels):
    """The declaration that such labels keep; None where no play has declared it."""
    try:
        return wire.loads((labels or {})[DECLARED])
    except (KeyError, ValueError):
        return None


def words(declared, app, instance):
    """The words of the command that makes an instance, without those of its secrets, and of its image and command."""
    found = ["--name", instance, "--pull", "never", "--label", "%s=%s" % (APP, app)] + labels(declared)
    for name, word in _VALUES:
        found += [word, str(declared[name])] if name in declared else []
    for name, word in _LISTS:
        for one in declared.get(name, ()):
            found += [word, one]
    found += [one for name, word in _ORDERED for value in declared.get(name, ()) for one in (word, value)]
    found += [word for name, word in _SWITCHES if declared.get(name)]
    for name, word in _PAIRS:
        for key, value in declared.get(name, {}).items():
            found += [word, "%s=%s" % (key, value)]
    limits, health = declared.get("resources", {}), declared.get("health", {})
    found += [one for name, word in _LIMITS if name in limits for one in (word, str(limits[name]))]
    found += [one for name, word, form in _LOG if name in declared.get("log", {})
              for one in (word, form % declared["log"][name])]  # fmt: skip
    found += ["--no-healthcheck"] if "disable" in health else []
    found += ["--health-cmd", wire.dumps(health["exec"])] if "exec" in health else []
    found += [one for name, word in _CHECKS if name in health for one in (word, str(health[name]))]
    found += [one for name, word in _TIMES if name in health for one in (word, "%dms" % (health[name] * 1000))]
    networks = declared.get("networks", [])
    if networks:
        found += ["--network", ",".join(networks)]
        if not (set(networks) & {"none", "host", "bridge"} or provider(declared)):
            for key, address in sorted(declared.get("addresses", {}).items()):
                name, _dot, kind = key.rpartition(".")
                found += [ADDRESSES[kind], "%s=%s" % (name, address)]
            for alias in [app] + declared.get("aliases", []):
                found += ["--network-alias", alias]
    return found


def arguments(declared, image=None):
    """The image and the command, as the last words; `--entrypoint` first. `image`: another name of it."""
    image = image or declared["image"]
    entry, command = declared.get("entrypoint"), declared.get("command", [])
    if entry is None:
        return ["--", image] + command
    return ["--entrypoint", entry[0] if entry else "", "--", image] + entry[1:] + command


def differences(old, new, shown=()):
    """{field: (old, new)} of what is not the same, as it may be shown: of `env` the variables in `shown` alone."""
    found = {}
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name), new.get(name)
        if before == after or name == "salt":
            continue
        if isinstance(before or {}, dict) and isinstance(after or {}, dict):
            for key in sorted(set(before or {}) | set(after or {})):
                pair = ((before or {}).get(key), (after or {}).get(key))
                if pair[0] != pair[1]:
                    hidden = name == "secrets" or (name == "env" and key not in shown)
                    found["%s.%s" % (name, key)] = _masked(*pair) if hidden else pair
        else:
            found[name] = (before, after)
    return found


def _masked(before, after):
    if before is not None and after is not None:
        return HIDDEN, HIDDEN + ", and another one"
    return before and HIDDEN, after and HIDDEN
