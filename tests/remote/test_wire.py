"""Frames survive every way of being cut, and what is no frame is noticed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shepherd.remote import wire

KINDS = st.sampled_from([wire.RUN, wire.PUT, wire.DATA, wire.HELLO, wire.RESULT, wire.OUTPUT])
TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)  # lone surrogates too: they stand for raw bytes
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.lists(
    st.tuples(KINDS, st.integers(0, 2**32 - 1), st.dictionaries(TEXT, VALUES, max_size=4), st.binary(max_size=300)),
    max_size=6,
)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1, max_size=50))
def test_any_cut_gives_the_same_frames(frames, cuts):
    data = b"".join(wire.encode(*frame) for frame in frames)
    decoder, found, at, turn = wire.Decoder(), [], 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        found += decoder.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert found == frames


@pytest.mark.parametrize(
    "garbage",
    [
        b"Last login: Mon Jan  1 00:00:00 from 10.0.0.1\n",
        b"\0" * 40,
        wire.HEADER.pack(wire.RUN, 1, 0, wire.CHUNK + 1),
        wire.HEADER.pack(wire.RUN, 1, wire.HEAD_LIMIT + 1, 0),
    ],
)
def test_garbage_is_no_frame(garbage):
    with pytest.raises(wire.WireError):
        wire.Decoder().feed(garbage)


def test_bytes_that_are_no_utf8_survive_as_surrogates():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    [(_, _, head, _)] = wire.Decoder().feed(wire.encode(wire.RESULT, 1, {"path": name}))
    assert head["path"].encode("utf-8", "surrogateescape") == b"caf\xe9"


def test_many_small_pieces_of_a_large_head_cost_no_quadratic_time():
    data = wire.encode(wire.RESULT, 1, {"x": "y" * 2_000_000})
    decoder, found = wire.Decoder(), []
    for start in range(0, len(data), 1000):
        found += decoder.feed(data[start : start + 1000])
    assert len(found) == 1


@given(VALUES)
def test_json_is_that_of_the_library(value):
    assert wire.dumps(value) == json.dumps(value, separators=(",", ":"))
    assert wire.loads(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["", "{", "{} {}", "nothing", "{'a': 1}"])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # the library's and ours have texts of their own
        wire.loads(text)


def test_a_helper_starts_without_the_json_package():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import wire; sys.exit('re' in sys.modules)"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(Path(wire.__file__).parent)], check=True)
