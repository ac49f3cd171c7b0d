"""AVA: rows and files that are broken are reported or named, whatever their bytes."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from har_bench.converters.ava import AVA
from har_bench.converters.ava.proposals import read_proposals
from har_bench.converters.ava.sample import joblib_bytes
from har_bench.errors import HarBenchError
from har_bench.foreign import joblib
from tests.ava_data import read

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


# ---- damaged input

BROKEN = {
    "short": ("a,0902,.1,.2,.3", "5 columns where a row has 2, 7 or 8"),
    "no video": (",0902,.1,.2,.3,.4,5,1", "no video"),
    "no number": ("a,0902,.1,.2,x,.4,5,1", "'x' is not a number"),
    "no box": ("a,0902,,,,,5,1", "'' is not a number"),
    "nan": ("a,0902,.1,.2,nan,.4,5,1", "'nan' is not a number"),
    "infinite": ("a,0902,.1,.2,1e999,.4,5,1", "'1e999' is not a number"),
    "no action": ("a,0902,.1,.2,.3,.4,,1", "action '' is not a whole number"),
    "another action": ("a,0902,.1,.2,.3,.4,81,1", "action '81' is not in the action list"),
    "half an action": ("a,0902,.1,.2,.3,.4,5.5,1", "action '5.5' is not a whole number"),
    "a date": ("a,99999999,.1,.2,.3,.4,5,1", "second 1e+08 is not between 900 and 1800"),
    "negative": ("a,-1", "second -1 is not between 900 and 1800"),
    "not UTF-8": ("\udcff,0902,.1,.2,.3,.4,5,1", "it is not UTF-8"),
    "early": ("a,0100,.1,.2,.3,.4,5,1", "second 100 is not between 900 and 1800"),
    "from 0": ("a,0,.1,.2,.3,.4,5,1", "second 0 is not between 900 and 1800"),
    "late": ("a,1801,.1,.2,.3,.4,5,1", "second 1801 is not between 900 and 1800"),
    "pixels": ("a,0902,77,151,283,811,5,1", "box 77, 151, 283, 811 is not in fractions of the image"),
    "one pixel": ("a,0902,.1,.2,283,.4,5,1", "box 0.1, 0.2, 283, 0.4 is not in fractions"),
    "negative box": ("a,0902,-50,.2,.3,.4,5,1", "box -50, 0.2, 0.3, 0.4 is not in fractions"),
    "inverted": ("a,0902,.5,.2,.3,.4,5,1", "box 0.5, 0.2, 0.3, 0.4 ends before it begins"),
    "upside down": ("a,0902,.1,.9,.3,.4,5,1", "box 0.1, 0.9, 0.3, 0.4 ends before it begins"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_row_is_reported_and_the_others_are_kept(own: Path, kind: str) -> None:
    row, reason = BROKEN[kind]
    expected_rows = read(own).segments
    path = own / "ava_val_v2.2.csv"
    path.write_bytes(f"{row}\n".encode("utf-8", "surrogateescape") + path.read_bytes())
    found = read(own)
    (reject,) = found.rejects
    assert reason in reject.reason
    assert (reject.source, reject.action) == ("ava_val_v2.2.csv", "dropped")
    assert reject.locator == "line 1"
    assert found.segments == expected_rows
    assert "a" not in found.sequences["sequence"].to_pylist()


@pytest.mark.parametrize("person", ["0.9", "3_", "x", "-"])
def test_a_person_id_that_is_none_is_null_and_reported(own: Path, person: str) -> None:
    path = own / "ava_val_v2.2.csv"
    path.write_text(f"zzzzzzzzzzz,0902,.1,.2,.3,.4,5,{person}\n" + path.read_text())
    found = read(own)
    (reject,) = found.rejects
    assert (reject.locator, reject.action) == ("line 1", "repaired")
    assert reject.reason == f"person {person!r} is not a whole number; it is null"
    assert found.segments is not None
    (row,) = found.segments.filter(pa.compute.equal(found.segments["sequence"], "zzzzzzzzzzz")).to_pylist()
    assert (row["person"], row["action"]) == (None, 5)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["a,0,.1,.2,.3,.4,5,1", "a,1,.1,.2,.3,.4,5,1"], "line 1: second 0 is not between 900 and 1800"),
        (["a,0902,10,20,30,40,5,1"] * 3, "line 1: box 10, 20, 30, 40 is not in fractions"),
        (["a,0902,.1,.2,.3,.4,99,1", "b,0903"], "line 1: action '99' is not in the action list"),
        (["a,0902,.1,.2,.3,.4,5,0.75"] * 3, "line 1: person '0.75' is not a whole number"),
        (["a,0902,.1,.2"] * 3, "line 1: 4 columns"),
        (["video,second"], "line 1: 'second' is not a number"),
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_refused(own: Path, rows: list[str], reason: str) -> None:
    (own / "ava_val_v2.2.csv").write_text("\n".join(rows))
    with pytest.raises(HarBenchError, match=r"ava_val_v2\.2\.csv: none of its \d ") as caught:
        read(own)
    assert reason in str(caught.value)
    assert "; mend the file" in str(caught.value)


def test_a_keyframe_without_a_person_id_is_kept(own: Path) -> None:
    path = own / "ava_val_v2.2.csv"
    path.write_text("zzzzzzzzzzz,902.5,0,0,1,1,80,\n" + path.read_text())
    found = read(own)
    assert found.rejects == []
    assert found.segments is not None
    row = found.segments.filter(pa.compute.equal(found.segments["sequence"], "zzzzzzzzzzz")).to_pylist()[0]
    assert (row["person"], row["timestamp"], row["start"]) == (None, 902.5, 75)


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no AVA \(it is empty\); expected ava_"):
        AVA().discover(tmp_path)


def test_the_same_file_twice_is_named(own: Path) -> None:
    (own / "annotations").mkdir()
    shutil.copy(own / "ava_val_v2.2.csv", own / "annotations")
    with pytest.raises(HarBenchError, match="are the same file of AVA; remove one of them"):
        AVA().discover(own)


ALIEN: dict[str, tuple[str, bytes, str]] = {
    "csv": ("ava_val_v2.2.csv", b"hello\nworld\n", "none of its 2 rows"),
    "actions": ("ava_action_list_v2.2.pbtxt", b"hello", "holds no entry such as"),
    "action without a name": ("ava_action_list_v2.2.pbtxt", b"label { label_id: 1 }", "entry 1 lacks a name"),
    "action twice": ("ava_action_list_v2.2.pbtxt", b'item{name:"a" id: 1} item{name:"b" id: 1}', "id 1 twice"),
    "actions cut off": (
        "ava_action_list_v2.2.pbtxt",
        b'item{name:"a" id: 1} item{name:"b" id:',
        "ends inside an entry",
    ),
    "included": ("ava_included_timestamps_v2.2.txt", b"x\ny\n", "none of its 2 seconds can be used"),
    "videos": ("ava_test_v2.2.txt", b"\xff\xfd", "is not a list of names"),
    "proposals": ("ava_dense_proposals_val.pkl", pickle.dumps([1]), "holds no proposals"),
    "gzip": ("ava_train_v2.1.csv.gz", b"\x1f\x8b123", "is damaged|is cut off"),
}


@pytest.mark.parametrize("kind", ALIEN)
def test_a_file_of_something_else_is_named(own: Path, kind: str) -> None:
    name, content, reason = ALIEN[kind]
    if name.endswith(".gz"):
        for path in own.glob("ava_*.csv"):
            path.unlink()
    (own / name).write_bytes(content)
    with pytest.raises(HarBenchError, match=reason) as caught:
        read(own)
    assert name in str(caught.value)


BOX = [0.1, 0.2, 0.3, 0.4, 1.0]


@pytest.mark.parametrize(
    ("key", "boxes", "reason"),
    [
        ("x", np.array([BOX]), "not a key"),
        (3, np.array([BOX]), "not a key"),
        ("x,0100", np.array([BOX]), "second 100 is not between 900 and 1800"),
        ("x,1801", np.array([BOX]), "second 1801 is not between 900 and 1800"),
        ("x,0902", np.zeros((1, 3)), "not an (N, 5) array"),
        ("x,0902", None, "not an (N, 5) array"),
        ("x,0902", np.full((1, 5), np.nan), "box nan, nan, nan, nan ends before it begins"),
        ("x,0902", np.array([[10, 20, 30, 40, 1]]), "box 10, 20, 30, 40 is not in fractions"),
        ("x,0902", np.array([[0.3, 0.2, 0.1, 0.4, 1]]), "ends before it begins"),
    ],
)
def test_broken_proposals_are_reported(tmp_path: Path, key: Any, boxes: Any, reason: str) -> None:
    path = tmp_path / "proposals.pkl"
    path.write_bytes(pickle.dumps({key: boxes, "y,0902": np.array([BOX, BOX], np.float32)}))
    found, (reject,) = read_proposals(path, "proposals.pkl", 30.0, set())
    assert found["sequence"].to_pylist() == ["y", "y"]
    assert reject.locator.partition("[")[0] == repr(key)
    assert reason in reject.reason
    with pytest.raises(HarBenchError, match="none of its 2 entries"):
        read_proposals(path, "proposals.pkl", 30.0, {("y", 902.0)})


def test_a_box_among_others_is_dropped_alone_and_a_score_may_be_null(tmp_path: Path) -> None:
    path = tmp_path / "proposals.pkl"
    rows = np.array([BOX, [5, 5, 9, 9, 1], [*BOX[:4], np.nan]])
    path.write_bytes(pickle.dumps({"x,0902": rows, "y,0902": rows[:1, :4]}))
    found, rejects = read_proposals(path, "proposals.pkl", 30.0, set())
    assert [(reject.locator, reject.action) for reject in rejects] == [
        ("'x,0902'[1]", "dropped"), ("'x,0902'[2]", "repaired")
    ]  # fmt: skip
    assert found.select(["sequence", "person", "score"]).to_pylist() == [
        {"sequence": "x", "person": 0, "score": 1.0},
        {"sequence": "x", "person": 2, "score": None},
        {"sequence": "y", "person": 0, "score": None},
    ]


def mutated(honest: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, cut out or doubled."""
    forged = bytearray(honest)
    for _ in range(rng.integers(1, 5)):
        start = int(rng.integers(0, len(forged)))
        match rng.integers(4):
            case 0:
                forged[start] = rng.integers(256)
            case 1:
                forged[start] = ord(rng.choice(list("0123456789.,-\neE_x ")))
            case 2:
                del forged[start : start + int(rng.integers(1, 30))]
            case _:
                forged[start:start] = forged[start : start + int(rng.integers(1, 30))]
        forged = forged or bytearray(b"\n")
    return bytes(forged)


@pytest.mark.parametrize(
    "name",
    [
        "ava_val_v2.2.csv", "kinetics_val_v1.0.csv", "ava_action_list_v2.2.pbtxt", "ava_test_v2.2.txt",
        "ava_included_timestamps_v2.2.txt", "ava_dense_proposals_val.pkl", "demo_walk.pkl",
        "ava-val_*_000150_0_*.pkl",
    ],
)  # fmt: skip
def test_mutated_files_are_read_or_named(name: str, raw: Path, tmp_path: Path) -> None:
    """Whatever the bytes, the outcome is tables, rejects or one HarBenchError."""
    rng = np.random.default_rng(5)
    source = next((raw / "tracklets").glob(name), raw / name)
    honest = source.read_bytes()
    if source.parent.name == "tracklets":  # short enough for the mutations to hit more than numbers
        content = joblib.load(source)
        features = {key: np.ones((1, 4)) for key in content.get("apperance_dict", ())}
        honest = joblib_bytes(content | {"apperance_dict": features} if features else dict(list(content.items())[:6]))
    path = tmp_path / source.name
    if name.endswith((".txt", ".pbtxt", "proposals_val.pkl")):
        shutil.copy(raw / "kinetics_val_v1.0.csv", tmp_path)
        (tmp_path / "ava_val_v2.2.csv").write_bytes((raw / "ava_val_v2.2.csv").read_bytes()[:400].rsplit(b"\n", 1)[0])
    outcomes = set()
    for _ in range(FUZZ):
        path.write_bytes(mutated(honest, rng))
        try:
            found = read(tmp_path)
            assert found.sequences.schema.names
            outcomes.add("rejects" if found.rejects else "tables")
        except HarBenchError as error:
            assert str(path) in str(error)  # noqa: PT017 - every message names the file
            outcomes.add("error")
    assert outcomes >= {"tables"}
    assert len(outcomes) > 1
