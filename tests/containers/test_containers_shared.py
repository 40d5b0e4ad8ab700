"""What services of a stack have of their own, and what of one another: addresses, owners, networks."""

from __future__ import annotations

import json
from typing import Any

import images
import pytest
from load import Load

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(400)]

ONE = "web1"
COMPOSE = """\
services:
  side:
    image: app:1
    command: [httpd, -f, -p, "9000", -h, /etc]
    network_mode: service:way
    configs: [{source: motd, target: /etc/motd, uid: "1234", gid: "1235", mode: 0440}]
    secrets: [{source: key, uid: "1234", mode: 0400}, {source: key, target: both, uid: "0", gid: "1235", mode: 0440}]
    stop_grace_period: 0s
  way:
    image: app:1
    environment: {LEVEL: "1"}
    stop_grace_period: 0s
    networks: {front: {ipv4_address: 10.77.3.9, ipv6_address: "fd77::9"}, back: {ipv4_address: 10.77.4.9}}
networks:
  front: {enable_ipv6: true, ipam: {config: [{subnet: 10.77.3.0/24}, {subnet: "fd77::/64"}]}}
  back: {ipam: {config: [{subnet: 10.77.4.0/24, ip_range: 10.77.4.128/25}]}}
configs: {motd: {content: welcome}}
secrets: {key: {environment: KEY}}
"""
STACK = {"container_stack": {"name": "blog", "file": "compose.yml", "settle": 0.2, "secrets": {"KEY": "geheim"}}}


def test_addresses_owners_and_the_network_of_another(site, app):
    file = site.folder / "compose.yml"
    file.write_text(COMPOSE)
    site.good([app, STACK], host=ONE)
    assert site.good([STACK], host=ONE).changed == set()
    networks = json.loads(site.runtime("inspect", "blog-way"))[0]["NetworkSettings"]["Networks"]
    assert networks["blog_front"]["IPAddress"] == "10.77.3.9"
    assert networks["blog_front"]["GlobalIPv6Address"] == "fd77::9"
    assert networks["blog_back"]["IPAddress"] == "10.77.4.9"
    owners = {"/etc/motd": "1234 1235 440", "/run/secrets/key": "1234 0 400", "/run/secrets/both": "0 1235 440"}
    for path, owner in owners.items():
        assert site.runtime("exec", "blog-side", "stat", "-c", "%u %g %a", path) == owner + "\n"
    ask = ["busybox", "wget", "-q", "-O", "-"]
    assert site.host.exec([*ask, "http://10.77.3.9:9000/motd"]).stdout == "welcome"

    file.write_text(COMPOSE.replace('LEVEL: "1"', 'LEVEL: "2"').replace("10.77.4.9", "10.77.4.10"))
    said = site.good([STACK], "--check", "--diff", host=ONE).result("container_stack")
    done = site.good([STACK], "--diff", host=ONE).result("container_stack")
    assert said["diff"]["after"]["blog-way"]["addresses.blog_back.ipv4_address"] == "10.77.4.10"
    assert [one.partition(" (")[0] for one in said["changes"]] == ["blog-way: replaced", "blog-side: replaced"]
    assert len(done["changes"]) == 2
    assert site.good([STACK], host=ONE).changed == set()
    for address in ("10.77.3.9", "10.77.4.10", "[fd77::9]"):
        assert site.host.exec([*ask, f"http://{address}:9000/motd"]).stdout == "welcome"

    other = {"name": "other", "image": "app:1", "stop_timeout": 0}
    wrong = {
        "10.77.3.9 is container blog-way's": [{"name": "blog_front", "ipv4_address": "10.77.3.9"}],
        "it is the gateway of blog_front": [{"name": "blog_front", "ipv4_address": "10.77.3.1"}],
        "10.77.3.7 is no address of network blog_back": [{"name": "blog_back", "ipv4_address": "10.77.3.7"}],
        "fd77::7 is no address of network blog_back": [{"name": "blog_back", "ipv6_address": "fd77::7"}],
        "can be one container's alone": [{"name": "blog_back", "ipv4_address": "10.77.4.7"}],
        "there is no container none": ["container:none"],
    }
    tasks = [
        {"name": words, "container": {**other, "networks": networks, **({"replicas": 2} if "alone" in words else {})},
         "ignore_errors": True} for words, networks in wrong.items()
    ]  # fmt: skip
    failed = site.good(tasks, host=ONE)
    for words in wrong:
        assert words in failed.result(words)["msg"]
    played = [{"container": {**other, "networks": ["container:blog-way"]}}]
    site.good(played, host=ONE)
    site.runtime("restart", "blog-way")
    seen = site.good([STACK, *played], "--check", "--diff", host=ONE)
    done = site.good([STACK, *played], host=ONE)
    for kind, name in (("container_stack", "blog-side"), ("container", "other")):
        assert seen.result(kind)["changes"] == done.result(kind)["changes"]
        assert done.result(kind)["changes"][0].startswith(f"{name}: restarted (networks: container blog-way as it ran")
        assert seen.result(kind)["diff"]["after"][name]["networks"].startswith("as it runs since 20")
    assert site.host.exec([*ask, "http://10.77.3.9:9000/motd"]).stdout == "welcome"
    assert site.good([STACK, *played], host=ONE).changed == set()
    site.runtime("stop", "blog-way")
    assert site.good([STACK], host=ONE).result("container_stack")["changes"] == [
        "blog-way: started (status: exited → running)",
        "blog-side: restarted (way is started)",
    ]
    assert site.host.exec([*ask, "http://10.77.3.9:9000/motd"]).stdout == "welcome"
    assert site.good([STACK], host=ONE).changed == set()

    site.runtime("rm", "-f", "blog-side", "blog-way")
    site.good([STACK], host=ONE)
    again = site.good(played, host=ONE).result("container")
    assert again["changes"][0].startswith("other: replaced (networks: container blog-way")
    assert site.good(played, host=ONE).changed == set()


WELL = (
    "from http.client import *; c = HTTPConnection('127.0.0.1', 8080); c.request('GET', '/healthz');"
    " r = c.getresponse(); r.read(); print(r.status); exit(r.status != 200)"
)
FAILING = f"""\
services:
  web:
    image: web:1
    ports: ["0.0.0.0:8096:8080"]
    volumes: ["/usr:/usr:ro"]
    stop_grace_period: 0s
    healthcheck: {{test: [CMD, /usr/bin/python3, -I, -c, "{WELL}"], interval: 100ms, timeout: 10s, retries: 3}}
    deploy: {{replicas: 2, update_config: {{parallelism: 1, order: start-first, failure_action: rollback}}}}
"""


def test_a_stack_with_a_broken_image_is_rolled_back_and_serves_on(site):
    (site.folder / "compose.yml").write_text(FAILING)

    def image(version: str, *, broken: bool = False) -> dict[str, Any]:
        images.web(site.folder / "web.tar", version, broken=broken)
        return {"container_image": {"name": "web:1", "archive": "web.tar"}}

    site.good([image("1"), STACK], host=ONE)
    ids = sorted(site.runtime("ps", "-q", "--no-trunc").split())
    with Load(site.host.address, 8096, each=1) as load:
        load.until("1")
        failed = site.play([image("2", broken=True), STACK], host=ONE)
        result = failed.result("container_stack")
        assert "health check failed" in result["msg"]
        assert result["health"][-1].strip() == "1: 503"  # an earlier one may be refused: it did not listen yet
        assert "version 2 starts" in result["log"]
        load.until("1", more=4)
    assert load.failures == []
    assert set(load.bodies) == {"1"}
    assert sorted(site.runtime("ps", "-q", "--no-trunc").split()) == ids
