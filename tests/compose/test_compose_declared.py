"""Compose files and what they declare; and files that are wrong, with what is said of them where. Tables in YAML."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from shepherd.compose import declare, project
from shepherd.compose.dependency import Dependency, ordered
from shepherd.compose.merging import merge
from shepherd.compose.service import FIELDS
from shepherd.compose.where import ComposeError, Where
from shepherd.errors import ParseError
from shepherd.origin import Mapping
from shepherd.spec import load_spec

HERE = Path(__file__).parent
DECLARED = yaml.safe_load((HERE / "declared.yml").read_text())
WRONG = yaml.safe_load((HERE / "wrong.yml").read_text())
DIGEST = re.compile(r"-[0-9a-f]{16}(?=$|:)")


def loaded(folder: Path, case: dict[str, Any]) -> project.Project:
    for name, text in case["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    paths = [str(folder / name) for name in case.get("read", ["compose.yml"])]
    return project.load(paths, "blog", variables=case.get("env", {}), profiles=case.get("profiles", []))


def plain(value: Any) -> Any:
    """Without the digests in names of files that are sent."""
    if isinstance(value, str):
        return DIGEST.sub("-DIGEST", value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


@pytest.mark.parametrize("case", DECLARED, ids=lambda case: case["name"])
def test_what_a_file_declares(case: dict[str, Any], tmp_path: Path) -> None:
    found = loaded(tmp_path, case)
    stack = declare.declare(found, "/etc/shepherd/stacks/blog", case.get("directory"))
    services = {one["service"]: {**one["options"], **one} for one in stack.services}
    for name, options in case.get("services", {}).items():
        assert {key: plain(services[name].get(key)) for key in options} == options, name
    if "order" in case:
        assert list(services) == case["order"]
    for part in ("networks", "volumes", "external"):
        if part in case:
            assert getattr(stack, part) == case[part]
    if "images" in case:
        shown = [{**one, "build": one["build"].replace(str(tmp_path), "FOLDER")} for one in stack.images]
        assert shown == case["images"]
    if "items" in case:
        items = {
            plain(name): {one.name: None if one.kind == b"5" else one.read().decode() for one in item.entries}
            for name, item in stack.items.items()
        }
        assert items == case["items"]
    said = "\n".join(found.top.warnings)
    assert said.count("\n") + bool(said) == len(case.get("warnings", []))
    for words in case.get("warnings", []):
        assert words in said
    for one in stack.services:  # what is declared are options that `container` takes
        load_spec("container").normalise(one["options"])


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["says"][0])
def test_what_is_wrong_is_said_where_it_stands(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(case["compose"])
    with pytest.raises(ParseError) as found:
        declare.declare(project.load([str(tmp_path / "compose.yml")], "blog"), "/etc/shepherd/stacks/blog")
    said = found.value.render()
    for words in case["says"]:
        assert words in said
    if "at" in case:
        assert f"compose.yml:{case['at']}\n" in said


def test_every_field_of_the_specification_is_known() -> None:
    """Those of a service in compose-spec.json, 2026."""
    fields = """
    annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec
    depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file
    environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc
    isolation label_file labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit
    models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop
    privileged profiles provider pull_policy read_only restart runtime scale secrets security_opt shm_size
    stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode
    uts volumes volumes_from working_dir
    """
    assert set(fields.split()) == set(FIELDS)


def test_what_is_sent_is_called_by_its_content(tmp_path: Path) -> None:
    case = {"files": {"compose.yml": "services: {web: {image: app, volumes: ['./html:/srv:ro']}}", "html/a": "1"}}
    first = declare.declare(loaded(tmp_path, case), "/x")
    again = declare.declare(loaded(tmp_path, case), "/x")
    (tmp_path / "html" / "a").write_text("2")
    other = declare.declare(loaded(tmp_path, {"files": {}}), "/x")
    assert first.services == again.services
    assert first.services[0]["options"]["volumes"] != other.services[0]["options"]["volumes"]
    (tmp_path / "html" / "a").write_text("1")
    (tmp_path / "html" / "a").chmod(0o755)
    program = declare.declare(loaded(tmp_path, {"files": {}}), "/x")
    assert first.services[0]["options"]["volumes"] != program.services[0]["options"]["volumes"]


VALUES = some.recursive(
    some.integers() | some.text(max_size=3),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_merging_changes_neither_and_twice_is_once(base: Any, over: Any) -> None:
    before = (repr(base), repr(over))
    once = merge(base, over)
    assert (repr(base), repr(over)) == before
    if isinstance(over, dict):
        assert merge(once, over) == once
        assert set(over) <= set(once)


@given(some.lists(some.tuples(some.integers(0, 9), some.integers(0, 9)), max_size=25))
def test_services_come_behind_what_they_wait_for_or_the_circle_is_named(pairs: list[tuple[int, int]]) -> None:
    services = {str(number): Mapping(depends_on=Mapping()) for number in range(10)}
    for one, other in pairs:
        services[str(one)]["depends_on"][str(other)] = Dependency()
    try:
        order = ordered(services, services, Where("", None, ""))
    except ComposeError as error:
        path = error.message.rpartition(": ")[2].split(" → ")
        assert path[0] == path[-1]
        assert all(other in services[one]["depends_on"] for one, other in pairwise(path))
    else:
        assert sorted(order) == sorted(services)
        assert all(order.index(str(other)) < order.index(str(one)) for one, other in pairs)


PARTS = sorted(
    {
        *FIELDS,
        "type",
        "source",
        "target",
        "file",
        "content",
        "external",
        "ipam",
        "config",
        "subnet",
        "test",
        "condition",
    }
)
WORDS = [
    "app:1",
    "web",
    "80:80",
    "./a:/b:ro",
    "data:/data",
    "${A:-1}",
    "$",
    "1m",
    "256m",
    "no",
    "true",
    "CMD",
    "/x",
    "",
    "\0",
    "é",
]
LEAVES = (
    some.none() | some.booleans() | some.integers(-1, 99999) | some.floats(allow_nan=False) | some.sampled_from(WORDS)
)
TREES = some.recursive(
    LEAVES,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(PARTS), inner, max_size=3),
    max_leaves=12,
)
SERVICES = some.dictionaries(
    some.sampled_from(["web", "db"]), some.dictionaries(some.sampled_from(PARTS), TREES, max_size=5)
)


@settings(max_examples=60, deadline=None)
@given(SERVICES, some.dictionaries(some.sampled_from(["networks", "volumes", "configs", "secrets", "include"]), TREES))
def test_any_file_is_understood_or_refused_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, services: Any, more: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.yml").write_text(json.dumps({"services": services, **more}))
    try:
        declare.declare(project.load([str(folder / "any.yml")], "blog"), "/x")
    except ParseError as error:
        assert error.message
        assert error.origin is not None
