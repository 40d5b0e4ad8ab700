"""Log in: which keys and passwords to offer, in which order, and what to say when none was taken."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from shepherd.origin import printable
from shepherd.transport import agent, keys
from shepherd.transport.known_hosts import fingerprint
from shepherd.transport.ssh_errors import Refused, Transient
from shepherd.transport.ssh_pipe import Wakeup
from shepherd.transport.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from paramiko import PKey

    from shepherd.transport.ssh_session import Client
    from shepherd.transport.ssh_settings import Settings

PATIENCE = 60.0  # seconds for an answer: PAM may be slow, and a hardware key may wait to be touched
KEYS_BEFORE_PASSWORD = 5  # sshd allows 6 attempts a connection (MaxAuthTries), so that the password has its turn


class Offer(NamedTuple):
    """A key to try. `load` gives it to paramiko, blocking; `label` says which for messages."""

    label: str
    load: Callable[[], Any]


class Login:
    """One login. `passwords` False keeps the password from a server that may not be the one meant."""

    def __init__(self, client: Client, settings: Settings, *, passwords: bool = True) -> None:
        self._client = client
        self._settings = settings
        self._password = settings.password if passwords else None
        self._withheld = settings.password is not None and not passwords
        self._allowed: list[str] | None = None  # the methods the server allows, once it has said so
        self._tried: list[str] = []
        self._problems: list[Refused] = []

    async def run(self) -> None:
        """Try what there is. Raises Refused where nothing was accepted, Transient where the connection broke."""
        if await self._with_keys() or await self._with_password():
            return
        raise await self._refused()

    async def _with_keys(self) -> bool:
        if not self._may("publickey"):
            return False
        count = 0
        for offer in await in_thread(offers, self._settings):
            if not self._may("publickey") or (self._password is not None and count >= KEYS_BEFORE_PASSWORD):
                return False
            try:
                key = await in_thread(offer.load)
            except Refused as problem:
                self._problems.append(problem)
                continue
            count += 1
            self._tried.append(f"key {offer.label} {fingerprint(key.asbytes())}")
            if await self._attempt(self._client.auth_publickey, key):
                return True
            if isinstance(key, agent.AgentKey) and key.failure:
                self._problems.append(Refused(f"{offer.label}: {key.failure}"))
        return False

    async def _with_password(self) -> bool:
        if self._password is None:
            return False
        password = str(self._password)
        if self._may("password"):
            self._tried.append("password")
            if await self._attempt(self._client.auth_password, password, fallback=False):
                return True
            if self._may("password"):  # it was refused as wrong, and would be again in the other way
                return False
        if self._may("keyboard-interactive"):
            self._tried.append("password (keyboard-interactive)")
            return await in_thread(self._interactively, self._settings.user, password)
        return False

    def _may(self, method: str) -> bool:
        return method in self._settings.methods and (self._allowed is None or method in self._allowed)

    async def _attempt(self, start: Callable[..., object], secret: object, **options: object) -> bool:
        """Whether the server let us in with this; False too where it wants another method after it."""
        import paramiko

        done = asyncio.Event()
        try:
            async with asyncio.timeout(PATIENCE):
                event = Wakeup(asyncio.get_running_loop(), done.set)
                start(self._settings.user, secret, event=event, **options)
                await done.wait()
        except TimeoutError:
            raise Transient(
                f"{self._settings.name}: {self._settings.where} did not answer the login within {PATIENCE:g} seconds"
            ) from None
        except (paramiko.SSHException, OSError, EOFError):  # the connection is gone already
            raise self._hung_up() from None
        if self._client.is_authenticated():
            return True
        problem = self._client.get_exception()
        if isinstance(problem, (paramiko.BadAuthenticationType, paramiko.ssh_exception.PartialAuthentication)):
            self._allowed = list(problem.allowed_types)  # partial: it was accepted, and another is wanted besides
            return False
        if not self._client.is_active():
            raise self._hung_up(problem)
        return False

    def _interactively(self, user: str, password: str) -> bool:
        import paramiko

        def answer(_title: str, _instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            if any(echo for _, echo in prompts):  # a question that is no password's
                raise paramiko.SSHException("the server asks for more than a password")
            return [password for _ in prompts]

        try:
            return not self._client.auth_interactive(user, answer)
        except (paramiko.SSHException, EOFError):
            return False

    def _hung_up(self, problem: Exception | None = None) -> Refused | Transient:
        said = self._client.farewell
        if "authentication failures" in said:
            return Refused(
                f"{self._login}: the server hung up: {said}; {self._attempts()}",
                hint="it counts every key that is offered: name the right one with --private-key or "
                "IdentityFile, and set IdentitiesOnly=yes",
            )
        said = said or ("" if isinstance(problem, EOFError) else printable(str(problem or "")))
        return Transient(f"{self._login}: the connection was closed during the login" + (f": {said}" if said else ""))

    @property
    def _login(self) -> str:
        return f"{self._settings.name}: login as {self._settings.user!r} at {self._settings.where}"

    def _attempts(self) -> str:
        return f"tried {', '.join(self._tried)}" if self._tried else "nothing to try"

    async def _refused(self) -> Refused:
        allowed = self._allowed
        if allowed is None:
            allowed = await in_thread(self._ask_methods)
        parts = [f"{self._login} refused", self._attempts()]
        if allowed:
            parts.append(f"the server allows {', '.join(allowed)}")
        parts += [problem.message for problem in self._problems]
        if self._withheld:
            parts.append("the password was kept back because the host key has changed")
        return Refused("; ".join(parts), hint=self._hint(allowed))

    def _ask_methods(self) -> list[str]:
        import paramiko

        try:
            self._client.auth_none(self._settings.user)
        except paramiko.BadAuthenticationType as problem:
            return list(problem.allowed_types)
        except (paramiko.SSHException, EOFError, OSError):
            pass
        return []

    def _hint(self, allowed: list[str]) -> str:
        for problem in self._problems:
            if problem.hint:
                return problem.hint
        by_password = {"password", "keyboard-interactive"} & set(allowed)
        if any(tried.startswith("password") for tried in self._tried):
            return "check the password and the user's name (ansible_user, -u)"
        if by_password and self._settings.password is None and not self._tried:
            return "ask for a password with -k, or name a key with --private-key (ansible_ssh_private_key_file)"
        if not self._tried:
            return "name a key with --private-key (ansible_ssh_private_key_file), or load one with ssh-add"
        return (
            f"is one of these keys in ~{self._settings.user}/.ssh/authorized_keys there, with nobody else able to "
            "write to it?" + (" A password can be given with -k." if by_password else "")
        )


def offers(settings: Settings) -> list[Offer]:
    """The keys to try: those named, then the agent's, then the default files that exist. Blocks on the agent."""
    held = {key.blob: key for key in agent.keys(settings.agent_socket)} if settings.agent_socket else {}
    found: list[Offer] = []
    used: set[bytes] = set()
    for path in settings.identity_files:
        blob = keys.public_blob(path)
        found += _of_file(path, settings.certificate_files, held.get(blob) if blob else None, ask=True)
        if blob:
            used.add(blob)
    if not settings.identities_only:
        for key in held.values():
            if key.blob not in used:
                found.append(Offer(f"{key.comment or 'without a name'} in the agent", partial(_given, key)))
        used |= held.keys()
    for path in settings.default_identities:
        if os.path.exists(path) and keys.public_blob(path) not in used:
            found += _of_file(path, settings.certificate_files, None, ask=False)
    return found


def _of_file(path: str, certificates: tuple[str, ...], held: agent.AgentKey | None, *, ask: bool) -> list[Offer]:
    """A key file's offers: with each certificate of its own, then bare; by the agent where that holds it."""
    beside = path + "-cert.pub"
    found: list[Offer] = []
    for certificate in (*certificates, *([beside] if os.path.exists(beside) else [])):
        certified: Callable[[], Any] = partial(_certified, path, certificate, ask=ask)
        if held is not None:
            certified = partial(held.with_certificate, certificate)
        found.append(Offer(f"{path} with {certificate}", certified))
    if held is None:
        found.append(Offer(path, partial(keys.load, path, ask=ask)))
    else:
        found.append(Offer(f"{path} in the agent", partial(_given, held)))
    return found


def _given(key: agent.AgentKey) -> agent.AgentKey:
    return key


def _certified(path: str, certificate: str, *, ask: bool) -> PKey:
    return keys.with_certificate(keys.load(path, ask=ask), certificate)
