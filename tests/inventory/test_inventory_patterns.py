"""Host patterns: against the recorded table, the documentation's examples, and a model of plain sets."""

from __future__ import annotations

import inventory_oracle as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.errors import ParseError, ShepherdError
from shepherd.inventory import Inventory, load

TABLE = oracle.patterns()


@pytest.fixture(autouse=True)
def beside_the_table(monkeypatch):
    monkeypatch.chdir(oracle.PATTERNS)


def select(pattern, limit=None):
    return [host.name for host in load(["hosts.ini"], cwd=".").select(pattern, limit)]


@pytest.mark.parametrize(("pattern", "limit", "hosts"), TABLE, ids=[f"{one} limit {two}" for one, two, _ in TABLE])
def test_hosts_and_their_order(pattern, limit, hosts):
    assert select(pattern, limit or None) == hosts


@pytest.mark.oracle
def test_oracle_still_means_the_same():
    if oracle.program("ansible-playbook") is None:
        pytest.skip("ansible-playbook is not installed: set SHEPHERD_ORACLE to the folder it is in")
    wanted = {pattern: hosts for pattern, limit, hosts in TABLE if limit == "!web1"}
    assert oracle.select("!web1", list(wanted)) == list(wanted.values())


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("web[:1]", ["web3", "web1"]),
        ("web[:0]", ["web3"]),
        ("web[2:]", ["web2"]),
        (["web", "!web1", "db[0]:deep"], ["web3", "web2", "db1", "zz", "aa"]),
        ([], None),
        ("", None),
    ],
)
def test_positions_as_documented_and_lists(pattern, hosts):
    assert select(pattern) == (select("all") if hosts is None else hosts)


def test_groups_whose_names_could_be_parts_of_an_address():
    assert select("db:db:db") == select("db")


def test_a_position_that_is_not_there():
    with pytest.raises(ShepherdError, match=r"'web\[5\]' is out of range: 'web' has 3 hosts"):
        select("web[5]")


def test_not_a_regular_expression():
    with pytest.raises(ParseError, match="is not a regular expression"):
        select("~web(")


def test_a_limit_that_matches_nothing_is_an_error():
    with pytest.raises(ShepherdError, match="no host matches the limit 'nope'"):
        select("all", "nope")
    with pytest.raises(ShepherdError, match="no host matches the limit"):
        select("web", "web:!web")


def test_a_limit_on_the_controller_itself():
    assert select("localhost", "localhost") == ["localhost"]
    assert select("web", "localhost") == []


def test_a_pattern_that_matches_nothing_is_warned_of_once():
    inventory = load(["hosts.ini"], cwd=".")
    for _ in range(3):
        inventory.select("web:nope")
    assert sum("'nope'" in warning for warning in inventory.warnings) == 1


def test_the_controller_under_its_names():
    assert select("::1") == ["::1"]
    inventory = Inventory()
    assert inventory.host("127.0.0.1") is inventory.host("localhost")
    assert inventory.host("localhost").vars["ansible_connection"] == "local"
    named = load(["127.0.0.1,"], cwd="/")
    assert named.host("localhost").name == "127.0.0.1"
    assert named.host("localhost").vars == {}


GROUPS = {"web": ["w1", "w2", "w3"], "db": ["d1", "w2"], "prod": ["w1", "d1", "x"], "w4": ["w4"]}
HOSTS = ["w1", "w2", "w3", "d1", "x", "w4"]
TERMS = {
    **GROUPS,
    "w1": ["w1"],
    "w*": ["w1", "w2", "w3", "w4"],
    "?1": ["w1", "d1"],
    "~(d|x)": ["d1", "w2", "x"],
    "all": HOSTS,
    "web[0]": ["w1"],
    "web[1:]": ["w2", "w3"],
    "nothing": [],
}


@given(st.lists(st.tuples(st.sampled_from(["", "&", "!"]), st.sampled_from(sorted(TERMS))), max_size=6))
def test_terms_are_sets(terms):
    inventory = Inventory()
    for name, members in GROUPS.items():
        for member in members:
            inventory.place(member, inventory.add_group(name), {}, None)
    inventory.settle()
    chosen = {host for sign, term in terms if not sign for host in TERMS[term]}
    if not any(not sign for sign, _ in terms):
        chosen = set(HOSTS)
    for sign, term in terms:
        if sign == "&":
            chosen &= set(TERMS[term])
    for sign, term in terms:
        if sign == "!":
            chosen -= set(TERMS[term])
    for separator in ",:":
        found = [host.name for host in inventory.select(separator.join(sign + term for sign, term in terms))]
        assert sorted(found) == sorted(chosen)
