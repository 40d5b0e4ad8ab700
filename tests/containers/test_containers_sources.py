"""Where images come from: folders that are built, and registries."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import images
import pytest
from registry import PASSWORD, USER, publish

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.lab(hosts=2)

ONE = "web1"
FILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
ARG WORD=first
RUN echo $WORD > /word
CMD ["/bin/busybox", "sleep", "1000000"]
"""


@pytest.fixture
def folder(site: Any) -> Path:
    made: Path = site.folder / "context"
    made.mkdir()
    shutil.copy(images.BUSYBOX, made / "busybox")
    (made / "Containerfile").write_text(FILE)
    return made


def built(**options: Any) -> list[dict[str, Any]]:
    return [{"container_image": {"name": "app:1", "build": "context", **options}}]


def word(site: Any, host: Any = None) -> str:
    return str(site.runtime("run", "--rm", "--network", "none", "app:1", "/bin/busybox", "cat", "/word", host=host))


def test_an_image_is_built_once_and_sent_to_all_hosts(site, folder):
    said = site.good(built(), "--check")
    first = site.good(built())
    digests = {first.result("container_image", host.name)["digest"] for host in site.hosts}
    assert digests == {said.result("container_image")["digest"]}
    assert [word(site, host) for host in site.hosts] == ["first\n"] * 2
    assert site.good(built()).changed == set()
    shutil.rmtree(site.folder / "cache")  # another controller makes the same image of it
    assert site.good(built()).changed == set()
    changed = built(build_args={"WORD": "second"})
    assert site.good(changed, "--check", host=ONE).changed == site.good(changed, host=ONE).changed != set()
    assert word(site) == "second\n"


def test_a_build_that_fails_shows_what_it_said_and_changes_nothing(site, folder):
    site.good(built(), host=ONE)
    (folder / "Containerfile").write_text(FILE + "RUN echo no such luck >&2; exit 3\n")
    failed = site.play(built(), host=ONE)
    assert failed.code == 2
    assert "no such luck" in failed.result("container_image")["msg"]
    assert word(site) == "first\n"


def by_the_target(site: Any, tasks: list[dict[str, Any]], *words: str) -> tuple[dict[str, Any], str]:
    """The result of a task that a controller plays which cannot build, and all that it says."""
    (site.folder / "sitecustomize.py").write_text(
        "from shepherd.actions import _building\n_building.is_possible = lambda: False\n"
    )
    done = subprocess.run(
        site.command(tasks, "-l", ONE, "--output", "json", *words),
        cwd=site.folder,
        env={**site.environment, "PYTHONPATH": str(site.folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return next(one["result"] for one in events if one["event"] == "HostResult"), done.stdout + done.stderr


def test_where_the_controller_cannot_build_the_target_does(site, folder):
    first, again = (by_the_target(site, built())[0] for _play in range(2))
    assert [first["changed"], again["changed"]] == [True, False]
    assert first["digest"] == again["digest"]
    assert word(site) == "first\n"


def test_a_text_to_build_by_and_secrets_that_are_nowhere(site, folder):
    (folder / "Containerfile").unlink()
    text = FILE.replace(
        "RUN echo $WORD > /word",
        "RUN --mount=type=secret,id=token busybox cut -c 1-3 /run/secrets/token > /word",
    )
    tasks = built(containerfile_content=text, build_secrets={"token": "abcTOPSECRET"}, build_labels={"team": "blue"})
    here = site.good(tasks, "-vvv", host=ONE)
    assert word(site) == "abc\n"
    labels = json.loads(site.runtime("image", "inspect", "app:1"))[0]["Config"]["Labels"]
    assert labels["team"] == "blue"
    there, said = by_the_target(site, tasks, "-vvv")
    assert there["changed"] is False  # the same image
    assert "TOPSECRET" not in here.text + said
    found = site.host.exec(["grep", "-rl", "TOPSECRET", "/var/lib/shepherd", "/run", "/tmp", "/root"], check=False)
    assert found.stdout == ""


def test_a_target_pulls_and_the_password_is_nowhere(site, registry):
    name = f"{registry.server_address[0]}:{registry.server_port}/team/app:1"
    options = {"name": "app:1", "pull": name, "username": USER, "password": PASSWORD, "insecure": True}
    tasks = [{"container_image": options}]
    digest = publish(registry, "1", images.base())
    assert site.good(tasks, "--check", host=ONE).changed == {"container_image"}
    played = site.good(tasks, "-vvv", host=ONE)
    assert played.result("container_image")["digest"] == digest
    assert PASSWORD not in played.text
    found = site.host.exec(["grep", "-rl", PASSWORD, "/var/lib/shepherd", "/run", "/tmp", "/root"], check=False)
    assert found.stdout == ""
    assert site.good(tasks, host=ONE).changed == set()

    moved = publish(registry, "1", images.base(), images.layer({"new": (b"2", 0o644)}))
    assert site.good(tasks, host=ONE).changed == set()  # the registry is asked again only by force
    options["force"] = True
    result = site.good(tasks, "--diff", host=ONE).result("container_image")
    assert (result["before"], result["digest"]) == (digest, moved)
    assert result["diff"]["after"]["digest"] == moved
    assert site.good(tasks, host=ONE).changed == set()

    options["password"] = "wrong-and-wrong"
    failed = site.play(tasks, host=ONE)
    assert failed.code == 2
    assert "could not fetch" in failed.result("container_image")["msg"]


def test_archives_of_every_form_are_the_same_image(site):
    images.save(site.folder / "app.tar", images.base(), images.layer({"large": (bytes(1 << 16), 0o644)}))
    folder = site.folder / "layout"
    folder.mkdir()
    root = ["--root", str(site.folder / "own")]
    words = [sys.executable, "-m", "shepherd.runtime", *root]
    subprocess.run([*words, "load", "--no-unpack", "-i", str(site.folder / "app.tar")], check=True, capture_output=True)
    subprocess.run([*words, "save", "app:1", "-o", str(site.folder / "oci.tar")], check=True, capture_output=True)
    with tarfile.open(site.folder / "oci.tar") as archive:
        archive.extractall(folder)  # noqa: S202 - it is ours, and Debian 12's Python has no filters
    (site.folder / "oci.tar.gz").write_bytes(gzip.compress((site.folder / "oci.tar").read_bytes()))
    digests = set()
    for number, name in enumerate(("app.tar", "oci.tar.gz", "layout")):
        tasks = [{"container_image": {"name": "app:1", "archive": name}}]
        played = site.good(tasks, host=ONE)
        assert bool(played.changed) == (number == 0)
        digests.add(played.result("container_image")["digest"])
    assert len(digests) == 1


def test_what_is_no_archive_is_told_and_changes_nothing(site):
    site.good([{"container_runtime": {}}], host=ONE)
    images.save(site.folder / "app.tar", images.base())
    whole = (site.folder / "app.tar").read_bytes()
    before = site.state()
    for content, message in (
        (b"no archive", "not an archive"),
        (whole[: len(whole) // 2], "ends in the middle"),
        (images.layer({"file": (b"x", 0o644)}), "neither index.json nor manifest.json"),
    ):
        (site.folder / "bad.tar").write_bytes(content)
        failed = site.play([{"container_image": {"name": "app:1", "archive": "bad.tar"}}], host=ONE)
        assert failed.code == 2
        assert message in failed.result("container_image")["msg"], failed.text
        assert "exception" not in failed.result("container_image")
    failed = site.play([{"container_image": {"name": "app:1", "archive": "none.tar"}}], host=ONE)
    assert "none.tar" in failed.result("container_image")["msg"]
    failed = site.play([{"container_image": {"name": "App:1:2", "archive": "app.tar"}}], host=ONE)
    assert failed.code == 2
    assert "exception" not in failed.result("container_image")
    assert site.state() == before
