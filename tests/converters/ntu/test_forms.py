"""What others made of NTU RGB+D: txt2npy, pyskl, CTR-GCN and deephar; other and hostile files."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench.converters.ntu import NTU60
from har_bench.converters.ntu import archives as ntu_archives
from har_bench.converters.ntu.tables import to_metres, to_millimetres
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy
from tests.golden import REAL
from tests.ntu_data import FUZZ, NTU, arrays, column, mutated, slots, tables


def test_txt2npy(raw: Path, tmp_path: Path) -> None:
    files = arrays(raw)
    for name, frames in files.items():
        bodies = max(frames.bodies.tolist(), default=0)
        content: dict[str, Any] = {"file_name": name, "nbodys": frames.bodies.tolist(), "njoints": 25}
        for slot, points in enumerate(slots(frames, bodies)):
            pixels = np.zeros((len(frames.bodies), 25, 2))
            pixels[frames.frame[frames.slot == slot]] = frames.numbers[frames.slot == slot, :, 5:7]
            content |= {f"skel_body{slot}": points, f"rgb_body{slot}": pixels}
        np.save(tmp_path / f"{name}.skeleton.npy", np.array(content, object), allow_pickle=True)
    found = tables(tmp_path)
    assert found.rejects == []
    assert found.sequences["sequence"].to_pylist() == list(files)
    assert found.sequences["n_frames"].to_pylist() == [len(frames.bodies) for frames in files.values()]
    for name, frames in files.items():
        rows = found.poses.filter(pa.compute.equal(found.poses["sequence"], name))
        order = np.lexsort((frames.frame, frames.slot))
        points = to_numpy(rows["keypoints_3d"], rows.schema.field("keypoints_3d"))
        np.testing.assert_array_equal(to_metres(points), frames.numbers[order, :, :3])
        pixels = to_numpy(rows["keypoints"], rows.schema.field("keypoints"))
        np.testing.assert_array_equal(pixels, frames.numbers[order, :, 5:7].astype(np.float32))
        assert rows["person"].to_pylist() == frames.slot[order].tolist()


@pytest.mark.parametrize("layout", ["pyskl", "list"])
def test_pyskl(raw: Path, tmp_path: Path, layout: str) -> None:
    files = arrays(raw)
    annotations = [
        {
            "frame_dir": name,
            "label": int(name[-3:]) - 1,
            "keypoint": slots(frames, 2).astype(np.float16),
            "total_frames": len(frames.bodies),
        }
        for name, frames in reversed(files.items())
    ]
    content = {"split": {"xsub_train": [], "xsub_val": []}, "annotations": annotations}
    (tmp_path / "ntu60_3d.pkl").write_bytes(pickle.dumps(content if layout == "pyskl" else annotations))
    found = tables(tmp_path)
    assert found.rejects == []
    assert found.sequences["sequence"].to_pylist() == list(files)
    expected = np.concatenate(
        [points[(points != 0).any(axis=(2, 3))] for frames in files.values() for points in [slots(frames, 2)]]
    ).astype(np.float16)
    np.testing.assert_array_equal(column(found, "keypoints_3d"), to_millimetres(expected.astype(np.float64)))
    annotations[0]["label"] = 3
    annotations[1]["keypoint"] = np.zeros((1, 5, 17, 3))
    (tmp_path / "ntu60_3d.pkl").write_bytes(pickle.dumps(annotations))
    found = tables(tmp_path)
    assert {reject.locator: (reject.action, reject.reason) for reject in found.rejects} == {
        annotations[0]["frame_dir"]: ("repaired", "label 3 contradicts the name; the name counts"),
        annotations[1]["frame_dir"]: (
            "dropped", "keypoint is of the shape (1, 5, 17, 3) and not (bodies, frames, 25, 3)"
        ),
    }  # fmt: skip
    assert annotations[0]["frame_dir"] in found.sequences["sequence"].to_pylist()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ctrgcn_without_names(tmp_path: Path, save: Any) -> None:
    rng = np.random.default_rng(0)
    halves = {half: rng.normal(size=(count, 30, 150)).astype(np.float32) for half, count in (("train", 3), ("test", 2))}
    for values in halves.values():
        values[:, 20:] = 0
        values[1, :, 75:] = 0
    labels = {f"y_{half}": np.eye(60)[rng.integers(0, 60, len(values))] for half, values in halves.items()}
    save(tmp_path / "NTU60_CS.npz", **labels, **{f"x_{half}": values for half, values in halves.items()})
    found = tables(tmp_path)
    assert found.rejects == []
    rows = found.sequences.to_pylist()
    assert [row["sequence"] for row in rows] == [
        *(f"NTU60_CS/test/{row:06}" for row in range(2)),
        *(f"NTU60_CS/train/{row:06}" for row in range(3)),
    ]
    assert [row["splits"] for row in rows] == [["NTU60_CS/test"]] * 2 + [["NTU60_CS/train"]] * 3
    assert [row["label"] for row in rows] == [
        int(label) + 1 for half in ("test", "train") for label in labels[f"y_{half}"].argmax(axis=1)
    ]
    assert {row["n_frames"] for row in rows} == {20}
    expected = [
        values[row, :20].reshape(20, 2, 25, 3)[:, body]
        for values in (halves["test"], halves["train"])
        for row in range(len(values))
        for body in range(2)
        if body == 0 or row != 1
    ]
    np.testing.assert_array_equal(
        column(found, "keypoints_3d"), to_millimetres(np.concatenate(expected).astype(np.float64))
    )


def test_a_whole_ctrgcn_archive_tells_the_names_by_its_order(tmp_path: Path) -> None:
    order = ntu_archives.ctrgcn_order(60, "xview")
    labels = {half: np.eye(60, dtype=np.uint8)[[of.action - 1 for of in order[half]]] for half in order}
    poses = {half: np.ones((len(order[half]), 1, 150), np.float16) for half in order}
    arrays = {f"y_{half}": labels[half] for half in order} | {f"x_{half}": poses[half] for half in order}
    np.savez(tmp_path / "any.npz", **arrays)
    shards = NTU60().discover(tmp_path)
    assert len(shards) == -(-56_578 // ntu_archives.SEQUENCES_OF_SHARD)
    found = NTU60().read(shards[0])
    names = sorted(of.name for half in order.values() for of in half)
    assert found.sequences["sequence"].to_pylist() == names[: found.sequences.num_rows]
    assert found.sequences["splits"].to_pylist()[0] == ["xsub/train", "xview/test"]


@pytest.mark.real
def test_the_order_of_ctrgcn_is_that_of_its_predictions() -> None:
    with gzip.open(NTU / "golden/ntu60_xsub_sttformer_joint_predictions.csv.gz", "rt") as lines:
        rows = [line.split(",") for line in lines.read().splitlines()[1:]]
    assert [of.name for of in ntu_archives.ctrgcn_order(60, "xsub")["test"]] == [row[0] for row in rows]
    assert [of.action - 1 for of in ntu_archives.ctrgcn_order(60, "xsub")["test"]] == [int(row[1]) for row in rows]


def test_deephar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([[[1], [2], [5]], rng.normal(size=(3, 150))], axis=1)
    folder = tmp_path / "nturgb+d_numpy"
    folder.mkdir()
    np.save(folder / "S001C001P001R001A001.npy", rows)
    found = tables(tmp_path)
    assert found.sequences["n_frames"].to_pylist() == [5]
    assert column(found, "frame").tolist() == [0, 1, 4]
    np.testing.assert_array_equal(column(found, "keypoints_3d"), to_millimetres(rows[:, 1:76].reshape(3, 25, 3)))
    pixels = np.stack([rows[:, 76:101], rows[:, 101:126]], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(column(found, "keypoints"), pixels)
    np.testing.assert_array_equal(column(found, "joint_depth"), rows[:, 126:].astype(np.float32))


@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted((REAL / "models/deephar_data/fixtures/NTU/nturgb+d_numpy").glob("*.npy")), ids=lambda path: path.stem
)
def test_deephars_own_fixtures(path: Path) -> None:
    rows, found = np.load(path), tables(path)
    assert found.sequences["sequence"].to_pylist() == [path.stem]
    assert column(found, "frame").tolist() == (rows[:, 0] - 1).tolist()
    np.testing.assert_array_equal(column(found, "keypoints")[..., 1], rows[:, 101:126].astype(np.float32))


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((2, 151)),
        np.ones((2, 151)),
        np.full((1, 151), np.nan),
        np.ones((2, 150)),
        np.ones(151),
        np.array(["a"]),
    ],
)
def test_other_npy_files_are_rejected(rows: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "S001C001P001R001A001.npy", rows)
    (reject,) = tables(tmp_path).rejects
    assert reject.action == "dropped"


@pytest.mark.parametrize("content", [{}, {"nbodys": [1]}, {"nbodys": [1], "skel_body0": np.ones((2, 25, 3))}, [1]])
def test_other_dictionaries_are_rejected(content: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "S001C001P001R001A001.skeleton.npy", np.array(content, object), allow_pickle=True)
    (reject,) = tables(tmp_path).rejects
    assert "make it again" in reject.reason


def test_colors_of_another_shape_are_absent_and_reported(tmp_path: Path) -> None:
    content = {"nbodys": [1, 1], "skel_body0": np.ones((2, 25, 3)), "rgb_body0": np.ones((1, 25, 2))}
    np.save(tmp_path / "S001C001P001R001A001.skeleton.npy", np.array(content, object), allow_pickle=True)
    found = tables(tmp_path)
    (reject,) = found.rejects
    assert (reject.action, reject.reason) == (
        "repaired", "rgb_body0 is no array of 2 frames; these keypoints are absent"
    )  # fmt: skip
    assert np.isnan(column(found, "keypoints")).all()
    assert found.sequences["n_frames"].to_pylist() == [2]


def annotation(name: str, *shape: int) -> dict[str, Any]:
    return {"frame_dir": name, "label": int(name[-3:]) - 1, "keypoint": np.ones(shape), "total_frames": shape[1]}


FIRST, SECOND = "S001C001P001R001A001", "S001C001P001R001A002"


def test_a_pickle_of_keypoints_in_the_image_is_refused_by_what_it_is(tmp_path: Path) -> None:
    flat = [annotation(name, 1, 5, 17, 2) | {"keypoint_score": np.ones((1, 5, 17))} for name in (FIRST, SECOND)]
    (tmp_path / "ntu60_hrnet.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": flat}))
    for raw in (tmp_path, tmp_path / "ntu60_hrnet.pkl"):
        with pytest.raises(
            HarBenchError, match=r"ntu60_hrnet\.pkl holds two-dimensional keypoints of 17 joints.*; give"
        ):
            NTU60().discover(raw)


def test_beside_the_poses_in_space_those_in_the_image_are_left_alone(tmp_path: Path) -> None:
    for name, shape in (("ntu60_hrnet", (1, 5, 17, 2)), ("ntu60_3danno", (1, 5, 25, 3))):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": [annotation(FIRST, *shape)]}))
    (shard,) = NTU60().discover(tmp_path)
    assert [path.name for path in shard.sources] == ["ntu60_3danno.pkl"]


@pytest.mark.parametrize("suffix", ["pkl", "npz"])
def test_two_files_of_everything_are_not_chosen_between(tmp_path: Path, suffix: str) -> None:
    for name in ("NTU60_CS", "NTU60_CV"):
        if suffix == "pkl":
            (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps([annotation(FIRST, 1, 5, 25, 3)]))
        else:
            half = np.ones((1, 4, 150))
            np.savez(tmp_path / f"{name}.npz", x_train=half, x_test=half, y_train=np.eye(60)[:1], y_test=np.eye(60)[:1])
    with pytest.raises(
        HarBenchError, match=rf"NTU60_CS\.{suffix} and .*NTU60_CV\.{suffix} both hold such sequences; give"
    ):
        NTU60().discover(tmp_path)


def test_a_sequence_that_is_given_twice_is_kept_once(tmp_path: Path) -> None:
    given = [annotation(FIRST, 1, 5, 25, 3), annotation(SECOND, 1, 4, 25, 3), annotation(FIRST, 1, 9, 25, 3)]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(given))
    found = tables(tmp_path)
    assert found.sequences["n_frames"].to_pylist() == [5, 4]
    assert [(reject.locator, reject.action, reject.reason) for reject in found.rejects] == [
        (FIRST, "dropped", "the sequence is given twice; the first is kept")
    ]


def test_a_pickle_of_which_nothing_can_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps([annotation(FIRST, 1, 5, 32, 3), annotation(SECOND, 1, 5, 32, 3)]))
    with pytest.raises(
        HarBenchError, match="nothing is left of ntu60: all 2 records of its files were dropped"
    ) as caught:
        har_bench.convert("ntu60", tmp_path, tmp_path / "store", jobs=1, quiet=True)
    assert f"mine.pkl, {FIRST}: keypoint is of the shape (1, 5, 32, 3)" in str(caught.value)


def test_hostile_files_do_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch " + str(tmp_path / "ran"),)

    np.save(tmp_path / "S001C001P001R001A001.skeleton.npy", np.array({"nbodys": Hostile()}, object), allow_pickle=True)
    assert "not data" in tables(tmp_path).rejects[0].reason
    (tmp_path / "S001C001P001R001A001.skeleton.npy").unlink()
    (tmp_path / "ntu60_3d.pkl").write_bytes(pickle.dumps({"annotations": [Hostile()]}))
    with pytest.raises(HarBenchError, match="not data"):
        NTU60().discover(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["txt2npy", "deephar", "pyskl", "ctrgcn"])
def test_mutated_files_of_other_forms_are_read_or_rejected(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(8)
    name = "S001C001P001R001A001"
    points = rng.normal(size=(2, 4, 25, 3))
    if form == "txt2npy":
        path = tmp_path / f"{name}.skeleton.npy"
        np.save(path, np.array({"nbodys": [1] * 4, "skel_body0": points[0]}, object), allow_pickle=True)
    elif form == "deephar":
        path = tmp_path / f"{name}.npy"
        np.save(path, np.concatenate([np.arange(1, 5)[:, None], rng.normal(size=(4, 150))], axis=1))
    elif form == "pyskl":
        path = tmp_path / "ntu60.pkl"
        annotation = {"frame_dir": name, "label": 0, "keypoint": points, "total_frames": 4}
        path.write_bytes(pickle.dumps({"split": {}, "annotations": [annotation]}))
    else:
        path = tmp_path / "NTU60_CS.npz"
        half = points.swapaxes(0, 1).reshape(1, 4, 150)
        np.savez(path, x_train=half, x_test=half, y_train=np.eye(60)[:1], y_test=np.eye(60)[:1])
    honest = path.read_bytes()
    outcomes: Counter[str] = Counter()
    for _ in range(FUZZ):
        path.write_bytes(mutated(honest, rng))
        try:
            for shard in NTU60().discover(tmp_path):
                found = NTU60().read(shard)
                outcomes["rejected" if found.rejects else "read"] += 1
        except HarBenchError as error:
            outcomes["refused" if str(tmp_path) in str(error) else "nameless"] += 1
    assert outcomes["rejected"] + outcomes["refused"] > FUZZ // 4
    assert not outcomes["nameless"]
    shutil.rmtree(tmp_path)
