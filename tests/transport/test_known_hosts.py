"""known_hosts held against `ssh-keygen -F`, and files that are large, hashed, damaged or changed meanwhile."""

from __future__ import annotations

import base64
import os
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ssh_servers import keygen, make_key

from shepherd.transport import known_hosts
from shepherd.transport.known_hosts import Entry, KnownHosts, parse


def blob(text: bytes = b"x" * 32) -> bytes:
    return struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + text.ljust(32, b"\0")[:32]


def encoded(text: bytes = b"x") -> str:
    return f"ssh-ed25519 {base64.b64encode(blob(text)).decode()}"


def about(known: KnownHosts, host: str) -> list[Entry]:
    return [*known.named(host), *known.hashed(host)]


K = encoded()
# the first field, a host, whether the line is about it
NAMES = [
    ("web1", "web1", True),
    ("web1", "web10", False),
    ("WEB1", "web1", True),
    ("web1,10.0.0.1", "10.0.0.1", True),
    ("web1,10.0.0.1", "10.0.0", False),
    ("*.example.org", "a.example.org", True),
    ("*.example.org", "example.org", False),
    ("*.example.org,!bad.example.org", "bad.example.org", False),
    ("*.example.org,!bad.example.org", "good.example.org", True),
    ("!bad.example.org,*.example.org", "bad.example.org", False),
    ("web?", "web1", True),
    ("[web1]:2222", "[web1]:2222", True),
    ("[web1]:2222", "web1", False),
    ("web1", "[web1]:2222", False),
    ("[*.org]:*", "[x.org]:99", True),
    ("*", "anything", True),
    ("::1", "::1", True),
]


@pytest.mark.parametrize(("names", "host", "expected"), NAMES)
def test_names(names, host, expected, tmp_path):
    known = KnownHosts(parse(f"{names} {K}\n"))
    assert bool(list(about(known, host))) is expected
    assert bool(list(known.with_key(blob(b"x"), host))) is expected
    if names != "WEB1":  # ssh-keygen compares as written; ssh lowers both
        path = tmp_path / "known_hosts"
        path.write_text(f"{names} {K}\n")
        found = subprocess.run(["ssh-keygen", "-F", host, "-f", str(path)], capture_output=True)
        assert (found.returncode == 0) is expected


def test_hashed_names_as_ssh_keygen_writes_them(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text(f"web1,10.0.0.1 {encoded(b'1')}\n[web2]:2222 {encoded(b'2')}\n")
    keygen("-H", "-f", str(path))
    assert all(line.startswith("|1|") for line in path.read_text().splitlines())  # "web" may be in a hash by chance
    known = known_hosts.load(str(path))
    for host, key in (("web1", b"1"), ("10.0.0.1", b"1"), ("[web2]:2222", b"2")):
        assert [entry.key for entry in about(known, host)] == [blob(key)]
        assert len(list(known.with_key(blob(key), host))) == 1
    assert list(about(known, "web2")) == []


def test_a_hashed_name_as_we_write_it(tmp_path):
    path = tmp_path / "known_hosts"
    known_hosts.append(str(path), "[web1]:22022", "ssh-ed25519", blob(), hashed=True)
    assert keygen("-F", "[web1]:22022", "-f", str(path)) == path.read_text()


def test_fingerprints_are_those_of_ssh_keygen(tmp_path):
    for kind in ("ed25519", "ecdsa"):
        key = make_key(tmp_path / kind, kind)
        entry = next(parse("h " + (tmp_path / f"{kind}.pub").read_text()))
        assert entry.fingerprint == keygen("-l", "-f", str(key)).split()[1]


def test_markers():
    entries = list(parse(f"@cert-authority *.org {K}\n@revoked * {K}\n@unknown * {K}\nh {K} a comment\n"))
    assert [(entry.marker, entry.names, entry.line) for entry in entries] == [
        ("@cert-authority", "*.org", 1),
        ("@revoked", "*", 2),
        ("", "h", 4),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# web1 " + K,
        "web1",
        "web1 ssh-ed25519",
        "web1 ssh-ed25519 not+base64!",
        "web1 ssh-rsa " + K.split()[1],  # the key is of another type
        "|1|bad " + K,
        "|1|AAAA " + K,
        "@revoked web1",
        "web1 ssh-ed25519 AAAA",
    ],
)
def test_damaged_lines_are_passed_over_and_the_others_count(line):
    entries = list(parse(f"{line}\nweb2 {K}\n"))
    assert [entry.names for entry in entries] == ["web2"]


def test_a_large_file_costs_its_plain_hosts_no_search(monkeypatch, tmp_path):
    """5,000 lines, half of them hashed: a plain name is found without one hash, a hashed one with one each."""
    plain = "".join(f"web{n} {encoded(b'p%d' % n)}\n" for n in range(2500))
    hashed = "".join(
        known_hosts.format_line(f"db{n}", "ssh-ed25519", blob(b"h%d" % n), hashed=True) for n in range(2500)
    )
    path = tmp_path / "known_hosts"
    path.write_text(plain + hashed)
    known = known_hosts.load(str(path))
    calls = []
    digest = known_hosts.hmac.digest
    monkeypatch.setattr(known_hosts.hmac, "digest", lambda *arguments: calls.append(1) or digest(*arguments))
    files = known_hosts.Files([str(path)])
    assert [entry.key for entry in files.some_about("web1234")] == [blob(b"p1234")]
    assert calls == []
    assert len(list(known.with_key(blob(b"h1234"), "db1234"))) == 1
    assert len(calls) == 1
    assert [entry.key for entry in about(known, "db1234")] == [blob(b"h1234")]
    assert len(calls) == 2501
    assert [entry.key for entry in files.some_about("db0")] == [blob(b"h0")]
    assert len(calls) == 2502
    assert known_hosts.load(str(path)) is known  # parsed once


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "known_hosts"
    assert list(about(known_hosts.load(str(path)), "web1")) == []
    known_hosts.append(str(path), "web1", "ssh-ed25519", blob())
    assert len(list(about(known_hosts.load(str(path)), "web1"))) == 1


def test_keys_added_at_the_same_time_are_all_kept(tmp_path):
    path = tmp_path / "deep/er/known_hosts"
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: known_hosts.append(str(path), f"web{n}", "ssh-ed25519", blob()), range(100)))
    assert {entry.names for entry in parse(path.read_text())} == {f"web{n}" for n in range(100)}


def test_a_file_that_cannot_be_read_is_empty(tmp_path):
    assert list(about(known_hosts.load(str(tmp_path)), "web1")) == []


@given(st.text(max_size=300))
def test_any_text_is_parsed(text):
    for entry in parse(text):
        assert isinstance(entry, Entry)
        entry.matches("web1")


_NAME = st.text(alphabet="abc.-", min_size=1, max_size=12)


@given(st.lists(st.tuples(_NAME, st.booleans()), min_size=1, max_size=10), _NAME)
@settings(deadline=None)
def test_what_was_written_is_found_and_nothing_else(written, asked):
    lines = "".join(
        known_hosts.format_line(name, "ssh-ed25519", blob(name.encode()), hashed=hashed) for name, hashed in written
    )
    known = KnownHosts(parse(lines))
    names = [name for name, _ in written]
    assert sorted(entry.key for entry in about(known, asked)) == sorted(blob(n.encode()) for n in names if n == asked)
    for name in names:
        assert {entry.key for entry in about(known, name)} == {blob(name.encode())}
        assert len(list(known.with_key(blob(name.encode()), name))) == names.count(name)


@given(st.text(alphabet="ab*?!,", max_size=8), st.text(alphabet="ab", max_size=4))
@settings(max_examples=40, deadline=None)
def test_lists_of_patterns_match_as_those_of_ssh_keygen(tmp_path_factory, patterns, host):
    if not host or not patterns or patterns.startswith(("!", "#", "@")):
        return
    path = tmp_path_factory.mktemp("known") / "known_hosts"
    path.write_text(f"{patterns} {K}\n")
    theirs = subprocess.run(["ssh-keygen", "-F", host, "-f", str(path)], capture_output=True).returncode == 0
    assert known_hosts.match_list(host, patterns) == theirs


def test_the_mode_of_a_new_file_is_tight(tmp_path):
    path = tmp_path / "new/known_hosts"
    before = os.umask(0)
    try:
        known_hosts.append(str(path), "web1", "ssh-ed25519", blob())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
