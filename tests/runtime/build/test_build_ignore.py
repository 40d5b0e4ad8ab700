""".dockerignore and patterns, as tables."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.runtime.build import ignore, matching
from shepherd.runtime.errors import RuntimeFailure


@pytest.mark.parametrize(
    ("patterns", "gone", "there"),
    [
        ("a", "a a/b a/b/c", "b ab b/a"),
        ("/a", "a a/b", "b/a"),
        ("a/", "a a/b", "b"),
        ("./a/../b", "b", "a"),
        ("../a", "a", "b"),
        ("*", "a a/b .x", ""),
        ("*.md", "x.md", "a/x.md x.mdx"),
        ("**/*.md", "x.md a/x.md a/b/x.md", "x.txt"),
        ("a/**", "a/b a/b/c", "a b"),
        ("a/**/z", "a/z a/b/z a/b/c/z a/z/q", "a z b/z"),
        ("**", "a a/b", ""),
        ("**/x", "x a/x a/b/x x/y", "ax a/xb"),
        ("a?c", "abc axc", "ac a/c abbc"),
        ("[a-c]x", "ax bx", "dx x"),
        ("[^a-c]x", "dx", "ax"),
        ("a\\*b", "a*b", "axb"),
        ("*\n!a", "b a", None),
        ("*\n!keep", "b c/d", "keep keep/x"),
        ("*\n!a/b", "a a/c b", "a/b a/b/c"),
        ("a\n!a/b\na/b/c", "a a/b/c", "a/b a/b/d"),
        ("*.md\n!README*.md\nREADME-secret.md", "x.md README-secret.md", "README.md README-a.md"),
        ("# a\n\n  b  \n", "b", "a"),
        ("!a\na", "a", "b"),
        (".", "", "a b"),
        ("a**b", "ab axb ax/yb", "b"),
    ],
)
def test_patterns(patterns, gone, there):
    found = ignore.parse(patterns.encode(), ".dockerignore")
    if there is None:  # taken back in by the last one
        assert found.leaves_out("b")
        assert not found.leaves_out("a")
        return
    for path in gone.split():
        assert found.leaves_out(path), path
    for path in there.split():
        assert not found.leaves_out(path), path


def test_a_folder_is_entered_where_something_in_it_may_be_taken_back():
    found = ignore.parse(b"*\n!a/b/*.txt\n", ".dockerignore")
    assert found.may_return_below("a")
    assert found.may_return_below("a/b")
    assert not found.may_return_below("c")


@pytest.mark.parametrize("text", ["[", "a[", "[a-", "[]", "a\\", "[\\"])
def test_what_is_no_pattern(text):
    with pytest.raises(RuntimeFailure, match=r"\.dockerignore:1: "):
        ignore.parse(text.encode(), ".dockerignore")


def test_nothing_after_the_mark():
    with pytest.raises(RuntimeFailure, match="nothing after the !"):
        ignore.parse(b"x\n!\n", ".dockerignore")


@given(st.text(alphabet="ab*?[]^-\\/.!#\n ", max_size=30), st.text(alphabet="ab/.", max_size=10))
def test_any_file_is_read_or_refused(text, path):
    try:
        found = ignore.parse(text.encode(), "x")
    except RuntimeFailure:
        return
    found.leaves_out(ignore.clean(path))
    found.may_return_below(ignore.clean(path))


@given(st.text(alphabet="ab*?[]\\/", min_size=1, max_size=12))
def test_a_path_that_is_escaped_matches_itself_alone(path):
    escaped = "".join("\\" + char for char in path)
    assert re.match(matching.translate(escaped), path)
    assert not re.match(matching.translate(escaped), path + "x")
