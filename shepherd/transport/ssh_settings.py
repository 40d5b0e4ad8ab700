"""What one connection needs to know, from the inventory, the SSH arguments and ssh_config, in that precedence."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass

from shepherd.transport import Endpoint, Secret

USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
DEFAULT_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach one SSH server. Files are absolute paths, times are seconds."""

    name: str  # the inventory's name, for messages
    host: str  # what is connected to: HostName, or the address as given
    port: int
    user: str
    password: Secret | None = None
    identity_files: tuple[str, ...] = ()  # asked for by name: a missing one is an error
    default_identities: tuple[str, ...] = ()  # tried where they exist
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    agent_socket: str | None = None
    user_known_hosts: tuple[str, ...] = ()
    global_known_hosts: tuple[str, ...] = ()
    host_key_alias: str | None = None
    host_key_checking: str = "yes"  # or "accept-new", or "no"
    hash_known_hosts: bool = False
    host_key_algorithms: tuple[str, ...] = ()  # these three and the next: empty is our own choice
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    key_exchanges: tuple[str, ...] = ()
    timeout: float = 10.0
    alive_interval: float = 15.0
    alive_count: int = 3

    @property
    def known_as(self) -> str:
        """The name to look up in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        if self.host_key_alias:
            return self.host_key_alias
        host = self.host.lower()
        return host if self.port == 22 else f"[{host}]:{self.port}"


def settings_for(endpoint: Endpoint) -> Settings:
    """The settings of an endpoint."""
    return Settings(
        name=endpoint.host,
        host=endpoint.address,
        port=endpoint.port or 22,
        user=endpoint.user or getpass.getuser(),
        password=endpoint.password,
        identity_files=(os.path.expanduser(endpoint.private_key_file),) if endpoint.private_key_file else (),
        default_identities=expand(DEFAULT_IDENTITIES),
        agent_socket=os.environ.get("SSH_AUTH_SOCK"),
        user_known_hosts=expand(USER_KNOWN_HOSTS),
        global_known_hosts=GLOBAL_KNOWN_HOSTS,
        host_key_checking="yes" if endpoint.host_key_checking else "no",
        timeout=endpoint.timeout,
    )


def expand(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(os.path.expanduser(path) for path in paths)
