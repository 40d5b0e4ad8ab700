"""Compose files on a lab host: a web service, what it needs and what has to be done first; converged, pruned, gone."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import images
import killed
import pytest
from load import Load

pytestmark = pytest.mark.lab(hosts=2)

ONE = "web1"
SECRET = "geheim-4711"
COMPOSE = """\
x-app: &app
  image: app:1
  stop_grace_period: 1s
services:
  web:
    <<: *app
    command: [httpd, -f, -p, "8080", -h, /srv]
    depends_on:
      fill: {condition: service_completed_successfully}
      db: {condition: service_healthy}
    ports: ["127.0.0.1:8097:8080"]
    volumes: ["./html:/srv:ro", "data:/data:ro"]
    configs: [{source: motd, target: /etc/motd}]
    secrets: [{source: key, mode: 0440}]
    environment: {LEVEL: "${LEVEL:-info}"}
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"], interval: 100ms, timeout: 5s}
  fill:
    <<: *app
    command: ["sh", "-c", "wget -q -O /data/page http://db:5432/index.html && echo filled"]
    depends_on: {db: {condition: service_healthy}}
    volumes: ["data:/data"]
  db:
    <<: *app
    command: sh -c "echo rows > /tmp/index.html; exec httpd -f -p 5432 -h /tmp"
    healthcheck: {test: test -e /tmp/index.html, interval: 100ms}
    networks: {default: {aliases: [database]}}
    tmpfs: /tmp
volumes: {data: }
configs: {motd: {content: "welcome to ${COMPOSE_PROJECT_NAME}"}}
secrets: {key: {environment: KEY}}
"""


def stack(**options: Any) -> dict[str, Any]:
    return {
        "container_stack": {"name": "blog", "file": "compose.yml", "settle": 0.2, "secrets": {"KEY": SECRET}, **options}
    }


@pytest.fixture
def folder(site) -> Path:
    (site.folder / "html").mkdir()
    (site.folder / "html" / "index.html").write_text("first\n")
    (site.folder / "compose.yml").write_text(COMPOSE)
    return Path(site.folder)


def names(site) -> dict[str, str]:
    """Containers that are there: name → id. What keeps an earlier declaration is not looked at."""
    lines = site.runtime("ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines()
    return {name: identity for name, identity in map(str.split, lines) if not name.endswith(".previous")}


def test_a_stack_converges_and_one_field_is_one_service(bare, site, app, folder):
    tasks, before = [app, stack()], site.state()
    said = site.good(tasks, "--check", "--diff", host=ONE).result("container_stack")
    assert site.state() == before
    done = site.good(tasks, "--diff", "-vvv", host=ONE)
    first = done.result("container_stack")
    assert said["changes"] == first["changes"]
    assert said["diff"] == first["diff"]
    assert SECRET not in done.text
    assert [one["health"] for one in first["services"]["web"]] == ["healthy"]
    assert site.host.exec(["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8097/"]).stdout == "first\n"
    for path, text in (("/data/page", "rows\n"), ("/etc/motd", "welcome to blog"), ("/run/secrets/key", SECRET)):
        assert site.runtime("exec", "blog-web", "cat", path) == text
    assert site.runtime("exec", "blog-web", "stat", "-c", "%a", "/run/secrets/key") == "440\n"
    assert site.runtime("exec", "blog-web", "wget", "-q", "-O", "-", "http://database:5432/") == "rows\n"
    assert sorted(names(site)) == ["blog-db", "blog-fill", "blog-web"]

    before, there = site.state(), names(site)
    assert site.good(tasks, host=ONE).changed == set()
    assert site.state() == before

    changed = stack(env={"LEVEL": "debug"}, show_env=["LEVEL"])
    said = site.good([changed], "--check", "--diff", host=ONE).result("container_stack")
    then = site.good([changed], "--diff", host=ONE).result("container_stack")
    assert said["changes"] == then["changes"] == ["blog-web: replaced (env.LEVEL: info → debug)"]
    assert said["diff"] == then["diff"] == {
        "before": {"blog-web": {"env.LEVEL": "info"}}, "after": {"blog-web": {"env.LEVEL": "debug"}},
    }  # fmt: skip
    assert {name for name, identity in names(site).items() if there[name] != identity} == {"blog-web"}

    (folder / "html" / "index.html").write_text("second\n")
    site.runtime("kill", "blog-db")
    site.runtime("wait", "blog-db")
    then = site.good([changed], host=ONE).result("container_stack")
    assert [one.partition(" (")[0] for one in then["changes"][1:]] == ["blog-db: started", "blog-web: replaced"]
    assert site.host.exec(["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8097/"]).stdout == "second\n"
    sent = site.host.exec(["ls", "/etc/shepherd/stacks/blog"]).stdout.split()
    assert {name.rpartition("-")[0] for name in sent} == {"html", "motd"}
    site.good([{"container": {"name": "blog-web", "state": "rolled_back"}}], host=ONE)
    assert site.host.exec(["busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8097/"]).stdout == "first\n"
    assert site.runtime("exec", "blog-web", "stat", "-c", "%a", "/run/secrets/key") == "440\n"


def test_what_is_no_longer_declared_is_told_and_pruned_and_nothing_else(site, app, folder):
    (folder / "compose.yml").write_text(
        "services: {web: {image: app:1, networks: [front, back], volumes: ['data:/data']}, old: {image: app:1}}\n"
        "networks: {front: , back: }\nvolumes: {data: }"
    )
    other = {"container": {"name": "blog-other", "image": "app:1", "settle": 0.2}}
    site.good([app, stack(), other], host=ONE)
    site.runtime("run", "-d", "--name", "blog-mine", "--label", "shepherd.stack=blog", "app:1")
    site.runtime("volume", "create", "--label", "shepherd.stack=blog", "blog_mine")
    (folder / "compose.yml").write_text("services: {web: {image: app:1, networks: [front]}}\nnetworks: {front: }")
    orphans = ["container blog-old", "network blog_back", "network blog_default", "volume blog_data"]

    kept = site.good([stack()], host=ONE)
    assert kept.result("container_stack")["orphans"] == orphans
    assert "container blog-old" in kept.text
    assert "prune: true" in kept.text
    prune = stack(prune=True, remove_volumes=True)
    site.runtime("create", "--name", "theirs", "-v", "blog_data:/data", "app:1")
    refused = site.play([prune], host=ONE).result("container_stack")
    assert refused["msg"] == "volume blog_data: cannot go: the container theirs is on it"
    site.runtime("rm", "theirs")
    said = site.good([prune], "--check", "--diff", host=ONE).result("container_stack")
    done = site.good([prune], "--diff", host=ONE).result("container_stack")
    assert said["changes"] == done["changes"] == [f"{one}: removed" for one in orphans]
    assert said["diff"] == done["diff"] == {
        "before": dict.fromkeys(orphans, "present"), "after": dict.fromkeys(orphans, "absent"),
    }  # fmt: skip
    assert sorted(names(site)) == ["blog-mine", "blog-other", "blog-web"]
    assert site.runtime("volume", "ls", "-q").split() == ["blog_mine"]

    gone = {"container_stack": {"name": "blog", "state": "absent"}}
    said = site.good([gone], "--check", host=ONE).result("container_stack")
    done = site.good([gone], host=ONE).result("container_stack")
    assert said["changes"] == done["changes"] == ["container blog-web: removed", "network blog_front: removed"]
    assert sorted(names(site)) == ["blog-mine", "blog-other"]
    assert site.host.exec(["ls", "/etc/shepherd/stacks"], check=False).stdout == ""


TWO = "services: {{a: {{image: app:1}}, b: {{{}}}}}"
REFUSED = (
    (TWO.format("imgae: app:1"), "services.b.imgae"),
    (TWO.format("image: none:1, pull_policy: never"), "service b: there is no image none:1"),
    (TWO.format("image: app:1, networks: [x]") + "\nnetworks: {x: {external: true}}", "network x: is external"),
    (TWO.format("image: app:1, networks: [theirs]") + "\nnetworks: {theirs: }", "not this stack's"),
    (TWO.format("image: app:1, build: ./none"), "there is no folder"),
    (TWO.format("image: app:1, container_name: shop"), "the container shop is there, and not this stack's"),
    (TWO.format("image: app:1, ports: ['22:22']"), "the port 22/tcp of 0.0.0.0 is somebody else's"),
    (TWO.format("image: app:1, cap_add: [CAP_MAGIC]"), "service b: there is no capability"),
    (TWO.format("image: app:1, ulimits: {magic: 1}"), "service b: --ulimit magic=1"),
    (TWO.format("image: app:1, devices: [/dev/magic]"), "there is no device /dev/magic"),
    (TWO.format("image: app:1, platform: plan9/mips"), "is for plan9/mips"),
    (
        TWO.format("image: app:1, depends_on: {a: {condition: service_healthy}}"),
        "service b: waits for a to be healthy, which has no health check",
    ),
    (
        TWO.format("image: none:1, pull_policy: never, ports: ['22:22'], platform: plan9/mips, networks: [x]")
        + "\nnetworks: {x: {external: true}}",
        "4 things are in the way:",
    ),
)


def test_what_can_be_known_in_advance_leaves_nothing_half_deployed(site, app, folder):
    site.good([app, {"container": {"name": "shop", "image": "app:1", "state": "present"}}], host=ONE)
    site.runtime("network", "create", "blog_theirs")
    before = site.state()
    tasks = []
    for number, (text, _words) in enumerate(REFUSED):
        (folder / f"{number}.yml").write_text(text)
        tasks.append({"name": str(number), "ignore_errors": True, **stack(file=f"{number}.yml")})
    played = site.good(tasks, host=ONE)
    for number, (text, words) in enumerate(REFUSED):
        result = played.result(str(number))
        assert result["failed"], text
        assert words in result["msg"]
        assert "exception" not in result
    assert site.state() == before


NEEDED = """\
x-served: &served
  image: app:1
  command: [httpd, -f, -p, "80", -h, /etc]
services:
  job: {image: app:1, command: [sh, -c, "test -e /d/well || { echo none; exit 3; }"], volumes: ["d:/d"]}
  web:
    <<: *served
    depends_on: {job: {condition: service_completed_successfully}}
    healthcheck: {test: wget -q -O /dev/null http://peer/passwd, interval: 300ms, retries: 50}
  peer:
    <<: *served
    depends_on: [web]
    healthcheck: {test: wget -q -O /dev/null http://web/passwd, interval: 300ms, retries: 50}
volumes: {d: }
"""


def test_a_service_that_fails_is_told_and_those_behind_it_wait_and_two_may_need_each_other(site, app, folder):
    (folder / "compose.yml").write_text(NEEDED)
    failed = site.play([app, stack()], host=ONE).result("container_stack")
    assert failed["msg"].startswith("service job: ")
    assert "ended with 3" in failed["msg"]
    assert failed["log"] == ["none"]
    assert "volume blog_d: created" in failed["changes"]
    assert "blog-web" not in names(site)
    site.host.exec(["touch", "/var/lib/shepherd/volumes/blog_d/_data/well"])
    done = site.good([stack()], host=ONE).result("container_stack")
    assert [one["health"] for name in ("web", "peer") for one in done["services"][name]] == ["healthy", "healthy"]
    assert site.good([stack()], host=ONE).changed == set()


def test_images_are_built(site, folder):
    (folder / "own").mkdir()
    shutil.copy(images.BUSYBOX, folder / "own" / "busybox")
    (folder / "own" / "Containerfile").write_text(
        "FROM scratch AS run\nCOPY busybox /bin/busybox\nARG LEVEL\nENV LEVEL=$LEVEL\nSTOPSIGNAL SIGKILL\n"
        'CMD ["/bin/busybox", "sleep", "1000"]\nFROM run\nCMD ["/bin/none"]\n'
    )
    (folder / "compose.yml").write_text(
        "services: {own: {build: {context: ./own, target: run, args: {LEVEL: $LEVEL}}}}"
    )
    first, second = stack(env={"LEVEL": "1"}), stack(env={"LEVEL": "2"})
    done = site.good([first], host=ONE).result("container_stack")
    assert done["changes"] == ["image blog-own: built", "network blog_default: created", "blog-own: created"]
    assert site.good([first], host=ONE).changed == set()
    said = site.good([second], "--check", "--diff", host=ONE).result("container_stack")
    done = site.good([second], "--diff", host=ONE).result("container_stack")
    assert said["changes"] == done["changes"]
    assert said["diff"] == done["diff"]
    assert [one.partition(" (")[0] for one in done["changes"]] == ["image blog-own: built", "blog-own: replaced"]


CHANGING = """\
services:
  web:
    image: web:1
    environment: {{NUMBER: "{0}"}}
    volumes: ["{1}"]
    ports: ["8098:8080"]
    healthcheck:
      test: [CMD, /usr/bin/python3, -ISc, "import socket; socket.create_connection(('127.0.0.1', 8080))"]
      interval: 100ms
      retries: 50
    stop_grace_period: 0s
  other{0}: {{image: app:1, networks: [net{0}]}}
networks: {{net{0}: }}
"""


def test_killed_in_the_middle_something_serves_and_the_next_play_converges(site, app, folder):
    """Each play has another web service; another network, and a service on it; and prunes those of the one before."""
    from shepherd.actions import container_stack
    from shepherd.compose import declare, project
    from shepherd.spec import load_spec

    def module(version: int, number: int = 0) -> dict[str, Any] | None:
        (folder / "compose.yml").write_text(CHANGING.format(version, images.PYTHON))
        found = declare.declare(project.load([str(folder / "compose.yml")], "blog"), "/etc/shepherd/stacks/blog")
        given = {"name": "blog", "file": ["compose.yml"], "prune": True, "settle": 0.1}
        args = load_spec("container_stack").normalise(given)
        args["_stack"] = container_stack._told(SimpleNamespace(args=args), found)
        args["_absent"] = container_stack._absent()
        return killed.run(site.host, "container_stack", args, number)

    images.web(site.folder / "web.tar", "1")
    image = {"name": "web", "container_image": {"name": "web:1", "archive": "web.tar"}}
    site.good([app, image, *killed.SOURCES], host=ONE)
    assert module(1, 3) is None
    assert not module(1).get("failed")
    with Load(site.host.address, 8098, each=1) as load:
        for version, number in enumerate((3, 7), 2):
            assert module(version, number) is None
            load.until("1", more=2)
            result = module(version)
            assert not result.get("failed"), result
            kept = set(site.runtime("ps", "-a", "--format", "{{.Names}}").split())
            assert kept == {"blog-web", "blog-web.previous", f"blog-other{version}"}
            networks = site.runtime("network", "ls", "--format", "{{.Name}}").split()
            assert {name for name in networks if name.startswith("blog")} == {"blog_default", f"blog_net{version}"}
    assert load.failures == []
    assert not module(version)["changed"]
