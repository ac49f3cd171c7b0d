"""What a store gives to training code: windows, targets, dataframes; and what notebooks show of it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import har_bench
from har_bench import HarBenchError, cli, registry
from har_bench.protocol import make_protocol
from har_bench.schema import poses_schema, to_numpy
from har_bench.schema import sequences_schema as clips_schema
from har_bench.schema import table as table_of
from har_bench.store import Store
from har_bench.storing.windows import Windows
from tests.sampled import Samples


@pytest.fixture(scope="module")
def h36m(samples: Samples) -> Store:
    return samples("h36m", seed=1)


@pytest.fixture(scope="module")
def ntu(samples: Samples) -> Store:
    """Sequences of one and of two persons, with frames in which somebody is missing."""
    return samples("ntu60", seed=1)


# ---- windows


def by_hand(store: Store, length: int, split: str | None) -> dict[tuple[str, int, int], np.ndarray[Any, Any]]:
    """Every window about a frame, by sequence, person and frame: of the frames around it, as far as there are."""
    found = {}
    for name in store.select(split)["sequence"].to_pylist():
        view = store.sequence(name)
        for person, frame in zip(view.person.tolist(), view.frame.tolist(), strict=True):
            mine = {int(view.frame[row]): row for row in np.flatnonzero(view.person == person)}
            low = high = frame
            while low - 1 in mine:
                low -= 1
            while high + 1 in mine:
                high += 1
            places = [min(max(frame - length // 2 + step, low), high) for step in range(length)]
            found[name, person, frame] = view.keypoints_3d[[mine[place] for place in places]]
    return found


@pytest.mark.parametrize("length", [1, 4, 7])
def test_a_window_holds_the_frames_around_one_and_none_of_another_person_or_run(ntu: Store, length: int) -> None:
    windows = ntu.windows(length, split="xsub/train", columns=["keypoints_3d", "label", "sequence"])
    expected = by_hand(ntu, length, "xsub/train")
    assert len(windows) == len(expected)
    batch = windows[np.arange(len(windows))]
    for number, window in enumerate(windows):
        where = windows.where(number)
        assert np.array_equal(window["keypoints_3d"], expected.pop(where), equal_nan=True)
        assert np.array_equal(batch["keypoints_3d"][number], window["keypoints_3d"], equal_nan=True)
        assert window["sequence"] == batch["sequence"][number] == where.sequence
        assert window["label"] == batch["label"][number] == int(where.sequence[-3:])
    assert not expected
    assert any(len(np.unique(ntu.sequence(name).person)) > 1 for name in windows.names)  # two persons were among them


def test_unpadded_windows_lie_inside_a_run(ntu: Store) -> None:
    windows = ntu.windows(5, columns=["frame"], stride=3, padded=False)
    frames = windows[:]["frame"]
    assert (np.diff(frames, axis=1) == 1).all()
    count = 0
    for name in ntu.sequences["sequence"].to_pylist():
        view = ntu.sequence(name)
        for person in np.unique(view.person):
            mine = view.frame[view.person == person]
            runs = np.split(mine, np.flatnonzero(np.diff(mine) != 1) + 1)
            count += sum(len(range(0, len(run) - 4, 3)) for run in runs)
    assert len(windows) == count > 0
    assert len(ntu.windows(10_000, padded=False)) == 0


def test_joints_columns_and_strides_are_as_asked(h36m: Store) -> None:
    windows = h36m.windows(3, split="test", skeleton="h36m17", stride=4)
    assert set(windows[0]) == {"keypoints", "keypoints_3d"}
    assert windows[[0, -1]]["keypoints"].shape == (2, 3, 17, 2)
    assert len(windows) == sum(-(-rows // 4) for rows in h36m.select("test")["rows"].to_pylist())
    assert "3 frames" in repr(windows)
    windows[0]["keypoints"][:] = 0  # the caller's own
    assert windows[0]["keypoints"].any()
    for length, columns, words in ((0, None, "windows of 0 frames"), (3, ["keypoint"], "did you mean 'keypoints'")):
        with pytest.raises(HarBenchError, match=words):
            h36m.windows(length, columns=columns)


def test_windows_can_be_pickled_and_read_by_torch_s_loader(h36m: Store) -> None:
    torch = pytest.importorskip("torch")
    windows: Windows = pickle.loads(pickle.dumps(h36m.windows(9, split="test", columns=["keypoints", "action"])))
    one_by_one = torch.utils.data.DataLoader(windows, batch_size=64)
    batches = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(windows), 64, drop_last=False)
    at_once = torch.utils.data.DataLoader(windows, sampler=batches, batch_size=None)
    for one, other in zip(one_by_one, at_once, strict=True):
        assert one["keypoints"].dtype == torch.float32
        assert torch.equal(one["keypoints"], other["keypoints"])
        assert one["action"] == other["action"].tolist()


def test_many_sequences_are_given_one_by_one_in_any_order(ntu: Store) -> None:
    names = ntu.sequences["sequence"].to_pylist()
    backwards = ntu.sequences.take(list(range(len(names)))[::-1])
    for chosen in (ntu.sequences, backwards):
        views = list(ntu.each(chosen, ["frame", "keypoints_3d"]))
        assert [view.info["sequence"] for view in views] == chosen["sequence"].to_pylist()
        for view in views:
            alone = ntu.sequence(view.info["sequence"])
            assert np.array_equal(view.keypoints_3d, alone.keypoints_3d, equal_nan=True)
            assert view.poses.column_names == ["frame", "keypoints_3d"]
    assert any(not len(view) for view in ntu.each(ntu.sequences))  # nobody is in one of them


# ---- targets


POSE_PROTOCOLS = [name for name in registry.available("protocols") if make_protocol(name).task == "pose"]


@pytest.fixture(scope="module")
def stores(samples: Samples, h36m: Store) -> dict[str, Store]:
    found = {"h36m": h36m}
    for dataset in {make_protocol(name).dataset for name in POSE_PROTOCOLS} - {"h36m"}:
        found[dataset] = samples(dataset, seed=1)
    return found


@pytest.mark.parametrize("name", POSE_PROTOCOLS)
def test_an_array_in_the_order_of_the_targets_is_taken_by_every_pose_protocol(
    name: str, stores: dict[str, Store], tmp_path: Path
) -> None:
    protocol = make_protocol(name)
    store, column = stores[protocol.dataset], protocol.prediction_columns[0]
    keys = store.targets(name)
    assert keys.column_names == ["sequence", "frame", "person"]
    truth = {
        (row["sequence"], row["frame"], row["person"]): row[column]
        for row in store.poses(columns=["sequence", "frame", "person", column]).to_pylist()
    }
    field = store.schema("poses").field(column)
    rows = pa.array([truth[tuple(row.values())] for row in keys.to_pylist()], field.type)
    array = np.nan_to_num(to_numpy(rows, field)) + np.random.default_rng(0).normal(0, 5, (keys.num_rows, 1, 1))
    keyed = keys.append_column(column, pa.array(array.reshape(len(array), -1).tolist()))
    np.save(tmp_path / "mine.npy", array)
    results = [
        har_bench.score(name, store, given, resamples=0, quiet=True)
        for given in (keyed, array, tmp_path / "mine.npy", array.tolist())
    ]
    assert results[0].counts
    for other in results[1:]:
        assert other.metrics == results[0].metrics
        assert other.counts == results[0].counts
    with pytest.raises(HarBenchError):
        har_bench.score(name, store, array[:-1], resamples=0, quiet=True)


def test_the_targets_are_the_rows_that_are_scored(h36m: Store, tmp_path: Path) -> None:
    cli.main(["targets", "h36m/mpjpe:videopose3d,every=16", str(h36m.path), str(tmp_path / "keys.parquet")])
    keys = pq.read_table(tmp_path / "keys.parquet")
    assert keys.equals(h36m.targets("h36m/mpjpe", options={"every": 16}))
    assert set(keys["frame"].to_pylist()) <= set(range(0, 10_000, 16))
    asked = keys.append_column("keypoints_3d", pa.array([[0.0] * 51] * len(keys)))
    result = har_bench.score("h36m/mpjpe", h36m, asked, options={"every": 16}, resamples=0, quiet=True)
    assert result.counts["frames"] == len(keys)
    with pytest.raises(HarBenchError, match=r"has \d+ rows, where .* scores \d+; write a row for each"):
        har_bench.score("h36m/mpjpe", h36m, np.zeros((5, 17, 3)), options={"every": 16}, quiet=True)


def test_of_clips_the_targets_are_the_sequences(ntu: Store) -> None:
    keys = ntu.targets("ntu60/xsub")
    assert keys.column_names == ["sequence"]
    assert keys["sequence"].to_pylist() == ntu.select("xsub/test")["sequence"].to_pylist()


# ---- dataframes and notebooks


def test_a_wide_dataframe_has_a_column_for_every_number(h36m: Store) -> None:
    frame = h36m.to_pandas(
        "test", ["sequence", "frame", "bbox", "keypoints", "visibility"], skeleton="h36m17", wide=True
    )
    rows = h36m.poses("test", ["keypoints", "visibility"], skeleton="h36m17")
    points = to_numpy(rows["keypoints"], rows.schema.field("keypoints"))
    assert list(frame.columns[:8]) == [
        *("sequence", "frame", "bbox_x", "bbox_y", "bbox_w", "bbox_h"),
        *("keypoints_hip_x", "keypoints_hip_y"),
    ]
    assert np.array_equal(frame["keypoints_left_knee_y"], points[:, 5, 1])
    assert frame["visibility_right_wrist"].tolist() == [row[16] for row in rows["visibility"].to_pylist()]
    assert len(frame.columns) == 2 + 4 + 3 * 17
    narrow = h36m.to_pandas("test", ["keypoints"])
    assert narrow["keypoints"].dtype.pyarrow_dtype == h36m.schema("poses").field("keypoints").type


def test_numbers_without_names_are_numbered() -> None:
    from har_bench.storing.frames import wide

    schema = pa.schema([poses_schema(3).field("visibility"), clips_schema().field("fps")])
    frame = wide(table_of({"visibility": np.uint8([[1, 2, 0]]), "fps": [25.0]}, schema), None)
    assert frame.to_dict("records") == [{"visibility_0": 1, "visibility_1": 2, "visibility_2": 0, "fps": 25.0}]


def test_notebooks_show_tables_and_no_markup_of_a_file(h36m: Store) -> None:
    shown: Any = h36m
    assert "<caption>h36m store</caption>" in shown._repr_html_()
    view: Any = h36m.sequence("S9/Walking 1/54138969")
    view.info["action"] = "<script>"
    page = view._repr_html_()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "keypoints_3d" in page
    keys = h36m.targets("h36m/mpjpe")
    result: Any = har_bench.score(
        "h36m/mpjpe", h36m, np.ones((len(keys), 17, 3)), resamples=5, quiet=True, model="<me>"
    )
    page = result._repr_html_()
    assert "&lt;me&gt;" in page
    assert f"{result['MPJPE']:.4f}" in page


def test_a_result_s_tables_are_dataframes(h36m: Store) -> None:
    keys = h36m.targets("h36m/mpjpe")
    result = har_bench.score("h36m/mpjpe", h36m, np.ones((len(keys), 17, 3)), resamples=0, quiet=True)
    assert result.to_pandas().loc["MPJPE", "value"] == result["MPJPE"]
    assert json.loads(result.to_pandas("action").to_json(orient="records", double_precision=15))[0]["action"]
    assert len(result.to_pandas("action")) == len(result.tables["action"])
    with pytest.raises(HarBenchError, match="did you mean 'action'"):
        result.to_pandas("actoin")


def test_another_dataset_has_no_targets(h36m: Store) -> None:
    with pytest.raises(HarBenchError, match=r"mpii/pckh needs a mpii store and .* is one of h36m; "):
        h36m.targets("mpii/pckh")
