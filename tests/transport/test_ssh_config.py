"""ssh_config held against `ssh -G`, and what comes of it for a connection."""

from __future__ import annotations

import getpass
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.errors import Unreachable
from shepherd.origin import Origin
from shepherd.transport import Endpoint, ssh_config
from shepherd.transport.ssh_arguments import parse_arguments
from shepherd.transport.ssh_settings import settings_for
from shepherd.transport.tokens import expand_path, expand_tokens

if TYPE_CHECKING:
    from pathlib import Path

# what ssh -G prints of these is what was written
COMPARED = (
    "hostname port user proxyjump proxycommand hostkeyalias identityfile certificatefile userknownhostsfile "
    "globalknownhostsfile sendenv setenv bindaddress connecttimeout serveraliveinterval serveralivecountmax "
    "stricthostkeychecking identitiesonly hashknownhosts addressfamily compression "
)
TRUTH = {"true": "yes", "false": "no", "ask": "ask"}

# name: (configuration, host, other files)
CASES: dict[str, tuple[str, str]] = {
    "empty": ("", "web1"),
    "first value wins": ("Host web*\n Port 1\nHost *\n Port 2\n User u\n", "web1"),
    "before any Host": ("Port 7\nHost web1\n Port 8\n", "web1"),
    "several patterns": ("Host a web1 b\n User x\n", "web1"),
    "negation": ("Host *.org !bad.org\n User x\n", "bad.org"),
    "negation of another": ("Host *.org !bad.org\n User x\n", "good.org"),
    "negation alone": ("Host !bad\n User x\n", "good"),
    "question mark": ("Host web?\n Port 9\n", "web1"),
    "question mark is one": ("Host web?\n Port 9\n", "web12"),
    "brackets stand for themselves": ("Host web[12]\n Port 9\n", "web1"),
    "case of the host": ("Host WEB1\n Port 9\n", "web1"),
    "case of keywords": ("hOsT web1\n pORT 9\n", "web1"),
    "comma is no separator": ("Host web1,web2\n Port 9\n", "web1"),
    "equals": ("Port=9\nUser = x\nHostName= h\n", "web1"),
    "tabs and indentation": ("\tHost\tweb1\n\t\tPort\t9\n", "web1"),
    "carriage returns": ("Host web1\r\n Port 9\r\n", "web1"),
    "comments": ("# Port 1\nPort 9 # nine\n  # User x\n", "web1"),
    "quotes": ('User "a b"\nIdentityFile "/k 1"\nIdentityFile /k\\ 2\n', "web1"),
    "hash in quotes": ('IdentityFile "/k#1"\nIdentityFile /k#2\n', "web1"),
    "single quotes": ("IdentityFile '/k \"1\"'\n", "web1"),
    "quoted Host": ('Host "web1"\n Port 9\n', "web1"),
    "hostname with token": ("Host web1\n HostName %h.example.org\n", "web1"),
    "hostname with percent": ("HostName fe80::1%%eth0\n", "web1"),
    "identities add up": ("IdentityFile /a\nHost web1\n IdentityFile /b\n IdentityFile /a\n", "web1"),
    "certificates add up": ("CertificateFile /a\nCertificateFile /b\n", "web1"),
    "known hosts files": ("UserKnownHostsFile /a /b\nUserKnownHostsFile /c\n", "web1"),
    "sendenv": ("SendEnv A B\nSendEnv C*\n", "web1"),
    "setenv": ("SetEnv A=1 B='2 3'\nSetEnv C=4\n", "web1"),
    "proxyjump first": ("ProxyJump j\nProxyCommand c\n", "web1"),
    "proxycommand first": ("ProxyCommand nc %h %p\nProxyJump j\n", "web1"),
    "proxycommand raw": ("ProxyCommand sh -c \"echo 'x' # y\"\n", "web1"),
    "proxyjump none": ("Host web1\n ProxyJump none\nHost *\n ProxyJump j\n", "web1"),
    "proxyjump chain": ("ProxyJump a@b:22,c\n", "web1"),
    "times": ("ConnectTimeout 1m30s\nServerAliveInterval 2h\n", "web1"),
    "plain times": ("ConnectTimeout 15\nServerAliveInterval 30\nServerAliveCountMax 5\n", "web1"),
    "strict": ("StrictHostKeyChecking accept-new\n", "web1"),
    "strict off": ("StrictHostKeyChecking off\n", "web1"),
    "flags": ("IdentitiesOnly yes\nHashKnownHosts true\nCompression yes\nAddressFamily inet6\n", "web1"),
    "match all": ("Host other\n Port 1\nMatch all\n Port 9\n", "web1"),
    "match host": ("Match host web*,!web2\n Port 9\n", "web1"),
    "match host negated list": ("Match host web*,!web1\n Port 9\n", "web1"),
    "match not host": ("Match !host web1\n Port 9\n", "web1"),
    "match host after hostname": ("HostName real\nMatch host real\n Port 9\n", "web1"),
    "match originalhost": ("HostName real\nMatch originalhost web1\n Port 9\n", "web1"),
    "match originalhost is not the name": ("HostName real\nMatch originalhost real\n Port 9\n", "web1"),
    "match user": ("User deploy\nMatch user deploy\n Port 9\n", "web1"),
    "match user default": (f"Match user {getpass.getuser()}\n Port 9\n", "web1"),
    "match localuser": (f"Match localuser nobody\n Port 1\nMatch localuser {getpass.getuser()}\n Port 9\n", "web1"),
    "match several": ("User x\nMatch host web1 user x\n Port 9\nMatch host web1 user y\n User z\n", "web1"),
    "match exec": ("Match exec true\n Port 9\n", "web1"),
    "match exec false": ("Match exec false\n Port 9\n", "web1"),
    "match not exec": ("Match !exec false\n Port 9\n", "web1"),
    "match exec with tokens": ('Match exec "test %h-%n-%p = real-web1-22"\n Port 9\n', "web1"),
    "match exec with tokens of a name": ('HostName real\nMatch exec "test %h-%n-%p = real-web1-22"\n Port 9\n', "web1"),
    "match exec after others": ("Match host web1 exec true\n Port 9\nMatch host other exec true\n User x\n", "web1"),
    "match equals": ("Match host=web1 user=x\n Port 1\nMatch host=web1\n Port 9\n", "web1"),
    "match quoted": ('Match host "web1"\n Port 9\n', "web1"),
    "match final": ("Match final host real\n Port 9\nHost web1\n HostName real\n", "web1"),
    "match final sees hosts by their name": (
        "Match final\n User f\nHost real\n Port 9\nHost web1\n HostName real\n",
        "web1",
    ),
    "match final all": ("Host web1\n User x\nMatch final all\n Port 9\n User y\n", "web1"),
    "match canonical": ("Match canonical all\n Port 9\n", "web1"),
    "match not final": ("Match !final host web1\n Port 9\n", "web1"),
    "identities in both passes": ("IdentityFile /a\nMatch final\n IdentityFile /b\n", "web1"),
    "include": ("Include {folder}/more\nPort 1\n", "web1"),
    "include glob": ("Include {folder}/conf.d/*.conf\nPort 1\n", "web1"),
    "include nothing": ("Include {folder}/none/* {folder}/nothing\nPort 1\n", "web1"),
    "include in a Host that applies": ("Host web1\n Include {folder}/more\nHost *\n Port 1\n", "web1"),
    "include in a Host that does not": ("Host web2\n Include {folder}/more\nHost *\n Port 1\n", "web1"),
    "include keeps the block after it": ("Host web2\n Include {folder}/conf.d/*.conf\n Port 1\n", "web1"),
    "include ends inside a block": ("Include {folder}/conf.d/20.conf\nPort 1\n", "web1"),
    "include several": ("Include {folder}/more {folder}/conf.d/10.conf\n", "web1"),
    "unknown ignored": ("IgnoreUnknown Foo*\nFooBar x\nPort 9\n", "web1"),
    "bind": ("BindAddress 127.0.0.1\n", "web1"),
}
FILES = {
    "more": "User included\nHost web1\n Port 4\nMatch host web1\n HostKeyAlias alias\n",
    "conf.d/10.conf": "Host web1\n Port 10\n",
    "conf.d/20.conf": "Port 20\nHost other\n User other\n",
    "conf.d/30.txt": "Port 30\n",
}


def answer_of_ssh(arguments: list[str], host: str) -> dict[str, list[str]]:
    shown = subprocess.run(["ssh", "-G", *arguments, host], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in shown.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def as_written(keyword: str, values: list[str]) -> list[str]:
    """Our answer in the words of ssh -G."""
    if keyword in ("userknownhostsfile", "globalknownhostsfile"):
        return [" ".join(values)]
    if keyword in ("connecttimeout", "serveraliveinterval"):
        return [{"1m30s": "90", "2h": "7200"}.get(values[0], values[0])]
    return [TRUTH.get(value, value) for value in values]


def compare(host: str, arguments: list[str], ours: dict[str, list[str]], nothing: dict[str, list[str]]) -> None:
    theirs = answer_of_ssh(arguments, host)
    for keyword in COMPARED.split():
        expected = [TRUTH.get(value, value) for value in theirs.get(keyword, [])]
        if keyword in ours:
            found = as_written(keyword, ours[keyword])
            if keyword == "hostname":
                found = [expand_tokens(found[0], {"h": host})]
            if keyword == "proxyjump" and found == ["none"]:
                found = []
            if keyword == "stricthostkeychecking":
                found = [{"off": "no", "no": "no"}.get(found[0], found[0])]
                expected = [{"false": "no"}.get(expected[0], expected[0])]
            if keyword == "proxycommand" and "proxyjump" in list(ours)[: list(ours).index(keyword)]:
                found = []
            if keyword == "proxyjump" and "proxycommand" in list(ours)[: list(ours).index(keyword)]:
                found = []
            assert found == expected, keyword
        elif keyword == "hostname":
            assert expected == [host]
        else:  # ssh's own default
            assert expected == nothing.get(keyword, []), keyword


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_that_of_ssh(name, tmp_path):
    text, host = CASES[name]
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    config = tmp_path / "config"
    config.write_bytes(text.replace("{folder}", str(tmp_path)).encode())
    ours = ssh_config.resolve(host, file=str(config), local_user=getpass.getuser())
    nothing = {key: [TRUTH.get(value, value) for value in values] for key, values in defaults().items()}
    compare(host, ["-F", str(config)], ours, nothing)


_defaults: dict[str, list[str]] = {}


def defaults() -> dict[str, list[str]]:
    if not _defaults:
        _defaults.update(answer_of_ssh(["-F", "none"], "web1"))
    return _defaults


@pytest.mark.parametrize(
    "words",
    [
        ["-p", "2222", "-l", "me", "-i", "/etc/hosts"],
        ["-p2222", "-lme", "-i/etc/hosts"],
        ["-o", "Port=2222", "-oUser=me", "-o", "IdentityFile /k"],
        ["-o", "Port=1", "-p", "2"],
        ["-J", "a,b"],
        ["-J", "a", "-o", "ProxyCommand=c"],
        ["-o", "ProxyCommand=nc %h %p", "-o", "ProxyJump=a"],
        ["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s"],
        ["-4", "-q", "-T", "-x"],
        ["-6qTC"],
        ["-vvv", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
        ["-b", "127.0.0.1"],
    ],
    ids=" ".join,
)
def test_arguments_are_read_as_ssh_reads_them(words, tmp_path):
    config = tmp_path / "config"
    config.write_text("Port 9\nUser u\n")
    lines, file = parse_arguments([*words, "-F", str(config)])
    assert file == str(config)
    ours = ssh_config.resolve("web1", first=lines, file=file, local_user="root")
    compare("web1", [*words, "-F", str(config)], ours, defaults())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["host"], "'host' is no option"),
        (["-o"], "-o needs a value"),
        (["-o", "StrictHostKeyCheking=no"], "unknown option 'StrictHostKeyCheking'"),
        (["-z"], "unknown option -z"),
    ],
)
def test_arguments_that_mean_nothing(words, message):
    with pytest.raises(Unreachable, match=message):
        parse_arguments(words)


def test_a_misspelt_option_is_told_the_nearest():
    with pytest.raises(Unreachable) as caught:
        parse_arguments(["-o", "StrictHostKeyCheking=no"])
    assert caught.value.hint == "did you mean 'stricthostkeychecking'?"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('Port 1\nUser "x\n', 2, "quote is not closed"),
        ("Match\n", 1, "without a criterion"),
        ("\nMatch wind north\n", 2, "unknown Match criterion 'wind'"),
        ("Match host\n", 1, "needs a value"),
        ("Port\n", 1, "port needs a value"),
    ],
)
def test_what_cannot_be_understood_is_shown_with_its_place(text, line, message, tmp_path):
    config = tmp_path / "config"
    config.write_text(text)
    with pytest.raises(Unreachable, match=message) as caught:
        ssh_config.resolve("web1", file=str(config))
    assert caught.value.origin == Origin(str(config), line)


def test_files_that_include_themselves(tmp_path):
    config = tmp_path / "config"
    config.write_text(f"Include {config}\n")
    with pytest.raises(Unreachable, match="include one another"):
        ssh_config.resolve("web1", file=str(config))


def test_a_file_asked_for_must_be_there():
    with pytest.raises(Unreachable, match="no such file"):
        ssh_config.resolve("web1", file="/nowhere/config")


def test_a_changed_file_is_read_again(tmp_path):
    config = tmp_path / "config"
    config.write_text("Port 1\n")
    assert ssh_config.resolve("h", file=str(config))["port"] == ["1"]
    config.write_text("Port 10\n")
    assert ssh_config.resolve("h", file=str(config))["port"] == ["10"]


# From the configuration to a connection


def settings_with(text: str, home: Path, **changes):
    (home / ".ssh/config").write_text(text)
    return settings_for(Endpoint(**({"host": "web1", "address": "web1"} | changes)))


def test_the_inventory_wins_over_arguments_and_they_over_files(home):
    text = "Port 1\nUser file\nIdentityFile /file\nConnectTimeout 33\n"
    arguments = ("-p", "2", "-l", "argument", "-i", "/argument")
    found = settings_with(text, home, port=3, user="inventory", private_key_file="~/inventory", ssh_args=arguments)
    assert (found.port, found.user) == (3, "inventory")
    assert found.identity_files == (f"{home}/inventory", "/argument", "/file")
    found = settings_with(text, home, ssh_args=arguments)
    assert (found.port, found.user, found.timeout) == (2, "argument", 33.0)
    found = settings_with(text, home, timeout=5.0)
    assert (found.port, found.user, found.timeout) == (1, "file", 5.0)


def test_tokens_and_variables_in_files(home, monkeypatch):
    monkeypatch.setenv("KEYS", "/keys")
    text = "HostName %h.example.org\nPort 7\nUser u\nIdentityFile ${KEYS}/%n-%h-%p-%r\nUserKnownHostsFile %d/kh ~/kh2\n"
    found = settings_with(text, home)
    assert found.identity_files == ("/keys/web1-web1.example.org-7-u",)
    assert found.user_known_hosts == (f"{home}/kh", f"{home}/kh2")
    assert found.default_identities == ()
    assert found.known_as == "[web1.example.org]:7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Port 70000\n", "port '70000'"),
        ("Port ssh\n", "port 'ssh'"),
        ("IdentitiesOnly maybe\n", "neither yes nor no"),
        ("ConnectTimeout soon\n", "is no time"),
        ("IdentityFile %Q\n", "'%Q' cannot be used"),
        ("IdentityFile ${NO_SUCH_VARIABLE}\n", "NO_SUCH_VARIABLE"),
        ("ProxyJump a/b\n", "is not \\[user@\\]host"),
        ("StrictHostKeyChecking perhaps\n", "none of yes, accept-new, no"),
    ],
)
def test_values_that_make_no_sense(home, text, message):
    with pytest.raises(Unreachable, match=message):
        settings_with(text, home)


def test_a_chain_of_jumps(home):
    text = "Host bastion\n HostName 10.0.0.1\n User jump\n Port 2200\n ProxyJump outer\nHost web1\n ProxyJump bastion\n"
    found = settings_with(text, home)
    assert found.via is not None
    assert (found.via.host, found.via.user, found.via.port) == ("10.0.0.1", "jump", 2200)
    assert found.via.via is not None
    assert found.via.via.host == "outer"
    assert found.via.via.via is None
    # equal ways are equal, whichever host asks: that is what shares the connection
    assert settings_with(text, home, host="other").via == found.via


def test_a_jump_over_ipv6(home):
    via = settings_with("Host web1\n ProxyJump me@[::1]:2222\n", home).via
    assert (via.host, via.user, via.port) == ("::1", "me", 2222)


def test_secrets_of_the_target_stay_with_the_target(home):
    from shepherd.transport import Secret

    found = settings_with("Host web1\n ProxyJump j\n", home, password=Secret("battery"), private_key_file="/target")
    assert found.via.password is None
    assert found.via.identity_files == ()


def test_the_environments_word_on_host_keys(home, monkeypatch):
    monkeypatch.setenv("SHEPHERD_ACCEPT_NEW_HOST_KEYS", "1")
    assert settings_with("StrictHostKeyChecking yes\n", home).host_key_checking == "accept-new"
    arguments = ("-o", "StrictHostKeyChecking=yes")
    assert settings_with("", home, ssh_args=arguments).host_key_checking == "yes"
    assert settings_with("", home, host_key_checking=False).host_key_checking == "no"


# Whatever is written, an answer or a clear error


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)))
def test_quoted_words_come_back(words):
    quoted = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    assert ssh_config.split_words(quoted) == words


@given(st.text(max_size=200))
def test_any_text_is_words_or_a_value_error(text):
    try:
        assert all(isinstance(word, str) for word in ssh_config.split_words(text))
    except ValueError as problem:
        assert "quote" in str(problem)


_LINES = st.sampled_from(
    ["Host", "Match", "Port", "User", "HostName", "IdentityFile", "Include", "ProxyJump", "SetEnv", "=", '"', "Bad"]
)


@given(st.lists(st.tuples(_LINES, st.text(max_size=30)), max_size=8))
@settings(max_examples=200)
def test_any_configuration_is_answered_or_refused_in_one_message(lines):
    text = "\n".join(f"{keyword} {rest}" for keyword, rest in lines if "exec" not in rest.lower())
    query = ssh_config.Query("web1", "root")
    try:
        for directive in ssh_config.parse(text, "file"):
            if directive.keyword == "host":
                ssh_config._host_applies(query, directive)
            elif directive.keyword == "match":
                ssh_config._match_applies(query, directive)
            elif directive.keyword != "include":
                query.take(directive)
        expand_path(query.target, {"h": "x"})
    except Unreachable as problem:
        assert problem.message


@given(st.text(alphabet="ab*?![].,", max_size=8), st.text(alphabet="ab[].", max_size=6))
@settings(max_examples=40, deadline=None)
def test_patterns_match_as_those_of_ssh(pattern, host):
    if not host or host.startswith(".") or not pattern.strip(",") or os.path.sep in host:
        return
    shown = subprocess.run(
        ["ssh", "-G", "-F", "/dev/stdin", "--", host],
        input=f"Host {pattern}\n Port 9\n",
        capture_output=True,
        text=True,
    )
    if shown.returncode:  # a host name that ssh refuses, or an empty pattern
        return
    theirs = "port 9" in shown.stdout.splitlines()
    line = ssh_config.parse_line(f"Host {pattern}", Origin("x"))
    assert ssh_config._host_applies(ssh_config.Query(host, "root"), line) == theirs
