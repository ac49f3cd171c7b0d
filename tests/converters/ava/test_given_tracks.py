"""PHALP's gt_tracks become a store: boxes, tracks and actions, and the truth that they are is scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench.converters.ava.given_tracks import size_of
from har_bench.converters.ava.sample import joblib_bytes
from har_bench.errors import HarBenchError
from har_bench.foreign import joblib
from har_bench.protocol import make_protocol
from har_bench.store import Store
from tests.ava_data import convert
from tests.golden import REAL

BOX = (32.0, 64.0, 64.0, 320.0)


def entry(tracks: list[int], classes: Any = (), box: tuple[float, ...] = BOX) -> dict[str, Any]:
    boxes = np.array([np.add(box, (0, 0, number, 0)) for number in range(len(tracks))], np.float32).reshape(-1, 4)
    return {"gt_bbox": boxes, "extra_data": {"gt_class": list(classes), "gt_track_id": np.array(tracks)}}


def written(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(joblib_bytes(content))
    return path


def test_boxes_tracks_and_actions_by_hand(tmp_path: Path) -> None:
    flags = np.zeros(80, int)
    flags[[11, 79]] = 1
    content = {
        "img/000004.jpg": entry([7, 2], [[12, 80], 3]),
        "img/000005.jpg": entry([7, 2], [flags, []]),
        "img/000009.jpg": entry([7]),
        "img/000010.jpg": entry([]),
    }
    raw = written(tmp_path / "raw/walk_gt_tracks.pkl", content)
    store = convert(raw.parent, tmp_path / "store", options={"size": "640x480"})
    view = store.sequence("walk_gt_tracks")
    assert list(zip(view.person.tolist(), view.frame.tolist(), strict=True)) == [(2, 3), (2, 4), (7, 3), (7, 4), (7, 8)]
    assert view.bbox[0].tolist() == [32, 64, 65, 320]
    assert view.frame_size.tolist() == [[480, 640]] * 5
    assert view.frame_name[-1] == "img/000009.jpg"
    assert view.has_gt.tolist() == [2, 0, 2, 2, 0]
    assert [np.flatnonzero(row).tolist() for row in view.action_label_gt] == [[2], [], [11, 79], [11, 79], []]
    assert view.has_detection.all()
    assert store.table("poses", ["pose_shape"])["pose_shape"].null_count == 5
    assert not store.parts("rejects")


def test_what_is_no_box_is_left_out_and_what_is_no_such_file_dropped(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    written(raw / "a_gt_tracks.pkl", {"000001.jpg": entry([1]), "000002.jpg": entry([1], box=(0, 0, -5, 3))})
    wrong = {
        "does not end in its number": {"first.jpg": entry([1])},
        "from 000001.jpg on": {"000000.jpg": entry([1])},
        "a person twice in a frame": {"000001.jpg": entry([1, 1])},
        "2 boxes, 2 tracks and 1 classes": {"000001.jpg": entry([1, 2], [3])},
        "actions are numbers from 1 to 80": {"000001.jpg": entry([1], [81])},
    }
    for number, content in enumerate(wrong.values()):
        written(raw / f"b{number}_gt_tracks.pkl", content)
    store = convert(raw, tmp_path / "store")
    assert len(store.table("poses", ["frame"])) == 1
    rejects = store.table("rejects").to_pylist()
    assert [reject["action"] for reject in rejects] == ["repaired", *["dropped"] * len(wrong)]
    for reject, words in zip(rejects[1:], wrong, strict=True):
        assert words in reject["reason"]
    for text in ("640", "0x480", "wide"):
        with pytest.raises(HarBenchError, match=f"size of the pictures is '{text}'; give width and height"):
            size_of(text)


@pytest.mark.parametrize(
    ("box", "words"),
    [((300.0, 200.0, 600.0, 440.0), "looks like x1, y1, x2, y2"), ((0.1, 0.1, 0.3, 0.3), "has shares of the picture")],
)
def test_boxes_that_phalp_would_read_otherwise_are_refused(box: tuple[float, ...], words: str, tmp_path: Path) -> None:
    raw = written(tmp_path / "raw/a_gt_tracks.pkl", {f"{frame:06d}.jpg": entry([1], box=box) for frame in (1, 2)})
    with pytest.raises(HarBenchError, match=words):
        convert(raw.parent, tmp_path / "store", options={"size": "640x480"}, strict=True)


@pytest.mark.real
def test_phalps_own_file_is_read_whole(tmp_path: Path) -> None:
    """263 frames of five people, who come and go."""
    path = REAL / "ava/phalp_gt_tracks.pkl"
    theirs = joblib.load(path)
    store = convert(path, tmp_path / "store", strict=True)
    view = store.sequence("phalp_gt_tracks")
    for place, person in ((0, 1), (1, 2)):
        mine = np.flatnonzero(view.person == person)
        first = theirs[view.frame_name[mine[0]]]
        assert view.frame[mine[0]] == 0
        np.testing.assert_array_equal(view.bbox[mine[0]], first["gt_bbox"][place])
    assert len(view) == sum(len(each["gt_bbox"]) for each in theirs.values())
    assert set(view.person.tolist()) == {1, 2, 3, 4, 5}
    assert not view.has_gt.any()


def test_exported_tracks_are_read_back(penn: Store, tmp_path: Path) -> None:
    penn.export("phalp", tmp_path / "raw", quiet=True)
    name = penn.sequences["sequence"][0].as_py()
    store = convert(tmp_path / f"raw/{name}.pkl", tmp_path / "store")
    view, found = penn.sequence(name), store.sequence(name)
    there = np.isfinite(view.bbox).all(axis=1)
    assert found.frame.tolist() == view.frame[there].tolist()
    np.testing.assert_array_equal(found.bbox, view.bbox[there].astype(np.float32))


FILM, SECONDS = "film_000001", (905, 906)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A film of AVA's with two people at two seconds, one of whom stands (12) and the other sits (11) and listens."""
    folder = tmp_path_factory.mktemp("truth")
    boxes = ("0.050,0.100,0.150,0.600", "0.500,0.100,0.600,0.600")
    rows = [
        f"{FILM},{second:04d},{boxes[person]},{action},{person}\n"
        for second in SECONDS
        for person, action in ((0, 12), (1, 11), (1, 37))
    ]
    (folder / "ava_val_v2.2.csv").write_text("".join(rows))
    return convert(folder, folder / "store")


def tracked(sitting: list[int]) -> Mapping[str, Any]:
    """The same people in every frame from second 904 to 907, in pictures of 640 x 640."""
    boxes = np.array([[32, 64, 64, 320], [320, 64, 64, 320]], np.float32)
    extra = {"gt_class": [[12], sitting], "gt_track_id": np.array([3, 8])}
    return {f"{frame + 1:06d}.jpg": {"gt_bbox": boxes, "extra_data": extra} for frame in range(120, 211)}


@pytest.mark.parametrize("name", [FILM, "gt_tracks"])
def test_tracks_of_a_whole_film_are_scored_at_its_seconds(name: str, truth: Store, tmp_path: Path) -> None:
    """Frame 150 is 000151.jpg and second 905; seconds that are not annotated count nothing in the official rule."""
    pytest.importorskip("torch")
    from har_bench.baselines.lart import LART

    store = convert(
        written(tmp_path / f"raw/{name}.pkl", tracked([11, 37])), tmp_path / "s", options={"size": "640x640"}
    )
    machine = LART(tracklets=str(store.path), test="track.fullframe@GT")
    if name != FILM:
        with pytest.raises(HarBenchError, match="has no tracklet of a video that ava/frame-map:lart scores"):
            har_bench.run(machine, truth, protocol="ava/frame-map:lart")
        return
    result = har_bench.run(machine, truth, protocol="ava/frame-map:lart")
    assert (result["mAP@0.5"], result.counts["keyframes"], result.counts["objects"]) == (100, 2, 6)


def test_tracks_of_a_clip_are_scored_at_its_key_frame(truth: Store, tmp_path: Path) -> None:
    """The clip's name says which; one label of three is missing, so that the mean over three actions is two thirds."""
    pytest.importorskip("torch")
    from har_bench.baselines.lart import LART

    for key in (150, 180):
        written(tmp_path / f"raw/ava-val_{FILM}_{key:06d}.pkl", tracked([11]))
    store = convert(tmp_path / "raw", tmp_path / "store", options={"size": "640x640"})
    assert store.sequences["keyframe"].to_pylist() == [150, 180]
    machine = LART(tracklets=str(store.path), test="track.fullframe@GT")
    result = har_bench.run(machine, truth, protocol="ava/frame-map:lart", options={"actions": "11,12,37"})
    areas = {row["id"]: row["AP@0.5"] for row in result.tables["action"]}
    assert areas[11] == areas[12] == 100
    assert areas[37] == pytest.approx(50)
    with pytest.raises(HarBenchError, match=r"has people without bodies.*--set test=track\.fullframe@GT"):
        LART(tracklets=str(store.path), learn_from="lart/ava-val").fit(truth, make_protocol("ava/frame-map:lart"))


def test_boxes_in_pictures_of_no_known_size_are_no_shares(truth: Store, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from har_bench.baselines.lart import LART

    store = convert(written(tmp_path / f"raw/{FILM}.pkl", tracked([11])), tmp_path / "store")
    machine = LART(tracklets=str(store.path), test="track.fullframe@GT")
    with pytest.raises(HarBenchError, match=r"how large 000121\.jpg is .*gt_tracks with --option size="):
        har_bench.run(machine, truth, protocol="ava/frame-map:lart")
