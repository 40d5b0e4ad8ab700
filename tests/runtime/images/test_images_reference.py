"""Names of images."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.images.digest import Digest
from shepherd.runtime.images.reference import parse

HEX = "0123456789abcdef" * 4

GOOD = [
    # text, in full, as people write it
    ("app", "docker.io/library/app:latest", "app:latest"),
    ("app:1.2", "docker.io/library/app:1.2", "app:1.2"),
    ("team/app", "docker.io/team/app:latest", "team/app:latest"),
    ("docker.io/app", "docker.io/library/app:latest", "app:latest"),
    ("index.docker.io/team/app:1", "docker.io/team/app:1", "team/app:1"),
    ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
    ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
    ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
    ("registry.example:5000/a/b/c:T-1_x", "registry.example:5000/a/b/c:T-1_x", "registry.example:5000/a/b/c:T-1_x"),
    ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
    ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
    ("192.168.1.1/app", "192.168.1.1/app:latest", "192.168.1.1/app:latest"),
    ("a__b/c--d/e.f", "docker.io/a__b/c--d/e.f:latest", "a__b/c--d/e.f:latest"),
    ("xn--n3h.com/app", "xn--n3h.com/app:latest", "xn--n3h.com/app:latest"),
    (f"app@sha256:{HEX}", f"docker.io/library/app@sha256:{HEX}", f"app@sha256:{HEX}"),
    (f"h.x/app:1@sha256:{HEX}", f"h.x/app:1@sha256:{HEX}", f"h.x/app:1@sha256:{HEX}"),
]

BAD = [
    "", " ", "App", "team/App", "app:", "app:-x", "app:" + "t" * 129, "app@", "app@sha256:12", "app@md5:" + "0" * 32,
    "/app", "app/", "a//b", "../app", "a/../b", "a/./b", "-app", "app-", "a___b", "a..b", "http://h.x/app", "app:1:2",
    HEX, "h.x/" + "a" * 260, "app\n", "app:1\n", "a b", "h.x:port/app", "[::1/app", "h..x/app", "é", "app\0", "-f",
    f"app@sha256:{HEX.upper()}", f"app@sha256:{HEX}0",
]  # fmt: skip


@pytest.mark.parametrize(("text", "whole", "familiar"), GOOD, ids=lambda text: text[:30])
def test_a_name(text, whole, familiar):
    found = parse(text)
    assert (str(found), found.familiar) == (whole, familiar)
    assert parse(whole) == found == parse(familiar) and hash(parse(whole)) == hash(found)


@pytest.mark.parametrize("text", BAD, ids=lambda text: ascii(text)[:30])
def test_what_is_no_name(text):
    with pytest.raises(RuntimeFailure) as caught:
        parse(text)
    assert "\n" not in caught.value.message and len(caught.value.message) < 300


PARTS = st.sampled_from(
    ["a", "b0", "A", ".", ":", "/", "@", "-", "_", "__", "localhost", "h.x", "5000", "sha256:", HEX, "\n", "é"]
)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=12).map("".join) | st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text):
    try:
        found = parse(text)
    except RuntimeFailure:
        return
    assert parse(str(found)) == found == parse(found.familiar)
    assert ".." not in str(found).split("/") and not str(found).startswith(("/", "-"))


@settings(deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80) | st.integers())
def test_any_digest_is_one_or_refused(text):
    try:
        Digest(text)
    except RuntimeFailure:
        return
    raise AssertionError(f"hypothesis does not guess digests: {text!r}")
