"""Hosts and groups that tasks add while a play runs."""

from __future__ import annotations

import pytest

from shepherd.inventory import load


@pytest.fixture
def inventory(tmp_path):
    (tmp_path / "hosts").write_text("[web]\nh\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/new.yml").write_text("from_file: 1")
    return load(["hosts"], cwd=str(tmp_path))


def test_a_host_without_a_group(inventory):
    inventory.add_host("one", vars={"foo": 1})
    assert inventory.groups_map() == {"all": ["one", "h"], "ungrouped": ["one"], "web": ["h"]}
    assert inventory.hosts["one"].vars == {"foo": 1}
    assert (inventory.hosts["one"].inventory_dir, inventory.hosts["one"].inventory_file) == (None, None)


def test_a_host_with_groups_old_and_new(inventory):
    host = inventory.add_host("one", ["web", "new"], {"foo": 1})
    assert inventory.group_names(host) == ["new", "web"]
    assert [one.name for one in inventory.select("web")] == ["h", "one"]
    assert {"from_file": 1} in inventory.host_layers(host)


def test_what_was_asked_before_is_not_remembered(inventory):
    host = inventory.add_host("one", vars={"foo": 1})
    assert inventory.select("new") == []
    assert {"from_file": 1} not in inventory.host_layers(host)
    inventory.add_host("one", ["new"], {"bar": 2})
    assert inventory.groups_map() == {"all": ["one", "h"], "ungrouped": [], "web": ["h"], "new": ["one"]}
    assert inventory.select("new") == [host]
    assert inventory.host_layers(host) == [{"foo": 1, "bar": 2}, {"from_file": 1}]


def test_a_port_behind_the_name(inventory):
    assert inventory.add_host("one:2222").vars == {"ansible_port": 2222}
    assert inventory.add_host("[2001:db8::1]:22").name == "2001:db8::1"
    assert inventory.add_host("2001:db8::2").name == "2001:db8::2"
    with pytest.raises(ValueError, match="cannot end"):
        inventory.add_host("one:")


def test_group_by_says_whether_anything_changed(inventory):
    host = inventory.hosts["h"]
    assert inventory.group_by(host, "os_debian", ["os"])
    assert not inventory.group_by(host, "os_debian", ["os"])
    assert inventory.group_by(host, "os_debian", ["os", "other"])
    assert not inventory.group_by(host, "web")
    assert inventory.group_names(host) == ["os", "os_debian", "other", "web"]
    assert inventory.select("os") == [host]


def test_group_by_takes_a_host_out_of_ungrouped(inventory):
    host = inventory.add_host("one")
    inventory.group_by(host, "new")
    assert inventory.groups_map()["ungrouped"] == []
    assert inventory.group_names(host) == ["new"]


def test_group_by_refuses_a_loop(inventory):
    inventory.group_by(inventory.hosts["h"], "a", ["b"])
    with pytest.raises(ValueError, match="loop"):
        inventory.group_by(inventory.hosts["h"], "b", ["a"])


def test_adding_localhost_makes_it_an_ordinary_host(inventory):
    assert inventory.host("localhost").implicit
    host = inventory.add_host("localhost")
    assert inventory.host("127.0.0.1") is host
    assert host.vars == {}
