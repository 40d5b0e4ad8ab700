"""The options of `run` and `create`, as docker run has them, and what they mean."""

import os
import sys

from shepherd.runtime.cli import mount_options, option_values, option_words
from shepherd.runtime.cli.oci import options as reading
from shepherd.runtime.containers import block_devices, clock, policy
from shepherd.runtime.containers.create import Request
from shepherd.runtime.errors import RuntimeFailure

_WORDS = {  # one value
    "blkio-weight cap cgroup-parent cgroupns cidfile cpu-period cpu-quota cpu-shares cpus cpuset-cpus cpuset-mems "
    "detach-keys domainname entrypoint front health-cmd health-http health-interval health-retries "
    "health-start-interval health-start-period health-tcp health-timeout hostname ipc log-driver mac-address "
    "memory memory-reservation memory-swap memory-swappiness name network oom-score-adj pid pids-limit platform "
    "pull restart shm-size stop-signal stop-timeout user userns uts workdir": str,
    "add-host annotation attach cap-add cap-drop device device-cgroup-rule dns dns-option dns-search env env-file "
    "expose group-add ip ip6 label label-file link log-opt mount network-alias publish secret security-opt sysctl "
    "tmpfs ulimit volume volumes-from": list,
    "detach disable-content-trust held init interactive no-healthcheck oom-kill-disable privileged publish-all quiet "
    "read-only rm sig-proxy tty": bool,
}
TABLE = {"--" + name: (name.replace("-", "_"), kind) for names, kind in _WORDS.items() for name in names.split()}
TABLE.update((option, (option[2:].replace("-", "_"), list)) for option in block_devices.OPTIONS)
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
    made.mounts = mount_options.read(found)
    if found.secret:
        from shepherd.runtime.containers import secrets

        made.secrets = dict(secrets.read(one) for one in found.secret)
    made.extra_hosts = [option_words.host_address(one) for one in found.add_host]
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
        "StopTimeout": option_values.number(found.stop_timeout, "--stop-timeout"),
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
        made["Retries"] = option_values.number(found.health_retries, "--health-retries")
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
        "Memory": option_values.size(found.memory, "--memory"),
        "MemoryReservation": option_values.size(found.memory_reservation, "--memory-reservation"),
        "MemorySwap": option_values.size(found.memory_swap, "--memory-swap"),
        "NanoCpus": nano,
        "CpuShares": option_values.number(found.cpu_shares, "--cpu-shares"),
        "CpuPeriod": option_values.number(found.cpu_period, "--cpu-period"),
        "CpuQuota": option_values.number(found.cpu_quota, "--cpu-quota"),
        "CpusetCpus": found.cpuset_cpus,
        "CpusetMems": found.cpuset_mems,
        "PidsLimit": option_values.number(found.pids_limit, "--pids-limit"),
        "BlkioWeight": option_values.number(found.blkio_weight, "--blkio-weight"),
    }


def _host(found):
    host = limits(found)
    for option, (field, amount, _name) in block_devices.OPTIONS.items():
        words = getattr(found, TABLE[option][0])
        host[field] = [option_words.of_device(option, one, amount) for one in words]
    network = found.network or "bridge"
    host.update({
        "NetworkMode": network,
        "AutoRemove": found.rm,
        "Privileged": found.privileged,
        "ReadonlyRootfs": found.read_only,
        "Init": found.init,
        "CapAdd": option_values.split(found.cap_add),
        "CapDrop": option_values.split(found.cap_drop),
        "SecurityOpt": [option_words.security(one) for one in found.security_opt],
        "Ulimits": [option_words.ulimit(one) for one in found.ulimit],
        "Sysctls": dict(one.partition("=")[::2] for one in found.sysctl),
        "Devices": [option_words.device(one) for one in found.device],
        "DeviceCgroupRules": [option_words.device_rule(one) for one in found.device_cgroup_rule],
        "GroupAdd": found.group_add,
        "Dns": found.dns,
        "DnsSearch": found.dns_search,
        "DnsOptions": found.dns_option,
        "ExtraHosts": found.add_host,
        "PidMode": found.pid or "",
        "IpcMode": found.ipc or "private",
        "UTSMode": found.uts or "",
        "ShmSize": option_values.size(found.shm_size, "--shm-size") or 67108864,
        "CgroupParent": found.cgroup_parent or "",
        "OomScoreAdj": option_values.number(found.oom_score_adj, "--oom-score-adj") or 0,
        "MemorySwappiness": option_values.number(found.memory_swappiness, "--memory-swappiness"),
        "LogConfig": {
            "Type": found.log_driver or "json-file",
            "Config": dict(option_values.pair(one, "--log-opt") for one in found.log_opt),
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
        if found.ip or found.ip6:
            raise RuntimeFailure("--ip needs a network of containers, and this is --network %s" % mode)
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
        "mac": found.mac_address,
        "dns": found.dns,
        "dns_search": found.dns_search,
        "dns_options": found.dns_option,
        "add_hosts": found.add_host,
        "hostname": found.hostname,
    }
    made = {name: value for name, value in given.items() if value}
    option_words.addresses(made, mode, found.ip, found.ip6)
    return made
