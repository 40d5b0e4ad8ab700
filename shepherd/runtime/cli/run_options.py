"""The options of `run` and `create`, as docker run has them, and what they mean."""

import os
import sys

from shepherd.runtime.cli.oci import options as reading
from shepherd.runtime.containers import clock, log, policy
from shepherd.runtime.containers.create import Request
from shepherd.runtime.errors import RuntimeFailure

_WORDS = {  # one value
    "blkio-weight cap cgroup-parent cgroupns cidfile cpu-period cpu-quota cpu-shares cpus cpuset-cpus cpuset-mems "
    "detach-keys domainname entrypoint front health-cmd health-http health-interval health-retries "
    "health-start-interval health-start-period health-tcp health-timeout hostname ip ip6 ipc log-driver mac-address "
    "memory memory-reservation memory-swap memory-swappiness name network oom-score-adj pid pids-limit platform "
    "pull restart shm-size stop-signal stop-timeout user userns uts workdir": str,
    "add-host annotation attach cap-add cap-drop device device-cgroup-rule dns dns-option dns-search env env-file "
    "expose group-add label label-file link log-opt mount network-alias publish secret security-opt sysctl tmpfs "
    "ulimit volume volumes-from": list,
    "detach disable-content-trust held init interactive no-healthcheck oom-kill-disable privileged publish-all quiet "
    "read-only rm sig-proxy tty": bool,
}
TABLE = {"--" + name: (name.replace("-", "_"), kind) for names, kind in _WORDS.items() for name in names.split()}
for _other, _name in (("--net", "--network"), ("--net-alias", "--network-alias"), ("--dns-opt", "--dns-option")):
    TABLE[_other] = TABLE[_name]
_SHORT = {"a": "attach", "c": "cpu-shares", "d": "detach", "e": "env", "h": "hostname", "i": "interactive",
          "l": "label", "m": "memory", "p": "publish", "P": "publish-all", "q": "quiet", "t": "tty", "u": "user",
          "v": "volume", "w": "workdir"}  # fmt: skip
TABLE.update({"-" + short: TABLE["--" + name] for short, name in _SHORT.items()})
_REFUSED = {"link": "networks have names: --network-alias", "volumes_from": "say the volumes again: -v",
            "oom_kill_disable": "a container that cannot be ended is no help", "userns": None}  # fmt: skip


def read(words: list, usage: str):
    """The options; `rest` is the image and its command. Raises RuntimeFailure."""
    if "-h" in words[:1] and len(words) == 1:
        words = ["--help"]
    return reading.parse(words, TABLE, usage, 1, None, until_first=True)


def request(found) -> Request:
    """What they ask for. Raises RuntimeFailure."""
    for name, hint in _REFUSED.items():
        if getattr(found, name):
            raise RuntimeFailure("--%s: is not there" % name.replace("_", "-"), hint)
    made = Request(found.rest[0])
    made.name = found.name
    made.config = _config(found)
    made.host = _host(found)
    made.mounts = _mounts(found)
    if found.secret:
        from shepherd.runtime.containers import secrets

        made.secrets = dict(secrets.read(one) for one in found.secret)
    made.extra_hosts = [_host_address(one) for one in found.add_host]
    made.networking = _networking(found, made)
    return made


def _config(found):
    exposed = {}
    for one in found.expose:
        port, _, protocol = one.partition("/")
        exposed["%s/%s" % (port, protocol or "tcp")] = {}
    config = {
        "Hostname": found.hostname,
        "Domainname": found.domainname,
        "User": found.user,
        "AttachStdin": found.interactive and not found.detach,
        "Tty": found.tty,
        "OpenStdin": found.interactive,
        "StdinOnce": found.interactive and not found.detach,
        "Env": environment(found.env, found.env_file),
        "Labels": labels(found.label, found.label_file),
        "ExposedPorts": exposed,
        "Cmd": found.rest[1:] or None,
        "WorkingDir": found.workdir,
        "StopSignal": found.stop_signal,
        "StopTimeout": _number(found.stop_timeout, "--stop-timeout"),
        "Healthcheck": _health(found),
    }
    if found.entrypoint is not None:
        config["Entrypoint"] = [found.entrypoint] if found.entrypoint else []
    return config


def environment(words: list, files: list) -> list:
    """NAME=value of -e and --env-file; a NAME alone takes what this process has, or takes the name away."""
    result = []
    for name in files:
        for line in _lines(name, "--env-file"):
            line = line.lstrip()
            if line and not line.startswith("#"):
                if any(one.isspace() for one in line.partition("=")[0]):
                    raise RuntimeFailure("%s: a variable's name has spaces in it: %.60r" % (name, line))
                result.append(line)
    result += words
    found = []
    for one in result:
        name, equals, _value = one.partition("=")
        if not name or "\0" in one:
            raise RuntimeFailure("--env: should be NAME=value, and is %.60r" % one)
        if not equals and name in os.environ:
            one = "%s=%s" % (name, os.environ[name])
        found.append(one)
    return found


def labels(words: list, files=()) -> dict:
    """NAME=value of --label and --label-file."""
    lines = list(words)
    for name in files:
        lines += [line.strip() for line in _lines(name, "--label-file")]
    return dict(one.partition("=")[::2] for one in lines if one and not one.startswith("#"))


def _lines(name, option):
    try:
        with sys.stdin if name == "-" else open(name, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().lstrip("\ufeff").splitlines()
    except OSError as error:
        raise RuntimeFailure("%s %s: %s" % (option, name, error.strerror)) from None


def _health(found):
    if found.no_healthcheck:
        return {"Test": ["NONE"]}
    made = {}
    for value, test in (
        (found.health_cmd, _command(found.health_cmd)),
        (found.health_http, ["HTTP", found.health_http]),
        (found.health_tcp, ["TCP", found.health_tcp]),
    ):
        if value:
            if made:
                raise RuntimeFailure("--health-cmd, --health-http and --health-tcp exclude one another")
            made["Test"] = test
    for field, value in (
        ("Interval", found.health_interval),
        ("Timeout", found.health_timeout),
        ("StartPeriod", found.health_start_period),
        ("StartInterval", found.health_start_interval),
    ):
        if value:
            made[field] = int(clock.duration(value, "--health-*") * 1000000000)
    if found.health_retries:
        made["Retries"] = _number(found.health_retries, "--health-retries")
    return made or None


def _command(text):
    """Words, as a list in JSON, run as they are; other text is for the container's shell. As with podman."""
    if text and text.startswith("["):
        import json

        try:
            words = json.loads(text)
        except ValueError:
            words = None
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            return ["CMD"] + words
    return ["CMD-SHELL", text]


def limits(found) -> dict:
    """The limits of a HostConfig, as `update` takes them too; None for what is not said."""
    nano = None
    if found.cpus:
        try:
            nano = int(float(found.cpus) * 1000000000)
        except ValueError:
            nano = -1
        if nano <= 0:
            raise RuntimeFailure("--cpus: should be a number such as 1.5, and is %.40r" % found.cpus)
    return {
        "Memory": _bytes(found.memory, "--memory"),
        "MemoryReservation": _bytes(found.memory_reservation, "--memory-reservation"),
        "MemorySwap": _bytes(found.memory_swap, "--memory-swap"),
        "NanoCpus": nano,
        "CpuShares": _number(found.cpu_shares, "--cpu-shares"),
        "CpuPeriod": _number(found.cpu_period, "--cpu-period"),
        "CpuQuota": _number(found.cpu_quota, "--cpu-quota"),
        "CpusetCpus": found.cpuset_cpus,
        "CpusetMems": found.cpuset_mems,
        "PidsLimit": _number(found.pids_limit, "--pids-limit"),
        "BlkioWeight": _number(found.blkio_weight, "--blkio-weight"),
    }


def _host(found):
    host = limits(found)
    network = found.network or "bridge"
    host.update({
        "NetworkMode": network,
        "AutoRemove": found.rm,
        "Privileged": found.privileged,
        "ReadonlyRootfs": found.read_only,
        "Init": found.init,
        "CapAdd": _split(found.cap_add),
        "CapDrop": _split(found.cap_drop),
        "SecurityOpt": [_security(one) for one in found.security_opt],
        "Ulimits": [_ulimit(one) for one in found.ulimit],
        "Sysctls": dict(one.partition("=")[::2] for one in found.sysctl),
        "Devices": [_device(one) for one in found.device],
        "DeviceCgroupRules": [_device_rule(one) for one in found.device_cgroup_rule],
        "GroupAdd": found.group_add,
        "Dns": found.dns,
        "DnsSearch": found.dns_search,
        "DnsOptions": found.dns_option,
        "ExtraHosts": found.add_host,
        "PidMode": found.pid or "",
        "IpcMode": found.ipc or "private",
        "UTSMode": found.uts or "",
        "ShmSize": _bytes(found.shm_size, "--shm-size") or 67108864,
        "CgroupParent": found.cgroup_parent or "",
        "OomScoreAdj": _number(found.oom_score_adj, "--oom-score-adj") or 0,
        "MemorySwappiness": _number(found.memory_swappiness, "--memory-swappiness"),
        "LogConfig": {
            "Type": found.log_driver or "json-file",
            "Config": dict(_pair(one, "--log-opt") for one in found.log_opt),
        },
        "PublishAllPorts": found.publish_all,
    })  # fmt: skip
    for field, value in (("pid", host["PidMode"]), ("ipc", host["IpcMode"]), ("uts", host["UTSMode"])):
        allowed = {"pid": ("", "host"), "ipc": ("", "private", "shareable", "host"), "uts": ("", "host")}[field]
        if value not in allowed and not (field != "uts" and value.startswith("container:")):
            raise RuntimeFailure("--%s: %.60r is none of %s" % (field, value, ", ".join(one for one in allowed if one)))
    if ".." in host["CgroupParent"].split("/"):
        raise RuntimeFailure("--cgroup-parent: should have no .. in it")
    if found.restart:
        host["RestartPolicy"] = policy.parse(found.restart)
    return host


def _networking(found, made):
    """What the network's own part is given (network/attach.py)."""
    mode = made.host["NetworkMode"]
    if mode in ("none", "host") or mode.startswith("container:"):
        if found.publish or found.publish_all:
            raise RuntimeFailure("--publish: there are no ports to publish with --network %s" % mode)
        if found.front:
            raise RuntimeFailure("--front: there are no ports to share with --network %s" % mode)
        return {}
    if found.held and not found.front:
        raise RuntimeFailure("--held: is for a container that shares its ports: --front NAME")
    given = {
        "network": mode.split(",") if "," in mode else mode,
        "ports": found.publish,
        "front": found.front,
        "held": found.held,
        "aliases": found.network_alias,
        "ip": found.ip,
        "ip6": found.ip6,
        "mac": found.mac_address,
        "dns": found.dns,
        "dns_search": found.dns_search,
        "dns_options": found.dns_option,
        "add_hosts": found.add_host,
        "hostname": found.hostname,
    }
    return {name: value for name, value in given.items() if value}


def _split(words):
    return [name for word in words for name in word.split(",") if name]


def _pair(text, option):
    name, equals, value = text.partition("=")
    if not equals:
        raise RuntimeFailure("%s: should be NAME=value, and is %.60r" % (option, text))
    return name, value


def _number(text, option):
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise RuntimeFailure("%s: should be a whole number, and is %.40r" % (option, text)) from None


def _bytes(text, option):
    if text is None:
        return None
    try:
        return -1 if text == "-1" else log.parse_size(text)
    except (ValueError, KeyError):
        raise RuntimeFailure("%s: should be a size such as 256m, and is %.40r" % (option, text)) from None


def _security(text):
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


def _ulimit(text):
    from shepherd.runtime.bundle.config import RLIMITS

    name, value = _pair(text, "--ulimit")
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


def _device(text):
    parts = text.split(":")
    access = parts.pop() if len(parts) > 1 and set(parts[-1]) <= set("rwm") and parts[-1] else "rwm"
    if not 1 <= len(parts) <= 2 or not all(part.startswith("/") for part in parts):
        raise RuntimeFailure("--device: should be /dev/NAME[:/dev/INSIDE][:rwm], and is %.80r" % text)
    return {"PathOnHost": parts[0], "PathInContainer": parts[-1], "CgroupPermissions": access}


def _device_rule(text):
    words = text.split()
    numbers = words[1].split(":") if len(words) == 3 else []
    right = len(numbers) == 2 and all(one == "*" or one.isdigit() for one in numbers)
    if not right or words[0] not in ("a", "b", "c") or not set(words[2]) <= set("rwm"):
        raise RuntimeFailure("--device-cgroup-rule: should be such as 'c 42:* rwm', and is %.60r" % text)
    return text


def _host_address(text):
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


# Mounts


def _mounts(found):
    made = [_volume(one) for one in found.volume] + [_mount(one) for one in found.mount]
    for one in found.tmpfs:
        path, _, options = one.partition(":")
        made.append({"Type": "tmpfs", "Source": "", "Destination": destination(path), "Mode": options, "RW": True,
                     "Propagation": ""})  # fmt: skip
    return made


def destination(path: str) -> str:
    """An absolute path inside. Raises RuntimeFailure."""
    if not path.startswith("/") or "\0" in path:
        raise RuntimeFailure("a mount's place inside should be an absolute path, and is %.100r" % path)
    normal = os.path.normpath(path).replace("//", "/")
    if normal == "/":
        raise RuntimeFailure("nothing can be mounted at / inside")
    return normal


_PROPAGATIONS = ("private", "rprivate", "slave", "rslave")


def _volume(text):
    """-v [SOURCE:]INSIDE[:OPTIONS]"""
    parts = text.split(":")
    if len(parts) > 3 or not text:
        raise RuntimeFailure("--volume: should be [SOURCE:]INSIDE[:OPTIONS], and is %.100r" % text)
    source, inside, mode = ("", parts[0], "") if len(parts) == 1 else (parts + [""])[:3]
    made = {"Destination": destination(inside), "Mode": mode, "RW": True, "Propagation": ""}
    for word in mode.split(",") if mode else []:
        if word in ("ro", "rw"):
            made["RW"] = word == "rw"
        elif word in _PROPAGATIONS:
            made["Propagation"] = word
        elif word == "nocopy":
            made["NoCopy"] = True
        elif word not in ("z", "Z", "cached", "delegated", "consistent"):  # of other systems
            raise RuntimeFailure("--volume %.100s: there is no option %.40r" % (text, word))
    return _sourced(made, source, True)


def _sourced(made, source, make):
    if source.startswith(("/", ".", "~")):
        made.update(Type="bind", Source=os.path.abspath(os.path.expanduser(source)), Make=make)
        made["Propagation"] = made["Propagation"] or "rprivate"
    else:
        from shepherd.runtime.volumes.volume import check_name

        made.update(Type="volume", Name=check_name(source) if source else None, Source="")
    return made


_MOUNT_NAMES = {"src": "source", "dst": "destination", "target": "destination", "ro": "readonly"}


def _mount(text):
    """--mount type=volume,source=NAME,destination=PATH,… as CSV."""
    import csv

    fields, made_labels = {}, {}
    for word in next(csv.reader([text])):
        name, equals, value = word.partition("=")
        name = _MOUNT_NAMES.get(name.strip().lower(), name.strip().lower())
        if name == "volume-label":
            made_labels.update([_pair(value, "--mount volume-label")])
        else:
            fields[name] = value if equals else "true"
    kind = fields.pop("type", "volume")
    if "destination" not in fields:
        raise RuntimeFailure("--mount: should say destination=, and is %.100r" % text)
    made = {"Destination": destination(fields.pop("destination")), "Mode": "", "Propagation": ""}
    made["RW"] = fields.pop("readonly", "false").lower() not in ("true", "1")
    source = fields.pop("source", "")
    if kind == "tmpfs":
        options = []
        size = fields.pop("tmpfs-size", None)
        if size:
            options.append("size=%d" % _bytes(size, "--mount tmpfs-size"))
        if "tmpfs-mode" in fields:
            options.append("mode=" + fields.pop("tmpfs-mode"))
        made.update(Type="tmpfs", Source="", Mode=",".join(options + ([] if made["RW"] else ["ro"])))
    elif kind == "bind":
        if not source:
            raise RuntimeFailure("--mount type=bind: should say source=, and is %.100r" % text)
        made["Propagation"] = fields.pop("bind-propagation", "rprivate")
        if made["Propagation"] not in _PROPAGATIONS:
            raise RuntimeFailure("--mount bind-propagation: should be one of " + ", ".join(_PROPAGATIONS))
        made["NonRecursive"] = fields.pop("bind-recursive", "enabled") == "disabled" or _true(
            fields, "bind-nonrecursive"
        )
        made.update(Type="bind", Source=os.path.abspath(source))
        made["Make"] = _true(fields, "bind-create-src")
    elif kind == "volume":
        _sourced(made, source, False)
        if made["Type"] != "volume":
            raise RuntimeFailure("--mount type=volume: %.100r is a path, and no volume's name" % source, "type=bind")
        made["NoCopy"] = _true(fields, "volume-nocopy")
        fields.pop("volume-driver", None)
        if made_labels:
            made["Labels"] = made_labels
    else:
        raise RuntimeFailure("--mount: there are the types bind, volume and tmpfs, and no %.40r" % kind)
    subpath = fields.pop("volume-subpath", None) or fields.pop("subpath", None)
    if subpath:
        made["Subpath"] = subpath
    fields.pop("consistency", None)
    if fields:
        raise RuntimeFailure("--mount: there is no %.60r for type=%s" % (sorted(fields)[0], kind))
    return made


def _true(fields, name):
    return fields.pop(name, "false").lower() in ("true", "1")
