"""--filter of `images` and `prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from image_maker import Layout, entry, layer

from shepherd.runtime.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYERS = [layer(entry("a", data=b"a"))]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Callable[..., str]:
    """What a command prints, where there are images of three moments, one more without a name, and an odd one."""
    monkeypatch.setenv("SHEPHERD_RUNTIME_ROOT", str(tmp_path / "root"))

    def call(*words: str, code: int = 0) -> str:
        assert main(list(words)) == code, capfd.readouterr()
        out, err = capfd.readouterr()
        return err if code else out

    made = [
        ("old:1", "2020-01-01T00:00:00Z", {"team": "web"}),
        ("registry.example/team/middle:2", "2021-06-01T12:00:00.25+02:00", {"team": "web", "keep": ""}),
        ("new:3", "2021-06-01T10:00:00.75Z", None),
        ("odd:4", "not a time", [1]),
        ("new:3", "2022-01-01T00:00:00Z", {}),
    ]
    for number, (name, created, labels) in enumerate(made):
        layout = Layout(tmp_path / f"layout{number}")
        layout.name(layout.image(LAYERS, created=created, config={"Labels": labels}), name)
        call("load", "-i", str(layout.path))
    return call


ALL = ["<none>", "middle", "new", "odd", "old"]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], ALL),
        (["dangling=true"], ["<none>"]),
        (["dangling=false"], ["middle", "new", "odd", "old"]),
        (["label=team"], ["middle", "old"]),
        (["label=team=web", "label=keep"], ["middle"]),
        (["label=team=mail"], []),
        (["label!=team"], ["<none>", "new", "odd"]),
        (["reference=o*"], ["odd", "old"]),
        (["reference=o*:1", "reference=*:3"], ["new", "old"]),
        (["reference=*middle"], []),
        (["reference=registry.example/*/m*"], ["middle"]),
        (["reference=o*", "label=team"], ["old"]),
        (["before=registry.example/team/middle:2"], ["odd", "old"]),
        (["since=registry.example/team/middle:2"], ["<none>", "new"]),
        (["until=2021-06-01T10:00:00.5Z"], ["middle", "odd", "old"]),
        (["until=1h"], ALL),
    ],
)
def test_images(said, filters, wanted):
    rows = said("images", *(word for one in filters for word in ("-f", one)), "--format", "{{.Repository}}")
    assert sorted(row.rpartition("/")[2] for row in rows.split()) == wanted


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images", "-f", "colour=red"], "--filter: there is no 'colour=red'"),
        (["images", "-f", "label"], "--filter: there is no 'label'"),
        (["images", "-f", "dangling=maybe"], "--filter dangling: should be true or false, and is 'maybe'"),
        (["images", "-f", "since=nosuch"], "no such image: nosuch"),
        (["images", "-f", "until=soon"], "--filter until: should be a time"),
        (["prune", "-f", "--filter", "reference=x"], "--filter: there is no 'reference=x'"),
    ],
)
def test_filters_that_are_none(said, words, message):
    assert said(*words, code=1).startswith(f"shepherd-runtime: {message}")


def test_prune_takes_only_what_the_filters_mean(said):
    assert "sha256:" not in said("prune", "-f", "--filter", "label=team")  # the one without a name has no such label
    assert said("prune", "-fa", "--filter", "label!=keep", "--filter", "until=2021-06-01T10:00:00.5Z").splitlines()[
        :-1
    ] == ["old:1", "odd:4"]
    assert said("prune", "-f", "--filter", "until=2021-01-01").startswith("Total")
    assert said("prune", "-f", "--filter", "until=2022-01-02").startswith("sha256:")
