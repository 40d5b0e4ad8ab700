"""Images that come to hosts by way of the controller: from a build host, from a registry; and which of them stay."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import images
import pytest
from registry import PASSWORD, USER, publish

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.lab(hosts=3)

ONE = "web1"
FILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
RUN cat /etc/hostname > /where; echo {word} > /word
CMD ["/bin/busybox", "sleep", "1000000"]
"""


@pytest.fixture
def folder(wide_site: Any) -> Path:
    made: Path = wide_site.folder / "context"
    made.mkdir()
    shutil.copy(images.BUSYBOX, made / "busybox")
    (made / "Containerfile").write_text(FILE.format(word="first"))
    return made


def built(**options: Any) -> list[dict[str, Any]]:
    return [{"container_image": {"name": "app:1", "build": "context", "build_on": "db1", **options}}]


def shown(site: Any, file: str, host: Any) -> str:
    words = ("run", "--rm", "--network", "none", "app:1", "/bin/busybox", "cat", file)
    return str(site.runtime(*words, host=host)).strip()


def test_a_build_host_builds_once_and_the_image_goes_to_the_others(wide_site, folder):
    site, (first, second, builder) = wide_site, wide_site.hosts
    builder.exec(["rm", "-f", "/usr/local/bin/shepherd-runtime"])  # which another test may have left
    said = site.good(built(), "--check", host="web1,web2")
    assert said.changed == {"container_image"}
    assert builder.exec(["ls", "/usr/local/bin/shepherd-runtime"], check=False).returncode != 0
    played = site.good(built(), host="web1,web2")
    digests = {played.result("container_image", name)["digest"] for name in ("web1", "web2")}
    assert len(digests) == 1
    assert [shown(site, "/word", host) for host in (first, second)] == ["first", "first"]
    assert site.runtime("images", "--format", "{{.Repository}}", host=builder).split() == ["shepherd.build/library/app"]
    assert site.runtime("images", "--format", "{{.Repository}}", host=first).split() == ["app"]
    again = site.good(built())  # on the builder, too, in its own turn: it gets the name, and nothing is sent
    assert [again.result("container_image", host.name)["changed"] for host in site.hosts] == [False, False, True]
    assert again.result("container_image", "db1")["sent"] == 0

    (folder / "Containerfile").write_text(FILE.format(word="second"))
    changed = site.good(built(keep=1), host="web1,web2")
    assert digests != {changed.result("container_image", name)["digest"] for name in ("web1", "web2")}
    base = images.BUSYBOX.stat().st_size
    assert changed.result("container_image", "web1")["sent"] < base  # the layers of busybox stayed where they were
    assert shown(site, "/word", second) == "second"
    for host, names in ((first, ["app"]), (builder, ["app", "shepherd.build/library/app"])):
        assert sorted(site.runtime("images", "-a", "--format", "{{.Repository}}", host=host).split()) == names


def test_what_a_build_host_cannot_do_is_told_with_what_it_said(bare, wide_site, folder):
    (folder / "Containerfile").write_text(FILE.format(word="x") + "RUN echo no such luck >&2; exit 3\n")
    failed = wide_site.play(built(), host=ONE)
    assert failed.code == 2
    result = failed.result("container_image")
    assert "db1" in result["msg"]
    assert "no such luck" in result["msg"]
    assert wide_site.host.exec(["ls", "/usr/local/bin/shepherd-runtime"], check=False).returncode != 0
    result = wide_site.play(built(build_on="db11"), host=ONE).result("container_image")
    assert "there is no host 'db11'" in result["msg"]
    assert "db1" in result["msg"]
    result = wide_site.play([{"container_image": {"name": "a:1", "archive": "x", "build_on": "db1"}}], host=ONE)
    assert result.code != 0
    assert "build" in result.text


def test_the_controller_pulls_once_for_all_that_lack_it(wide_site, registry):
    site = wide_site
    address = f"{registry.server_address[0]}:{registry.server_port}"
    options = {"name": "app:1", "pull": f"{address}/team/app:1", "username": USER, "password": PASSWORD}
    task = {"container_image": {**options, "insecure": True, "pull_by": "controller"}}
    digest = publish(registry, "1", images.base(), images.layer({"one": (b"1", 0o644)}))
    assert site.good([task], "--check").changed == {"container_image"}
    assert registry.asked == []
    played = site.good([task], "-vvv")
    assert {played.result("container_image", host.name)["digest"] for host in site.hosts} == {digest}
    assert PASSWORD not in played.text
    blobs = [path for path in registry.asked if "/blobs/" in path]
    assert len(blobs) == len(set(blobs)) == 3  # two layers and a configuration, for three hosts
    registry.asked.clear()
    assert site.good([task]).changed == set()
    assert registry.asked == []

    moved = publish(registry, "1", images.base(), images.layer({"two": (b"2", 0o644)}))
    task["container_image"]["force"] = True
    result = site.good([task], host="web1,web2").result("container_image", "web2")
    assert (result["before"], result["digest"]) == (digest, moved)
    assert result["sent"] < len(images.base())
    found = site.host.exec(["grep", "-rl", PASSWORD, "/var/lib/shepherd", "/run", "/root", "/etc"], check=False).stdout
    assert found == ""


def test_an_image_that_no_registry_has_is_told(site, registry):
    name = f"{registry.server_address[0]}:{registry.server_port}/team/none:7"
    options = {"name": "app:1", "pull": name, "username": USER, "password": PASSWORD, "insecure": True}
    tasks = [
        {"name": by, "ignore_errors": True, "container_image": {**options, "pull_by": by}}
        for by in ("target", "controller")
    ]
    played = site.good(tasks, host=ONE)
    for by in ("target", "controller"):
        result = played.result(by)
        assert result["failed"]
        assert "could not fetch" in result["msg"]
        assert "team/none:7" in result["msg"]
        assert "exception" not in result
    assert site.host.exec(["ls", "/var/lib/shepherd/blobs/sha256"]).stdout == ""
    assert site.runtime("images", "-q") == ""


# Which stay


def version(site: Any, number: int, **more: Any) -> dict[str, Any]:
    path = site.folder / f"app-{number}.tar"
    if not path.exists():
        images.save(path, images.base(), images.layer({"version": (b"%d" % number, 0o644)}))
    return {"container_image": {"name": f"shop:{number}", "archive": path.name, **more}}


def tags(site: Any) -> list[str]:
    return sorted(site.runtime("images", "--format", "{{.Repository}}:{{.Tag}}").split())


def test_the_newest_stay_and_what_a_container_needs_and_what_others_brought(site):
    container = {"container": {"name": "shop", "image": "shop:1", "stop_timeout": 0, "settle": 0}}
    site.good([*(version(site, number) for number in (1, 2, 3)), container], host=ONE)
    site.runtime("tag", "shop:2", "shop:mine")
    said = site.good([version(site, 4, keep=2)], "--check", "--diff", host=ONE).result("container_image")
    assert len(tags(site)) == 4
    done = site.good([version(site, 4, keep=2)], "--diff", host=ONE).result("container_image")
    # 1 is what the container runs; the tag `mine` is a person's
    assert said["removed"] == done["removed"] == ["docker.io/library/shop:2"]
    assert tags(site) == ["shop:1", "shop:3", "shop:4", "shop:mine"]
    assert done["diff"]["before"]["older"] == ["docker.io/library/shop:2"]
    later = [
        {"name": "again", **version(site, 4, keep=2)},
        {"name": "none", "ignore_errors": True, **version(site, 4, keep=0)},
        {"container": {"name": "shop", "state": "absent"}},
        {"name": "one", **version(site, 4, keep=1)},
    ]
    played = site.good(later, host=ONE)
    assert played.changed == {"container", "one"}
    assert "keep" in played.result("none")["msg"]
    assert tags(site) == ["shop:4", "shop:mine"]


def test_a_tag_that_moves_leaves_older_images_that_are_counted_too(site):
    tasks = [version(site, number, name="shop", keep=2) for number in (1, 2, 3)]
    site.good(tasks, host=ONE)
    blobs = site.host.exec(["ls", "/var/lib/shepherd/blobs/sha256"]).stdout.split()
    assert len(blobs) == 7  # a layer that all have; of each of two a layer, a configuration and a manifest


# Room


def test_a_disk_that_is_too_small_is_told_before_anything_is_sent_or_unpacked(site):
    large = 12 << 20
    images.save(site.folder / "app.tar", images.base(), images.layer({"large": (bytes(large), 0o644)}))
    task = {"container_image": {"name": "app:1", "archive": "app.tar"}}
    site.good([{"container_runtime": {}}], host=ONE)
    mount = "mkdir -p /var/lib/shepherd && mount -t tmpfs -o size={} none /var/lib/shepherd"
    site.host.exec(["sh", "-c", mount.format("20m")])  # enough for what is sent, and not for what is unpacked of it
    try:
        failed = site.play([task], host=ONE)
        left = site.host.exec(["sh", "-c", "cd /var/lib/shepherd; find blobs staging layers -type f"]).stdout
    finally:
        site.host.exec(["umount", "/var/lib/shepherd"])
    assert failed.code == 2
    message = failed.result("container_image")["msg"]
    assert "there is no room for app:1 in /var/lib/shepherd" in message
    assert re.search(r"needs at least \S+B, and \S+B are free", message)
    assert left == ""
    # what a machine's own command unpacks is looked at before, too
    site.host.exec(["sh", "-c", mount.format("20m")])
    try:
        archive = (site.folder / "app.tar").read_bytes()
        command = "cat > /tmp/app.tar; shepherd-runtime load -i /tmp/app.tar; rm /tmp/app.tar"
        said = _piped(site, command, archive)
        assert "no room for layers to be unpacked" in said
        assert site.host.exec(["sh", "-c", "ls /var/lib/shepherd/layers"]).stdout == ""
    finally:
        site.host.exec(["umount", "/var/lib/shepherd"])


def _piped(site: Any, command: str, content: bytes) -> str:
    words = site.host.ssh_command(command)
    done = subprocess.run(words, input=content, capture_output=True)
    return done.stderr.decode()
