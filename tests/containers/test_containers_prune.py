"""What nothing needs any more goes, and nothing else."""

from __future__ import annotations

import images
import pytest

pytestmark = pytest.mark.lab(hosts=2)

ONE = "web1"


def test_what_plays_made_and_nothing_needs_goes_and_nothing_else(site, app):
    (site.folder / "compose.yml").write_text(
        "services: {web: {image: app:1, scale: 0, networks: [n]}}\nnetworks: {n: }"
    )
    common = {"image": "app:1", "settle": 0.1}
    for tag in ("first", "second"):
        images.save(site.folder / f"{tag}.tar", images.base(), images.layer({tag: (b"1", 0o644)}))
    tasks = [
        app,
        {"container_image": {"name": "app:first", "archive": "first.tar"}},
        {"container_image": {"name": "app:second", "archive": "second.tar"}},
        {"container_network": {"name": "front"}},
        {"container_network": {"name": "idle"}},
        {"container_network": {"name": "ended"}},
        {"container_volume": {"name": "kept"}},
        {"container_volume": {"name": "unused"}},
        {"container": {"name": "shop", "networks": ["front"], "volumes": ["kept:/data"], **common}},
        {"container": {"name": "once", "networks": ["ended"], "command": ["sh", "-c", ":"], **common}},
        {"container_stack": {"name": "blog", "file": "compose.yml"}},
    ]
    nothing = {"container_prune": {"what": ["images", "instances", "networks", "volumes"]}}
    assert site.good([nothing], "--check", host=ONE).changed == set()
    site.good(tasks, host=ONE)
    site.runtime("network", "create", "theirs")
    site.runtime("volume", "create", "theirs")
    site.runtime("create", "--name", "theirs", "app:1")
    site.runtime("tag", "app:second", "theirs:1")

    def pruned(**options: object) -> list[str]:
        said = site.good([{"container_prune": options}], "--check", "--diff", host=ONE).result("container_prune")
        done = site.good([{"container_prune": options}], "--diff", host=ONE).result("container_prune")
        assert said == done
        return list(done["removed"])

    assert pruned(what=["networks"]) == ["network idle"]
    assert pruned(what=["networks", "instances"]) == ["instance once", "network ended"]
    assert pruned(what=["volumes"]) == ["volume unused"]
    assert pruned(what=["images"], keep=1) == ["image docker.io/library/app:first"]
    assert pruned(what=["images"]) == ["image docker.io/library/app:second"]
    assert site.good([nothing], host=ONE).changed == set()
    assert sorted(site.runtime("ps", "-a", "--format", "{{.Names}}").split()) == ["shop", "theirs"]
    assert sorted(site.runtime("volume", "ls", "-q").split()) == ["kept", "theirs"]
    networks = set(site.runtime("network", "ls", "--format", "{{.Name}}").split())
    assert {"blog_n", "front", "theirs"} <= networks
    assert not networks & {"idle", "ended"}
    assert set(site.runtime("images", "--format", "{{.Repository}}:{{.Tag}}").split()) == {"app:1", "theirs:1"}
