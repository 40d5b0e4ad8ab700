"""What a build copies, from its context, from stages and from servers."""

from __future__ import annotations

import http.server
import os
import stat
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest
from builds import archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builds import Builds

pytestmark = pytest.mark.lab


# Copying


@pytest.fixture
def tree(base: Builds) -> Builds:
    base.write(
        {"a.txt": "a", "b.txt": "b", "d/one": "1", "d/sub/two": "2", "d/sub/link": ("link", "../one"), "e": None,
         "to-d": ("link", "d"), "arr[0]": "x", "d/.hidden": "h"}
    )  # fmt: skip
    (base.context / "d/sub/two").chmod(0o751)
    (base.context / "d/one").chmod(0o604)
    os.chown(base.context / "d/one", 5, 6)
    os.utime(base.context / "d/one", (1500000000, 1500000000))
    return base


def names(root: Path) -> list[str]:
    return sorted(str(one.relative_to(root)) for one in root.rglob("*"))


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("COPY a.txt /x", "x", "FILE"),
        ("COPY a.txt /x/", "x", ["a.txt"]),
        ("COPY a.txt /etc", "etc", ["a.txt", "group", "passwd"]),
        ("COPY a.txt b.txt /x/", "x", ["a.txt", "b.txt"]),
        ("COPY *.txt /x/", "x", ["a.txt", "b.txt"]),
        ("COPY ?.txt /x/", "x", ["a.txt", "b.txt"]),
        ("COPY arr[[]0] /x/", "x", ["arr[0]"]),
        ("COPY d /x", "x", [".hidden", "one", "sub", "sub/link", "sub/two"]),
        ("COPY d/ /x", "x", [".hidden", "one", "sub", "sub/link", "sub/two"]),
        ("COPY d /x/", "x", [".hidden", "one", "sub", "sub/link", "sub/two"]),
        ("COPY d/* /x/", "x", [".hidden", "link", "one", "two"]),
        ("COPY to-d /x", "x", [".hidden", "one", "sub", "sub/link", "sub/two"]),
        ("COPY to-d/one /x/", "x", ["one"]),
        ("COPY /d/../d/./one /x/", "x", ["one"]),
        ("COPY ../../d /x", "x", [".hidden", "one", "sub", "sub/link", "sub/two"]),
        ("COPY d/sub/link /x/", "x", ["link"]),
        ("COPY e /x", "x", []),
        ("WORKDIR /w\nCOPY d/one .", "w", ["one"]),
        ("WORKDIR /w\nCOPY d x", "w", ["x", "x/.hidden", "x/one", "x/sub", "x/sub/link", "x/sub/two"]),
        ("COPY --parents ./d/sub/two a.txt /x/", "x", ["a.txt", "d", "d/sub", "d/sub/two"]),
        ("COPY --parents d/./sub/two /x/", "x", ["sub", "sub/two"]),
        ("COPY --parents **/two d/sub /x/", "x", ["d", "d/sub", "d/sub/link", "d/sub/two"]),
        ("COPY --parents d/**/o* /x/", "x", ["d", "d/one"]),
        ("COPY --exclude=*.txt --exclude=e [abe]* /x/", "x", ["arr[0]"]),
        ("COPY --exclude=sub --exclude=.* d /x", "x", ["one"]),
        ("COPY --exclude=**/two d /x", "x", [".hidden", "one", "sub", "sub/link"]),
        ('COPY ["a.txt", "/x y/"]', "x y", ["a.txt"]),
        ("ARG n=d/one\nENV t=/x/\nCOPY $n ${t}", "x", ["one"]),
        ("COPY --link d/one /x/", "x", ["one"]),
    ],
)
def test_copy(tree: Builds, line, place, expected):
    tree.built(f"FROM base:1\n{line}\n")
    root = tree.files()
    if expected == "FILE":
        assert (root / place).read_text() == "a"
    else:
        assert names(root / place) == expected


def test_what_is_kept_of_a_copied_file(tree: Builds):
    tree.built("FROM base:1\nCOPY d /x\nCOPY --chown=user:extra --chmod=u=rwX,go=rX d /y\nCOPY --chmod=640 d/one /z\n")
    root = tree.files()

    def about(path):
        found = (root / path).stat()
        return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid

    assert about("x/one") == (0o604, 0, 0)
    assert (root / "x/one").stat().st_mtime == 1500000000
    assert about("x/sub/two") == (0o751, 0, 0)
    assert os.readlink(root / "x/sub/link") == "../one"
    assert about("y/one") == (0o644, 1000, 2000)
    assert about("y/sub/two") == (0o755, 1000, 2000)
    assert about("y/sub") == about("y") == (0o755, 1000, 2000)
    assert os.lstat(root / "y/sub/link").st_uid == 1000
    assert about("z") == (0o640, 0, 0)


def test_what_is_there_is_merged_and_replaced(tree: Builds):
    tree.built(
        "FROM base:1\nRUN mkdir -p /x/sub /t/real && echo old > /x/one && echo kept > /x/kept\n"
        "RUN ln -s /etc/passwd /x/.hidden && ln -s real /t/link && ln -s /t/real /l && chmod 700 /x /x/sub\n"
        "COPY d /x\nCOPY a.txt /l/\nCOPY d/sub /t/link\n"
    )
    root = tree.files()
    assert names(root / "x") == [".hidden", "kept", "one", "sub", "sub/link", "sub/two"]
    assert (root / "x/.hidden").read_text() == "h" and not (root / "x/.hidden").is_symlink()
    assert (root / "etc/passwd").read_text().startswith("root:")
    assert stat.S_IMODE((root / "x").stat().st_mode) == 0o700  # was there
    assert stat.S_IMODE((root / "x/sub").stat().st_mode) == 0o755  # is the source's
    assert names(root / "t") == ["link", "real", "real/a.txt", "real/link", "real/two"]


def test_a_linked_copy_depends_on_nothing_below(tree: Builds):
    tree.built("FROM base:1\nRUN ln -s /etc /x\nCOPY --link d/one /x/\n", tag="one:1")
    tree.built("FROM base:1\nRUN mkdir /y\nCOPY --link d/one /x/\n", tag="two:1")
    assert tree.image("one:1").config.diff_ids[-1] == tree.image("two:1").config.diff_ids[-1]
    assert (tree.files("one:1") / "x").is_dir() and not (tree.files("one:1") / "x").is_symlink()
    assert not (tree.files("one:1") / "etc/one").exists()


def test_from_a_stage_owners_hard_links_and_attributes_are_kept(base: Builds):
    base.built(
        "FROM base:1 AS one\nRUN mkdir -p /d/e && echo x > /d/a && ln /d/a /d/b && chown 7:8 /d/a && chmod 4755 /d/a\n"
        "RUN chown 9:9 /d/e\n"
        "FROM base:1\nCOPY --from=one /d /x\nCOPY --from=0 /d/a /y\nCOPY --from=base:1 /etc/passwd /z\n"
    )
    root = base.files()
    found = (root / "x/a").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), found.st_nlink) == (7, 8, 0o4755, 2)
    assert (root / "x/e").stat().st_uid == 9
    assert (root / "y").stat().st_uid == 7
    assert (root / "z").read_text().startswith("root:")


@pytest.mark.parametrize("how", ["", "gz", "bz2", "xz"])
def test_local_archives_are_taken_apart(base: Builds, how):
    data = archive({"d": None, "d/f": "x", "l": ("link", "d/f")}, mode="w:" + how)
    base.write({"x.dat": data, "not.tar": "no tar at all, whatever it is called"})
    base.built(
        "FROM base:1\nADD x.dat not.tar /x/\nADD --unpack=false x.dat /y/\nADD --chown=5:6 x.dat /z\nCOPY x.dat /c\n"
    )
    root = base.files()
    assert names(root / "x") == ["d", "d/f", "l", "not.tar"]
    assert names(root / "y") == ["x.dat"]
    assert (root / "z/d/f").stat().st_uid == 5
    assert (root / "c").read_bytes() == data


def test_an_archive_that_is_cut_short_is_refused(base: Builds):
    base.write({"x.tar": archive({"f": b"x" * 5000})[:3000]})
    assert "x.tar: " in base.refused("FROM base:1\nADD x.tar /x/\n")


# What is fetched


class Handler(http.server.BaseHTTPRequestHandler):
    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.path)
        content = self.server.content.get(self.path)  # type: ignore[attr-defined]
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    Handler.seen = []
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.content = {"/f": b"content", "/a.tar": archive({"in": "x"})}  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_what_is_fetched(base: Builds, server):
    url = f"http://127.0.0.1:{server.server_port}"
    digest = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    text = (
        f"FROM base:1\nADD {url}/f /x/\nADD --chmod=755 {url}/f /y\nADD {url}/a.tar /z/\nADD --unpack {url}/a.tar /u/\n"
        f"ADD --checksum={digest} {url}/f /v\n"
    )
    base.built(text)
    root = base.files()
    assert (root / "x/f").read_bytes() == b"content"
    assert stat.S_IMODE((root / "x/f").stat().st_mode) == 0o600
    assert (root / "x/f").stat().st_mtime == 1420070400
    assert stat.S_IMODE((root / "y").stat().st_mode) == 0o755
    assert names(root / "z") == ["a.tar"] and names(root / "u") == ["in"]
    Handler.seen.clear()
    assert base.built(text).steps("CACHED") == 5
    assert Handler.seen == ["/f", "/f", "/a.tar", "/a.tar"]  # not what has a checksum


def test_what_is_not_what_it_should_be_is_refused(base: Builds, server):
    url = f"http://127.0.0.1:{server.server_port}"
    assert "has other content" in base.refused(f"FROM base:1\nADD --checksum=sha256:{'0' * 64} {url}/f /x\n")
    assert "404" in base.refused(f"FROM base:1\nADD {url}/nothing /x\n")
    assert "not allowed" in base.refused(f"FROM base:1\nADD {url}/away /x\n")
    assert "has no name of a file" in base.refused(f"FROM base:1\nADD {url}/ /x/\n")


# Contexts


def test_a_tar_as_the_context(base: Builds):
    data = archive(
        {
            "Dockerfile": "FROM base:1\nCOPY a d/ /x/\n",
            "a": "1",
            "d": None,
            "d/b": "2",
            ".dockerignore": "d/c",
            "d/c": "3",
        }
    )
    for packed in (data, __import__("gzip").compress(data)):
        base.do("build", "-t", "t:1", "-", input=packed, stdin=None)
        assert names(base.files() / "x") == ["a", "b"]


def test_a_containerfile_alone_from_standard_input(base: Builds):
    base.do("build", "-t", "t:1", "-", input=b"FROM base:1\nRUN echo x > /x\n", stdin=None)
    assert (base.files() / "x").read_text() == "x\n"
    base.write({"f": "context"})
    base.do("build", "-t", "t:2", "-f", "-", str(base.context), input=b"FROM base:1\nCOPY f /\n", stdin=None)
    assert (base.files("t:2") / "f").read_text() == "context"


def test_the_names_of_containerfiles(base: Builds):
    base.write({"Dockerfile": "FROM base:1\nENV a=docker\n", "other/File": "FROM base:1\nENV a=other\nCOPY . /x\n"})
    base.write({"other/File.dockerignore": "Dockerfile\n", ".dockerignore": "other\n"})
    base.do("build", "-t", "t:1", str(base.context))
    assert base.settings()["Env"] == ["a=docker"]
    base.do("build", "-t", "t:1", "-f", str(base.context / "other/File"), str(base.context))
    assert base.settings()["Env"] == ["a=other"]
    assert names(base.files() / "x") == [".dockerignore", "other", "other/File", "other/File.dockerignore"]
    assert b"there is no Containerfile and no Dockerfile" in base.call("build", str(base.context / "other")).stderr
    assert b"cannot read" in base.call("build", "-f", "nothing", str(base.context)).stderr
    assert b"cannot read the context" in base.call("build", "nothing").stderr
    assert b"fetch it first" in base.call("build", "https://example.org/x.git").stderr


def test_what_is_ignored_is_not_there(base: Builds):
    base.write(
        {".dockerignore": "*\n!src\nsrc/**/*.tmp\n", "secret": "s", "src/a": "1", "src/x/b.tmp": "2", "src/x/c": "3"}
    )
    base.write({"src/to-secret": ("link", "../secret"), "d/e/f": "4"})
    base.built("FROM base:1\nCOPY . /x\nRUN --mount=target=/ctx find /ctx | sort > /found\n")
    assert names(base.files() / "x") == ["src", "src/a", "src/to-secret", "src/x", "src/x/c"]
    assert (base.files() / "found").read_text().split() == [
        "/ctx", "/ctx/src", "/ctx/src/a", "/ctx/src/to-secret", "/ctx/src/x", "/ctx/src/x/c"
    ]  # fmt: skip
    for source in ("secret", "src/to-secret", "./src/../secret", "sec*"):
        assert "in the context" in base.refused(f"FROM base:1\nCOPY {source} /x\n")


def test_names_that_are_no_utf_8(base: Builds):
    (base.context / "d").mkdir()
    with open(os.fsencode(base.context / "d") + b"/\xff", "w") as file:
        file.write("x")
    base.built("FROM base:1\nCOPY d /x\n")
    assert os.listdir(os.fsencode(base.files() / "x")) == [b"\xff"]
    assert isinstance(base.layer()[-1], tarfile.TarInfo)
