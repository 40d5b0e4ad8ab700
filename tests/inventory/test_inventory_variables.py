"""Which variables a host has, in which order they count, and that nothing is read or copied in vain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.errors import ParseError
from shepherd.inventory import Inventory, document, load
from shepherd.inventory.listing import merged
from shepherd.origin import Origin, Text, origin_of

LEVELS = [  # lowest precedence first, as documented: what is written, and the file it is written in
    ("inv/hosts", "[all:vars]\nx=%d\n"),
    ("inv/hosts", "[parent:vars]\nx=%d\n"),
    ("inv/hosts", "[web:vars]\nx=%d\n"),
    ("inv/group_vars/all.yml", "x: %d"),
    ("play/group_vars/all", "x: %d"),
    ("inv/group_vars/parent", "x: %d"),
    ("inv/group_vars/web.yml", "x: %d"),
    ("play/group_vars/parent.json", '{"x": %d}'),
    ("play/group_vars/web/main.yml", "x: %d"),
    ("inv/hosts", "[web]\nh x=%d\n"),
    ("inv/host_vars/h.yaml", "x: %d"),
    ("play/host_vars/h", "x: %d"),
]


@pytest.mark.parametrize("highest", range(len(LEVELS)))
def test_precedence(highest, tmp_path):
    (tmp_path / "inv").mkdir()
    (tmp_path / "inv/hosts").write_text("[web]\nh\n[parent:children]\nweb\n")
    for number, (name, text) in enumerate(LEVELS[: highest + 1]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as handle:
            handle.write(text % number)
    inventory = load(["inv"], cwd=str(tmp_path))
    layers = inventory.host_layers(inventory.hosts["h"], str(tmp_path / "play"))
    assert [layer["x"] for layer in layers] == list(range(highest, -1, -1))


@pytest.fixture
def files_read(monkeypatch):
    """The names of the variable files read, in order."""
    read: list[str] = []
    original = document.load_file

    def load_file(path, warn):
        read.append(path.rpartition("_vars/")[2])
        return original(path, warn)

    monkeypatch.setattr(document, "load_file", load_file)
    return read


def test_files_are_read_once_and_only_when_asked_for(tmp_path, files_read):
    (tmp_path / "hosts").write_text("[web]\nh[1:100]\n[db]\nd\n")
    for name in (
        "group_vars/all.yml",
        "group_vars/web.yml",
        "group_vars/db.yml",
        "host_vars/h1.yml",
        "host_vars/d.yml",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x: 1")
    (tmp_path / "group_vars/db.yml").write_text("x: [")
    inventory = load(["hosts"], cwd=str(tmp_path))
    assert files_read == []
    for _ in range(2):
        for host in inventory.select("web"):
            inventory.host_layers(host)
    assert sorted(files_read) == ["all.yml", "h1.yml", "web.yml"]
    with pytest.raises(ParseError, match="YAML") as raised:
        inventory.host_layers(inventory.hosts["d"])
    assert raised.value.origin.file.endswith("group_vars/db.yml")


def test_a_file_of_variables_that_is_no_mapping(tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("- a\n")
    inventory = load(["h,"], cwd=str(tmp_path))
    with pytest.raises(ParseError, match="must be a mapping, not a list") as raised:
        inventory.host_layers(inventory.hosts["h"])
    assert raised.value.origin == Origin(str(tmp_path / "group_vars/all.yml"), 1, 1)


def test_a_key_set_twice_is_warned_of(tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("a: 1\na: 2\n")
    inventory = load(["h,"], cwd=str(tmp_path))
    assert merged(inventory.host_layers(inventory.hosts["h"])) == {"a": 2}
    assert "all.yml:2:1: key 'a' is set twice" in inventory.warnings[0]


def test_hosts_share_their_layers(tmp_path):
    (tmp_path / "hosts").write_text("[web]\nh[1:10000] x=1 y=2\n[web:vars]\nz=3\n")
    inventory = load(["hosts"], cwd=str(tmp_path))
    first, *others = (inventory.host_layers(host) for host in inventory.hosts.values())
    assert len(others) == 9999
    assert all(all(map(lambda one, two: one is two, first, layers)) for layers in others)


def test_values_know_where_they_were_written(tmp_path):
    (tmp_path / "hosts.ini").write_text("[web]\nh a=1  user='some one'\n[web:vars]\n\nport = text\n")
    (tmp_path / "hosts.yml").write_text("web:\n  hosts:\n    i: {k: v}\n")
    inventory = load(["hosts.ini", "hosts.yml"], cwd=str(tmp_path))
    own, group = inventory.host_layers(inventory.hosts["h"])
    assert isinstance(own["user"], Text)
    assert own["user"].origin == Origin(str(tmp_path / "hosts.ini"), 2, 8)
    assert group["port"].origin == Origin(str(tmp_path / "hosts.ini"), 5, 1)
    values = inventory.hosts["i"].vars
    assert origin_of(values["k"]) == Origin(str(tmp_path / "hosts.yml"), 3, 12)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14), st.sets(st.integers(0, 7)))
def test_groups_count_by_depth_priority_and_name(edges, direct):
    """Against the definition: the longest way from `all`, then the priority, then the name."""
    inventory = Inventory()
    groups = [inventory.add_group(f"g{number}") for number in range(8)]
    for number, group in enumerate(groups):
        group.update({"ansible_group_priority": number % 3}, "file")
    for above, below in edges:
        if above < below:  # so that there is no loop
            inventory.add_child(groups[above], groups[below])
    host = inventory.add_host("h", [f"g{number}" for number in direct])

    def depth(group):
        return 0 if group.name == "all" else 1 + max(map(depth, group.parents))

    def above(group):
        return {group}.union(*map(above, group.parents))

    expected = set().union(*map(above, host.groups)) - {inventory.top}
    ordered = sorted(expected, key=lambda group: (depth(group), group.priority, group.name))
    assert list(inventory.groups_of(host.groups)) == ordered
    assert inventory.group_names(host) == sorted(group.name for group in expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_groups_never_close_a_loop(edges):
    inventory = Inventory()
    groups = [inventory.add_group(f"g{number}") for number in range(6)]
    below = {group: set() for group in groups}

    def reach(group):
        return {group}.union(*map(reach, below[group]))

    for above, child in edges:
        if groups[above] in reach(groups[child]):
            with pytest.raises(ValueError, match=r"loop|its own child"):
                inventory.add_child(groups[above], groups[child])
        else:
            inventory.add_child(groups[above], groups[child])
            below[groups[above]].add(groups[child])
