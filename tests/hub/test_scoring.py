"""Predictions of every kind, alignment and its errors, and results that do not depend on how they were computed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench import HarBenchError, Store
from har_bench.protocol import make_protocol
from har_bench.schema import to_numpy, vector
from tests.enlarged import predicted
from tests.sampled import Samples
from tests.toy import write_raw

PROTOCOL = "tests.toy:ToyError"
FRAMES = [30, 7, 12]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("scoring")
    return har_bench.convert("tests.toy:Toy", write_raw(home / "raw", FRAMES), home / "store", jobs=1, quiet=True)


@pytest.fixture(scope="module")
def arrays(store: Store) -> dict[str, np.ndarray[Any, Any]]:
    """Predictions for the scored sequences, 5 mm off in x."""
    names = [f"s{number:03d}/right" for number in range(3)]
    return {name: store.sequence(name).keypoints_3d + np.float32([5, 0, 0]) for name in names}


@pytest.fixture(scope="module")
def table(store: Store, arrays: dict[str, np.ndarray[Any, Any]]) -> pa.Table:
    keys = store.poses(split="x/test", columns=["sequence", "frame", "person"])
    return keys.append_column("keypoints_3d", vector(np.concatenate(list(arrays.values()))))


def error(store: Store, predictions: Any, **how: Any) -> float:
    return har_bench.score(PROTOCOL, store, predictions, resamples=0, **how)["error"]


def test_every_kind_of_predictions_scores_the_same(
    store: Store, arrays: dict[str, np.ndarray[Any, Any]], table: pa.Table, tmp_path: Path
) -> None:
    points = np.concatenate(list(arrays.values()))
    columns = {name: table[name].to_pylist() for name in ("sequence", "frame", "person")}
    frame = pd.DataFrame({**columns, "keypoints_3d": [pose.ravel() for pose in points]})
    nested = pd.DataFrame({**columns, "keypoints_3d": [pose.tolist() for pose in points]})
    pq.write_table(table, tmp_path / "contiguous.parquet", row_group_size=10)
    pq.write_table(table.take(np.random.default_rng(0).permutation(len(points))), tmp_path / "scattered.parquet")
    nested.to_parquet(tmp_path / "pandas.parquet")
    flat = {f"keypoints_3d_{number}": points.reshape(len(points), -1)[:, number] for number in range(51)}
    pa.csv.write_csv(pa.table(columns | flat), tmp_path / "rows.csv")
    with h5py.File(tmp_path / "columns.h5", "w") as file:
        for name, values in (columns | {"keypoints_3d": points}).items():
            file[name] = values
    files = [tmp_path / name for name in ("contiguous.parquet", "scattered.parquet", "pandas.parquet", "columns.h5")]
    for source in (arrays, table, frame, nested, columns | {"keypoints_3d": points}, *files):
        assert error(store, source) == pytest.approx(5.0, abs=1e-4)
    assert error(store, tmp_path / "rows.csv") == pytest.approx(5.0, abs=1e-3)
    assert error(store, str(files[0])) == error(store, files[1])
    without_person = table.drop_columns("person")
    assert error(store, without_person) == error(store, table)


def test_predictions_in_another_layout_are_mapped_by_name(store: Store, arrays: dict[str, Any]) -> None:
    wide = {}
    places = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    for name, points in arrays.items():
        wide[name] = np.zeros((len(points), 32, 3), np.float32)
        wide[name][:, places] = points
    assert error(store, wide) == error(store, arrays)
    with pytest.raises(HarBenchError, match=r"have 5 joints, and toy/error takes 17 \(h36m17\), 32 \(h36m32\)"):
        error(store, {name: points[:, :5] for name, points in arrays.items()})


def test_sixteen_joints_are_scored_as_sixteen(samples: Samples) -> None:
    """Means over 16 joints, which the way of scoring, the options and a note say; jobs see the same joints."""
    store = samples("h36m")
    rows = predicted(make_protocol("h36m/mpjpe"), store)
    points = to_numpy(rows["keypoints_3d"], rows.schema.field("keypoints_3d")).reshape(len(rows), 17, 3)
    fewer = rows.drop_columns("keypoints_3d").append_column("keypoints_3d", vector(np.delete(points, 9, axis=1)))
    whole = har_bench.score("h36m/mpjpe", store, rows, resamples=0)
    joints = {row["joint"]: row["MPJPE"] for row in whole.tables["joint"] if row["joint"] != "neck"}
    for how in ({}, {"skeleton": "h36m16"}, {"recipe": "recentred"}, {"jobs": 2}):
        found = har_bench.score("h36m/mpjpe", store, fewer, resamples=0, **how)
        assert found.canonical.endswith("joints=h36m16")
        assert found.options == {"joints": "h36m16"}
        assert any("16 joints of h36m16" in note for note in found.notes)
        if "recipe" not in how:
            assert found["MPJPE"] == pytest.approx(np.mean(list(joints.values())), rel=1e-12)
    with pytest.raises(HarBenchError, match="cannot be compared; give both with the same joints"):
        har_bench.compare("h36m/mpjpe", store, rows, fewer, resamples=10)
    mapped = har_bench.score("h36m/mpjpe", store, rows, options={"joints": "h36m16"}, skeleton="h36m17", resamples=0)
    assert mapped["P-MPJPE"] == har_bench.score("h36m/mpjpe", store, fewer, resamples=0)["P-MPJPE"]


def test_an_option_scores_fewer_frames_of_full_or_thinned_predictions(store: Store, arrays: dict[str, Any]) -> None:
    thinned = {name: points[::4] for name, points in arrays.items()}
    assert error(store, thinned, options={"every": 4}) == error(store, arrays, options={"every": 4})
    result = har_bench.score(f"{PROTOCOL}", store, arrays, recipe="double", options={"every": 4})
    assert result["error"] == pytest.approx(10.0, abs=1e-4)
    assert (result.recipe, result.options) == ("double", {"every": 4})
    with pytest.raises(HarBenchError, match=r"unaligned \(first: s000/right has 8 predictions for 30 frames"):
        error(store, thinned)


def test_everything_wrong_with_the_rows_is_named_at_once(store: Store, table: pa.Table) -> None:
    rows = table.to_pylist()
    del rows[3:5]
    rows.append(dict(rows[0]))
    rows.append(rows[0] | {"frame": 999})
    rows.append(rows[0] | {"sequence": "elsewhere"})
    broken = pa.Table.from_pylist(rows, table.schema)
    with pytest.raises(HarBenchError) as caught:
        error(store, broken)
    message = str(caught.value)
    assert "2 missing (first: s000/right, frame 3, person 72057594037944742" in message
    assert "1 duplicate (first: s000/right, frame 0" in message
    assert "2 unknown (first: s000/right, frame 999" in message
    values = np.zeros((49, 17, 3), np.float32)
    values[20, 3, 1] = np.nan
    with pytest.raises(HarBenchError, match="1 non-finite"):
        error(store, table.set_column(3, "keypoints_3d", vector(values)))


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ("half of the rows", "cannot be scored: rows 25 missing"),
        ("no points", "no column of .* is called 'keypoints_3d'"),
        ("five joints", "have 5 joints"),
        ("no depth", "has 34 numbers a row"),
        ("another layout", "have the joints of coco17, in which .* are only approximate"),
        ("an array of other rows", "has 10 rows, where toy/error"),
    ],
)
def test_a_refusal_names_the_file(how: str, wrong: str, store: Store, table: pa.Table, tmp_path: Path) -> None:
    keys, path = table.drop_columns("keypoints_3d"), tmp_path / "mine.parquet"
    rows = {
        "half of the rows": table.slice(0, 24),
        "no points": keys,
        "five joints": keys.append_column("keypoints_3d", vector(np.zeros((49, 5, 3)))),
        "no depth": keys.append_column("keypoints_3d", vector(np.zeros((49, 17, 2)))),
    }.get(how, table)
    pq.write_table(rows, path)
    if how == "an array of other rows":
        np.save(path := tmp_path / "mine.npy", np.zeros((10, 17, 3)))
    with pytest.raises(HarBenchError, match=wrong) as caught:
        error(store, path, skeleton="coco17" if how == "another layout" else None)
    assert str(path) in str(caught.value)
    assert "; " in str(caught.value)


def test_missing_rows_count_as_errors_when_asked(store: Store, arrays: dict[str, Any]) -> None:
    one = {"s000/right": arrays["s000/right"]}
    with pytest.raises(HarBenchError, match="19 missing"):
        error(store, one)
    counted = har_bench.score(PROTOCOL, store, one, missing="count-as-error", resamples=0)
    roots = [np.linalg.norm(store.sequence(name).keypoints_3d[:, 0], axis=-1) for name in list(arrays)[1:]]
    assert counted["error"] == pytest.approx((30 * 5 + np.concatenate(roots).sum()) / 49, rel=1e-6)
    assert counted.options == {"missing": "count-as-error"}
    (note,) = counted.notes
    assert note.startswith("19 of 49 predictions that are asked for are missing")


def test_rows_without_frames_that_do_not_stand_together_are_said(store: Store, arrays: dict[str, Any]) -> None:
    """Their number may be right, and nothing in the file says so."""
    sequences = [name for name, points in arrays.items() for _ in points]
    together = pa.table({"sequence": sequences, "keypoints_3d": vector(np.concatenate(list(arrays.values())))})
    turned = together.take(np.arange(len(sequences))[::-1])
    mixed = together.take(np.argsort([row % 2 for row in range(len(sequences))], kind="stable"))
    said = [har_bench.score(PROTOCOL, store, rows, resamples=0).notes for rows in (together, turned, mixed)]
    assert [len(notes) for notes in said] == [0, 0, 1]
    assert said[2][0].endswith("they were taken for its frames in the order of the file")


def test_a_frame_with_several_persons_needs_the_person(tmp_path: Path) -> None:
    from har_bench.scoring.by_row import Problems, align

    truth = {"frame": np.array([0, 0]), "person": np.array([1, 2])}
    with pytest.raises(HarBenchError, match=r"^a\.csv do not say who is who in x, .*; add the column 'person'$"):
        align("x", truth, np.arange(2), {"frame": np.array([0])}, Problems(), called="a.csv")
    rows = {"frame": np.array([0, 0]), "person": np.array([2, 1])}
    assert align("x", truth, np.arange(2), rows, Problems()).tolist() == [1, 0]


def test_sequences_that_are_not_scored_are_ignored_and_counted(store: Store, arrays: dict[str, Any]) -> None:
    more = arrays | {"s000/left": np.zeros((30, 17, 3), np.float32)}
    result = har_bench.score(PROTOCOL, store, more, resamples=0)
    assert (result["error"], result.counts["ignored_sequences"]) == (error(store, arrays), 1)


def test_workers_and_clusters_give_the_same_result(store: Store, table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "rows.parquet")
    one = har_bench.score(PROTOCOL, store, tmp_path / "rows.parquet")
    two = har_bench.score(PROTOCOL, store, tmp_path / "rows.parquet", jobs=2)
    assert one == two
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        many = har_bench.score(PROTOCOL, store, tmp_path / "rows.parquet", scheduler=cluster.scheduler_address)
    assert one == many


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_a_digit(store: Store, table: pa.Table, random: Any) -> None:
    order = list(range(table.num_rows))
    random.shuffle(order)
    shuffled = har_bench.score(PROTOCOL, store, table.take(order))
    straight = har_bench.score(PROTOCOL, store, table)
    assert (shuffled.metrics, shuffled.intervals) == (straight.metrics, straight.intervals)


def test_the_interval_is_seeded_and_covers_the_value(store: Store, arrays: dict[str, Any]) -> None:
    spread = {name: points + np.float32([float(place), 0, 0]) for place, (name, points) in enumerate(arrays.items())}
    result = har_bench.score(PROTOCOL, store, spread)
    interval = result.intervals["error"]
    assert interval.low < result["error"] < interval.high
    assert har_bench.score(PROTOCOL, store, spread).intervals == result.intervals


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.parquet", b"", "is empty"),
        ("wrong.parquet", b"no parquet at all", "no Parquet file"),
        ("wrong.csv", b"sequence,b\n1,2,3\n", r"3 cells in line 2"),
        ("keys.csv", b"a,b\n1,2\n", "no column of the predictions is called 'sequence'"),
        ("wrong.h5", b"\x89HDF\r\n\x1a\nrest", "cannot be read as HDF5"),
        ("what.xyz", b"???", "no predictions file that toy/error knows"),
    ],
)
def test_a_file_that_is_no_predictions_is_one_sentence(
    name: str, content: bytes, message: str, store: Store, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarBenchError, match=message):
        error(store, tmp_path / name)


def test_wrong_predictions_from_python_are_one_sentence(store: Store, table: pa.Table) -> None:
    for source, message in (
        (3, "cannot be a int"),
        ({"sequence": ["a"], "keypoints_3d": np.zeros((2, 17, 3))}, "same number of rows"),
        (table.drop_columns("keypoints_3d"), "no column of the predictions is called 'keypoints_3d'"),
        (np.zeros((48, 17, 3)), "has 48 rows, where .* scores .*; write a row for each"),
        ("nowhere.parquet", "does not exist"),
    ):
        with pytest.raises(HarBenchError, match=message):
            error(store, source)


def test_unknown_names_are_offered_alternatives(store: Store) -> None:
    for name, options, message in (
        ("h36m/mpjp", {}, "did you mean 'h36m/mpjpe'"),
        (PROTOCOL, {"recipe": "triple"}, "called 'triple'; there are plain, double"),
        (PROTOCOL, {"options": {"recipe": "double"}}, "no option of toy/error is called 'recipe'; there are every"),
        (PROTOCOL, {"options": {"colour": 1}}, "called 'colour'; there are every"),
        ("h36m/mpjpe", {}, "needs a h36m store"),
        ("h36m/mpjpe:videopose3d,every", {}, "is not option=value"),
        ("h36m/mpjpe:videopose3d", {"recipe": "deephar"}, "give one of them"),
        ("nowhere.at:All", {}, "cannot be imported"),
    ):
        with pytest.raises(HarBenchError, match=message):
            har_bench.score(name, store, {}, **options)


def test_a_stranger_s_baseline_runs_and_is_timed(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "predictions.parquet"
    result = har_bench.run("tests.toy:Zero", store, protocol=PROTOCOL, out=out)
    assert result.model == "tests.toy:Zero"
    assert result.speed["poses"] == 49
    assert error(store, out) == result["error"]
    kept = har_bench.run("tests.toy:Zero", store, protocol=PROTOCOL)
    assert kept.metrics == result.metrics
    with pytest.raises(HarBenchError, match="called 'size'; there is none"):
        har_bench.run("tests.toy:Zero", store, protocol=PROTOCOL, settings={"size": 3})
    with pytest.raises(HarBenchError, match="no weights to load"):
        har_bench.run("tests.toy:Zero", store, protocol=PROTOCOL, weights=out)


def test_a_list_in_a_cell_of_csv_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('sequence,frame,person,keypoints_3d\ns000/right,0,0,"[1, 2, 3]"\n')
    with pytest.raises(HarBenchError, match=r"'keypoints_3d' .* holds '\[1, 2, 3\]' and not numbers; in CSV, spread"):
        har_bench.score(PROTOCOL, store, tmp_path / "p.csv")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"protocol": None}, "a protocol cannot be a NoneType; give its name"),
        ({"store": None}, "a store cannot be a NoneType; give the path"),
        ({"options": ["every=2"]}, "the options of mpii/pckh are a list; give a mapping"),
        (
            {"missing": "ignore"},
            "no way to take missing predictions is called 'ignore'; there are error, count-as-error",
        ),
        ({"jobs": -2}, "-2 processes cannot be; give how many"),
        ({"resamples": -1}, "-1 resamples cannot be; give how many, or 0"),
    ],
)
def test_arguments_of_other_kinds_are_said(arguments: dict[str, Any], words: str, store: Store) -> None:
    usual = {"protocol": PROTOCOL, "store": store, "predictions": np.zeros((49, 17, 3)), "resamples": 0}
    given = usual | arguments
    if "options" in arguments:
        given["protocol"] = "mpii/pckh"
    with pytest.raises(HarBenchError, match=re.escape(words)):
        har_bench.score(**given)
