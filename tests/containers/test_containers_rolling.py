"""Updates of containers on a lab host: nobody notices, whatever is killed, and there is a way back."""

from __future__ import annotations

import json
from typing import Any

import images
import killed
import pytest
from load import Load

from shepherd.spec import load_spec

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(400)]  # drains wait for requests on whatever machine

ONE = "web1"
SECRET = "geheim-4711"


def web(version: str = "1", **options: Any) -> dict[str, Any]:
    given = {
        "name": "shop",
        "image": "web:1",
        "env": {"VERSION": version},
        "show_env": ["VERSION"],
        "volumes": [images.PYTHON],
        "ports": ["0.0.0.0:8098:8080"],
        "health": {"http": ":8080/healthz", "interval": "200ms", "retries": 15},
        "stop_timeout": 0,
        "update": {"drain": "20s"},
    }
    return {"container": {**given, **options}}


def image(site: Any, version: str, **options: Any) -> dict[str, Any]:
    """The task that has the name `web:1` mean this version from now on."""
    images.web(site.folder / "web.tar", version, **options)
    return {"container_image": {"name": "web:1", "archive": "web.tar"}}


def names(site: Any, *flags: str) -> list[str]:
    return sorted(site.runtime("ps", *flags, "--format", "{{.Names}}").split())


def test_updates_under_load_fail_no_request(site):
    site.good([image(site, "1"), web(replicas=2)], host=ONE)
    with Load(site.host.address, 8098, each=1) as load:
        load.until("1")
        done = site.good([image(site, "2"), web(replicas=2)], host=ONE).result("container")
        assert done["update"] == {"order": "start-first"}
        load.until("2")
        failed = site.play([image(site, "3", broken=True), web(replicas=2)], host=ONE)
        assert "health check failed" in failed.result("container")["msg"]
        assert "503" in failed.result("container")["msg"]
        assert failed.result("container")["log"] == ["version 3 starts"]
        load.until("2")
        site.good([image(site, "4"), web(replicas=2, update={"at_a_time": 2, "drain": "20s"})], host=ONE)
        load.until("4")
    assert load.failures == []
    assert set(load.bodies) == {"1", "2", "4"}
    assert load.opened > len(load.clients)
    assert names(site) == ["shop-1", "shop-2"]


def test_a_broken_replica_takes_those_before_it_back(site, app):
    health = {"command": 'test "$(cat /proc/sys/kernel/hostname)" != "$BAD"', "interval": "100ms", "retries": 1}
    options: dict[str, Any] = {"image": "app:1", "replicas": 3, "health": health, "ports": [], "volumes": []}
    site.good([app, web(**options, env={"BAD": "none"})], host=ONE)
    ids = site.runtime("ps", "-q", "--no-trunc").split()
    for on_failure, changed in (("rollback", set()), ("continue", {"shop-1", "shop-3"})):
        bad = web(**options, env={"BAD": "shop-2"}, update={"drain": "0", "on_failure": on_failure})
        failed = site.play([bad], host=ONE)
        assert "container shop-2 is not well" in failed.result("container")["msg"]
        assert names(site) == ["shop-1", "shop-2", "shop-3"]
        said = site.good([bad], "--check", host=ONE).result("container")
        assert {one.partition(":")[0] for one in said["changes"]} == {"shop-1", "shop-2", "shop-3"} - changed
        if on_failure == "rollback":
            assert sorted(site.runtime("ps", "-q", "--no-trunc").split()) == sorted(ids)


def test_the_way_back_has_the_image_and_the_secrets_of_before(site):
    nothing = site.play([{"container": {"name": "shop", "state": "rolled_back"}}], host=ONE)
    assert "nothing to return to" in nothing.result("container")["msg"]
    first = site.good([image(site, "1"), web(secrets={"key": SECRET})], host=ONE).result("container")
    nothing = site.play([{"container": {"name": "shop", "state": "rolled_back"}}], host=ONE)
    assert "nothing to return to" in nothing.result("container")["msg"]
    site.good([image(site, "2"), web("2", secrets={"key": "another"})], host=ONE)
    site.runtime("image", "prune", "-f")
    assert names(site) == ["shop"]
    back = [{"container": {"name": "shop", "state": "rolled_back", "update": {"drain": "0"}}}]
    said = site.good(back, "--check", "--diff", host=ONE).result("container")
    done = site.good(back, "--diff", host=ONE)
    assert done.result("container")["diff"] == said["diff"]
    assert set(said["diff"]["after"]["shop"]) == {"digest", "env.VERSION", "secrets.key"}
    assert SECRET not in done.text
    assert done.result("container")["spec"] == first["spec"]
    assert site.runtime("exec", "shop", "/usr/bin/cat", "/version", "/run/secrets/key") == "1" + SECRET
    assert site.good(back, host=ONE).changed == set()
    forward = site.good([web("2", secrets={"key": "another"})], host=ONE)
    assert forward.changed == {"container"}
    site.good([{"container": {"name": "shop", "state": "absent"}}], host=ONE)
    assert names(site, "-a") == []
    assert site.host.exec(["grep", "-rl", SECRET, "/var/lib/shepherd"], check=False).stdout == ""


def test_where_two_cannot_run_at_once_the_old_one_stops_first(site):
    network = {"container_network": {"name": "fast", "options": {"shepherd.publish": "nat"}}}
    start_first = {"order": "start-first", "drain": "0"}
    kinds: list[tuple[dict[str, Any], str]] = [
        ({"name": "writer", "volumes": [images.PYTHON, "data:/data"], "ports": ["8080"]}, "write to data"),
        ({"name": "fast", "networks": ["fast"], "update": start_first}, "translated by the kernel"),
        ({"name": "host", "networks": ["host"], "ports": [], "update": start_first}, "machine's own network"),
    ]

    def tasks(version: str) -> list[dict[str, Any]]:
        return [{"name": options["name"], **web(version, **options)} for options, _word in kinds]

    site.good([image(site, "1"), network, *tasks("1")], host=ONE)
    said, done = (site.good(tasks("2"), *flags, host=ONE) for flags in (["--check"], []))
    for options, word in kinds:
        result = done.result(options["name"])
        assert result["update"]["order"] == "stop-first"
        assert word in result["update"]["because"]
        assert said.result(options["name"])["update"] == result["update"]
        assert [word in one for one in result.get("warnings", [])] == [True] * ("update" in options)
    failed = site.play([web(replicas=2, networks=["fast"])], host=ONE)
    assert "there are 2 replicas" in failed.result("container")["msg"]


# killed.py's module, with all of its processes, is killed as soon as the instance that ran is stopped; and so is the
# command that is about to start the new one
BETWEEN = """\
import os, threading
def watch():
    while open(os.environ["STATE"]).read().find('"running"') >= 0:
        pass
    if os.environ["WHO"] == "command":
        task = "/proc/%d/task" % os.getpid()
        for thread in os.listdir(task):
            for pid in open("%s/%s/children" % (task, thread)).read().split():
                os.kill(int(pid), 9)
    os.killpg(0, 9)
threading.Thread(target=watch, daemon=True).start()
exec(os.environ["MODULE"])
"""


@pytest.mark.parametrize(("who", "runs"), [("play", "shop.next"), ("command", "shop")])
def test_stop_first_killed_between_stop_and_start_leaves_one_that_serves(site, app, who, runs):
    options = {"image": "app:1", "update": {"order": "stop-first"}, "health": {"command": "true"}}
    options |= {"ports": [], "volumes": []}
    site.good([app, web(**options), *killed.SOURCES], host=ONE)
    state = f"/var/lib/shepherd/containers/{site.runtime('inspect', '--format', '{{.Id}}', 'shop').strip()}/state.json"
    args = load_spec("container").normalise(web("2", **options)["container"])
    words = [
        "env",
        f"WHO={who}",
        f"STATE={state}",
        f"MODULE={killed.SCRIPT}",
        "/bin/sh",
        "-c",
        '/usr/bin/python3 -c "$0"; exit $?',
    ]
    done = site.host.exec([*words, BETWEEN], stdin=json.dumps(["container", args, 0]), check=False)
    assert done.returncode == 137
    assert done.stdout == ""
    look = 'while [ "$(shepherd-runtime ps --format "{{.Names}}")" != "$0" ]; do :; done'
    site.host.exec(["timeout", "30", "sh", "-c", look, runs])
    site.good([web("2", **options)], host=ONE)
    assert names(site, "-a") == ["shop", "shop.previous"]


def test_killed_at_each_step_something_serves_and_the_next_play_converges(site):
    site.good([image(site, "1"), web(), *killed.SOURCES], host=ONE)

    def module(version: int, number: int = 0) -> dict[str, Any] | None:
        options = web(str(version), update={"drain": "20s"})["container"]
        args = load_spec("container").normalise(options)
        return killed.run(site.host, "container", args, number)

    with Load(site.host.address, 8098, each=1) as load:
        number = 1
        while module(1000 + number, number) is None:
            load.until("1", more=2)
            if number % 2:  # otherwise what the next one finds was left by two
                result = module(1000 + number if number % 3 else 2000 + number)
                assert result is not None
                assert not result.get("failed"), result
                assert names(site, "-a") == ["shop", "shop.previous"]
            number += 1
        assert names(site, "-a") == ["shop", "shop.previous"]
    assert number > 6
    assert load.failures == []


def test_processes_that_are_killed_come_back(site):
    site.good([image(site, "1"), web(replicas=2)], host=ONE)
    script = (
        "for p in /proc/[0-9]*; do read -r n < $p/comm; case $n in shepherd-ports) echo ${p#/proc/};; esac; done"
        " 2>/dev/null; true"
    )
    # what took turns with it before, or made it, may still be about to end
    alone = f"until set -- $({script}); [ $# = 1 ]; do :; done; echo $1"
    before = site.host.exec(["timeout", "30", "sh", "-c", alone]).stdout.split()
    site.host.exec(["kill", "-9", *before])
    look = f'while set -- $({script}); [ "$*" = "" ] || [ "$*" = "{before[0]}" ]; do :; done'
    site.host.exec(["timeout", "30", "sh", "-c", look])
    with Load(site.host.address, 8098, each=1) as load:
        load.until("1")
        site.host.exec(["pkill", "-9", "-f", "shepherd-runtime monitor"])
        load.until("1")
        site.good([web("2", replicas=2)], host=ONE)
        load.until("1")
    assert load.failures == []
