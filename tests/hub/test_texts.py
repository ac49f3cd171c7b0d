"""Text files as people have them: whatever wrote them, the same lines and cells."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from har_bench.errors import HarBenchError
from har_bench.foreign.texts import fields, is_header, is_text, lines, utf8

PLAIN = "name,1\nother,2\n"
WRITERS = {
    "plain": PLAIN.encode(),
    "a mark": codecs.BOM_UTF8 + PLAIN.encode(),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "UTF-16 without a mark, big end first": PLAIN.encode("utf-16-be"),
    "UTF-32": PLAIN.encode("utf-32"),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "CR": PLAIN.replace("\n", "\r").encode(),
    "no last line end": PLAIN.rstrip().encode(),
    "UTF-16 with CRLF": PLAIN.replace("\n", "\r\n").encode("utf-16"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_lines_do_not_depend_on_who_wrote_them(writer: str) -> None:
    assert lines(WRITERS[writer], "a.csv") == ["name,1", "other,2"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_json_becomes_plain_utf8(encoding: str) -> None:
    assert utf8('{"name": "Zoë"}'.encode(encoding), "a.json") == '{"name": "Zoë"}'.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_one_sentence(data: bytes) -> None:
    try:
        found = lines(data, "a.csv")
    except HarBenchError as error:
        assert "a.csv begins as UTF-" in str(error)  # noqa: PT017
        return
    assert all(not set(line) & set("\r\n") for line in found)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff\0")), max_size=5))
def test_what_is_utf8_comes_back(texts: list[str]) -> None:
    found = lines("".join(f"{text}\n" for text in texts).encode(), "a.csv")
    assert found == texts
    assert all(is_text(line) for line in found)


def test_bytes_that_are_no_text_cost_their_line_alone() -> None:
    found = lines(b"a,1\n\xff\xfe,2\nb,3\n", "a.csv")
    assert [is_text(line) for line in found] == [True, False, True]
    assert found[::2] == ["a,1", "b,3"]


def test_a_cut_utf16_file_is_named() -> None:
    with pytest.raises(HarBenchError, match=r"a\.csv begins as UTF-16-LE and is damaged .*; save it as UTF-8"):
        lines("\ufeffab".encode("utf-16-le") + b"a", "a.csv")


@pytest.mark.parametrize(
    "line",
    ["a b,0902,0.5", "a b;0902;0,5", "a b\t0902\t0,5", "a b|0902|0.5", '"a b","0902",0.5', "'a b', 0902 , 0.5 ",
     ' "a b" ; 0902 ; 0,5', '"a b" , 0902, "0.5"'],
)  # fmt: skip
def test_cells_do_not_depend_on_separators_blanks_and_quotation_marks(line: str) -> None:
    name, second, share = fields(line, {3})
    assert (name, second, share.replace(",", ".")) == ("a b", "0902", "0.5")


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('"a,b",1', ["a,b", "1"]),
        ('"a ""b""",1', ['a "b"', "1"]),
        ('"a,1', ['"a', "1"]),
        ("a", ["a"]),
        ("", [""]),
        (",", ["", ""]),
        ("a;b;c,1", ["a;b;c", "1"]),
    ],
)
def test_cells_of_odd_rows(line: str, cells: list[str]) -> None:
    assert fields(line, {2}) == cells


@pytest.mark.parametrize(
    ("cells", "header"),
    [(["video_id", "second"], True), (["video", "0902"], False), (["video", ""], False), (["nan", "x"], False)],
)
def test_a_header_is_names_alone(cells: list[str], header: bool) -> None:
    assert is_header(cells) == header
