"""What is said of key frames is what LART's evaluator writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from har_bench.baselines.lart.clips import Clip, Clips, opened
from har_bench.baselines.lart.testing import Told, box_of, detections, key_row, scores, second_of, test_of
from har_bench.errors import HarBenchError
from har_bench.protocols.frame_map.files import read_detections
from tests.golden import REAL
from tests.lart_clips import COLUMNS, person
from tests.walking_tracklets import converted

test_of.__test__ = False  # type: ignore[attr-defined]  # it is no test

LART = REAL / "lart"
TESTS = {"avg6": "track.fullframe@avg.6", "": "track.fullframe@", "GT": "track.fullframe@GT"}
CSVS = {path.stem.removeprefix("ava_val_"): path for path in sorted(LART.glob("ava_val_*.csv"))}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return Clips(opened(converted(LART, tmp_path_factory.mktemp("lart") / "store")), 0).clip(0)


def by_label(rows: Any) -> dict[int, Any]:
    return {row["label"]: row for row in rows.to_pylist()}


@pytest.mark.real
@pytest.mark.parametrize("name", CSVS)
def test_every_row_is_that_of_larts_evaluator(name: str, clip: Clip) -> None:
    test, written = test_of(TESTS[name]), read_detections(CSVS[name]).values  # type: ignore[union-attr]
    for somebody in clip.people:
        key = key_row(clip, somebody, "lart")
        assert key == key_row(clip, somebody, "none") is not None
        likely = np.load(LART / "sigmoid_preds_ego.npz")[f"{clip.name}_{somebody.track}_{len(somebody)}"]
        found = (
            somebody.labels[key, COLUMNS]
            if test.kind == "truth"
            else scores(test, likely, key, min(len(somebody), len(likely)))
        )
        told = Told(second_of(clip.keyframe or 0), box_of(somebody, key), float(somebody.confidence[key]), found)
        numbers = [column + 1 for column in COLUMNS]
        mine = by_label(detections(clip.video or "", [told], numbers, numbers))
        theirs = by_label(
            written.filter(
                [row[0] == pytest.approx(told.box[0], abs=1e-12) for row in written["bbox_normalised"].to_pylist()]
            )
        )
        assert mine.keys() == theirs.keys()
        for label, row in theirs.items():
            assert (mine[label]["sequence"], mine[label]["timestamp"]) == (row["sequence"], row["timestamp"])
            assert mine[label]["bbox_normalised"] == pytest.approx(row["bbox_normalised"], abs=1e-12)
            assert mine[label]["score"] == pytest.approx(row["score"], abs=1e-5)


def test_the_mean_is_over_the_frames_before_and_those_from_the_key_frame_on() -> None:
    likely = np.arange(10.0).reshape(10, 1).astype(np.float32)
    assert scores(test_of("track.fullframe@avg.2"), likely, 5, 10).tolist() == [np.mean([3, 4, 5, 6])]
    assert scores(test_of("track.fullframe@avg.6"), likely, 5, 7).tolist() == [np.mean(range(7))]
    assert scores(test_of("track.fullframe@"), likely, 5, 10).tolist() == [5]
    for text in ("track.fullframe@avg.0", "avg.6", "track.fullframe@avg."):
        with pytest.raises(HarBenchError, match=r"give track\.fullframe@avg\.6, track\.fullframe@ or"):
            test_of(text)


def test_the_key_frame_is_told_by_the_number_at_the_end_of_a_name_and_larts_by_its_digits_anywhere() -> None:
    names = ["x_000060/000059.jpg", "x_000060/000060.jpg", "x_000060/000061.jpg"]
    found = person(1, 60, 3, name=names)
    clip = Clip("c", "v", 60, [found])
    assert (key_row(clip, found, "none"), key_row(clip, found, "lart")) == (1, 2)
    assert key_row(clip, person(1, 60, 3, name=names, undetected=[1]), "none") is None
    assert key_row(clip._replace(keyframe=90), found, "none") is None
    assert key_row(clip._replace(keyframe=None), found, "none") is None


def test_a_box_is_a_share_of_its_frame() -> None:
    assert box_of(person(1, 0, 2), 1).tolist() == pytest.approx([10 / 200, 20 / 100, 40 / 200, 60 / 100])
    with pytest.raises(HarBenchError, match=r"track 7 does not say how large img/000001\.jpg is"):
        box_of(person(7, 0, 2, size=np.zeros((2, 2))), 1)


def test_a_key_frame_without_people_has_no_rows() -> None:
    assert detections("v", [], [1, 2], [2]).num_rows == 0
