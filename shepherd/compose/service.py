"""A service: every field of the Compose specification, how it is read, or why it is not."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shepherd.compose import attachment, dependency, deploy, grant, health, mount, port, shape
from shepherd.compose.build import build
from shepherd.compose.volumes_from import volumes_from
from shepherd.origin import Mapping

if TYPE_CHECKING:
    from shepherd.compose.where import Where
    from shepherd.origin import Origin

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_CAPABILITY = re.compile(r"(CAP_)?[A-Z_]+|ALL", re.IGNORECASE)
_RESTART = re.compile(r"no|always|unless-stopped|on-failure(:\d+)?")


@dataclass(frozen=True)
class EnvFile:
    path: str
    required: bool = True
    raw: bool = False
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Extends:
    """`file` is None for a service of the same file."""

    service: str
    file: str | None
    origin: Origin | None


_ENV_FILE = shape.fields({"path": shape.word, "required": shape.flag, "format": shape.choice("raw")})


def _env_files(value: Any, where: Where) -> list[EnvFile]:
    found = []
    for position, one in enumerate(value if isinstance(value, list) else [value]):
        place = where.into(position, one)
        said: Any = _ENV_FILE(one, place) if isinstance(one, dict) else {"path": shape.word(one, place)}
        if "path" not in said:
            raise place.error("should say its `path`")
        path = os.path.abspath(os.path.join(place.folder, os.path.expanduser(said["path"])))
        found.append(EnvFile(path, said.get("required", True), said.get("format") == "raw", place.origin))
    return found


def _extends(value: Any, where: Where) -> Extends:
    if not isinstance(value, dict):
        return Extends(shape.word(value, where), None, where.origin)
    found = shape.fields({"service": shape.word, "file": shape.word})(value, where)
    if "service" not in found:
        raise where.error("should say which `service`")
    path = os.path.abspath(os.path.join(where.folder, found["file"])) if "file" in found else None
    return Extends(found["service"], path, where.origin)


def _label_files(value: Any, where: Where) -> list[EnvFile]:
    """Files of NAME=value, each of which has to be there."""
    found = []
    for position, one in enumerate(shape.strings(value, where)):
        place = where.into(position, value[position] if isinstance(value, list) else value)
        found.append(EnvFile(os.path.abspath(os.path.join(place.folder, one)), origin=place.origin))
    return found


def _microseconds(value: Any, where: Where) -> int:
    """Of a number, which counts them, or a time such as 50ms."""
    written = str(value)
    found = int(written) if written.isdecimal() else round(shape.seconds(value, where) * 1_000_000)
    if not found:
        raise where.error("should be more than nothing")
    return found


def _restart(value: Any, where: Where) -> str:
    found = "no" if value is False else shape.text(value, where)
    if not _RESTART.fullmatch(found):
        raise where.error(f"{found[:40]!r} should be no, always, unless-stopped or on-failure[:TIMES]")
    return found


def _capabilities(value: Any, where: Where) -> list[str]:
    found = shape.strings(value, where)
    for position, one in enumerate(found):
        if not _CAPABILITY.fullmatch(one):
            raise where.into(position, value).error(f"{one[:40]!r} is no capability")
    return found


def _environment(value: Any, where: Where) -> Mapping:
    found = shape.pairs(value, where)
    for name in found:
        if not str(name) or "=" in str(name):
            raise where.into(name, None).error("is no name of a variable")
    return found


def _hosts(value: Any, where: Where) -> Mapping:
    """NAME → address, of a mapping or a list of NAME=ADDRESS or NAME:ADDRESS."""
    made = Mapping()
    if isinstance(value, dict):
        for key, inner in value.items():
            made[key] = ",".join(shape.strings(inner, where.into(key, inner)))
        return made
    for position, one in enumerate(shape.strings(value, where)):
        name, sign, address = one.partition("=" if "=" in one else ":")
        if not sign or not name or not address:
            raise where.into(position, value).error(f"{one[:60]!r} should be NAME:ADDRESS")
        made[name] = address.strip("[]")
    return made


def _ulimit(value: Any, where: Where) -> str:
    """SOFT[:HARD]"""
    if not isinstance(value, dict):
        return str(shape.whole(value, where))
    found = shape.fields({"soft": shape.whole, "hard": shape.whole})(value, where)
    if set(found) != {"soft", "hard"}:
        raise where.error("should say `soft` and `hard`")
    return f"{found['soft']}:{found['hard']}"


def _pull_policy(value: Any, where: Where) -> str:
    found = str(shape.choice("always", "never", "missing", "if_not_present", "build")(value, where))
    return "missing" if found == "if_not_present" else found


_BESIDE = shape.meaningless("lines are kept with their time and stream, and nothing else beside them")
_LOGGING = shape.fields(
    {
        "driver": shape.choice("json-file", "local", "none"),
        "options": shape.fields(
            {
                "max-size": shape.text,
                "max-file": shape.text,
                "compress": shape.meaningless("old files are kept as they are"),
                **dict.fromkeys(("env", "env-regex", "labels", "labels-regex", "tag"), _BESIDE),
            }
        ),
    }
)

FIELDS: dict[str, shape.Reader] = {
    "build": build,
    "cap_add": _capabilities,
    "cap_drop": _capabilities,
    "command": shape.words,
    "configs": grant.configs,
    "container_name": shape.maybe(shape.word),
    "cpu_period": _microseconds,
    "cpu_quota": _microseconds,
    "cpu_shares": shape.count,
    "cpus": shape.number,
    "cpuset": shape.maybe(shape.word),
    "depends_on": dependency.depends_on,
    "deploy": deploy.deploy,
    "devices": shape.strings,
    "dns": shape.strings,
    "dns_opt": shape.strings,
    "dns_search": shape.strings,
    "domainname": shape.maybe(shape.word),
    "entrypoint": shape.words,
    "env_file": _env_files,
    "environment": _environment,
    "expose": port.expose,
    "extends": _extends,
    "extra_hosts": _hosts,
    "group_add": shape.strings,
    "healthcheck": health.healthcheck,
    "hostname": shape.maybe(shape.word),
    "image": shape.maybe(shape.word),
    "init": shape.flag,
    "ipc": shape.choice("private", "shareable", "host"),
    "label_file": _label_files,
    "labels": shape.pairs,
    "links": dependency.links,
    "logging": _LOGGING,
    "mem_limit": shape.size,
    "mem_reservation": shape.size,
    "memswap_limit": lambda value, where: -1 if str(value) == "-1" else shape.size(value, where),
    "network_mode": shape.maybe(attachment.network_mode),
    "networks": attachment.networks,
    "oom_score_adj": shape.whole,
    "pid": shape.choice("host"),
    "pids_limit": shape.count,
    "platform": shape.maybe(shape.word),
    "ports": port.ports,
    "privileged": shape.flag,
    "profiles": shape.strings,
    "pull_policy": _pull_policy,
    "read_only": shape.flag,
    "restart": shape.maybe(_restart),
    "scale": shape.count,
    "secrets": grant.secrets,
    "security_opt": shape.strings,
    "shm_size": shape.size,
    "stdin_open": shape.flag,
    "stop_grace_period": shape.seconds,
    "stop_signal": shape.maybe(shape.word),
    "sysctls": shape.pairs,
    "tmpfs": mount.tmpfs,
    "tty": shape.flag,
    "ulimits": shape.mapped(_ulimit),
    "user": shape.maybe(shape.word),
    "uts": shape.choice("host"),
    "volumes": mount.mounts,
    "volumes_from": volumes_from,
    "working_dir": shape.maybe(shape.word),
    # about the terminal of `docker compose` alone
    "attach": shape.meaningless("nothing is attached to"),
    "develop": shape.meaningless("nothing is watched"),
    # of other platforms and engines
    "isolation": shape.unsupported(),
    "credential_spec": shape.unsupported(),
    "runtime": shape.unsupported("the runtime is Shepherd's own"),
    "cgroup": shape.only("private", "a container has a cgroup namespace of its own"),
    "userns_mode": shape.unsupported(),
    "external_links": shape.unsupported("put both on an external network"),
    "oom_kill_disable": shape.unsupported("a container that cannot be ended is no help"),
    **{
        name: shape.unsupported()
        for name in (
            "annotations", "blkio_config", "cgroup_parent", "cpu_count", "cpu_percent", "cpu_rt_period",
            "cpu_rt_runtime", "device_cgroup_rules", "gpus", "mac_address", "mem_swappiness", "models", "post_start",
            "pre_stop", "provider", "storage_opt", "use_api_socket",
        )
    },
}  # fmt: skip

_read = shape.fields(FIELDS)


def service(value: Any, where: Where) -> Mapping:
    """A service with its fields in one form each."""
    name = where.label.rpartition("services.")[2]
    if not _NAME.fullmatch(name):
        raise where.error("is no name for a service", "letters, digits and . _ - make one")
    found: Mapping = _read(value, where)
    return found
