"""AVA's csv files and lists: the real ones, the sample, and one release of several."""

from __future__ import annotations

import gzip
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from har_bench.converters.ava import AVA, annotations
from har_bench.converters.ava import labels as ava_labels
from har_bench.converters.ava.annotations import read_annotations
from har_bench.converters.ava.proposals import read_proposals
from har_bench.errors import HarBenchError
from tests.ava_data import EVERY_ACTION, RELEASE, convert, expected, raw_rows, read, stored, values

# ---- the real files


FILES = sorted(RELEASE.glob("ava_*_v?.?.csv*"))
RELEASES = sorted({path.name.split("_")[2][:4] for path in FILES if path.name.count("_") == 2})


@pytest.mark.real
@pytest.mark.parametrize("release", RELEASES)
def test_every_real_release_converts_with_its_published_counts(release: str, tmp_path: Path) -> None:
    store = convert(RELEASE, tmp_path / "store", strict=True, options={"release": release})
    store.validate()
    odd = [check.what for check in store.manifest.published if check.found != check.expected]
    assert all("is missing)" in what for what in odd)
    assert len(store.manifest.published) > len(odd)
    rows = [
        row for path in FILES if re.fullmatch(rf"ava_[a-z]+_{release}\.csv(\.gz)?", path.name) for row in raw_rows(path)
    ]
    segments = store.table("segments")
    assert stored(segments) == expected(rows)
    assert segments["bbox"].null_count == segments.num_rows
    assert (segments["person"].null_count == 0) == (len(rows[0]) == 8)


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
    """Detections have a score where annotations have a person; a file of them is refused."""
    rows = raw_rows(path)
    if any("." in row[7] for row in rows):
        with pytest.raises(HarBenchError, match="none of its 30 person ids"):
            read_annotations(path, path.name, (1, 2, 3))
        return
    found = read_annotations(path, path.name, (1, 2, 3))
    assert found.box.tolist() == [[float(side) for side in row[2:6]] for row in rows]
    assert found.person.to_pylist() == [int(row[7]) for row in rows]


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(RELEASE.rglob("*proposal*.pkl")), ids=lambda path: path.name)
def test_real_proposals_are_read(path: Path) -> None:
    raw = pickle.loads(path.read_bytes())
    found, rejects = read_proposals(path, path.name, 30.0, set())
    assert rejects == []
    for key, boxes in raw.items():
        video, second = key.split(",")
        places = zip(found["sequence"].to_pylist(), found["timestamp"].to_pylist(), strict=True)
        mask = [place == (video, float(second)) for place in places]
        rows = found.filter(pa.array(mask))
        assert np.array_equal(np.column_stack([values(rows, "bbox_normalised"), values(rows, "score")]), boxes)
        assert rows["person"].to_pylist() == list(range(len(boxes)))
        assert set(rows["frame"].to_pylist()) == {(int(second) - 900) * 30}


# ---- the sample


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


@pytest.mark.parametrize("name", ["ava_train_v2.2.csv", "ava_val_v2.2.csv", "kinetics_train_v1.0.csv"])
def test_arrow_and_the_reader_by_lines_agree(raw: Path, name: str) -> None:
    data, known = (raw / name).read_bytes(), np.array(EVERY_ACTION, np.int32)
    span = annotations.CLIP if name.startswith("kinetics") else annotations.FILM
    fast, slow = annotations.by_arrow(data, known, span), annotations.by_line(data, Path(name), name, known, span)
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
    older = convert(own, tmp_path / "older", options={"release": "v1.0"})
    assert {split.split("/")[0] for split in newest.manifest.splits} == {"v2.2", "kinetics-v1.0"}
    assert {split.split("/")[0] for split in older.manifest.splits} == {"v1.0", "kinetics-v1.0"}
    assert (
        older.table("segments")
        .filter(pa.compute.equal(older.table("segments")["split"], "v1.0/val"))["person"]
        .null_count
    )
    with pytest.raises(HarBenchError, match=r"no release of AVA in .* is called 'v2\.1'; .* v1\.0, v2\.2"):
        convert(own, tmp_path / "none", options={"release": "v2.1"})


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
