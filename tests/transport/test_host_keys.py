"""Who the server is: known, unknown, changed, revoked, vouched for by an authority."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess

import pytest
from ssh_servers import keygen, make_key, needs_sshd, try_command

from shepherd.errors import Unreachable

pytestmark = needs_sshd
ACCEPT_NEW = ("-o", "StrictHostKeyChecking=accept-new")


def known_hosts(home):
    path = home / ".ssh/known_hosts"
    return path.read_text() if path.exists() else ""


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_way_to_accept_it(shared_server, endpoint, home):
    with pytest.raises(Unreachable) as caught:
        try_command(endpoint(shared_server))
    for part in ("web1", shared_server.address, "127.0.0.1", "ssh-ed25519", shared_server.fingerprint):
        assert part in caught.value.message
    assert "--accept-new-host-keys" in caught.value.hint
    assert "accept-new" in caught.value.hint
    assert known_hosts(home) == ""


@pytest.mark.parametrize("way", ["arguments", "environment", "configuration"])
def test_a_first_key_is_accepted_where_that_is_asked_for(shared_server, endpoint, home, monkeypatch, way):
    arguments = ()
    if way == "arguments":
        arguments = ACCEPT_NEW
    elif way == "environment":
        monkeypatch.setenv("SHEPHERD_ACCEPT_NEW_HOST_KEYS", "1")
    else:
        (home / ".ssh/config").write_text("StrictHostKeyChecking accept-new\n")
    assert try_command(endpoint(shared_server, ssh_args=arguments))[2] == 0
    assert known_hosts(home) == f"{shared_server.address} {shared_server.public_key}\n"
    assert stat.S_IMODE((home / ".ssh/known_hosts").stat().st_mode) == 0o600
    assert try_command(endpoint(shared_server))[2] == 0  # strict again, and known now
    assert known_hosts(home).count("\n") == 1


def test_an_accepted_name_is_hashed_where_that_is_asked_for(shared_server, endpoint, home):
    # a file without a newline at its end must not lose its last line
    (home / ".ssh/known_hosts").write_text("# the end")
    hashed = (*ACCEPT_NEW, "-o", "HashKnownHosts=yes")
    assert try_command(endpoint(shared_server, ssh_args=hashed))[2] == 0
    comment, line = known_hosts(home).splitlines()
    assert comment == "# the end"
    assert line.startswith("|1|")
    assert shared_server.address not in line
    assert keygen("-F", shared_server.address, "-f", str(home / ".ssh/known_hosts")).strip() == line
    assert try_command(endpoint(shared_server))[2] == 0


@pytest.mark.parametrize("arguments", [(), ACCEPT_NEW])
def test_a_changed_key_is_refused_with_both_fingerprints_and_the_line(
    shared_server, endpoint, home, tmp_path, arguments
):
    other = make_key(tmp_path / "other")
    line = f"{shared_server.address} {' '.join((tmp_path / 'other.pub').read_text().split()[:2])}\n"
    (home / ".ssh/known_hosts").write_text("\n" + line)
    with pytest.raises(Unreachable) as caught:
        try_command(endpoint(shared_server, ssh_args=arguments))
    for part in ("CHANGED", shared_server.fingerprint, keygen("-l", "-f", str(other)).split()[1]):
        assert part in caught.value.message
    assert f"{home}/.ssh/known_hosts line 2" in caught.value.message
    assert "ssh-keygen -R" in caught.value.hint
    assert known_hosts(home) == "\n" + line


def test_a_new_type_of_key_is_no_first_key(sshd, endpoint, home, tmp_path, material):
    """Where a host is known by one key, a key of another type is as suspect as a changed one."""
    server = sshd(host_key=make_key(tmp_path / "ecdsa", "ecdsa"))
    public = " ".join((material / "host.pub").read_text().split()[:2])
    (home / ".ssh/known_hosts").write_text(f"{server.address} {public}\n")
    with pytest.raises(Unreachable, match=r"CHANGED.*ecdsa-sha2-nistp256"):
        try_command(endpoint(server, ssh_args=ACCEPT_NEW))


def test_the_type_that_is_known_is_the_one_asked_for(sshd, endpoint, home, tmp_path, material):
    rsa = make_key(tmp_path / "rsa", "rsa")
    server = sshd(HostKey=f"{material / 'host'}\nHostKey {rsa}")
    public = " ".join((tmp_path / "rsa.pub").read_text().split()[:2])
    (home / ".ssh/known_hosts").write_text(f"{server.address} {public}\n")
    assert try_command(endpoint(server))[2] == 0


def test_checking_switched_off_lets_anything_in_and_writes_nothing(shared_server, endpoint, home, tmp_path):
    assert try_command(endpoint(shared_server, host_key_checking=False))[2] == 0
    make_key(tmp_path / "other")
    line = f"{shared_server.address} {' '.join((tmp_path / 'other.pub').read_text().split()[:2])}\n"
    (home / ".ssh/known_hosts").write_text(line)
    assert try_command(endpoint(shared_server, host_key_checking=False))[2] == 0
    assert known_hosts(home) == line


@pytest.mark.parametrize("names", ["*", "[127.0.0.1]:*", "somewhere,{address}"])
def test_a_revoked_key_is_refused(server, endpoint, home, names):
    with (home / ".ssh/known_hosts").open("a") as handle:
        handle.write(f"@revoked {names.format(address=server.address)} {server.public_key}\n")
    for checking in (True, False):
        with pytest.raises(Unreachable, match=f"revoked: {re.escape(server.fingerprint)}.*known_hosts line 2"):
            try_command(endpoint(server, host_key_checking=checking))


def test_keys_revoked_in_a_file_of_their_own(server, endpoint, tmp_path):
    revoked = tmp_path / "revoked"
    revoked.write_text(f"# a comment\n{server.public_key} host\n")
    with pytest.raises(Unreachable, match="is revoked"):
        try_command(endpoint(server, ssh_args=("-o", f"RevokedHostKeys={revoked}")))
    with pytest.raises(Unreachable, match="cannot read RevokedHostKeys"):
        try_command(endpoint(server, ssh_args=("-o", f"RevokedHostKeys={tmp_path}/none")))


def test_a_key_known_without_its_port_will_do(shared_server, endpoint, home):
    (home / ".ssh/known_hosts").write_text(f"127.0.0.1 {shared_server.public_key}\n")
    assert try_command(endpoint(shared_server))[2] == 0


def test_host_key_alias(shared_server, endpoint, home):
    (home / ".ssh/known_hosts").write_text(f"the-alias {shared_server.public_key}\n")
    assert try_command(endpoint(shared_server, ssh_args=("-o", "HostKeyAlias=the-alias")))[2] == 0


def test_files_named_in_the_configuration(shared_server, endpoint, tmp_path):
    named = tmp_path / "mine"
    named.write_text(f"{shared_server.address} {shared_server.public_key}\n")
    for option in (f"UserKnownHostsFile=/dev/null {named}", f"GlobalKnownHostsFile={named}"):
        assert try_command(endpoint(shared_server, ssh_args=("-o", option)))[2] == 0


# Certificates


@pytest.fixture
def certified(sshd, tmp_path, material):
    """Start a server whose host key is signed: certified(authority type, *ssh-keygen options)."""

    def start(kind: str = "ed25519", *options: str):
        authority = make_key(tmp_path / "authority", kind)
        shutil.copy(material / "host", tmp_path / "host")
        shutil.copy(material / "host.pub", tmp_path / "host.pub")
        keygen("-s", str(authority), "-h", "-I", "web", *options, str(tmp_path / "host.pub"))
        server = sshd(host_key=tmp_path / "host", HostCertificate=str(tmp_path / "host-cert.pub"))
        return server, " ".join((tmp_path / "authority.pub").read_text().split()[:2])

    return start


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_authority_vouches_for_a_host(certified, endpoint, home, kind):
    server, authority = certified(kind, "-n", "127.0.0.1,web1.example.org")
    (home / ".ssh/known_hosts").write_text(f"@cert-authority [127.0.0.*]:* {authority}\n")
    assert try_command(endpoint(server))[2] == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-n", "other.example.org"), "is for other.example.org, not for 127.0.0.1"),
        (("-n", "127.0.0.1", "-V", "20200101:20200201"), "expired on 2020-"),
        (("-n", "127.0.0.1", "-V", "20990101:20990201"), "not valid before 2098-12|not valid before 2099-"),
    ],
)
def test_a_certificate_that_does_not_hold(certified, endpoint, home, options, reason):
    server, authority = certified("ed25519", *options)
    (home / ".ssh/known_hosts").write_text(f"@cert-authority * {authority}\n")
    with pytest.raises(Unreachable, match=reason):
        try_command(endpoint(server, ssh_args=ACCEPT_NEW))


def test_an_authority_of_other_hosts_counts_for_nothing(certified, endpoint, home):
    server, authority = certified("ed25519", "-n", "127.0.0.1")
    (home / ".ssh/known_hosts").write_text(f"@cert-authority *.example.org {authority}\n")
    with pytest.raises(Unreachable, match="is not known"):
        try_command(endpoint(server))


def test_a_plain_line_with_the_authoritys_key_is_no_authority(certified, endpoint, home):
    server, authority = certified("ed25519", "-n", "127.0.0.1")
    (home / ".ssh/known_hosts").write_text(f"{server.address} {authority}\n")
    with pytest.raises(Unreachable, match="CHANGED"):
        try_command(endpoint(server))


def test_a_revoked_authority(certified, endpoint, home):
    server, authority = certified("ed25519", "-n", "127.0.0.1")
    (home / ".ssh/known_hosts").write_text(f"@cert-authority * {authority}\n@revoked * {authority}\n")
    with pytest.raises(Unreachable, match="is revoked"):
        try_command(endpoint(server))


def test_a_forged_certificate(certified, endpoint, home, tmp_path):
    """A certificate that names the authority's key, signed by another's."""
    from base64 import b64decode, b64encode

    from shepherd.transport import certificates

    _server, authority = certified("ed25519", "-n", "127.0.0.1")
    blob = b64decode((tmp_path / "host-cert.pub").read_text().split()[1])
    parsed = certificates.parse(blob)
    assert parsed.problem("127.0.0.1") is None
    assert b64encode(parsed.authority).decode() == authority.split()[1]
    for at in (len(blob) - 1, blob.index(b"127.0.0.1") + 8):
        forged = bytearray(blob)
        forged[at] ^= 1
        assert certificates.parse(bytes(forged)).problem("127.0.0.1" if at == len(blob) - 1 else "127.0.0.0") == (
            "the signature on its certificate does not hold"
        )


def test_a_users_certificate_is_no_hosts(material, tmp_path):
    from base64 import b64decode

    from shepherd.transport import certificates

    authority = make_key(tmp_path / "authority")
    shutil.copy(material / "host.pub", tmp_path / "host.pub")
    keygen("-s", str(authority), "-I", "me", "-n", "127.0.0.1", str(tmp_path / "host.pub"))
    parsed = certificates.parse(b64decode((tmp_path / "host-cert.pub").read_text().split()[1]))
    assert "one of a user" in parsed.problem("127.0.0.1")
    shown = subprocess.run(["ssh-keygen", "-L", "-f", str(tmp_path / "host-cert.pub")], capture_output=True, text=True)
    assert f'Key ID: "{parsed.identity}"' in shown.stdout


def test_a_damaged_certificate_is_a_value_error(certified, tmp_path):
    from base64 import b64decode

    from shepherd.transport import certificates

    certified("ed25519")
    blob = b64decode((tmp_path / "host-cert.pub").read_text().split()[1])
    for size in range(4, len(blob)):
        with pytest.raises(ValueError, match="certificate"):
            certificates.parse(blob[:size])
