"""The options of `run` and `create` that are words of their own: devices, limits of processes, security, hosts."""

import os

from shepherd.runtime.cli import option_values
from shepherd.runtime.errors import RuntimeFailure


def security(text):
    """The words of --security-opt; a seccomp profile is read now, and kept."""
    name, _, value = text.partition("=") if "=" in text else text.partition(":")
    if name == "seccomp" and value not in ("unconfined", "default", "builtin"):
        from shepherd.runtime.bundle import document
        from shepherd.runtime.linux.seccomp import compile_profile

        profile = document.read(value)
        if not isinstance(profile, dict):
            raise RuntimeFailure("--security-opt seccomp: %s has no object in it" % value)
        compile_profile(profile)
        return "seccomp=" + document.dumps(profile)
    if name == "seccomp" and value == "builtin":
        return "seccomp=default"
    if name in ("seccomp", "no-new-privileges", "apparmor", "systempaths", "host-binds"):
        return "%s=%s" % (name, value) if value else name
    if name == "label" and (value == "disable" or not os.path.exists("/sys/fs/selinux/enforce")):
        return "label=" + value
    raise RuntimeFailure(
        "--security-opt: there is no %.60r" % text,
        "no-new-privileges, seccomp=FILE, apparmor=PROFILE, systempaths=unconfined, host-binds=unconfined",
    )


def ulimit(text):
    """NAME=SOFT[:HARD], as HostConfig.Ulimits has it."""
    from shepherd.runtime.bundle.config import RLIMITS

    name, value = option_values.pair(text, "--ulimit")
    soft, colon, hard = value.partition(":")
    try:
        soft, hard = (_limit(one) for one in (soft, hard if colon else soft))
    except ValueError:
        raise RuntimeFailure("--ulimit: should be NAME=SOFT[:HARD], and is %.60r" % text) from None
    if "RLIMIT_" + name.upper() not in RLIMITS or soft > hard:
        raise RuntimeFailure("--ulimit %.60s: no such limit, or the first number is above the second" % text)
    return {"Name": name, "Soft": soft, "Hard": hard}


def _limit(text):
    number = (1 << 64) - 1 if text in ("-1", "unlimited") else int(text)
    if number < 0:
        raise ValueError
    return number


def device(text):
    """/dev/NAME[:/dev/INSIDE][:rwm], as HostConfig.Devices has it."""
    parts = text.split(":")
    access = parts.pop() if len(parts) > 1 and set(parts[-1]) <= set("rwm") and parts[-1] else "rwm"
    if not 1 <= len(parts) <= 2 or not all(part.startswith("/") for part in parts):
        raise RuntimeFailure("--device: should be /dev/NAME[:/dev/INSIDE][:rwm], and is %.80r" % text)
    return {"PathOnHost": parts[0], "PathInContainer": parts[-1], "CgroupPermissions": access}


def of_device(option, text, amount):
    """/dev/NAME:NUMBER, or :SIZE of bytes in a second, as HostConfig has it (containers/block_devices.py)."""
    path, _, given = text.rpartition(":")
    value = (option_values.size if option.endswith("-bps") else option_values.number)(given, option)
    if not path.startswith("/") or value < 0:
        raise RuntimeFailure("%s: should be /dev/NAME:%s, and is %.80r" % (option, amount.upper(), text))
    return {"Path": path, amount: value}


def device_rule(text):
    """A line of cgroup v1's devices.allow (kernel, cgroup-v1/devices.rst), checked."""
    words = text.split()
    numbers = words[1].split(":") if len(words) == 3 else []
    right = len(numbers) == 2 and all(one == "*" or one.isdigit() for one in numbers)
    if not right or words[0] not in ("a", "b", "c") or not set(words[2]) <= set("rwm"):
        raise RuntimeFailure("--device-cgroup-rule: should be such as 'c 42:* rwm', and is %.60r" % text)
    return text


def host_address(text):
    """(name, address) of NAME:ADDRESS or NAME=ADDRESS."""
    name, _, address = text.partition("=" if "=" in text else ":")
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, address.strip("[]"))
            break
        except OSError:
            continue
    else:
        if address != "host-gateway":
            raise RuntimeFailure("--add-host: should be NAME:ADDRESS, and is %.80r" % text)
    if not name or any(one.isspace() for one in name):
        raise RuntimeFailure("--add-host: should be NAME:ADDRESS, and is %.80r" % text)
    return name, address.strip("[]")


def addresses(options, mode, *given):
    """Put the words of --ip and --ip6, `[NETWORK=]ADDRESS`, into what the network's part is given (network/attach.py).

    Without a network's name they are of the first one.
    """
    names, found = mode.split(","), {}
    for key, words in zip(("ip", "ip6"), given):
        for word in words:
            name, equals, address = word.rpartition("=")
            name = name if equals else names[0]
            if name not in names:
                raise RuntimeFailure("--%s: %.80r is none of its networks" % (key, name), "they are %s" % mode)
            if key in found.setdefault(name, {}):
                raise RuntimeFailure("--%s: is given twice for network %s" % (key, name))
            if (":" in address) != (key == "ip6"):
                raise RuntimeFailure(
                    "--%s: %.60r is no address of %s" % (key, address, "IPv6" if key == "ip6" else "IPv4")
                )
            found[name][key] = address
    options.update(found.pop(names[0], {}))
    if found:
        beside = {name: options[name] for name in ("aliases",) if name in options}
        options["connected"] = {name: dict(beside, **one) for name, one in found.items()}
