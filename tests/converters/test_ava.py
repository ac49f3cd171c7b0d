"""AVA: official csv files and lists, PHALP and LART pickles against their goldens; the sample; damaged files."""

from __future__ import annotations

import csv
import gzip
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Tables
from har_bench.converters.ava import AVA, annotations
from har_bench.converters.ava import labels as ava_labels
from har_bench.converters.ava import tracklets as ava_tracklets
from har_bench.converters.ava.annotations import read_annotations
from har_bench.converters.ava.proposals import read_proposals
from har_bench.converters.ava.sample import joblib_bytes
from har_bench.errors import HarBenchError
from har_bench.foreign import joblib
from har_bench.schema import to_numpy
from har_bench.store import Store
from tests.golden import REAL, load

CONVERTER = "har_bench.converters.ava:AVA"
RELEASE = REAL / "ava"
TRACKLETS = sorted((REAL / "lart" / "tracklets").glob("*.pkl"))
EVERY_ACTION = range(1, 81)
FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


def convert(raw: Path, out: Path, **options: Any) -> Store:
    return har_bench.convert(CONVERTER, raw, out, jobs=1, quiet=True, **options)


def values(table: pa.Table, name: str) -> np.ndarray:
    return to_numpy(table[name], table.schema.field(name))


def read(raw: Path) -> Tables:
    (shard,) = AVA().discover(raw)
    return AVA().read(shard)


def raw_rows(path: Path) -> list[list[str]]:
    """The rows of a csv, read the plain way."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.reader(text.splitlines()))


def sort_key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((value is not None, value) for value in row)


def expected(rows: list[list[str]]) -> list[tuple[Any, ...]]:
    boxed = [row for row in rows if len(row) > 2]
    return sorted(
        (
            (row[0], float(row[1]), *map(float, row[2:6]), int(row[6]), int(row[7]) if len(row) > 7 else None)
            for row in boxed
        ),
        key=sort_key,
    )


def stored(segments: pa.Table) -> list[tuple[Any, ...]]:
    columns = (segments[name].to_pylist() for name in ("sequence", "timestamp", "bbox_normalised", "action", "person"))
    return sorted(
        ((name, second, *box, *rest) for name, second, box, *rest in zip(*columns, strict=True)), key=sort_key
    )


# ---- the real files


@pytest.mark.real
def test_the_real_folder_converts_with_the_published_counts(tmp_path: Path) -> None:
    store = convert(RELEASE, tmp_path / "store", strict=True)
    store.validate()
    assert [check.what for check in store.manifest.published if check.found != check.expected] == []
    assert len(store.manifest.published) == 4
    segments = store.table("segments")
    assert stored(segments) == expected(raw_rows(RELEASE / "ava_test_v1.0.csv.gz"))
    assert segments["person"].null_count == segments["bbox"].null_count == segments.num_rows
    assert len(segments["action"].unique()) == 76


@pytest.mark.real
def test_real_rows_of_v2_2_have_persons_and_labels(tmp_path: Path) -> None:
    head = RELEASE / "ava_val_v2.2_head.csv"
    for source in (head, *RELEASE.glob("ava_*v2.*")):
        shutil.copy(source, tmp_path / source.name.replace("_head", ""))
    found = read(tmp_path)
    assert found.rejects == []
    assert found.segments is not None
    rows = raw_rows(head)
    assert stored(found.segments) == expected(rows)
    names = {action.id: action.name for action in ava_labels.read_actions(RELEASE / "ava_action_list_v2.2.pbtxt")}
    assert found.segments["label"].to_pylist() == [names[id_] for id_ in found.segments["action"].to_pylist()]
    assert found.segments["start"].to_pylist() == [(int(row[1]) - 900) * 30 for row in rows]
    sequences = {row["sequence"]: row for row in found.sequences.to_pylist()}
    assert sequences["1j20qq1JyX4"]["splits"] == ["v2.2/val"]
    assert sequences["1j20qq1JyX4"]["media"] == "1j20qq1JyX4.mp4"
    assert sequences["1j20qq1JyX4"]["keyframes"] == [float(second) for second in range(902, 1799)]
    assert sum("v2.2/test" in row["splits"] for row in sequences.values()) == 131


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(RELEASE.glob("ava_*_excluded_timestamps_v2.2.csv")), ids=lambda path: path.name)
def test_excluded_keyframes_are_kept(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    found = read(tmp_path).sequences.to_pylist()
    excluded = [(row["sequence"], second) for row in found for second in row["excluded"]]
    assert sorted(excluded) == sorted((video, float(second)) for video, second in raw_rows(path))


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(RELEASE.glob("ava_action_list_v?.?.pbtxt")), ids=lambda path: path.name)
def test_the_packaged_actions_are_those_of_every_release(path: Path) -> None:
    assert tuple(ava_labels.read_actions(path)) == ava_labels.packaged()


@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted(RELEASE.glob("ava_action_list_*activitynet*.pbtxt")), ids=lambda path: path.name
)
def test_the_packaged_evaluated_ids_are_the_official_ones(path: Path) -> None:
    listed = ava_labels.read_actions(path)
    assert {action.id for action in listed} == ava_labels.packaged_evaluated()
    names = {action.id: action.name for action in ava_labels.packaged()}
    assert all(names[action.id] == action.name for action in listed)


def test_the_types_of_the_packaged_actions_are_ranges_of_ids() -> None:
    for action in ava_labels.packaged():
        kind = (
            "PERSON_MOVEMENT" if action.id < 15 else "OBJECT_MANIPULATION" if action.id < 64 else "PERSON_INTERACTION"
        )
        assert action.type == kind
    assert [action.id for action in ava_labels.packaged()] == list(EVERY_ACTION)
    counts = [len(ava_labels.packaged_evaluated() & set(ids)) for ids in (range(15), range(15, 64), range(64, 81))]
    assert counts == [13, 32, 15]


@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted((RELEASE / "mmaction2_fixtures" / "eval_detection").glob("*.csv")), ids=lambda path: path.name
)
def test_the_toy_csv_files_are_read(path: Path) -> None:
    """Detections have a score where annotations have a person; ``pred.csv`` is refused row by row."""
    rows = raw_rows(path)
    if path.name == "pred.csv":
        with pytest.raises(HarBenchError, match="holds no row such as"):
            read_annotations(path, path.name, (1, 2, 3))
        return
    found = read_annotations(path, path.name, (1, 2, 3))
    assert found.box.tolist() == [[float(side) for side in row[2:6]] for row in rows]
    assert found.person.to_pylist() == [int(row[7]) for row in rows]


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(RELEASE.rglob("*proposal*.pkl")), ids=lambda path: path.name)
def test_real_proposals_are_read(path: Path) -> None:
    raw = pickle.loads(path.read_bytes())
    found, rejects = read_proposals(path, path.name, 900.0, 30.0, set())
    assert rejects == []
    for key, boxes in raw.items():
        video, second = key.split(",")
        places = zip(found["sequence"].to_pylist(), found["timestamp"].to_pylist(), strict=True)
        mask = [place == (video, float(second)) for place in places]
        rows = found.filter(pa.array(mask))
        assert np.array_equal(np.column_stack([values(rows, "bbox_normalised"), values(rows, "score")]), boxes)
        assert rows["person"].to_pylist() == list(range(len(boxes)))
        assert set(rows["frame"].to_pylist()) == {(int(second) - 900) * 30}


# ---- tracklets


def poses_of(path: Path) -> pa.Table:
    name = ava_tracklets.parse(path)
    assert name is not None
    return ava_tracklets.read_poses(path, name)


def per_key(found: pa.Table, name: str) -> dict[int, np.ndarray]:
    """A dictionary of a tracklet, back from its column."""
    pairs = zip(found["appearance_index"].to_pylist(), found[name].to_pylist(), strict=True)
    return {key: np.array(value) for key, value in pairs if value is not None}


def assert_whole(raw: dict[str, Any], found: pa.Table) -> None:
    """Every value of a tracklet is in its rows."""
    same = {
        "fid": "frame", "pose_shape": "pose_shape", "3d_joints": "joints_3d", "camera": "camera",
        "camera_bbox": "camera_bbox", "action_label_gt": "action_label_gt", "has_gt": "has_gt",
        "has_detection": "has_detection", "frame_size": "frame_size", "frame_conf": "confidence",
    }  # fmt: skip
    for key, name in same.items():
        array = np.asarray(raw[key]).squeeze()
        assert np.array_equal(values(found, name).squeeze(), array), key
    assert np.array_equal(np.nan_to_num(values(found, "bbox")), np.array(raw["frame_bbox"]))
    assert found["frame_name"].to_pylist() == list(raw["frame_name"])
    assert found["appearance_index"].fill_null(-1).to_pylist() == raw["apperance_index"].ravel().tolist()
    for key, name in (("apperance_dict", "appearance"), ("action_label_psudo", "action_label_pseudo")):
        back = per_key(found, name)
        assert set(back) == set(raw[key])
        assert all(np.array_equal(back[index], raw[key][index][0]) for index in back)
    assert set(raw) == {*same, "frame_bbox", "frame_name", "apperance_index", "apperance_dict", "action_label_psudo"}


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


ITEMS = REAL / "lart" / "dataset_items.npz"
EGO = {
    str(index): item["name"]
    for index, item in load("lart/dataset_items.json").items()
    if ITEMS.is_file() and f"item{index}/in/fid" in np.load(ITEMS).files
}


@pytest.mark.real
@pytest.mark.parametrize("index", EGO)
def test_the_rows_hold_what_larts_dataset_gives_its_network(index: str) -> None:
    """Each person of a golden item whose tracklet is here; the network's pose input is normalised and not compared."""
    golden = {name: values for name, values in np.load(ITEMS).items() if name.startswith(f"item{index}/")}
    item = {name.split("/", 1)[1]: value for name, value in golden.items()}
    clip = EGO[index].rsplit("_", 2)[0]
    present = [path for path in TRACKLETS if path.stem.startswith(clip)]
    if not present:
        pytest.skip(f"no tracklet of {clip}")
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


# ---- the sample


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ava") / "raw"
    AVA.sample(out, seed=1)
    return out


@pytest.fixture
def own(raw: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))


@given(seed=st.integers(0, 2**31))
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_the_sample_goes_through_a_store_unchanged(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("sample")
    AVA.sample(folder / "raw", seed=seed)
    store = convert(folder / "raw", folder / "store", strict=True)
    rows = [
        row for path in (folder / "raw").glob("[ak]*_v?.?.csv") if "excluded" not in path.name for row in raw_rows(path)
    ]
    segments = store.table("segments")
    assert stored(segments) == expected(rows)
    sequences = store.sequences.to_pylist()
    empty = [(row["sequence"], second) for row in sequences for second in row["empty"]]
    assert sorted(empty) == sorted((row[0], float(row[1])) for row in rows if len(row) == 2)
    of_split = {row["sequence"]: row["splits"] for row in sequences}
    pairs = segments.select(["sequence", "split"]).to_pylist()
    assert all(of_split[row["sequence"]] == [row["split"]] for row in pairs)
    names = {action.id: action.name for action in ava_labels.packaged()}
    for row in segments.to_pylist():
        beginning = 0 if row["split"].startswith("kinetics") else 900
        assert (row["start"], row["stop"]) == ((frame := round((row["timestamp"] - beginning) * 30)), frame + 1)
        assert (row["label"], row["bbox"]) == (names[row["action"]], None)
        assert row["evaluated"] == (row["action"] in ava_labels.packaged_evaluated())
    proposals = pickle.loads((folder / "raw" / "ava_dense_proposals_val.pkl").read_bytes())
    assert store.manifest.rows["poses"] == sum(map(len, proposals.values()))


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


@pytest.mark.parametrize("name", ["ava_train_v2.2.csv", "ava_val_v2.2.csv", "kinetics_train_v1.0.csv"])
def test_arrow_and_the_reader_by_lines_agree(raw: Path, name: str) -> None:
    data, known = (raw / name).read_bytes(), np.array(EVERY_ACTION, np.int32)
    fast, slow = annotations._by_arrow(data, known), annotations.by_line(data, name, known)
    assert fast.video.equals(slow.video)
    assert fast.person.equals(slow.person)
    assert fast.empty == slow.empty
    for one, other in ((fast.timestamp, slow.timestamp), (fast.box, slow.box), (fast.action, slow.action)):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compressed", [False, True])
def test_line_ends_and_gzip_make_no_difference(own: Path, ending: str, compressed: bool) -> None:
    expected_rows = read(own).segments
    path = own / "ava_val_v2.2.csv"
    data = path.read_text().replace("\n", ending).encode()
    path.unlink()
    (own / f"{path.name}.gz" if compressed else path).write_bytes(gzip.compress(data) if compressed else data)
    assert read(own).segments == expected_rows


def test_without_lists_the_packaged_actions_are_used(own: Path) -> None:
    before = read(own).segments
    for path in [*own.glob("*.pbtxt"), *own.glob("*.txt"), *own.glob("*excluded*")]:
        path.unlink()
    after = read(own)
    assert after.segments == before
    assert after.sequences["keyframes"].null_count == after.sequences["excluded"].null_count == after.sequences.num_rows


def test_one_release_of_several_is_read(own: Path, tmp_path: Path) -> None:
    text = (own / "ava_val_v2.2.csv").read_text().splitlines()
    (own / "ava_val_v1.0.csv").write_text("\n".join(row.rsplit(",", 1)[0] for row in text if row.count(",") == 7))
    newest = convert(own, tmp_path / "newest")
    older = convert(own, tmp_path / "older", release="v1.0")
    assert {split.split("/")[0] for split in newest.manifest.splits} == {"v2.2", "kinetics-v1.0"}
    assert {split.split("/")[0] for split in older.manifest.splits} == {"v1.0", "kinetics-v1.0"}
    assert (
        older.table("segments")
        .filter(pa.compute.equal(older.table("segments")["split"], "v1.0/val"))["person"]
        .null_count
    )
    with pytest.raises(HarBenchError, match=r"holds no AVA v2\.1; it holds v1\.0, v2\.2"):
        convert(own, tmp_path / "none", release="v2.1")


def test_a_missing_csv_is_named(own: Path, tmp_path: Path) -> None:
    (own / "ava_train_v2.2.csv").unlink()
    checks = {check.what: check for check in convert(own, tmp_path / "store").manifest.published}
    assert checks["v2.2/train: videos (Gu et al.; ava_train_v2.2.csv is missing)"].found == 0
    assert checks["v2.2/val: videos (Gu et al.)"].found == 2


def test_kinetics_alone_is_read(own: Path) -> None:
    for path in own.glob("ava_*"):
        path.unlink()
    found = read(own)
    assert {split for row in found.sequences["splits"].to_pylist() for split in row} == {
        "kinetics-v1.0/train", "kinetics-v1.0/val"
    }  # fmt: skip
    assert found.sequences["keyframes"].null_count == found.sequences.num_rows


def test_clips_are_grouped_in_the_order_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AVA.sample(tmp_path / "raw", seed=3)
    monkeypatch.setattr("har_bench.converters.ava.converter._SHARD_BYTES", 1)
    shards = AVA().discover(tmp_path / "raw" / "tracklets")
    assert [len(shard.sources) for shard in shards] == [2, 2, 1]
    assert [shard.key for shard in shards] == sorted(shard.key for shard in shards)
    store = convert(tmp_path / "raw" / "tracklets", tmp_path / "store")
    assert store.sequences["part"].to_pylist() == [0, 1, 2]


# ---- damaged input

BROKEN = {
    "short": ("a,0902,.1,.2,.3", "5 columns where a row has 2, 7 or 8"),
    "no video": (",0902,.1,.2,.3,.4,5,1", "no video, or a timestamp"),
    "no number": ("a,0902,.1,.2,x,.4,5,1", "'x' is not a number"),
    "no box": ("a,0902,,,,,5,1", "'' is not a number"),
    "nan": ("a,0902,.1,.2,nan,.4,5,1", "'nan' is not a number"),
    "infinite": ("a,0902,.1,.2,1e999,.4,5,1", "'1e999' is not a number"),
    "no action": ("a,0902,.1,.2,.3,.4,,1", "'' is not a whole number"),
    "another action": ("a,0902,.1,.2,.3,.4,81,1", "action '81' is not in the action list"),
    "a score": ("a,0902,.1,.2,.3,.4,5,0.9", "'0.9' is not a whole number"),
    "a corrupted person": ("a,0902,.1,.2,.3,.4,5,3_", "'3_' is not a whole number"),
    "a date": ("a,99999999,.1,.2,.3,.4,5,1", "no video, or a timestamp"),
    "negative": ("a,-1", "no video, or a timestamp"),
    "not UTF-8": ("\udcff,0902,.1,.2,.3,.4,5,1", "can't decode"),
    "early": ("a,0100,.1,.2,.3,.4,5,1", "before second 900"),
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
    assert reject.locator == ("a at 100 s" if kind == "early" else "line 1")
    assert found.segments == expected_rows


def test_a_keyframe_without_a_person_id_is_kept(own: Path) -> None:
    path = own / "ava_val_v2.2.csv"
    path.write_text("zzzzzzzzzzz,902.5,0,0,1,1,80,\n" + path.read_text())
    found = read(own)
    assert found.rejects == []
    assert found.segments is not None
    row = found.segments.filter(pa.compute.equal(found.segments["sequence"], "zzzzzzzzzzz")).to_pylist()[0]
    assert (row["person"], row["timestamp"], row["start"]) == (None, 902.5, 75)


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no AVA: expected ava_"):
        AVA().discover(tmp_path)


def test_the_same_file_twice_is_named(own: Path) -> None:
    (own / "annotations").mkdir()
    shutil.copy(own / "ava_val_v2.2.csv", own / "annotations")
    with pytest.raises(HarBenchError, match="are the same file of AVA; remove one of them"):
        AVA().discover(own)


ALIEN: dict[str, tuple[str, bytes, str]] = {
    "csv": ("ava_val_v2.2.csv", b"hello\nworld\n", "holds no row such as"),
    "actions": ("ava_action_list_v2.2.pbtxt", b"hello", "holds no entry such as"),
    "action without a name": ("ava_action_list_v2.2.pbtxt", b"label { label_id: 1 }", "entry 1 lacks a name"),
    "action twice": ("ava_action_list_v2.2.pbtxt", b'item{name:"a" id: 1} item{name:"b" id: 1}', "id 1 twice"),
    "included": ("ava_included_timestamps_v2.2.txt", b"0902\nx\n", "entry 2: 'x' is not a second"),
    "videos": ("ava_test_v2.2.txt", b"\xff\xfe", "is not a list of names"),
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


@pytest.mark.parametrize(
    ("key", "boxes", "reason"),
    [
        ("x", np.zeros((1, 5)), "not a key"),
        ("x,0100", np.zeros((1, 5)), "not a key"),
        (3, np.zeros((1, 5)), "not a key"),
        ("x,0902", np.zeros((1, 4)), "not an .N, 5. array"),
        ("x,0902", None, "not an .N, 5. array"),
        ("x,0902", np.full((1, 5), np.nan), "not finite"),
    ],
)
def test_broken_proposals_are_reported(tmp_path: Path, key: Any, boxes: Any, reason: str) -> None:
    path = tmp_path / "proposals.pkl"
    path.write_bytes(pickle.dumps({key: boxes, "y,0902": np.ones((2, 5), np.float32)}))
    found, (reject,) = read_proposals(path, "proposals.pkl", 900.0, 30.0, set())
    assert found["sequence"].to_pylist() == ["y", "y"]
    assert pytest.approx(reject.locator) == repr(key)
    assert pa.compute.match_substring_regex(pa.array([reject.reason]), reason)[0].as_py()
    _, again = read_proposals(path, "proposals.pkl", 900.0, 30.0, {("y", 902.0)})
    assert "the keyframe occurs twice" in {reject.reason for reject in again}


def tracklet(own: Path) -> tuple[Path, dict[str, Any]]:
    path = sorted((own / "tracklets").glob("ava-val*_0_*.pkl"))[0]
    return path, joblib.load(path)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no fid": (lambda raw: raw.pop("fid"), "KeyError: 'fid'"),
    "another shape": (lambda raw: raw.update(camera=raw["camera"][:-1]), "camera is float64"),
    "another type": (lambda raw: raw.update(camera="x"), "camera has a str"),
    "fid falls": (lambda raw: raw.update(fid=-raw["fid"]), "fid must be 0 or more and increase"),
    "half a frame": (lambda raw: raw.update(fid=raw["fid"] + 0.5), "no int32"),
    "labels of doubt": (lambda raw: raw.update(action_label_gt=raw["action_label_gt"] - 7), "no uint8"),
    "a key of no frame": (lambda raw: raw["apperance_dict"].update({-7: np.ones((1, 4))}), "has a key -7"),
    "a key of text": (lambda raw: raw["apperance_dict"].update({0: "x"}), "has a str where an array of numbers"),
    "no dictionary": (lambda raw: raw.update(apperance_dict=[1]), "AttributeError"),
    "79 labels": (lambda raw: raw["action_label_psudo"].update({0: np.ones((1, 79))}), "ArrowInvalid|not a whole"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_broken_tracklet_is_dropped_and_the_others_are_kept(own: Path, kind: str) -> None:
    path, content = tracklet(own)
    change, reason = CHANGES[kind]
    change(content)
    path.write_bytes(joblib_bytes(content))
    (shard,) = AVA().discover(own / "tracklets")
    found = AVA().read(shard)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == (path.name, "the whole file", "dropped")
    assert pa.compute.match_substring_regex(pa.array([reject.reason]), reason)[0].as_py(), reject.reason
    assert sum(found.sequences["tracks"].to_pylist()) == 5


def test_the_same_track_twice_is_dropped_once(own: Path) -> None:
    path, _ = tracklet(own)
    shutil.copy(path, path.with_name(path.name.replace("_0_", "_0_9")))
    (shard,) = AVA().discover(own / "tracklets")
    (reject,) = AVA().read(shard).rejects
    assert "holds a track that another file of its clip holds" in reject.reason


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
