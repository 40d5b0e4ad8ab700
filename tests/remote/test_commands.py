"""What `command` and `shell` share, beside the parts of the standard library that take too long to import."""

import shlex
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shepherd.remote import commands

TEXT = st.text(alphabet=st.sampled_from("ab \t\r\n\x0b\xa0\u2003#'\"\\$é"), max_size=12)


@given(TEXT)
def test_words_are_those_of_shlex(text):
    try:
        expected = shlex.split(text)
    except ValueError:
        expected = ValueError
    try:
        found = commands.words(text)
    except ValueError:
        found = ValueError
    assert found == expected


@given(st.integers(min_value=0, max_value=4 * 10**15))
def test_moments_are_those_of_datetime(micro):
    expected = str(datetime.fromtimestamp(micro // 10**6).replace(microsecond=micro % 10**6))
    shown = commands._moment(micro // 10**6 + micro % 10**6 / 10**6)
    assert shown[:19] == expected[:19]
    assert abs(int(shown[20:]) - micro % 10**6) <= 1  # a float has no more to give


@given(st.integers(min_value=0, max_value=10**12))
def test_spans_are_those_of_timedelta(micro):
    whole = micro // 10**6
    assert commands._span(whole) == f"{timedelta(seconds=whole)}.000000"
