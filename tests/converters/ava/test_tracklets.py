"""PHALP and LART pickles against their goldens; the sample's; broken ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from har_bench.converters.ava import AVA
from har_bench.converters.ava import labels as ava_labels
from har_bench.converters.ava import tracklets as ava_tracklets
from har_bench.converters.ava.sample import joblib_bytes
from har_bench.errors import HarBenchError
from har_bench.foreign import joblib
from tests.ava_data import EVERY_ACTION, RELEASE, TRACKLETS, assert_whole, convert, per_key, poses_of, values
from tests.golden import REAL, load


@pytest.mark.real
@pytest.mark.parametrize("path", TRACKLETS, ids=lambda path: path.stem)
def test_a_real_tracklet_is_kept_whole(path: Path) -> None:
    found = poses_of(path)
    assert_whole(joblib.load(path), found)
    assert found.num_rows == int(path.stem.rsplit("_", 1)[1])


@pytest.mark.real
def test_the_real_tracklets_convert(tmp_path: Path) -> None:
    store = convert(REAL / "lart", tmp_path / "store", strict=True, format="both")
    store.validate()
    assert store.sequences["sequence"].to_pylist() == ["ava-val_1j20qq1JyX4_000150"]
    assert store.sequence("ava-val_1j20qq1JyX4_000150").person.tolist() == [0] * 128 + [3] * 90


def _present(name: str) -> list[Path]:
    """The tracklets of the clip that a golden item is named after."""
    return [path for path in TRACKLETS if path.stem.startswith(name.rsplit("_", 2)[0] + "_")]


ITEMS = REAL / "lart" / "dataset_items.npz"
EGO = {
    str(index): item["name"]
    for index, item in load("lart/dataset_items.json").items()
    if ITEMS.is_file() and f"item{index}/in/fid" in np.load(ITEMS).files and _present(item["name"])
}
"""The golden items of a clip whose tracklets are here."""


@pytest.mark.real
@pytest.mark.parametrize("index", EGO)
def test_the_rows_hold_what_larts_dataset_gives_its_network(index: str) -> None:
    """Each person of a golden item whose tracklet is here; the network's pose input is normalised and not compared."""
    golden = {name: values for name, values in np.load(ITEMS).items() if name.startswith(f"item{index}/")}
    item = {name.split("/", 1)[1]: value for name, value in golden.items()}
    present = _present(EGO[index])
    columns = [column for column, id_ in enumerate(EVERY_ACTION) if id_ in ava_labels.packaged_evaluated()]
    compared = 0
    for path in present:
        found = poses_of(path)
        place = {frame: row for row, frame in enumerate(found["frame"].to_pylist())}
        for slot in range(item["in/fid"].shape[1]):
            inside = np.array([frame > 0 and frame in place for frame in item["in/fid"][:, slot, 0]])
            rows = np.array([place[frame] for frame in item["in/fid"][inside, slot, 0]], int)
            joints = (values(found, "joints_3d") + values(found, "camera")[:, None]).reshape(-1, 135)[rows]
            if not inside.any() or not np.allclose(joints, item["in/joints_3D"][inside, slot], atol=1e-5):
                continue  # the slot is another person's
            compared += 1
            index_of = found["appearance_index"].to_pylist()
            appearance, pseudo = per_key(found, "appearance"), per_key(found, "action_label_pseudo")
            blank, none = np.zeros(item["in/apperance_emb"].shape[-1]), np.zeros(80)
            features = np.array([appearance.get(index_of[row], blank) for row in rows])
            labels = np.array([pseudo.get(index_of[row], none) for row in rows])
            true = values(found, "has_gt")[rows] == 2
            labels[true] = values(found, "action_label_gt")[rows][true]
            for name, value in (
                ("in/apperance_emb", features),
                ("in/has_detection", values(found, "has_detection")[rows, None]),
                ("out/pose_shape", values(found, "pose_shape")[rows, None]),
                ("out/has_gt", values(found, "has_gt")[rows, None, None]),
                ("out/has_detection", values(found, "has_detection")[rows, None, None]),
            ):
                assert np.allclose(item[name][inside, slot], value, rtol=0, atol=1e-6), name
            given = item["out/action_label_ava"][inside, slot, 0]
            assert np.allclose(given[:, : len(columns)], labels[:, columns], rtol=0, atol=1e-6)
    assert compared == len(present)


PHALP = np.load(REAL / "lart" / "phalp_to_tracklets.npz") if (REAL / "lart").is_dir() else {}
FRAMES = load("lart/phalp_to_tracklets.json")


@pytest.fixture(scope="module")
def phalp() -> dict[int, dict[str, Any]]:
    return ava_tracklets.from_phalp(joblib.load(RELEASE / "phalp_synth_results.pkl"))


@pytest.mark.real
@pytest.mark.parametrize("key", list(PHALP))
def test_phalp_results_become_phalps_own_tracklets(key: str, phalp: dict[int, dict[str, Any]]) -> None:
    track, name = key.split("/")
    found = np.asarray(phalp[int(track)][name])
    assert found.shape == PHALP[key].shape
    assert np.array_equal(found, PHALP[key])


@pytest.mark.real
@pytest.mark.parametrize("track", FRAMES)
def test_phalp_tracks_begin_and_end_where_they_were_seen(track: str, phalp: dict[int, dict[str, Any]]) -> None:
    found, golden = phalp[int(track)], FRAMES[track]
    assert len(found["frame_name"]) == golden["n"]
    assert found["frame_name"] == golden["frame_name"]
    assert np.flatnonzero(found["has_detection"].ravel() == 0).tolist() == golden["smpl_is_minus1"]
    assert set(phalp) == {int(track) for track in FRAMES}


@pytest.mark.real
def test_a_results_file_alone_converts(tmp_path: Path, phalp: dict[int, dict[str, Any]]) -> None:
    store = convert(RELEASE / "phalp_synth_results.pkl", tmp_path / "store", strict=True)
    view = store.sequence("phalp_synth_results")
    assert (view.info["width"], view.info["height"], view.info["tracks"]) == (640, 360, 2)
    assert np.array_equal(view.pose_shape, np.concatenate([track["pose_shape"][:, 0] for track in phalp.values()]))
    assert (~view.has_detection).tolist() == np.isnan(view.bbox).all(axis=1).tolist()


@given(seed=st.integers(0, 2**31))
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
def test_the_samples_tracklets_go_through_a_store_unchanged(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tracklets")
    AVA.sample(folder / "raw", seed=seed)
    store = convert(folder / "raw" / "tracklets", folder / "store", strict=True)
    checked = 0
    for path in (folder / "raw" / "tracklets").glob("*.pkl"):
        name = ava_tracklets.parse(path)
        assert name is not None
        poses = store.sequence(name.clip).poses
        content = joblib.load(path)
        if name.track is None:
            tracks = ava_tracklets.from_phalp(content)
            assert np.array_equal(values(poses, "frame"), np.concatenate([t["fid"].ravel() for t in tracks.values()]))
        else:
            assert_whole(content, poses.filter(pa.compute.equal(poses["person"], name.track)))
        checked += 1
    assert checked == 5
    clip = store.sequences.filter(pa.compute.is_valid(store.sequences["origin"])).to_pylist()[0]
    assert (clip["origin"], clip["keyframe"], clip["tracks"]) == ("ava-val", 150, 2)
    assert clip["splits"] == ["lart/ava-val"]


def test_clips_are_grouped_in_the_order_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AVA.sample(tmp_path / "raw", seed=3)
    monkeypatch.setattr("har_bench.converters.ava.converter._SHARD_BYTES", 1)
    shards = AVA().discover(tmp_path / "raw" / "tracklets")
    assert [len(shard.sources) for shard in shards] == [2, 2, 1]
    assert [shard.key for shard in shards] == sorted(shard.key for shard in shards)
    store = convert(tmp_path / "raw" / "tracklets", tmp_path / "store")
    assert store.sequences["part"].to_pylist() == [0, 1, 2]


def tracklet(own: Path) -> tuple[Path, dict[str, Any]]:
    path = sorted((own / "tracklets").glob("ava-val*_0_*.pkl"))[0]
    return path, joblib.load(path)


ESSENTIAL: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no fid": (lambda raw: raw.pop("fid"), "(no 'fid')"),
    "fid falls": (lambda raw: raw.update(fid=-raw["fid"]), "fid must be 0 or more and increase"),
    "half a frame": (lambda raw: raw.update(fid=raw["fid"] + 0.5), "no int32"),
    "no bodies": (lambda raw: raw.update(pose_shape=raw["pose_shape"][..., :100]), "pose_shape is float64"),
    "joints of text": (lambda raw: raw.update({"3d_joints": "x"}), "3d_joints has a str"),
}
DESCRIBED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another shape": (lambda raw: raw.update(camera=raw["camera"][:-1]), "camera is float64"),
    "another type": (lambda raw: raw.update(camera="x"), "camera has a str"),
    "no size": (lambda raw: raw.pop("frame_size"), "frame_size of track 0 is null"),
    "labels of doubt": (lambda raw: raw.update(action_label_gt=raw["action_label_gt"] - 7), "no uint8"),
    "a key of no frame": (lambda raw: raw["apperance_dict"].update({-7: np.ones((1, 4))}), "has a key -7"),
    "a key of text": (lambda raw: raw["apperance_dict"].update({0: "x"}), "has a key 0"),
    "no dictionary": (lambda raw: raw.update(apperance_dict=[1]), "AttributeError"),
    "79 labels": (lambda raw: raw["action_label_psudo"].update({0: np.ones((1, 79))}), "ArrowInvalid"),
}


@pytest.mark.parametrize("kind", [*ESSENTIAL, *DESCRIBED])
def test_a_flaw_costs_a_tracklet_no_more_than_it_must(own: Path, kind: str) -> None:
    path, content = tracklet(own)
    change, reason = (ESSENTIAL | DESCRIBED)[kind]
    change(content)
    path.write_bytes(joblib_bytes(content))
    (shard,) = AVA().discover(own / "tracklets")
    found = AVA().read(shard)
    (reject,) = found.rejects
    assert (reject.source, reject.action) == (path.name, "dropped" if kind in ESSENTIAL else "repaired")
    assert reason in reject.reason
    assert sum(found.sequences["tracks"].to_pylist()) == (5 if kind in ESSENTIAL else 6)
    if kind in DESCRIBED:
        name = {"frame_size": "frame_size"}.get(reject.locator, "camera")
        assert found.poses is not None
        nulls = found.poses[name].null_count
        assert (nulls > 0) == (reject.locator == name)


def test_the_same_track_twice_is_dropped_once(own: Path) -> None:
    path, _ = tracklet(own)
    shutil.copy(path, path.with_name(path.name.replace("_0_", "_0_9")))
    (shard,) = AVA().discover(own / "tracklets")
    (reject,) = AVA().read(shard).rejects
    assert "holds a track that another file of its clip holds" in reject.reason


def results(**changes: Any) -> dict[str, Any]:
    """PHALP's results of one person in three frames; a change that is None takes a key away."""
    smpl = {"global_orient": np.zeros((1, 3, 3)), "body_pose": np.zeros((23, 3, 3)), "betas": np.zeros(10)}
    one = {"tid": [4], "tracked_time": [0], "bbox": [np.array([1, 2, 30, 40])], "conf": [0.9], "smpl": [smpl]}
    one |= {"size": [np.array([90, 160])], "camera": [np.ones(3)], "camera_bbox": [np.ones(3)]}
    one |= {"3d_joints": [np.ones((45, 3))]} | changes
    held = {name: value for name, value in one.items() if value is not None}
    return {f"{frame:06d}.jpg": held | {"time": frame} for frame in range(3)}


def test_results_of_other_versions_of_phalp_lack_what_is_not_needed(tmp_path: Path) -> None:
    """A column is null, and the store says so; arrays with axes of one are what they hold."""
    (tmp_path / "raw").mkdir()
    content = results(camera_bbox=None, conf=[np.array([0.75])], camera=[np.ones((1, 3))])
    (tmp_path / "raw/demo_a.pkl").write_bytes(joblib_bytes(content))
    store = convert(tmp_path / "raw", tmp_path / "store")
    rows = store.table("poses", ["camera_bbox", "confidence"])
    assert rows["camera_bbox"].null_count == 3
    assert rows["confidence"].to_pylist() == [0.75] * 3
    assert "camera_bbox of track 4 is null" in store.table("rejects")["reason"][0].as_py()
    (tmp_path / "raw/demo_a.pkl").write_bytes(joblib_bytes(results(smpl=None)))
    with pytest.raises(HarBenchError, match=r"demo_a\.pkl are no whole results of PHALP's \(no 'smpl'\)"):
        convert(tmp_path / "raw", tmp_path / "other", strict=True)
