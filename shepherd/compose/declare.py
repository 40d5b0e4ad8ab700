"""A project as what the container modules converge: their options, as plain data."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shepherd.compose import build, deploy, environment, health, resource, sent, static_address
from shepherd.compose.dependency import CONDITIONS
from shepherd.compose.project import replicas

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shepherd.compose.mount import Mount
    from shepherd.compose.project import Project
    from shepherd.compose.service import EnvFile
    from shepherd.compose.where import Where
    from shepherd.origin import Mapping

STACK, SERVICE = "shepherd.stack", "shepherd.service"  # labels of all that is made for a stack
_WRITTEN = (
    "a file, or a folder with `:ro`, is sent; what a container writes is in a volume, or below the task's `directory`"
    " on the target"
)
JOBS = ("replicated-job", "global-job")


@dataclass
class Stack:
    """
    networks, volumes   options of container_network and container_volume
    external            {"network" | "volume": names that must be there}
    images              options of container_image for what is built
    services            each {"service", "pull": missing | always | never | built, "options": of container, "once": it
                        has to end with 0, "platform": the one that it is for or None, "needs": [{"service",
                        "condition", "restart", "network": it has that one's network}]}, in their order
    items               what is sent and mounted, by its name on the target
    """

    networks: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    external: dict[str, list[str]] = field(default_factory=lambda: {"network": [], "volume": []})
    images: list[dict[str, Any]] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    items: dict[str, sent.Item] = field(default_factory=dict)


def declare(project: Project, place: str, directory: str | None = None) -> Stack:
    """What is to be there. Raises ParseError for all that is wrong in the project.

    Folders on the target: `place` for what is sent, `directory` for relative sources of mounts that containers write.
    """
    stack = Stack()
    names = _Names(project, stack)
    waited = {
        other
        for service in project.services.values()
        for other, one in service.get("depends_on", {}).items()
        if one.condition == CONDITIONS[2]
    }
    for name, service in project.services.items():
        made = _Service(project, name, names, stack, place, directory)
        job = service.get("deploy", {}).get("mode") in JOBS
        with project.faults:
            stack.services.append(made.declared(once=job or name in waited))
    _check_instances(project, stack)
    static_address.check(project)
    project.faults.tell()
    return stack


class _Names:
    """What networks and volumes are called on the target; each is declared when somebody has it."""

    def __init__(self, project: Project, stack: Stack) -> None:
        self.project = project
        self.stack = stack
        self.known: dict[tuple[str, str], str] = {}

    def of(self, kind: str, key: str) -> str:
        if (kind, key) not in self.known:
            self.known[kind, key] = self._declare(kind, key)
        return self.known[kind, key]

    def _declare(self, kind: str, key: str) -> str:
        said = getattr(self.project, kind + "s").get(key, {})
        if said.get("external"):
            name = str(said.get("name", key))
            self.stack.external[kind].append(name)
            return name
        if "driver_opts" in said:
            return str(said["driver_opts"])  # a folder: there is nothing to make
        name = str(said.get("name", f"{self.project.name}_{key}"))
        labels = {str(one): value or "" for one, value in said.get("labels", {}).items()}
        options: dict[str, Any] = {"name": name, "labels": {**labels, STACK: self.project.name}}
        if kind == "network":
            options.update(_network(said))
            self.stack.networks.append(options)
        else:
            self.stack.volumes.append(options)
        return name


def _network(said: Mapping) -> dict[str, Any]:
    pools = said.get("ipam", {}).get("config", [])
    found = {
        "subnets": [one["subnet"] for one in pools if "subnet" in one],
        "gateways": [one["gateway"] for one in pools if "gateway" in one],
        "ranges": [one["ip_range"] for one in pools if "ip_range" in one],
        "ipv6": said.get("enable_ipv6"),
        "internal": said.get("internal"),
    }
    return {name: value for name, value in found.items() if value}


# fields of a service that `container` has as options of the same name
_SAME = (
    "cap_add", "cap_drop", "devices", "dns", "dns_opt", "dns_search", "domainname", "group_add", "hostname", "init",
    "ipc", "oom_score_adj", "pid", "privileged", "read_only", "security_opt", "shm_size", "stdin_open", "stop_signal",
    "tty", "user", "uts",
)  # fmt: skip


class _Service:
    def __init__(
        self, project: Project, name: str, names: _Names, stack: Stack, place: str, directory: str | None
    ) -> None:
        self.project = project
        self.name = name
        self.service = project.services[name]
        self.names = names
        self.stack = stack
        self.place = place
        self.directory = directory
        self.faults = project.faults

    def where(self, part: str = "", origin: Any = None) -> Where:
        return self.project.where(self.name, part, origin)

    def declared(self, once: bool) -> dict[str, Any]:
        service = self.service
        options: dict[str, Any] = {name: service[name] for name in _SAME if name in service}
        options["name"] = base_name(self.project, self.name)
        options["labels"] = {
            **self._read(service.get("label_file", ()), "label_file"),
            **{str(key): value or "" for key, value in service.get("labels", {}).items()},
            STACK: self.project.name,
            SERVICE: self.name,
        }
        if "working_dir" in service:
            options["workdir"] = service["working_dir"]
        for name in ("command", "entrypoint"):
            if name in service:
                options[name] = list(service[name])
        options["env"] = self._environment()
        options["volumes"], options["tmpfs"] = self._mounts()
        options["secrets"] = {}
        for one in service.get("secrets", {}).values():
            with self.faults:
                where = self.where("secrets", one.origin)
                owner = f":{one.uid or ''}:{one.gid or ''}" if one.uid or one.gid else ""
                name = f"{one.target}:{int(one.mode, 8):04o}{owner}"
                options["secrets"][name] = _content(self.project, "secrets", one.source, where)
        options.update(self._networks())
        options["ports"] = [port.word for port in service.get("ports", ())]
        options["resources"] = self._resources()
        options["health"] = health.declared(service.get("healthcheck", {}))
        options["restart"] = service.get("restart") or deploy.restart(service.get("deploy", {}))
        if "stop_grace_period" in service:
            options["stop_timeout"] = math.ceil(service["stop_grace_period"])
        for name in ("sysctls", "ulimits", "extra_hosts"):
            options[name] = {str(key): value or "" for key, value in service.get(name, {}).items()}
        logging = service.get("logging", {})
        log = {
            "driver": None if logging.get("driver") == "local" else logging.get("driver"),
            "max_size": logging.get("options", {}).get("max-size"),
            "max_file": logging.get("options", {}).get("max-file"),
        }
        options["log"] = {name: value for name, value in log.items() if value is not None}
        number = replicas(service)
        options["update"] = deploy.update(service.get("deploy", {}), number)
        options["settle"] = service.get("deploy", {}).get("update_config", {}).get("monitor")
        if number == 0:
            options["state"] = "absent"
        elif number is not None and "container_name" not in service:
            options["replicas"] = number
        options["image"], pull = self._image()
        needs = [
            {
                "service": other,
                "condition": one.condition[len("service_") :],
                "restart": one.restart,
                **({"network": True} if service.get("network_mode") == f"service:{other}" else {}),
            }
            for other, one in service.get("depends_on", {}).items()
            if other in self.project.services
        ]
        return {
            "service": self.name,
            "pull": pull,
            "once": once,
            "platform": service.get("platform"),
            "needs": needs,
            "options": {name: value for name, value in options.items() if value not in (None, [], {})},
        }

    def _image(self) -> tuple[str, str]:
        name = str(self.service.get("image", f"{self.project.name}-{self.name}"))
        policy = self.service.get("pull_policy", "missing")
        said = self.service.get("build")
        if said is None:
            if policy == "build":
                raise self.where("pull_policy").error("is build, and the service has no `build`")
            return name, policy
        where = self.where("build")
        secrets = {
            key: _content(self.project, "secrets", one.source, self.where("build", one.origin))
            for key, one in said.get("secrets", {}).items()
        }
        made = build.declared(said, name, self.project.variables, secrets, where)
        for one in [made, *({**made, "name": tag} for tag in said.get("tags", ()))]:
            for other in self.stack.images:
                if other["name"] == one["name"] and other != one:
                    raise where.error(f"another service builds {one['name']} otherwise", "give each an `image`")
            if one not in self.stack.images:
                self.stack.images.append(one)
        return name, "built"

    def _environment(self) -> dict[str, str]:
        found: dict[str, str | None] = {**self._read(self.service.get("env_file", ()), "env_file")}
        for name, value in self.service.get("environment", {}).items():
            found[str(name)] = self.project.variables.get(name) if value is None else value
        return {name: value for name, value in found.items() if value is not None}

    def _read(self, files: Iterable[EnvFile], part: str) -> dict[str, str]:
        """What files of NAME=value say, the later ones on top."""
        found: dict[str, str | None] = {}
        for file in files:
            with self.faults:
                if os.path.isfile(file.path):
                    found.update(environment.read(file.path, self.project.variables, file.raw))
                elif file.required:
                    raise self.where(part, file.origin).error(
                        f"there is no file {file.path}",
                        "`required: false` does without" if part == "env_file" else None,
                    )
        return {name: value for name, value in found.items() if value is not None}

    def _mounts(self) -> tuple[list[str], list[str]]:
        volumes, tmpfs = [], list(self.service.get("tmpfs", ()))
        for one in self.service.get("volumes", {}).values():
            if one.kind == "tmpfs":
                tmpfs.append(one.word(""))
            elif one.local:
                with self.faults:
                    volumes.append(self._local(one))
            else:
                is_named = one.kind == "volume" and one.source
                volumes.append(one.word(self.names.of("volume", one.source) if is_named else one.source))
        for grant in self.service.get("configs", {}).values():
            with self.faults:
                text = _content(self.project, "configs", grant.source, self.where("configs", grant.origin))
                owner = (int(grant.uid or 0), int(grant.gid or 0))
                item = sent.content(grant.source, text.encode("utf-8", "surrogateescape"), int(grant.mode, 8), owner)
                volumes.append(f"{self._send(item)}:{grant.target}:ro")
        return volumes, tmpfs

    def _local(self, one: Mount) -> str:
        where = self.where("volumes", one.origin)
        if self.directory is not None and (one.is_written or one.source in self.project.written):
            if one.is_written and any(folders or files for _path, folders, files in os.walk(one.source)):
                where.warn(f"{one.source} has files, and none of them is sent: `copy` brings them to the target")
            return one.word(os.path.join(self.directory, os.path.relpath(one.source, self.project.folder)))
        if not os.path.exists(one.source):
            raise where.error(f"there is no {one.source} on this machine", _WRITTEN)
        if one.is_written:
            raise where.error(f"{one.source} is a folder of this machine, and the container's on another", _WRITTEN)
        return f"{self._send(sent.local(one.source, where))}:{one.target}:ro"

    def _send(self, item: sent.Item) -> str:
        self.stack.items[item.called] = item
        if sum(one.size for one in self.stack.items.values()) > sent.MOST:
            raise self.where("volumes").error(
                f"the files of the stack have more than {sent.MOST >> 20} MiB", "put them into an image"
            )
        return os.path.join(self.place, item.called)

    def _networks(self) -> dict[str, Any]:
        mode = self.service.get("network_mode")
        if mode:
            kind, _colon, other = mode.partition(":")
            if kind == "service" and other in self.project.services:
                mode = f"container:{container_name(self.project, other)}"
            return {} if mode == "bridge" else {"networks": [mode]}
        said = self.service.get("networks") or {"default": {}}
        aliases = [self.name, *self.service.get("aliases", ())]
        aliases += [alias for one in said.values() for alias in one.get("aliases", ())]
        networks: list[Any] = []
        for key, one in said.items():
            name = self.names.of("network", str(key))
            static = {kind: one[kind] for kind in static_address.KINDS if kind in one}
            networks.append({"name": name, **static} if static else name)
        return {"networks": networks, "aliases": list(dict.fromkeys(aliases))}

    def _resources(self) -> dict[str, Any]:
        service = self.service
        said = service.get("deploy", {}).get("resources", {})
        limits, kept = said.get("limits", {}), said.get("reservations", {})
        found = {
            "memory": service.get("mem_limit", limits.get("memory")),
            "memory_swap": service.get("memswap_limit"),
            "reservation": service.get("mem_reservation", kept.get("memory")),
            "cpus": service.get("cpus", _share(service) or limits.get("cpus")),
            "cpu_shares": service.get("cpu_shares"),
            "cpuset": service.get("cpuset"),
            "pids": service.get("pids_limit", limits.get("pids")),
        }
        return {name: str(value) if "memory" in name or name == "reservation" else value
                for name, value in found.items() if value is not None}  # fmt: skip


def _share(service: Mapping) -> float | None:
    """The processors that `cpu_quota` comes to; what is said of a period alone is the kernel's own."""
    if "cpu_quota" not in service:
        return None
    return float(service["cpu_quota"] / service.get("cpu_period", 100_000))


def base_name(project: Project, service: str) -> str:
    """What a service's container is called, or what its instances' names begin with."""
    return str(project.services[service].get("container_name", f"{project.name}-{service}"))


def container_name(project: Project, service: str) -> str:
    """What the only instance of a service is called."""
    said = project.services[service]
    numbered = replicas(said) is not None and "container_name" not in said
    return base_name(project, service) + ("-1" if numbered else "")


def _content(project: Project, kind: str, name: str, where: Where) -> str:
    """The text of a config or a secret."""
    said = getattr(project, kind).get(name, {"content": ""})  # that there is none has been noted
    if "content" in said:
        return str(said["content"])
    if "environment" in said:
        if said["environment"] not in project.variables:
            message = f"{name} is the variable {said['environment']}, which is not set"
            raise where.error(message, "give it with `secrets`")
        return project.variables[said["environment"]]
    try:
        with open(said["file"], "rb") as file:
            found = file.read(resource.LARGEST + 1)
    except OSError as error:
        raise where.error(f"{name}: cannot read {said['file']}: {error.strerror}") from None
    if len(found) > resource.LARGEST:
        raise where.error(f"{name}: {said['file']} is longer than {resource.LARGEST} bytes")
    return found.decode("utf-8", "surrogateescape")


def _check_instances(project: Project, stack: Stack) -> None:
    taken: dict[str, str] = {}
    for one in stack.services:
        options = one["options"]
        number = options.get("replicas")
        base = options["name"]
        for name in [base] if number is None else [f"{base}-{place}" for place in range(1, number + 1)]:
            if name in taken:
                message = f"its container {name} is also one of {taken[name]}"
                project.faults.note(project.where(one["service"]).error(message))
            taken[name] = one["service"]
