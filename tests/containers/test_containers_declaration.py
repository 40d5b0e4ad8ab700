"""Declarations as data: the same is the same, another field is that field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from shepherd.spec import load_spec

# A test of ours may import target code
from shepherd.remote import declaration  # isort: skip
from shepherd.runtime.cli import run_options  # isort: skip

NAMES = some.text("abcdefgh_.", min_size=1, max_size=6)
TEXTS = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
SIZES = some.sampled_from(["64M", "67108864", 67108864, "1.5g", "300k", "65536KiB"])
TIMES = some.sampled_from(["1m", "60s", 60, "1m30s", "500ms", "0.5"])
FIELDS: dict[str, some.SearchStrategy[Any]] = {
    "command": some.lists(TEXTS, max_size=3),
    "env": some.dictionaries(NAMES, TEXTS | some.integers() | some.booleans(), max_size=3),
    "secrets": some.dictionaries(NAMES, TEXTS, max_size=2),
    "labels": some.dictionaries(NAMES, TEXTS, max_size=2),
    "volumes": some.lists(NAMES.map(lambda name: f"{name}:/{name}"), max_size=3, unique=True),
    "networks": some.lists(NAMES, max_size=2, unique=True),
    "restart": some.sampled_from([None, "no", "always"]),
    "user": some.sampled_from([None, "app", "1000:1000"]),
    "read_only": some.booleans(),
    "dns": some.lists(some.sampled_from(["1.1.1.1", "8.8.8.8"]), max_size=2, unique=True),
    "sysctls": some.dictionaries(NAMES, some.integers(0, 9), max_size=2),
    "log": some.fixed_dictionaries({}, optional={"max_file": some.integers(1, 9)}),
    "shm_size": SIZES,
    "resources": some.fixed_dictionaries({}, optional={"memory": SIZES, "pids": some.integers(1, 99)}),
    "health": some.fixed_dictionaries({"tcp": some.just("80")}, optional={"interval": TIMES, "timeout": TIMES}),
}
OPTIONS = some.fixed_dictionaries({}, optional=FIELDS)


def declared(options: dict[str, Any], salt: str = "salt") -> dict[str, Any]:
    """As the module does it, and as it is read back from the label."""
    args = load_spec("container").normalise({"name": "shop", "image": "app:1", **options})
    made = declaration.declare(args, "sha256:1", salt)
    words = declaration.words(made, "shop", "shop")
    label = next(word for word in words if word.startswith(declaration.DECLARED))
    kept = declaration.kept({declaration.DECLARED: label.partition("=")[2]})
    assert kept == made
    return dict(kept)


@settings(max_examples=200)
@given(OPTIONS)
def test_what_is_declared_again_is_the_same(options: dict[str, Any]) -> None:
    again = dict(reversed(list(options.items())))
    assert declaration.differences(declared(options), declared(again)) == {}


@settings(max_examples=200)
@given(OPTIONS, some.sampled_from(sorted(FIELDS)), some.data())
def test_one_field_that_is_another_is_exactly_that_field(options: dict[str, Any], field: str, data: Any) -> None:
    first = declared(options)
    second = declared({**options, field: data.draw(FIELDS[field])})
    found = declaration.differences(first, second)
    assert {name.partition(".")[0] for name in found} <= {field}
    assert bool(found) == (first != second)


@given(some.text("abcdefghijkl", min_size=8), some.text("mnopqrstuvwx", min_size=8))
def test_no_secret_is_in_a_label_or_a_difference(one: str, other: str) -> None:
    first, second = (declared({"secrets": {"k": text}, "env": {"E": text}}) for text in (one, other))
    shown = json.dumps(declaration.differences(first, second))
    assert one not in shown
    assert other not in shown
    assert one not in json.dumps(first["secrets"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"resources": {"memory": "lots"}}, "resources.memory"),
        ({"resources": {"memory": "-5"}}, "resources.memory"),
        ({"health": {"tcp": "80", "timeout": "1 day"}}, "health.timeout"),
        ({"env": {"A=B": "c"}}, "env"),
        ({"labels": {"shepherd.spec": "x"}}, "labels"),
        ({"networks": ["host", "front"]}, "networks"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], word: str) -> None:
    with pytest.raises(declaration.DeclarationError, match=word):
        declared(options)


def test_every_option_is_something_that_the_runtime_takes() -> None:
    options = {
        "aliases": ["www"], "networks": ["front"], "cap_add": ["NET_ADMIN"], "devices": ["/dev/null:/dev/zero2:r"],
        "dns": ["1.1.1.1"], "dns_opt": ["ndots:2"], "dns_search": ["example.org"], "domainname": "example.org",
        "extra_hosts": {"db": "10.0.0.1", "v6": "::1", "host": "host-gateway"}, "group_add": ["adm"],
        "ipc": "shareable", "oom_score_adj": -500, "pid": "host", "privileged": True,
        "security_opt": ["no-new-privileges:true"],
        "shm_size": "1m", "stdin_open": True, "sysctls": {"net.core.somaxconn": 1024}, "tty": True, "uts": "host",
        "ulimits": {"nofile": "1024:2048", "nproc": -1},
        "log": {"driver": "json-file", "max_size": "1m", "max_file": 2},
        "health": {"exec": ["test", "-e", "/a b"], "start_interval": "1s"},
        "resources": {"memory": "64M", "reservation": "32M", "cpu_shares": 512, "cpuset": "0", "pids": 9},
    }  # fmt: skip
    words = [*declaration.words(declared(options), "shop", "shop"), "--", "app:1"]
    made = run_options.request(run_options.read(words, "create"))
    assert made.config["Healthcheck"]["Test"] == ["CMD", "test", "-e", "/a b"]
    assert made.networking["aliases"] == ["shop", "www"]
    assert sorted(made.extra_hosts) == [("db", "10.0.0.1"), ("host", "host-gateway"), ("v6", "::1")]
    assert made.config["Domainname"] == "example.org"
    shown = {
        "Dns": ["1.1.1.1"], "DnsOptions": ["ndots:2"], "DnsSearch": ["example.org"], "GroupAdd": ["adm"],
        "IpcMode": "shareable", "OomScoreAdj": -500, "PidMode": "host", "Privileged": True, "ShmSize": 1 << 20,
        "SecurityOpt": ["no-new-privileges=true"], "Sysctls": {"net.core.somaxconn": "1024"}, "UTSMode": "host",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}}, "Memory": 64 << 20,
        "MemoryReservation": 32 << 20, "CpuShares": 512, "CpusetCpus": "0", "PidsLimit": 9,
    }  # fmt: skip
    assert {name: made.host[name] for name in shown} == shown
    assert [one["Name"] for one in made.host["Ulimits"]] == ["nofile", "nproc"]
    off = declaration.words(declared({"health": {"disable": True}}), "shop", "shop")
    made = run_options.request(run_options.read([*off, "--", "app:1"], "create"))
    assert made.config["Healthcheck"]["Test"] == ["NONE"]
    plain = run_options.request(run_options.read(["--health-cmd", "[ -e /a ]", "app:1"], "create"))
    assert plain.config["Healthcheck"]["Test"] == ["CMD-SHELL", "[ -e /a ]"]


def test_a_command_is_a_list_of_words_or_a_text_of_them() -> None:
    options = {"command": "sh -c 'sleep 1; exit'", "entrypoint": "/init", "health": {"exec": "test -e /a,b"}}
    made = declared(options)
    assert (made["command"], made["entrypoint"]) == (["sh", "-c", "sleep 1; exit"], ["/init"])
    assert made["health"]["exec"] == ["test", "-e", "/a,b"]
    assert declared({**options, "command": ["sh", "-c", "sleep 1; exit"]}) == made
    assert declared({"command": ["a b", 1]})["command"] == ["a b", "1"]
    for wrong, said in (("echo 'a", "command: no closing quotation in "), ({"a": 1}, "should be a list of words")):
        with pytest.raises(declaration.DeclarationError, match=said):
            declared({"command": wrong})
