"""The words of ansible_ssh_common_args and its like, read as ssh(1) reads its command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shepherd.errors import nearest
from shepherd.origin import Origin
from shepherd.transport.ssh_config import Directive, parse_line
from shepherd.transport.ssh_errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

# letter: the keyword that its argument is a value of
_VALUES = {
    "J": "proxyjump",
    "i": "identityfile",
    "p": "port",
    "l": "user",
    "c": "ciphers",
    "m": "macs",
    "b": "bindaddress",
}
# letter: the line it stands for
_SWITCHES = {
    "4": "AddressFamily inet",
    "6": "AddressFamily inet6",
    "A": "ForwardAgent yes",
    "a": "ForwardAgent no",
    "C": "Compression yes",
}
_WITHOUT_EFFECT = set("fGgKkMNnqsTtVvXxYy")  # about terminals, windows and logs, which a push has none of
_ARGUMENT_WITHOUT_EFFECT = set("BDEeILOQRSWw")

# ssh_config(5), so that a misspelt -o is told. Files may hold newer ones, which are passed over.
KEYWORDS = (
    "AddKeysToAgent AddressFamily BatchMode BindAddress BindInterface CanonicalDomains CanonicalizeFallbackLocal "
    "CanonicalizeHostname CanonicalizeMaxDots CanonicalizePermittedCNAMEs CASignatureAlgorithms CertificateFile "
    "ChallengeResponseAuthentication ChannelTimeout CheckHostIP Ciphers ClearAllForwardings Compression "
    "ConnectionAttempts ConnectTimeout ControlMaster ControlPath ControlPersist DynamicForward "
    "EnableEscapeCommandline EnableSSHKeysign EscapeChar ExitOnForwardFailure FingerprintHash ForkAfterAuthentication "
    "ForwardAgent ForwardX11 ForwardX11Timeout ForwardX11Trusted GatewayPorts GlobalKnownHostsFile "
    "GSSAPIAuthentication GSSAPIDelegateCredentials GSSAPITrustDns HashKnownHosts HostbasedAcceptedAlgorithms "
    "HostbasedAuthentication HostKeyAlgorithms HostKeyAlias HostName IdentitiesOnly IdentityAgent IdentityFile "
    "IgnoreUnknown Include IPQoS KbdInteractiveAuthentication KbdInteractiveDevices KexAlgorithms KnownHostsCommand "
    "LocalCommand LocalForward LogLevel LogVerbose MACs NoHostAuthenticationForLocalhost NumberOfPasswordPrompts "
    "ObscureKeystrokeTiming PasswordAuthentication PermitLocalCommand PermitRemoteOpen PKCS11Provider Port "
    "PreferredAuthentications ProxyCommand ProxyJump ProxyUseFdpass PubkeyAcceptedAlgorithms PubkeyAcceptedKeyTypes "
    "PubkeyAuthentication RefuseConnection RekeyLimit RemoteCommand RemoteForward RequestTTY RequiredRSASize "
    "RevokedHostKeys SecurityKeyProvider SendEnv ServerAliveCountMax ServerAliveInterval SessionType SetEnv StdinNull "
    "StreamLocalBindMask StreamLocalBindUnlink StrictHostKeyChecking SyslogFacility Tag TCPKeepAlive Tunnel "
    "TunnelDevice UpdateHostKeys User UserKnownHostsFile VerifyHostKeyDNS VersionAddendum VisualHostKey "
    "WarnWeakCrypto XAuthLocation "
)
_KNOWN = frozenset(KEYWORDS.lower().split())


def parse_arguments(words: Sequence[str]) -> tuple[list[Directive], str | None]:
    """The configuration lines that the words stand for, and the file of -F. Raises Refused for what is none."""
    origin = Origin("ssh arguments")
    lines: list[Directive] = []
    file = None
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or len(word) < 2:
            raise Refused(f"ssh arguments: {word!r} is no option", hint="options begin with -, as in -o Port=2222")
        letter, tail = word[1], word[2:]
        if letter in _SWITCHES or letter in _WITHOUT_EFFECT:
            if letter in _SWITCHES:
                lines.append(parse_line(_SWITCHES[letter], origin))
            if tail:
                rest.insert(0, "-" + tail)
            continue
        if letter not in _VALUES and letter not in _ARGUMENT_WITHOUT_EFFECT and letter not in "oF":
            raise Refused(f"ssh arguments: unknown option -{letter}")
        if not tail and not rest:
            raise Refused(f"ssh arguments: -{letter} needs a value")
        value = tail or rest.pop(0)
        if letter == "F":
            file = value
        elif letter == "o":
            lines.append(_option(value, origin))
        elif letter in _VALUES:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            lines.append(Directive(_VALUES[letter], f'"{quoted}"', origin))
    return lines, file


def _option(value: str, origin: Origin) -> Directive:
    directive = parse_line(value, origin)
    if directive.keyword not in _KNOWN:
        near = nearest(directive.keyword, _KNOWN)
        raise Refused(f"ssh arguments: unknown option {value.split('=')[0].split()[0]!r} in -o", hint=near)
    return directive
