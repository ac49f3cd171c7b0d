"""Predictions in our columns that are odd, damaged or harmful: a sentence with the file, the place and a remedy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import har_bench
from har_bench.errors import HarBenchError
from har_bench.foreign import pages
from har_bench.scoring.column_files import read_columns
from tests.hub.own_files import PROTOCOL, predictions, store
from tests.hub.readings import read_elsewhere

SECONDS, MEGABYTES = 60.0, 1000.0


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> har_bench.Store:
    return store(tmp_path_factory.mktemp("toy"))


def complaint(path: Path, toy: har_bench.Store) -> str:
    with pytest.raises(HarBenchError) as caught:
        har_bench.score(PROTOCOL, toy, path, resamples=0)
    text = str(caught.value)
    assert str(path) in text
    assert "; " in text
    return text


HEAD = "sequence,frame,person,keypoints_3d_0,keypoints_3d_1,keypoints_3d_2\n"
CSV = {
    "a header only": (HEAD, "all of s000/right"),
    "a text among numbers": (
        HEAD + "a,0,1,1,2,3\na,1,1,1,12.3.4,3\n",
        "'12.3.4' in row 2 of the column keypoints_3d_1",
    ),
    "a text far down": (
        HEAD + "a,0,1,1,2,3\n" * 90_000 + "a,1,1,1,2,x\n",
        "'x' in row 90001 of the column keypoints_3d_2",
    ),
    "a text as a frame": (HEAD + "a,first,1,1,2,3\n", "'first' in row 1 of the column frame"),
    "a word for a number": (HEAD + "a,0,true,1,2,3\n", "'True' in row 1 of the column person"),
    "a short row": (HEAD + "a,0,1,1,2,3\na,1,1\n", "3 cells in line 3 ('a,1,1') for 6 columns"),
    "a long row": (HEAD + "a,0,1,1,2,3,4\n", "7 cells in line 2"),
    "a column twice": (HEAD.replace("frame", "sequence") + "a,a,1,1,2,3\n", "column 'sequence' twice"),
    "a column with gaps": (HEAD.replace("_2", "_9") + "a,0,1,1,2,3\n", "have gaps"),
    "no header": ("a,0,1,1,2,3\n", "the first row must name the columns"),
    "half a frame": (HEAD + "a,0.5,1,1,2,3\n", "0.5; give whole numbers"),
    "a frame beyond all": (HEAD + "a,99999999999999999999999,1,1,2,3\n", "give whole numbers"),
    "thousands of columns": ("sequence," + ",".join(f"x{n}" for n in range(30_000)) + "\n", "30,001 columns"),
    "no text at all": ("\udcff" * 50, "is no text"),
}


@pytest.mark.parametrize("name", CSV)
def test_what_is_odd_in_a_csv_is_said_with_its_place(name: str, toy: har_bench.Store, tmp_path: Path) -> None:
    text, expected = CSV[name]
    path = tmp_path / "p.csv"
    path.write_text(text, errors="surrogateescape")
    assert expected in complaint(path, toy)


def test_numbers_with_decimal_commas_and_of_another_machine_are_numbers(toy: har_bench.Store, tmp_path: Path) -> None:
    table = predictions(toy)
    plain = har_bench.score(PROTOCOL, toy, table, resamples=0)["error"]
    values = np.array(table["keypoints_3d"].to_pylist(), np.float64).reshape(table.num_rows, -1)
    np.save(tmp_path / "p.npy", values.astype(">f8"))
    names = ["sequence", "frame", "person", *(f"keypoints_3d_{number}" for number in range(values.shape[1]))]
    keys = zip(*(table[name].to_pylist() for name in names[:3]), strict=True)
    rows = [
        [*map(str, key), *(repr(each).replace(".", ",") for each in row)]
        for key, row in zip(keys, values.tolist(), strict=True)
    ]
    (tmp_path / "p.csv").write_text("\n".join(";".join(row) for row in [names, *rows]))
    for name in ("p.npy", "p.csv"):
        assert har_bench.score(PROTOCOL, toy, tmp_path / name, resamples=0)["error"] == pytest.approx(plain)


def with_column(name: str, values: pa.Array) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, values(table.num_rows))


ODD: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "structs": (with_column("keypoints_3d", lambda n: pa.array([{"x": 1}] * n)), "holds struct<x: int64>"),
    "ragged lists": (
        with_column("keypoints_3d", lambda n: pa.array([[1.0] * (3 + row % 2) for row in range(n)])),
        "vectors of different lengths",
    ),
    "empty lists": (with_column("keypoints_3d", lambda n: pa.array([[]] * n, pa.list_(pa.float32()))), "empty vectors"),
    "dates as frames": (with_column("frame", lambda n: pa.array(range(n), pa.timestamp("s"))), "holds timestamp[ms]"),
    "no sequence in a row": (with_column("sequence", lambda n: pa.array([None, *["a"] * (n - 1)])), "row 0"),
    "no sequence in the last row": (with_column("sequence", lambda n: pa.array([*["a"] * (n - 1), None])), "row "),
    "text as keypoints": (with_column("keypoints_3d", lambda n: pa.array(["a"] * n)), "holds 'a' and not numbers"),
    "true and false as keypoints": (
        with_column("keypoints_3d", lambda n: pa.array([[True, False, True] * 4] * n)),
        "holds true and false; give numbers",
    ),
    "a column twice": (lambda table: table.append_column("frame", table["frame"]), "column 'frame' twice"),
    "no row": (lambda table: table.slice(0, 0), "all of s000/right"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_in_parquet_is_said(name: str, toy: har_bench.Store, tmp_path: Path) -> None:
    change, expected = ODD[name]
    path = tmp_path / "p.parquet"
    pq.write_table(change(predictions(toy)), path)
    assert expected in complaint(path, toy)


def test_true_and_false_are_no_places_in_an_array_or_a_mapping(toy: har_bench.Store, tmp_path: Path) -> None:
    truths = np.ones((predictions(toy).num_rows, 4, 3), bool)
    np.save(tmp_path / "p.npy", truths)
    for given, called in (
        (truths, "the array of predictions"),
        (tmp_path / "p.npy", "p.npy"),
        ({"s000/right": truths}, "the prediction of 's000/right'"),
    ):
        with pytest.raises(HarBenchError, match=f"{called} holds true and false; give numbers"):
            har_bench.score(PROTOCOL, toy, given, resamples=0)


def test_columns_that_nobody_asks_for_may_hold_anything(toy: har_bench.Store, tmp_path: Path) -> None:
    table = predictions(toy)
    plain = har_bench.score(PROTOCOL, toy, table, resamples=0)["error"]
    rows = table.num_rows
    table = table.append_column("notes", pa.array([{"by": "me", "at": [1, 2]}] * rows))
    table = table.append_column("day", pa.array(range(rows), pa.date32()))
    pq.write_table(table, tmp_path / "p.parquet")
    assert har_bench.score(PROTOCOL, toy, tmp_path / "p.parquet", resamples=0)["error"] == plain


def test_one_name_may_stand_in_several_dictionaries(toy: har_bench.Store, tmp_path: Path) -> None:
    """Groups of rows have dictionaries of their own, and pandas' categories may be in any order."""
    table = predictions(toy)
    plain = har_bench.score(PROTOCOL, toy, table, resamples=0)["error"]
    pq.write_table(table, tmp_path / "small.parquet", row_group_size=3)
    texts = table["sequence"].to_pylist()
    names = ["nobody", *sorted(set(texts), reverse=True)]
    codes = pa.DictionaryArray.from_arrays(pa.array([names.index(text) for text in texts], pa.int8()), pa.array(names))
    categories = table.set_column(0, "sequence", codes)
    pq.write_table(categories, tmp_path / "categories.parquet")
    for given in (categories, tmp_path / "small.parquet", tmp_path / "categories.parquet"):
        assert har_bench.score(PROTOCOL, toy, given, resamples=0)["error"] == plain


def test_a_damaged_page_is_said(toy: har_bench.Store, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(predictions(toy), path, compression="zstd", write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)
    assert "is damaged" in complaint(path, toy)


def test_a_pipe_a_folder_and_names_that_are_none_are_said(toy: har_bench.Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    assert "is a pipe or a device" in complaint(tmp_path / "p.csv", toy)
    (tmp_path / "f.parquet").mkdir()
    assert "is a folder" in complaint(tmp_path / "f.parquet", toy)
    with pytest.raises(HarBenchError, match=r"cannot be read .*; "):
        har_bench.score(PROTOCOL, toy, tmp_path / ("a" * 300 + ".csv"), resamples=0)


def rle_of_one_name(path: Path) -> None:
    """Eighty million rows in some hundred kilobytes."""
    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000_000, np.int8)), pa.array(["s000/right"]))
    with pq.ParquetWriter(path, pa.schema({"sequence": names.type})) as writer:
        for _ in range(8):
            writer.write_table(pa.table({"sequence": names}), row_group_size=len(names))


def wide_values(path: Path) -> None:
    """Ten million rows that are one value of a hundred bytes, and so many lists of one vector."""
    rows = 10_000_000
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * 12, np.float32)), 12)
    pq.write_table(
        pa.table({"sequence": pa.array(["a"]).take(pa.array(np.zeros(rows, np.int8))), "bbox": values}), path
    )


def blanks_in_zstd(path: Path) -> None:
    """A page of nothing but blanks, packed ten thousandfold; statistics, with a copy of them, take time to make."""
    blanks = pa.table({"sequence": [" " * 600_000_000]})
    pq.write_table(blanks, path, compression="zstd", use_dictionary=False, write_statistics=False)


def many_names(path: Path) -> None:
    path.write_bytes(b"sequence\n" + b"".join(b"%d\n" % number for number in range(900_000)))


def a_line_of_commas(path: Path) -> None:
    path.write_bytes(b"sequence" + b"," * 5_000_000 + b"\n")


def hdf5_of_zeros(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("sequence", data=["a"], dtype=h5py.string_dtype())
        file.create_dataset("keypoints", (1 << 30, 2), "f4", chunks=(1 << 16, 2), compression="gzip")


def a_long_vector(path: Path) -> None:
    """One row of thirty million bytes: beside each Arrow keeps whether it is there and whose; it becomes a double."""
    values = pa.array([np.zeros(30_000_000, np.int8)], pa.list_(pa.int8()))
    pq.write_table(pa.table({"sequence": ["a"], "keypoints": values}), path, compression="zstd")


def names_in_turn(path: Path) -> None:
    """Fifteen million rows that have to be put in order."""
    names = pa.DictionaryArray.from_arrays(pa.array(np.tile(np.int8([0, 1]), 7_500_000)), pa.array(["a", "b"]))
    pq.write_table(pa.table({"sequence": names}), path, compression="zstd", row_group_size=len(names))


def packed_names(path: Path) -> None:
    """A million names, as a difference of one each."""
    numbers = pa.table({"sequence": np.arange(1_000_000)})
    coding = {"sequence": "DELTA_BINARY_PACKED"}
    pq.write_table(numbers, path, use_dictionary=False, column_encoding=coding, compression="zstd")


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "one name": (".parquet", rle_of_one_name, "refused"),
    "wide values": (".parquet", wide_values, "refused"),
    "blanks": (".parquet", blanks_in_zstd, "refused"),
    "a long vector": (".parquet", a_long_vector, "refused"),
    "names in turn": (".parquet", names_in_turn, "refused"),
    "packed names": (".parquet", packed_names, "refused"),
    "many names": (".csv", many_names, "read"),
    "commas": (".csv", a_line_of_commas, "refused"),
    "zeros": (".h5", hdf5_of_zeros, "refused"),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_small_files_that_would_be_large_are_bounded(tmp_path: Path) -> None:
    files = []
    for number, (suffix, make, _) in enumerate(BOMBS.values()):
        path = tmp_path / f"{number}{suffix}"
        make(path)
        assert path.stat().st_size < 10_000_000
        files.append(("columns", path))
    found = dict(zip(BOMBS, read_elsewhere(files, folder=tmp_path, seconds=SECONDS), strict=True))
    assert {name: each.outcome for name, each in found.items()} == {name: bomb[2] for name, bomb in BOMBS.items()}, (
        found
    )
    assert {name: each for name, each in found.items() if each.megabytes > MEGABYTES} == {}


def test_millions_of_names_are_cut_out_when_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("sequence,score\nb,1\na,2\nb,3\n")
    found = read_columns(path)
    assert found is not None
    assert sorted(found.names()) == ["a", "b"]
    rows = found.of("b")
    assert rows is not None
    assert rows["score"].tolist() == [1, 3]
    assert found.of("c") is None


@pytest.mark.parametrize("dictionary", [True, False, ["sequence"]])
@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_a_table_of_nobody_is_sound(dictionary: bool | list[str], compression: str, tmp_path: Path) -> None:
    """Its columns have dictionaries without values, or no page at all."""
    nobody = pa.table({"sequence": pa.array([], pa.string()), "frame": pa.array([], pa.int64())})
    path = tmp_path / "nobody.parquet"
    pq.write_table(nobody, path, use_dictionary=dictionary, compression=compression, write_page_checksum=True)
    assert all(column.cost < 64 for column in pages.columns(path, pq.ParquetFile(path).schema))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_arrow_cannot_open_are_told_and_before_the_work(toy: har_bench.Store, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"p\xff.parquet")
    with pytest.raises(HarBenchError, match="could not be read again, for its name is not UTF-8; name another"):
        har_bench.run("tests.toy:Zero", toy, protocol=PROTOCOL, out=odd)
    pq.write_table(predictions(toy), tmp_path / "plain.parquet")
    (tmp_path / "plain.parquet").rename(odd)
    with pytest.raises(HarBenchError, match="cannot be read by Arrow, for its name is not UTF-8; rename it"):
        read_columns(odd)
