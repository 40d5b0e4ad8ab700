"""Attacks by a context, an archive, a base image or a step on the machine that builds; each with its canary."""

from __future__ import annotations

import os
import stat
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest
from builds import PASSWD, archive

from shepherd.runtime.build.copying import Copier
from shepherd.runtime.build.problems import Wrong
from shepherd.runtime.build.sources import Tree
from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images import trees

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from builds import Builds
from canaries import SECRET, hostile_base, up

pytestmark = pytest.mark.lab


def has_secret(builds: Builds, tag: str = "t:1") -> bool:
    """Whether any layer has the canary's words."""
    count = len(builds.image(tag).manifest.layers)
    return any(SECRET.encode() in data for number in range(count) for _, data in builds.layer_content(number, tag))


# The context


@pytest.mark.parametrize(
    "line", ["COPY link /x", "COPY folder /x", "COPY folder/secret /x", "COPY folder/s* /x", "ADD link /x"]
)
@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_a_link_of_the_context_leads_nowhere_out_of_it(base: Builds, canary: Path, line, form):
    def place(path):
        return str(path) if form == "absolute" else up(path)

    base.write({"link": ("link", place(canary / "secret")), "folder": ("link", place(canary))})
    assert "the context" in base.refused(f"FROM base:1\n{line}\n")


def test_links_below_a_source_are_copied_as_links(base: Builds, canary: Path):
    base.write({"d/link": ("link", str(canary / "secret")), "d/folder": ("link", str(canary))})
    base.built(
        "FROM base:1\nCOPY d /x\nCOPY --chown=1000 --chmod=777 d /y\nRUN --mount=target=/c cat /c/d/link || echo none\n"
    )
    assert os.readlink(base.files() / "x/link") == str(canary / "secret")
    assert not has_secret(base)


@pytest.mark.parametrize("source", ["../canary/secret", "/../canary/secret", "d/../../canary/secret", "../canary/*"])
def test_a_source_does_not_climb_out(base: Builds, canary: Path, source):
    base.write({"d": None})
    assert "the context" in base.refused(f"FROM base:1\nCOPY {source} /x\n")


def test_the_files_that_are_read_of_a_context_are_its_own(base: Builds, canary: Path):
    base.write({"f": "x", ".dockerignore": ("link", str(canary / "secret"))})
    base.built("FROM base:1\nCOPY . /x\n")  # as if it were not there
    (base.context / "Containerfile").unlink()
    base.write({"Containerfile": ("link", str(canary / "secret"))})
    said = base.call("build", str(base.context)).stderr.decode()
    assert "there is no Containerfile" in said and SECRET not in said


def test_patterns_to_ignore_do_not_reach_outside(base: Builds, canary: Path):
    base.write({".dockerignore": "../canary\n!../../canary/secret\n/../..\n", "f": "x", "canary": "mine"})
    base.built("FROM base:1\nCOPY . /x\n")
    assert sorted(one.name for one in (base.files() / "x").iterdir()) == [".dockerignore", "Containerfile", "f"]


def test_a_named_pipe_and_a_device_in_the_context(base: Builds, canary: Path):
    (base.context / "d").mkdir()
    os.mkfifo(base.context / "d/pipe")
    base.built("FROM base:1\nCOPY d /x\n")
    assert stat.S_ISFIFO((base.files() / "x/pipe").lstat().st_mode)
    os.mknod(base.context / "d/zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    assert "is a device of this machine" in base.refused("FROM base:1\nCOPY d /x\n")
    assert "is no file" in base.refused("FROM base:1\nCOPY d/zero /x\n")


def test_a_tar_as_the_context_stays_where_it_is(base: Builds, canary: Path):
    for entries in (
        {"Containerfile": "FROM base:1\nCOPY . /x\n", up(canary / "new"): "x"},
        {"d": ("link", str(canary)), "d/new": "x", "Containerfile": "FROM base:1\nCOPY d/secret /x\n"},
        {"Containerfile": ("link", str(canary / "secret"))},
        {"Containerfile": "FROM base:1\nCOPY l /x\n", "l": ("link", str(canary / "secret"))},
    ):
        done = base.call("build", "-", input=archive(entries), stdin=None)
        assert done.returncode == 1 and SECRET.encode() not in done.stderr, done.stderr
        assert b"Traceback" not in done.stderr


def test_links_that_are_swapped_while_they_are_copied(tmp_path: Path, canary: Path):
    """The folder that is copied becomes a link to the canary and back, all the time."""
    context, target = tmp_path / "context", tmp_path / "target"
    for place in (context / "d/e", context / "spare"):
        place.mkdir(parents=True)
        (place / "secret").write_text("harmless")
    target.mkdir()
    (context / "link").symlink_to(canary)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(context / "d/e", context / "away")
            os.rename(context / "link", context / "d/e")
            os.rename(context / "d/e", context / "link")
            os.rename(context / "away", context / "d/e")

    thread = threading.Thread(target=swap)
    thread.start()
    root, copy = trees.open_folder(str(context)), trees.open_folder(str(target))
    finished = 0
    try:
        tree = Tree(root, "the context")
        for number in range(1000):
            try:
                for source in ("d", "d/e", "d/e/secret", "d/*/s*"):
                    for piece in tree.select(source):
                        piece.scan()
                        Copier(copy, (0, 0)).place(piece, f"/{number}/x", False)
                finished += 1
            except (Wrong, RuntimeFailure, OSError):
                continue
    finally:
        stop.set()
        thread.join()
        os.close(root)
        os.close(copy)
    assert finished
    for path in target.rglob("*"):
        assert not path.is_file() or path.is_symlink() or path.read_text() == "harmless"


def test_a_file_that_changes_between_its_digest_and_its_copy(tmp_path: Path):
    (tmp_path / "c").mkdir()
    (tmp_path / "t").mkdir()
    (tmp_path / "c/f").write_text("before")
    root, target = trees.open_folder(str(tmp_path / "c")), trees.open_folder(str(tmp_path / "t"))
    try:
        for source in ("f", "/"):
            (piece,) = Tree(root, "the context").select(source)
            piece.scan()
            with (tmp_path / "c/f").open("a") as file:
                file.write("after")  # longer: two changes in one tick of the clock leave one time
            with pytest.raises(RuntimeFailure, match="was changed while it was copied"):
                Copier(target).place(piece, "/x/", True)
    finally:
        os.close(root)
        os.close(target)


# The root that is copied into


@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_a_destination_is_found_inside_the_image(base: Builds, canary: Path, form):
    place = str(canary) if form == "absolute" else up(canary)
    hostile_base(
        base,
        {"d": ("link", place), "f": ("link", place + "/secret"), "sub": None, "sub/f": ("link", place + "/secret")},
    )
    base.write(
        {"secret": "ours", "tree/f": "ours", "x.tar": archive({"secret": "ours", "inner": None, "inner/g": "ours"})}
    )
    base.built(
        "FROM hostile:1\nCOPY secret /d/\nCOPY secret /f\nCOPY tree /sub\nADD x.tar /d/\n"
        "WORKDIR /d/made\nRUN echo x > y\n"
    )
    root = base.files()
    assert (root / str(canary).lstrip("/") / "secret").read_text() == "ours"
    assert (root / str(canary).lstrip("/") / "made/y").read_text() == "x\n"
    assert (root / "sub/f").read_text() == "ours" and not (root / "sub/f").is_symlink()


def test_what_is_copied_from_a_stage_is_the_stages(base: Builds, canary: Path):
    text = (
        f"FROM base:1 AS one\nRUN ln -s {canary} /d; ln -s {up(canary)}/secret /f; ln -s / /root2\n"
        "RUN ln -s /etc/shadow /shadow\n"
        "FROM base:1\n"
    )
    for source in ("/d", "/d/secret", "/f", "/shadow", "/d/*", "/root2" + str(canary)):
        assert "in one" in base.refused(text + f"COPY --from=one {source} /x\n")
    base.built(text + "COPY --from=one /root2/etc/passwd /x\n")
    assert (base.files() / "x").read_text() == PASSWD


def test_users_are_looked_up_in_the_image(base: Builds, canary: Path):
    for number, (passwd, message) in enumerate(
        [
            (("link", "/../../../../../../../../etc/shadow"), "the image has no user daemon"),
            (("link", str(canary / "secret")), "the image has no user daemon"),
            ((_info(tarfile.FIFOTYPE), b""), "the image has no user daemon"),
            ((_info(tarfile.DIRTYPE), b""), "the image has no user daemon"),
            ("daemon:x:-1:0::/:/bin/sh\n", "has no number for it"),
            ("daemon:x:4294967296:0::/:/bin/sh\n", "higher than an id can be"),
            ("daemon:x:0x0:0::/:/bin/sh\n", "has no number for it"),
            ("#" * (2 << 20) + "\ndaemon:x:7:7::/:/bin/sh\n", "the image has no user daemon"),
        ]
    ):
        hostile_base(base, {"etc/passwd": passwd, "n": str(number)})
        assert message in base.refused("FROM hostile:1\nUSER daemon\nRUN true\n"), number
        assert message in base.refused("FROM hostile:1\nCOPY --chown=daemon Containerfile /x\n"), number


def _info(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("etc/passwd")
    info.type, info.mode = kind, 0o755
    return info


@pytest.mark.parametrize(
    "user", ["-1", "4294967295", "4294967296", "0x0", "1:", ":0", "1:2:3", "1 ", "٣", "99999999999999999999"]
)
def test_users_that_are_none(base: Builds, user):
    said = base.refused(f'FROM base:1\nENV u="{user}"\nUSER $u\nRUN touch /ran\n'.replace('\n"', '"'))
    assert "Containerfile:" in said


# Archives


def entry(name: str, kind: bytes, link: str = "", major: int = 0, minor: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.devmajor, info.devminor, info.mode = kind, link, major, minor, 0o644
    return info, b""


def test_archives_that_reach_out(base: Builds, canary: Path):
    target = str(canary)
    attacks: dict[str, dict[str, Any]] = {
        "climbs": {up(canary / "new"): "x"},
        "absolute": {target + "/new": "x"},
        "link": {"d": ("link", target), "d/new": "x", "d/secret": "x"},
        "climbing-link": {"d": ("link", up(canary)), "d/secret": "x"},
        "chain": {"a": ("link", ".."), "a/b": ("link", ".."), "a/b/c": ("link", target), "a/b/c/new": "x"},
        "hard": {"h": entry("h", tarfile.LNKTYPE, target + "/secret")},
        "hard-climbs": {"h": entry("h", tarfile.LNKTYPE, up(canary / "secret"))},
        "hard-by-link": {"s": ("link", target + "/secret"), "h": entry("h", tarfile.LNKTYPE, "s"), "h2": "x"},
        "replaced": {"d": None, "d/f": "x", "e": entry("d", tarfile.SYMTYPE, target), "d/new": "x"},
        "removal": {"d": ("link", target), "d/.wh.secret": "", "d/.wh..wh..opq": "", ".wh.etc": ""},
        "root": {".": entry(".", tarfile.SYMTYPE, target)},
        "device": {"v": entry("v", tarfile.BLKTYPE, "", 8, 0)},
    }  # fmt: skip
    for name, entries in attacks.items():
        base.write({"x.tar": archive(entries)})
        for line in ("ADD x.tar /x/", "ADD --chown=1000 x.tar /x/"):
            result = base.build(f"FROM base:1\n{line}\n")
            if result.code == 0:
                assert not has_secret(base), name
                if name == "device":  # it is the image's, as in any layer: no step can open it
                    assert "denied" in base.build(f"FROM base:1\n{line}\nRUN cat /x/v\n").said
