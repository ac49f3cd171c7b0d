"""JSON from strangers is read in one place: deep, damaged and inflated texts end in one sentence wherever they come."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from har_bench import results
from har_bench.errors import HarBenchError
from har_bench.foreign import json_file
from har_bench.keypoints.json_files import read_json
from har_bench.store import open_store


class Point(msgspec.Struct):
    x: float
    name: str = ""


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_text_is_read_however_it_is_packed(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(pack(b'[{"x": 1.5, "name": "\xc3\xa7", "more": [1]}]'))
    found: list[Point] = json_file.read(path, list[Point])
    assert found == [Point(1.5, "ç")]
    assert [bytes(record)[:9] for record in json_file.records(path)] == [b'{"x": 1.5']


DEEP = b"[" * 100_000 + b"]" * 100_000
WRONG = {
    "nothing": (b"", "is empty"),
    "half": (b'[{"x": 1', "is not a list of points"),
    "of another type": (b'[{"x": "1"}]', r"is not a list of points \(at \[0\]\.x stands a text, and not a number\)"),
    "no text": (b'["\xff"]', "is not a list of points"),
    "half a character": (b'["\\ud800"]', "is not a list of points"),
    "deep": (DEEP, "is not a list of points"),
    "deep in what is skipped": (b'[{"x": 1, "y": ' + DEEP + b"}]", "is not a list of points: it is nested too deeply"),
    "NaN": (b'[{"x": 1},\n {"x": NaN}]', "holds NaN in line 2, which JSON has not"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_something_else_is_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(WRONG[name][0])
    with pytest.raises(HarBenchError, match=rf"a\.json {WRONG[name][1]}.*(; detect them again|completely\?)$"):
        json_file.read(path, list[Point], what="a list of points", remedy="detect them again")


def test_numbers_that_json_does_not_have_are_read_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"x": NaN}, {"x": -Infinity, "name": "NaN"}]')
    found: list[Point] = json_file.read(path, list[Point], not_finite=dict)
    assert math.isnan(found[0].x)
    assert found[1] == Point(-math.inf, "NaN")
    path.write_text('[{"x": NaN}, {"x": ' + DEEP.decode() + "}]")
    with pytest.raises(HarBenchError, match="nested too deeply"):
        json_file.read(path, list[Point], not_finite=dict)


BOMBS = {
    "blanks": b" " * (80 << 20),
    "numbers": b"[" + b"0," * 3_000_000 + b"0]",
    "lists": b"[" + b"[]," * 1_000_000 + b"0]",
    "objects": b"[" + b"{}," * 1_000_000 + b"{}]",
    "lists after blanks": b" " * (5 << 20) + b"[" + b"[]," * 1_000_000 + b"0]",
}


@pytest.mark.parametrize("name", BOMBS)
def test_values_are_counted_before_they_are_made(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(BOMBS[name]))
    for reader in (json_file.read, json_file.records, json_file.text):
        with pytest.raises(HarBenchError, match=r"a\.json\.gz unfolds into more than .*HAR_BENCH_UNFOLD_GB"):
            reader(path)


def test_records_of_a_crowded_list_are_objects(tmp_path: Path) -> None:
    """Each text of a record takes more than a number does; where they could be too many, they are looked at first."""
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(b"[" + b"0," * 700_000 + b"0]"))
    with pytest.raises(
        HarBenchError, match=r"a\.json is not a json list of objects \(at .* stands a whole number, and not an object"
    ):
        json_file.records(path)
    path.write_bytes(gzip.compress(b'[{"x": [' + b"0," * 700_000 + b"0]}]"))
    assert len(json_file.records(path)) == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.json")
    with pytest.raises(HarBenchError, match=r"a\.json is a (pipe or a device and no file|folder); "):
        json_file.read(tmp_path / "a.json")


def result_file(folder: Path) -> Any:
    return results.read(folder / "deep.json")


def store_folder(folder: Path) -> Any:
    (folder / "deep.json").rename(folder / "manifest.json")
    return open_store(folder)


def keypoints(folder: Path) -> Any:
    return read_json(folder / "deep.json")


@pytest.mark.parametrize("reader", [result_file, store_folder, keypoints])
def test_readers_of_json_say_when_it_is_too_deep(reader: Callable[[Path], Any], tmp_path: Path) -> None:
    text = json.dumps({"images": [], "annotations": []})
    (tmp_path / "deep.json").write_bytes(text[:-1].encode() + b', "zz": ' + DEEP + b"}")
    with pytest.raises(HarBenchError, match=r"(deep|manifest)\.json is (not|no) .*(deep|missing|recursion).*; "):
        reader(tmp_path)
