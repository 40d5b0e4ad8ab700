"""Files of variables: what their lines mean, and that messages show no value."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # a fixture's type

import pytest

from shepherd.compose import environment
from shepherd.errors import ParseError


def read(tmp_path: Path, text: str, known: dict[str, str] | None = None, raw: bool = False) -> dict[str, str | None]:
    path = tmp_path / "some.env"
    path.write_text(text)
    return environment.read(str(path), known or {}, raw)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("A = b", "b"),
        ("A: b", "b"),
        ("A=", ""),
        ("A=b c ", "b c"),
        ("A=b # said", "b"),
        ("A=b#c", "b#c"),
        ("A=#c", ""),
        ("A='b $X # c'", "b $X # c"),
        ('A="b # c"', "b # c"),
        ('A="b" # c', "b"),
        (r'A="b\nc\t\"d\" \$X"', 'b\nc\t"d" $X'),
        ('A="one\ntwo"', "one\ntwo"),
        ("A=$X", "x"),
        ("A=${X:-y}${Y:-y}", "xy"),
        ('A="${X}"', "x"),
        ("A=a=b", "a=b"),
        ("A=https://example.org/a?b=c", "https://example.org/a?b=c"),
        ('A={"a": 1}', '{"a": 1}'),
    ],
)
def test_a_line(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"# first\n\n{line}\nLAST=1\n", {"X": "x"}) == {"A": value, "LAST": "1"}


def test_a_name_alone_and_what_stands_above(tmp_path: Path) -> None:
    found = read(tmp_path, "A\nB\nC=1\nD=$C$A\r\n", {"A": "given"})
    assert found == {"A": "given", "B": None, "C": "1", "D": "1given"}
    assert read(tmp_path, "C=1\nD=$C\n", {"C": "holds"})["D"] == "holds"


def test_raw_values_are_what_stands_there(tmp_path: Path) -> None:
    assert read(tmp_path, "A='b $X' # c\n#D=1\n", raw=True) == {"A": "'b $X' # c"}


@pytest.mark.parametrize(
    "text", ["A='hunter22", "=hunter22", 'A="hunter22" more', "A=${B:?no} hunter22", "A B=hunter22"]
)
def test_what_is_wrong_is_said_with_its_line_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ParseError) as found:
        read(tmp_path, "FIRST=1\n" + text)
    assert "some.env, line 2" in found.value.message
    assert "hunter22" not in found.value.render()


def test_a_file_beside_holds_less_than_what_is_given(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    assert environment.beside(str(tmp_path), {"A": "given"}) == {"A": "given", "B": "file"}
    assert environment.beside(str(tmp_path / "none"), {"A": "given"}) == {"A": "given"}
