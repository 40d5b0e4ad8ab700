"""Is this the machine we mean? The server's key or certificate held against known_hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.transport import certificates, known_hosts
from shepherd.transport.algorithms import HOST_KEYS, choose
from shepherd.transport.known_hosts import Entry, Files, fingerprint
from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from shepherd.transport.ssh_settings import Settings


class HostKeys:
    """What is known of one server's keys."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = Files(settings.user_known_hosts + settings.global_known_hosts)
        self.doubtful = False  # let in although its key has changed: no password goes there

    def algorithms(self) -> tuple[str, ...]:
        """The host key algorithms to ask for: certificates where an authority is known for the host, then the types
        of the keys that we have, so that the server shows the one that can be checked, then the others."""
        wanted = choose("HostKeyAlgorithms", self._settings.host_key_algorithms, HOST_KEYS, HOST_KEYS)
        entries = self._files.some_about(self._settings.known_as)
        certified = any(entry.marker == "@cert-authority" for entry in entries)
        types = {entry.key_type for entry in entries if not entry.marker}
        known = [name for name in wanted if ("ssh-rsa" if name.startswith("rsa-") else name) in types]
        first = [name + certificates.SUFFIX for name in wanted] if certified else []
        return tuple(dict.fromkeys([*first, *known, *wanted]))

    def check(self, blob: bytes, address: str) -> None:
        """Pass a server that shows the key or certificate `blob`, or raise Refused. `address` is for the message."""
        settings = self._settings
        name = settings.known_as
        try:
            certificate = certificates.parse(blob) if certificates.is_certificate(blob) else None
        except ValueError as damage:
            raise Refused(f"{settings.name}: {name} shows a certificate that cannot be read: {damage}") from None
        key = certificate.key if certificate else blob
        for one in {key, certificate.authority if certificate else key}:
            place = self._revoked(one, name)
            if place:
                raise Refused(
                    f"{settings.name}: the host key of {name} is revoked: {fingerprint(one)} in {place}",
                    hint="somebody may hold the private half of that key: do not connect before the host has a new one",
                )
        problem = None
        if certificate:
            problem = self._certificate_problem(certificate, name)
            if problem is None:
                return
        if any(not entry.marker for entry in self._files.with_key(key, name)):
            return
        if settings.port != 22 and not settings.host_key_alias:
            plain = settings.host.lower()  # OpenSSH too takes a key known without the port
            if any(not entry.marker for entry in self._files.with_key(key, plain)):
                return
        self._unknown(key, name, address, problem)

    def _revoked(self, key: bytes, name: str) -> str | None:
        """Where the key is said to be revoked, or None."""
        entry = self._files.revoked(key, name)
        if entry:
            return f"{entry.file} line {entry.line}"
        path = self._settings.revoked_host_keys
        return path if path and key in known_hosts.load_keys(path) else None

    def _certificate_problem(self, certificate: certificates.Certificate, name: str) -> str | None:
        """Why an authority's word for the host does not count; None where it does."""
        if not any(entry.marker == "@cert-authority" for entry in self._files.with_key(certificate.authority, name)):
            return (
                f"its certificate is signed by {fingerprint(certificate.authority)}, "
                f"which no @cert-authority line for {name} names"
            )
        return certificate.problem(self._settings.host_key_alias or self._settings.host.lower())

    def _unknown(self, key: bytes, name: str, address: str, certificate_problem: str | None) -> None:
        settings = self._settings
        key_type = certificates.key_type(key)
        others = [entry for entry in self._files.about(name) if not entry.marker]
        if settings.host_key_checking == "no":
            self.doubtful = bool(others)
            return
        if certificate_problem:
            raise Refused(
                f"{settings.name}: the host key of {name} is not trusted: {certificate_problem}",
                hint="renew the host's certificate, or correct the @cert-authority line",
            )
        if others:
            raise self._changed(key, key_type, name, address, others)
        if settings.host_key_checking == "accept-new":
            self._accept(name, key_type, key)
            return
        raise Refused(
            f"{settings.name}: the host key of {name} ({address}) is not known: {key_type} {fingerprint(key)}",
            hint="if that is its key, accept it with --accept-new-host-keys (or StrictHostKeyChecking=accept-new in "
            "ssh_config), which adds it to " + (settings.user_known_hosts or ("known_hosts",))[0],
        )

    def _changed(self, key: bytes, key_type: str, name: str, address: str, others: list[Entry]) -> Refused:
        same = [entry for entry in others if entry.key_type == key_type] or others
        lines = "; ".join(f"{e.key_type} {e.fingerprint} in {e.file} line {e.line}" for e in same)
        return Refused(
            f"{self._settings.name}: the host key of {name} ({address}) HAS CHANGED: it shows {key_type} "
            f"{fingerprint(key)}, known is {lines}",
            hint="somebody may be listening in between, or the host was installed anew. If it was, remove the old key: "
            f"ssh-keygen -R '{name}' -f {same[0].file}",
        )

    def _accept(self, name: str, key_type: str, key: bytes) -> None:
        settings = self._settings
        for path in settings.user_known_hosts[:1]:
            try:
                known_hosts.append(path, name, key_type, key, hashed=settings.hash_known_hosts)
            except OSError as problem:
                raise Refused(f"{settings.name}: cannot add its host key to {path}: {problem.strerror}") from None
