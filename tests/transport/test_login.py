"""Who we are: keys, agents, certificates, passphrases, passwords, and what is said when nothing is accepted."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess

import pytest
from ssh_servers import keygen, make_key, needs_sshd, try_command

from shepherd.errors import Unreachable
from shepherd.transport import Secret, keys

pytestmark = needs_sshd
HELLO = (b"hello\n", b"", 0)


@pytest.fixture
def agent(monkeypatch, tmp_path):
    """An ssh-agent; call it with key files to add."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))

        def add(*arguments) -> None:
            subprocess.run(["ssh-add", "-q", *map(str, arguments)], check=True, capture_output=True)

        yield add
    finally:
        process.terminate()
        process.wait(5)


@pytest.fixture(scope="module")
def account():
    """A throw-away user with a password."""
    name, password = f"shtest{os.getpid() % 100000}", "correct horse"
    subprocess.run(["useradd", "-m", "-s", "/bin/sh", name], check=True, capture_output=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}", check=True, text=True, capture_output=True)
        yield name, password
    finally:
        subprocess.run(["userdel", "-r", "-f", name], check=False, capture_output=True)


# Keys


@pytest.mark.parametrize(
    ("kind", "form"),
    # ssh-keygen writes ed25519 keys in its own form only
    [(kind, form) for kind in ("rsa", "ecdsa") for form in ("openssh", "PEM", "PKCS8")] + [("ed25519", "openssh")],
)
def test_private_keys_of_every_kind_and_form(sshd, known, endpoint, tmp_path, kind, form):
    key = make_key(tmp_path / "key", kind)
    if form != "openssh":
        keygen("-p", "-N", "", "-m", form, "-f", str(key))
    server = sshd(authorized=tmp_path / "key.pub")
    known(server)
    assert try_command(endpoint(server, private_key_file=str(key))) == HELLO


def test_a_default_identity_is_found(server, endpoint, material, home):
    shutil.copy(material / "user", home / ".ssh/id_ed25519")
    assert try_command(endpoint(server, private_key_file=None)) == HELLO


def test_a_named_key_is_used_instead_of_the_default_ones(server, endpoint, material, home, tmp_path):
    shutil.copy(material / "user", home / ".ssh/id_ed25519")
    other = make_key(tmp_path / "other")
    with pytest.raises(Unreachable) as caught:
        try_command(endpoint(server, private_key_file=str(other)))
    assert str(other) in caught.value.message
    assert "id_ed25519" not in caught.value.message


def test_each_key_is_loaded_once(server, endpoint, monkeypatch):
    loads = []
    decode = keys._decode
    monkeypatch.setattr(keys, "_decode", lambda *arguments: loads.append(1) or decode(*arguments))
    for _ in range(3):
        assert try_command(endpoint(server)) == HELLO
    assert len(loads) == 1


def test_a_refused_key_is_named_with_what_the_server_allows(server, endpoint, tmp_path):
    other = make_key(tmp_path / "other")
    with pytest.raises(Unreachable) as caught:
        try_command(endpoint(server, private_key_file=str(other)))
    message = caught.value.message
    assert f"login as 'root' at 127.0.0.1 port {server.port} refused" in message
    assert f"tried key {other} {keygen('-l', '-f', str(other)).split()[1]}" in message
    assert "the server allows publickey" in message
    assert "authorized_keys" in caught.value.hint


def test_nothing_to_try(server, endpoint):
    with pytest.raises(Unreachable, match="nothing to try; the server allows publickey") as caught:
        try_command(endpoint(server, private_key_file=None))
    assert "-k" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file or directory"),
        (b"", "holds no private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nYmFk\n-----END OPENSSH PRIVATE KEY-----\n", "holds no private key"),
        (b"ssh-ed25519 AAAA me\n", "is a public key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "is a PuTTY key"),
    ],
)
def test_a_file_that_is_no_key(server, endpoint, tmp_path, content, reason):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unreachable, match=reason) as caught:
        try_command(endpoint(server, private_key_file=str(path)))
    assert str(path) in caught.value.message


# Passphrases


@pytest.fixture
def locked(material, tmp_path):
    path = tmp_path / "locked"
    shutil.copy(material / "user", path)
    keygen("-p", "-P", "", "-N", "open sesame", "-f", str(path))
    return path


def test_an_encrypted_key_asks_once_for_its_passphrase(server, endpoint, locked, monkeypatch):
    asked = []
    monkeypatch.setattr(keys, "ask_passphrase", lambda path: asked.append(path) or Secret("open sesame"))
    for _ in range(2):
        assert try_command(endpoint(server, private_key_file=str(locked))) == HELLO
    assert asked == [str(locked)]


def test_an_encrypted_key_with_nobody_to_ask(server, endpoint, locked):
    with pytest.raises(Unreachable, match="encrypted") as caught:
        try_command(endpoint(server, private_key_file=str(locked)))
    assert "ssh-add" in caught.value.hint


def test_a_wrong_passphrase(server, endpoint, locked, monkeypatch):
    monkeypatch.setattr(keys, "ask_passphrase", lambda path: Secret("wrong"))
    with pytest.raises(Unreachable, match="wrong passphrase") as caught:
        try_command(endpoint(server, private_key_file=str(locked)))
    assert "wrong'" not in caught.value.render()


def test_an_encrypted_default_identity_asks_nobody(server, endpoint, locked, home, monkeypatch):
    shutil.copy(locked, home / ".ssh/id_ed25519")
    monkeypatch.setattr(keys, "ask_passphrase", lambda path: pytest.fail("asked"))
    with pytest.raises(Unreachable, match="id_ed25519 is encrypted"):
        try_command(endpoint(server, private_key_file=None))


# Agents


def test_a_key_in_the_agent(server, endpoint, material, agent):
    agent(material / "user")
    assert try_command(endpoint(server, private_key_file=None)) == HELLO


def test_an_rsa_key_in_the_agent(sshd, known, endpoint, tmp_path, agent):
    agent(make_key(tmp_path / "rsa", "rsa"))
    server = sshd(authorized=tmp_path / "rsa.pub")
    known(server)
    assert try_command(endpoint(server, private_key_file=None)) == HELLO


def test_an_encrypted_file_whose_key_the_agent_holds(server, endpoint, material, locked, agent):
    agent(material / "user")
    assert try_command(endpoint(server, private_key_file=str(locked))) == HELLO


def test_identities_only_keeps_to_the_named_files(server, endpoint, material, tmp_path, agent):
    agent(material / "user")
    other = make_key(tmp_path / "other")
    only = ("-o", "IdentitiesOnly=yes")
    with pytest.raises(Unreachable, match=r"tried key [^,]*other SHA256:[^,]*; the server"):
        try_command(endpoint(server, private_key_file=str(other), ssh_args=only))
    assert try_command(endpoint(server, private_key_file=str(other))) == HELLO


def test_another_agent_by_configuration(server, endpoint, material, agent, home, monkeypatch):
    agent(material / "user")
    socket = os.environ["SSH_AUTH_SOCK"]
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere")
    monkeypatch.setenv("OTHER_AGENT", socket)
    for way in (socket, "$OTHER_AGENT", "${OTHER_AGENT}"):
        (home / ".ssh/config").write_text(f"IdentityAgent {way}\n")
        assert try_command(endpoint(server, private_key_file=None)) == HELLO
    (home / ".ssh/config").write_text("IdentityAgent none\n")
    with pytest.raises(Unreachable, match="nothing to try"):
        try_command(endpoint(server, private_key_file=None))


def test_a_forwarded_agent(server, endpoint, material, agent):
    agent(material / "user")
    fingerprint = keygen("-l", "-f", str(material / "user")).split()[1]
    assert fingerprint in try_command(endpoint(server, ssh_args=("-A",)), "ssh-add -l; ssh-add -l")[0].decode()
    assert b"SHA256" not in try_command(endpoint(server), "ssh-add -l")[0]


def test_an_agent_that_will_not_sign(server, endpoint, material, agent, tmp_path, monkeypatch):
    agent("-c", material / "user")  # asks for confirmation, and there is nobody to confirm
    monkeypatch.delenv("SSH_ASKPASS", raising=False)
    with pytest.raises(Unreachable, match="the agent refused to sign"):
        try_command(endpoint(server, private_key_file=None))
    agent("-d", material / "user")
    assert try_command(endpoint(server)) == HELLO


def test_an_agent_that_is_gone(server, endpoint, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere/agent")
    assert try_command(endpoint(server)) == HELLO


def test_too_many_keys_in_the_agent(sshd, known, endpoint, tmp_path, agent):
    agent(*(make_key(tmp_path / f"key{n}") for n in range(4)))
    server = sshd(MaxAuthTries="2")
    known(server)
    with pytest.raises(Unreachable, match=r"Too many authentication failures; tried key key0") as caught:
        try_command(endpoint(server, private_key_file=None))
    assert "IdentitiesOnly" in caught.value.hint


# Certificates of users


@pytest.fixture
def signed(sshd, known, tmp_path):
    """A server that trusts an authority, and a user's key signed by it."""
    authority = make_key(tmp_path / "authority")
    key = make_key(tmp_path / "me")
    keygen("-s", str(authority), "-I", "me", "-n", "root", str(tmp_path / "me.pub"))
    nobody = tmp_path / "nobody"
    nobody.write_text("")
    server = sshd(authorized=nobody, TrustedUserCAKeys=str(tmp_path / "authority.pub"))
    known(server)
    return server, key


def test_a_certificate_beside_the_key(signed, endpoint):
    server, key = signed
    assert try_command(endpoint(server, private_key_file=str(key))) == HELLO


def test_a_certificate_named_in_the_configuration(signed, endpoint, tmp_path):
    server, key = signed
    elsewhere = tmp_path / "elsewhere-cert.pub"
    shutil.move(f"{key}-cert.pub", elsewhere)
    with pytest.raises(Unreachable, match="refused"):
        try_command(endpoint(server, private_key_file=str(key)))
    assert (
        try_command(endpoint(server, private_key_file=str(key), ssh_args=("-o", f"CertificateFile={elsewhere}")))
        == HELLO
    )


def test_a_certificate_in_the_agent(signed, endpoint, agent):
    server, key = signed
    agent(key)  # ssh-add takes the certificate beside it too
    os.unlink(key)
    assert try_command(endpoint(server, private_key_file=None)) == HELLO


def test_a_certificate_on_disk_for_a_key_in_the_agent(signed, endpoint, agent, tmp_path):
    server, key = signed
    shutil.move(f"{key}-cert.pub", tmp_path / "kept")
    agent(key)
    shutil.move(tmp_path / "kept", f"{key}-cert.pub")
    keygen("-p", "-P", "", "-N", "locked now", "-f", str(key))
    assert try_command(endpoint(server, private_key_file=str(key))) == HELLO


# Passwords


def test_a_password(server, endpoint, account):
    name, password = account
    assert try_command(endpoint(server, user=name, password=Secret(password), private_key_file=None)) == HELLO


def test_a_wrong_password_is_refused_and_not_shown(server, endpoint, account):
    with pytest.raises(Unreachable, match=r"tried password; the server allows publickey, ?password") as caught:
        try_command(endpoint(server, user=account[0], password=Secret("battery"), private_key_file=None))
    assert "battery" not in caught.value.render()
    assert "check the password" in caught.value.hint


def test_a_password_after_the_keys_that_do_not_fit(server, endpoint, account, agent, tmp_path):
    name, password = account
    agent(*(make_key(tmp_path / f"key{n}") for n in range(7)))
    assert try_command(endpoint(server, user=name, password=Secret(password), private_key_file=None)) == HELLO


def test_a_password_by_keyboard_interactive(sshd, known, endpoint, account):
    name, password = account
    server = sshd(UsePAM="yes", PasswordAuthentication="no", KbdInteractiveAuthentication="yes")
    known(server)
    assert try_command(endpoint(server, user=name, password=Secret(password), private_key_file=None))[2] == 0
    with pytest.raises(Unreachable, match="keyboard-interactive"):
        try_command(endpoint(server, user=name, password=Secret("battery"), private_key_file=None))


def test_a_key_and_a_password_together(sshd, known, endpoint, account, material):
    name, password = account
    keys_file = pwd.getpwnam(name).pw_dir + "/keys"
    shutil.copy(material / "authorized", keys_file)
    server = sshd(AuthenticationMethods="publickey,password", AuthorizedKeysFile=keys_file)
    known(server)
    assert try_command(endpoint(server, user=name, password=Secret(password))) == HELLO
    with pytest.raises(Unreachable, match="the server allows password"):
        try_command(endpoint(server, user=name))


def test_no_password_goes_to_a_server_whose_key_has_changed(server, endpoint, account, home, tmp_path):
    name, password = account
    make_key(tmp_path / "other")
    public = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    (home / ".ssh/known_hosts").write_text(f"{server.address} {public}\n")
    with pytest.raises(Unreachable, match="password was kept back because the host key has changed"):
        try_command(
            endpoint(server, user=name, password=Secret(password), private_key_file=None, host_key_checking=False)
        )


def test_an_endpoint_does_not_show_its_password():
    from shepherd.transport import Endpoint
    from shepherd.transport.ssh_settings import settings_for

    endpoint = Endpoint("h", "h", password=Secret("battery"))
    with contextlib.suppress(Unreachable):
        assert "battery" not in repr(endpoint) + repr(settings_for(endpoint))
