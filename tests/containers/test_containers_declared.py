"""Declared containers on lab hosts: converged once, left alone then, replaced with care, taken away whole."""

from __future__ import annotations

import json
from typing import Any

import images
import pytest

pytestmark = pytest.mark.lab(hosts=2)

ONE = "web1"
SECRET, PASSWORD = "geheim-7613", "hunter-22-hunter"


def container(**options: Any) -> dict[str, Any]:
    return {"container": {"name": "shop", "image": "app:1", "stop_timeout": 1, "settle": 0.2, **options}}


def everything() -> list[dict[str, Any]]:
    return [
        {"container_network": {"name": "front"}},
        {"container_volume": {"name": "shop-data"}},
        container(
            networks=["front"],
            volumes=["shop-data:/data"],
            env={"LEVEL": "info", "PASSWORD": PASSWORD},
            show_env=["LEVEL"],
            secrets={"key": SECRET},
            resources={"memory": "64M", "pids": 50},
            health={"command": "test -r /run/secrets/key", "interval": "100ms"},
            ports=["127.0.0.1:8099:80"],
            restart="always",
        ),
    ]


def test_a_second_play_changes_nothing_and_check_mode_says_what_the_first_will_do(bare, site, app):
    tasks = [app, *everything()]
    names = {"container_image", "container_network", "container_volume", "container"}
    for installed in (False, True):
        if installed:
            site.good([{"container_runtime": {}}], host=ONE)
        before = site.state()
        assert site.good(tasks, "--check", host=ONE).changed == names
        assert site.state() == before
    said = site.good(tasks, "--check", "--diff", host=ONE)
    assert said.changed == names
    assert site.state() == before
    done = site.good(tasks, "--diff", host=ONE)
    assert done.changed == names
    assert done.result("container")["diff"] == said.result("container")["diff"]
    assert done.result("container_image")["digest"] == said.result("container_image")["digest"]
    assert done.result("container")["instances"][0]["health"] == "healthy"
    before = site.state()
    assert site.good(tasks, host=ONE).changed == set()
    assert site.good(tasks, "--check", host=ONE).changed == set()
    assert site.state() == before


def test_secrets_are_files_of_the_containers_user_and_nowhere_else(site, app):
    played = site.good([app, *everything()], "--diff", "-vvv", host=ONE)
    assert SECRET not in played.text
    assert PASSWORD not in json.dumps(played.result("container")["diff"])
    assert site.runtime("exec", "shop", "cat", "/run/secrets/key") == SECRET
    assert site.runtime("exec", "shop", "stat", "-c", "%a %u", "/run/secrets/key").split() == ["400", "0"]
    assert SECRET not in site.runtime("inspect", "shop")
    found = site.host.exec(["sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"])
    assert SECRET not in found.stdout
    found = site.host.exec(["grep", "-rl", SECRET, "/var/lib/shepherd", "/run/shepherd"], check=False).stdout.split()
    assert len(found) == 1
    assert site.host.exec(["stat", "-c", "%a", found[0]]).stdout.strip() == "400"

    other = site.good([container(user="app", secrets={"key": SECRET})], host=ONE)
    assert other.changed == {"container"}
    assert site.runtime("exec", "shop", "stat", "-c", "%a %u", "/run/secrets/key").split() == ["400", "1234"]
    assert site.runtime("exec", "shop", "cat", "/run/secrets/key") == SECRET
    site.runtime("restart", "shop")
    assert site.runtime("exec", "shop", "cat", "/run/secrets/key") == SECRET


def test_each_field_that_differs_is_named_and_the_instance_replaced(site, app):
    options: dict[str, Any] = {"env": {"LEVEL": "info", "PASSWORD": PASSWORD}, "show_env": ["LEVEL"]}
    first = site.good([app, container(**options, secrets={"key": "one"})], host=ONE).result("container")
    options["env"] = {"LEVEL": "debug", "PASSWORD": "another-one-4711"}
    changed = container(**options, secrets={"key": "two"}, resources={"pids": 20})
    said = site.good([changed], "--check", "--diff", host=ONE).result("container")
    then = site.good([changed], "--diff", host=ONE).result("container")
    assert said["diff"] == then["diff"]
    before, after = then["diff"]["before"]["shop"], then["diff"]["after"]["shop"]
    assert set(before) == {"env.LEVEL", "env.PASSWORD", "secrets.key"}
    assert set(after) == {*before, "resources.pids"}
    assert (before["env.LEVEL"], after["env.LEVEL"]) == ("info", "debug")
    assert before["env.PASSWORD"] != after["env.PASSWORD"]
    assert PASSWORD not in json.dumps(then)
    assert "another-one-4711" not in json.dumps(then)
    assert first["instances"][0]["id"] != then["instances"][0]["id"]
    assert site.runtime("exec", "shop", "sh", "-c", "echo $LEVEL $PASSWORD") == "debug another-one-4711\n"
    assert sorted(site.runtime("ps", "-a", "--format", "{{.Names}}").split()) == ["shop", "shop.previous"]
    assert site.good([{"container_info": {}}], host=ONE).result("container_info")["containers"][0]["name"] == "shop"


def test_equal_meanings_are_no_change(site, app):
    site.good([app, container(resources={"memory": "64M"}, health={"tcp": "80", "interval": "60s"}, env={"A": 1},
                              state="present")], host=ONE)  # fmt: skip
    same = container(resources={"memory": 67108864}, health={"tcp": "80", "interval": "1m"}, env={"A": "1"},
                     state="present")  # fmt: skip
    assert site.good([same], host=ONE).changed == set()


def test_a_new_instance_that_is_not_well_makes_room_for_the_old_one(site, app):
    health = {"command": "test ! -e /broken", "interval": "100ms", "retries": 2}
    first = site.good([app, container(health=health)], host=ONE).result("container")
    command = ["/bin/sh", "-c", "echo it is broken; : > /broken; exec sleep 100000"]
    failed = site.play([container(health=health, command=command)], host=ONE)
    result = failed.result("container")
    assert failed.code == 2
    assert "health check failed" in result["msg"]
    assert "it is broken" in result["msg"]
    assert result["log"] == ["it is broken"]
    assert result["health"]
    assert site.runtime("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}").split() == [
        first["instances"][0]["id"], "shop"]  # fmt: skip
    assert site.good([container(health=health)], host=ONE).changed == set()

    site.runtime("stop", "shop")  # as a play does that is killed then
    failed = site.play([container(health=health, command=["/bin/false-start"])], host=ONE)
    assert "/bin/false-start" in failed.result("container")["msg"]
    assert "the old one runs again" in failed.result("container")["msg"]
    assert site.good([container(health=health)], host=ONE).changed == set()


def test_what_cannot_be_made_leaves_the_old_one_untouched(site, app):
    first = site.good([app, container()], host=ONE).result("container")["instances"]
    for options, word in (
        ({"image": "none:1"}, "none:1"),
        ({"networks": ["none-such"]}, "none-such"),
        ({"volumes": ["data:x"]}, "absolute path"),
        ({"ports": ["70000:80"]}, "70000"),
        ({"resources": {"memory": "much"}}, "resources.memory"),
        ({"health": {"tcp": "80", "interval": "often"}}, "health.interval"),
        ({"restart": "sometimes"}, "sometimes"),
        ({"cap_add": ["CAP_MAGIC"]}, "CAP_MAGIC"),
        ({"update": {"drain": "soon"}}, "update.drain"),
        ({"update": {"at_a_time": 0}}, "update.at_a_time"),
    ):
        failed = site.play([container(**options)], host=ONE)
        assert failed.code == 2, options
        assert word in failed.result("container")["msg"]
        assert "exception" not in failed.result("container")
    assert site.good([container()], host=ONE).result("container")["instances"] == first


def test_what_ended_is_started_and_what_a_killed_play_left_goes(site, app):
    site.good([app, container()], host=ONE)
    site.runtime("kill", "shop")
    site.runtime("wait", "shop")
    site.runtime("create", "--name", "shop.next", "--label", "shepherd.app=shop", "app:1")
    done = site.good([container()], host=ONE)
    assert set(done.result("container")["changes"]) == {
        "shop: started (status: exited → running)",
        "shop.next: removed",
    }
    assert site.good([container()], host=ONE).changed == set()
    assert site.good([container(state="stopped")], host=ONE).changed == {"container"}
    assert site.good([container(state="stopped")], host=ONE).changed == set()


def test_an_instance_that_became_unhealthy_is_replaced(site, app):
    health = {"command": "test ! -e /broken", "interval": "100ms", "retries": 2}
    first = site.good([app, container(health=health)], host=ONE).result("container")["instances"]
    site.runtime("exec", "shop", "sh", "-c", ": > /broken")
    look = "shepherd-runtime inspect --format '{{.State.Health.Status}}' shop"
    site.host.exec(["timeout", "30", "sh", "-c", f'while [ "$({look})" != unhealthy ]; do :; done'])
    said = site.good([container(health=health)], "--check", host=ONE).result("container")
    done = site.good([container(health=health)], host=ONE).result("container")
    assert said["changes"] == done["changes"] == ["shop: replaced (health: unhealthy → healthy)"]
    assert done["instances"][0]["id"] != first[0]["id"]
    assert done["instances"][0]["health"] == "healthy"


def test_one_that_was_started_again_often_is_started(site, app):
    command = ["sh", "-c", "test -e /data/well || exit 3; exec sleep 100000"]
    options = {"command": command, "restart": "on-failure:2", "volumes": ["shop-data:/data"]}
    site.good([app, container(state="present", **options)], host=ONE)
    given_up = ["timeout", "30", "sh", "-c", 'while [ "$(shepherd-runtime ps -q)" ]; do :; done']
    site.runtime("start", "shop")
    site.host.exec(given_up)
    failed = site.play([container(**options)], host=ONE)
    assert "it ended with 3" in failed.result("container")["msg"]
    site.host.exec(given_up)  # it is started again twice: what is on its way to that is left to it
    site.host.exec(["touch", "/var/lib/shepherd/volumes/shop-data/_data/well"])
    assert site.good([container(**options)], host=ONE).result("container")["instances"][0]["status"] == "running"


def test_replicas_are_numbered_and_those_beyond_go(site, app):
    site.good([app, container(replicas=3)], host=ONE)
    names = site.runtime("ps", "--format", "{{.Names}}").split()
    assert sorted(names) == ["shop-1", "shop-2", "shop-3"]
    site.runtime("rm", "-f", "shop-2")
    done = site.good([container(replicas=3)], host=ONE)
    assert done.result("container")["changes"] == ["shop-2: created"]
    done = site.good([container(replicas=1)], host=ONE)
    assert sorted(done.result("container")["changes"]) == ["shop-2: removed", "shop-3: removed"]


def test_missing_replicas_start_together_and_are_seen_to_be_well_at_once(site, app):
    """Each is well when all of them run; and nobody waits for the interval of the check, which is half a minute."""
    script = "echo > /data/$(cat /proc/sys/kernel/hostname); exec sleep 100000"
    options = {"command": ["sh", "-c", script], "volumes": ["shop-data:/data", "/srv/check:/check:ro"]}
    options["health"] = {"exec": ["sh", "/check/well"]}
    site.host.exec(["mkdir", "-p", "/srv/check"])
    for count, made in ((3, 3), (5, 2)):
        there = " -a ".join(f"-e /data/shop-{number}" for number in range(1, count + 1))
        site.host.exec(["tee", "/srv/check/well"], stdin=f"test {there}\n")
        done = site.good([app, container(replicas=count, **options)], host=ONE).result("container")
        assert [one["health"] for one in done["instances"]] == ["healthy"] * count
        assert len(done["changes"]) == made
    options["replicas"] = 5
    site.runtime("kill", "shop-1", "shop-3")
    site.runtime("wait", "shop-1", "shop-3")
    done = site.good([container(**options)], host=ONE).result("container")
    assert [one.partition(" ")[0] for one in done["changes"]] == ["shop-1:", "shop-3:"]
    assert [one["health"] for one in done["instances"]] == ["healthy"] * 5


def test_a_network_that_is_declared_otherwise_is_made_anew_under_its_containers(site, app):
    def network(*subnets: str, **options: Any) -> dict[str, Any]:
        return {"container_network": {"name": "front", "subnets": list(subnets), **options}}

    served = {"command": ["httpd", "-f", "-p", "80", "-h", "/etc"], "ports": ["0.0.0.0:8097:80"]}
    shop = container(networks=["front"], aliases=["www"], replicas=2, **served)
    fetch = ["wget", "-q", "-O", "-"]

    def page() -> str:
        return str(site.runtime("exec", "shop-2", *fetch, "http://www/passwd"))

    site.good([app, network("10.77.0.0/24"), shop], host=ONE)
    for flags in ([], ["--check"]):
        failed = site.play([network("10.78.0.0/24")], *flags, host=ONE).result("container_network")
        assert "subnets" in failed["msg"]
        assert "run on it: shop-1, shop-2" in failed["msg"]
        assert "force: true" in failed["msg"]
    failed = site.play([network("10.78.0.0/31", force=True)], host=ONE).result("container_network")
    assert "no room" in failed["msg"]
    assert "any more" not in failed["msg"]
    assert "app:" in page()
    said, done = (site.good([network("10.78.0.0/24", force=True)], *flags, host=ONE) for flags in (["--check"], []))
    for played in (said, done):
        assert played.result("container_network")["reconnected"] == ["shop-1", "shop-2"]
    assert "app:" in page()
    for one in site.good([{"container_info": {}}], host=ONE).result("container_info")["containers"]:
        assert one["addresses"]["front"].startswith("10.78.0.")
    assert "app:" in site.host.exec(["busybox", *fetch, "http://127.0.0.1:8097/passwd"]).stdout
    assert site.good([network("10.78.0.0/24"), shop], host=ONE).changed == set()


def test_containers_that_no_play_declared_are_not_touched(site, app):
    site.good([app], host=ONE)
    site.runtime("run", "-d", "--name", "shop", "app:1")
    site.runtime("run", "-d", "--name", "shop-2", "app:1")
    for options in ({}, {"state": "absent"}):
        failed = site.play([container(**options)], host=ONE)
        assert "no play has declared" in failed.result("container")["msg"]
    assert sorted(site.runtime("ps", "--format", "{{.Names}}").split()) == ["shop", "shop-2"]
    site.good([container(force=True)], host=ONE)
    assert sorted(site.runtime("ps", "--format", "{{.Names}}").split()) == ["shop", "shop-2"]


def test_everything_is_gone_after_absent(bare, site, app):
    interfaces = site.host.exec(["ls", "/sys/class/net"]).stdout
    tasks = [app, *everything()]
    site.good(tasks, host=ONE)
    refused = site.play([{"container_runtime": {"state": "absent"}}], host=ONE)
    assert refused.code == 2
    assert "shop" in refused.result("container_runtime")["msg"]
    absent = [
        {module: {"name": options["name"], "state": "absent"}}
        for task in reversed(tasks)
        for module, options in task.items()
    ]
    names = {"container_image", "container_network", "container_volume", "container"}
    assert site.good(absent, "--check", host=ONE).changed == names
    assert site.good(absent, host=ONE).changed == names
    assert site.good(absent, host=ONE).changed == set()
    left = site.host.exec(
        ["sh", "-c", "cd /var/lib/shepherd; ls blobs/sha256 layers volumes containers/names networks"]
    )
    assert [line for line in left.stdout.splitlines() if line and not line.endswith(":")] == []
    gone = [{"container_runtime": {"state": "absent", "purge": True}}]
    assert site.good(gone, host=ONE).changed == {"container_runtime"}
    assert site.good(gone, host=ONE).changed == set()
    left = "find /usr/local/lib/shepherd /var/lib/shepherd /run/shepherd /usr/local/bin/shepherd-runtime -mindepth 1"
    assert site.host.exec(["sh", "-c", f"{left} 2>/dev/null; ls /sys/class/net"]).stdout == interfaces


def test_a_moved_tag_is_a_change(site, app):
    site.good([app, container()], host=ONE)
    images.save(site.folder / "app.tar", images.base(), images.layer({"new": (b"2", 0o644)}))
    said = site.good([app, container()], "--check", "--diff", host=ONE)
    done = site.good([app, container()], "--diff", host=ONE)
    assert said.changed == done.changed == {"container_image", "container"}
    assert said.result("container")["diff"] == done.result("container")["diff"]
    diff = done.result("container")["diff"]
    assert diff["after"]["shop"]["digest"] == done.result("container_image")["digest"]
    assert set(diff["after"]["shop"]) == {"digest"}
    assert site.runtime("exec", "shop", "cat", "/new") == "2"


def test_looking_and_running_commands(site, app):
    nothing = site.good([{"container_info": {}}], "--check", host=ONE).result("container_info")
    assert nothing["containers"] == []
    tasks = [app, container(replicas=2, env={"PASSWORD": PASSWORD}, labels={"team": "web"}), {"container_info": {}}]
    played = site.good(tasks, host=ONE).result("container_info")
    assert [one["name"] for one in played["containers"]] == ["shop-1", "shop-2"]
    first = played["containers"][0]
    assert (first["status"], first["app"], first["labels"]) == ("running", "shop", {"team": "web"})
    assert PASSWORD not in json.dumps(played)
    for options, out in (
        ({"command": ["echo", "$HOME;", "a b"]}, "$HOME; a b"),
        ({"command": ["cat"], "stdin": "one\ntwo"}, "one\ntwo"),
        ({"command": ["sh", "-c", "echo $A"], "env": {"A": "x\ny"}}, "x y"),
    ):
        result = site.good([{"container_exec": {"name": "shop-1", **options}}], host=ONE).result("container_exec")
        assert (result["rc"], result["stdout"]) == (0, out)
    failed = site.play(
        [{"container_exec": {"name": "shop-2", "command": ["sh", "-c", "echo no >&2; exit 7"]}}], host=ONE
    )
    assert failed.result("container_exec")["rc"] == 7
    assert failed.result("container_exec")["stderr"] == "no"
    failed = site.play([{"container_exec": {"name": "none", "command": ["true"]}}], host=ONE)
    assert "no such container" in failed.result("container_exec")["msg"]
