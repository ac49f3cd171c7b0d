"""Several people in a video: everybody is named, one is taken, and nobody's track jumps to another."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench import HarBenchError
from har_bench.keypoints import open_track, open_tracks
from har_bench.keypoints.linking import link
from har_bench.keypoints.people import People
from tests.walkers import SIZE, flat, walk

Rows = list[dict[str, Any]]


def results(people: dict[int, np.ndarray[Any, Any]], *, ids: bool, scores: np.ndarray[Any, Any] | None = None) -> Rows:
    """COCO's results of everybody in every frame of theirs; NaN is nobody."""
    rows: Rows = []
    for place, (number, points) in enumerate(people.items()):
        for frame, pose in enumerate(points):
            if np.isfinite(pose).all():
                score = 0.9 if scores is None else float(scores[place, frame])
                own = {"track_id": number} if ids else {}
                rows.append({"image_id": frame, "category_id": 1, "keypoints": flat(pose), "score": score, **own})
    return rows


def written(path: Path, rows: Rows) -> Path:
    path.write_text(json.dumps(rows))
    return path


def jumps(points: np.ndarray[Any, Any]) -> float:
    """The longest way that the body goes from frame to frame [px]."""
    return float(np.linalg.norm(np.diff(points.mean(axis=1), axis=0), axis=-1).max())


def test_of_two_with_ids_the_one_seen_most_is_taken_whatever_the_scores_and_everybody_is_named(tmp_path: Path) -> None:
    one, two = walk(30), walk(30, at=700, seed=1)
    two[:2] = np.nan
    scores = np.random.default_rng(0).uniform(0.1, 1, (2, 30))
    path = written(tmp_path / "two.json", results({1: one, 2: two}, ids=True, scores=scores))
    track = open_track(path, size=SIZE)
    assert track.notes == ("2 persons (1: 30 frames, 2: 28); took 1, --person chooses",)
    assert (track.person, track.start, track.filled) == (1, 0, 0)
    np.testing.assert_allclose(track.points, one, rtol=1e-5)
    other = open_track(path, size=SIZE, person=2)
    assert other.notes == ("2 persons (1: 30 frames, 2: 28); took 2",)
    assert (other.person, other.filled, len(other.points)) == (2, 2, 30)
    np.testing.assert_allclose(other.points[2:], two[2:], rtol=1e-5)
    with pytest.raises(HarBenchError, match="is called 3; there are 1, 2"):
        open_track(path, size=SIZE, person=3)


@pytest.mark.parametrize("order", ["by score", "shuffled"])
def test_without_ids_detections_are_linked_by_where_they_are(order: str, tmp_path: Path) -> None:
    one, two = walk(40), walk(40, at=700, seed=1)
    two[10:13] = np.nan
    rng = np.random.default_rng(3)
    rows = results({1: one, 2: two}, ids=False, scores=rng.uniform(0.1, 1, (2, 40)))
    rows.sort(key=lambda row: (row["image_id"], -row["score"]) if order == "by score" else rng.random())
    track = open_track(written(tmp_path / "x.json", rows), size=SIZE)
    (said,) = track.notes
    assert "2 persons (" in said
    assert "40 frames" in said
    assert ": 37)" in said
    np.testing.assert_allclose(track.points, one, rtol=1e-5)


def test_one_detection_a_frame_that_hops_between_two_people_is_two_people(tmp_path: Path) -> None:
    """What remains of two people where only the best of each frame was kept."""
    one, two = walk(40), walk(40, at=700, seed=1)
    kept = np.where((np.arange(40) % 5 == 4)[:, None, None], two, one)
    track = open_track(written(tmp_path / "x.json", results({1: kept}, ids=False)), size=SIZE)
    assert "2 persons (1: 32 frames, 2: 8); took 1" in track.notes[0]
    assert jumps(track.points) < 40
    assert track.filled == 8


def test_people_who_cross_are_told_apart_or_come_in_pieces_but_never_change_places(tmp_path: Path) -> None:
    one, two = walk(60, speed=10), walk(60, at=600, seed=1, speed=-10)
    path = written(tmp_path / "x.json", results({1: one, 2: two}, ids=False))
    tracks = open_tracks(path, size=SIZE)
    assert sum(len(track.points) for track in tracks) >= 115  # where they cover each other one may be missed
    for track in tracks:
        frames = slice(track.start, track.start + len(track.points))
        assert min(abs(track.points - one[frames]).max(), abs(track.points - two[frames]).max()) < 10


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-550, 1200), st.floats(-12, 12)), min_size=2, max_size=4),
    st.floats(0, 0.3),
    st.integers(0, 1000),
)
def test_no_link_ever_joins_two_people(places: list[tuple[float, float]], missing: float, seed: int) -> None:
    """Anybody anywhere, missed at random, in any order: who goes on as another was where that one had to be looked for,
    within two fifths of a person's size and of what somebody may have walked unseen; those who are apart are never
    joined."""
    rng = np.random.default_rng(seed)
    people = [walk(25, at=at, seed=number, speed=speed) for number, (at, speed) in enumerate(places)]
    rows = [(frame, who) for frame in range(25) for who in range(len(people)) if rng.random() >= missing]
    rng.shuffle(rows)
    if not rows:
        return
    frames = np.array([frame for frame, _ in rows])
    points = np.array([people[who][frame] for frame, who in rows])
    found = link(People(frames, points, rng.random(len(rows))))
    for number in set(found[found > 0].tolist()):
        mine = np.flatnonzero(found == number)
        order = mine[np.argsort(frames[mine])]
        assert len(set(frames[order].tolist())) == len(order)
        for before, after in pairwise(order.tolist()):
            (then, who), (now, _) = rows[before], rows[after]
            apart = np.linalg.norm(points[after] - people[who][now], axis=-1).mean()
            assert apart < 0.4 * 350 + 12 * (now - then)


def test_a_person_found_twice_in_a_frame_is_one(tmp_path: Path) -> None:
    one = walk(30)
    rows = results({1: one}, ids=False)
    rows += [{**row, "keypoints": flat(one[row["image_id"]] + 3), "score": 0.4} for row in rows]
    track = open_track(written(tmp_path / "x.json", rows), size=SIZE)
    assert track.notes == ()
    np.testing.assert_allclose(track.points, one, rtol=1e-5)


def test_frames_that_no_detection_names_are_said_to_be_one(tmp_path: Path) -> None:
    rows = [{"keypoints": flat(pose)} for pose in walk(30)]
    alone = open_track(written(tmp_path / "x.json", rows), size=SIZE)
    assert len(alone.points) == 1
    assert any(note.startswith("all 30 detections are of one frame, and ") for note in alone.notes)
    (tmp_path / "y.json").write_text(json.dumps({"frames": rows}))
    listed = open_track(tmp_path / "y.json", size=SIZE)
    assert (len(listed.points), listed.notes) == (30, ())


def test_only_persons_count(tmp_path: Path) -> None:
    one, dog = walk(20), walk(20, at=500, seed=2)
    rows = results({1: one}, ids=False)
    dogs = [{**row, "category_id": 18, "score": 0.99} for row in results({1: dog}, ids=False)]
    track = open_track(written(tmp_path / "x.json", rows + dogs), size=SIZE)
    assert track.notes == ("20 detections of other categories (18) are left out",)
    np.testing.assert_allclose(track.points, one, rtol=1e-5)
    names = {"categories": [{"id": 7, "name": "Person"}, {"id": 1, "name": "dog"}]}
    document = {
        "images": [{"id": frame, "file_name": f"{frame:04d}.jpg"} for frame in range(20)],
        "annotations": [{**row, "category_id": 7} for row in rows] + [{**row, "category_id": 1} for row in dogs],
        **names,
    }
    (tmp_path / "named.json").write_text(json.dumps(document))
    named = open_track(tmp_path / "named.json", size=SIZE)
    assert named.notes == ("20 detections of other categories (dog) are left out",)
    np.testing.assert_allclose(named.points, one, rtol=1e-5)
    nobody = [{**row, "name": kind} for row in rows for kind in ("cat", "dog")]
    with pytest.raises(HarBenchError, match="detections of cat, dog and does not say which are persons"):
        open_track(written(tmp_path / "nobody.json", nobody), size=SIZE)
    counted = [{**row, "category_id": 0} for row in rows] + [{**row, "category_id": 1} for row in dogs]
    np.testing.assert_allclose(open_track(written(tmp_path / "0.json", counted), size=SIZE).points, one, rtol=1e-5)


def test_everybody_has_a_track_from_the_first_sighting_to_the_last(tmp_path: Path) -> None:
    one, two, three = walk(40), walk(40, at=600, seed=1), walk(40, at=1100, seed=2)
    two[:15] = np.nan
    three[1:30] = np.nan  # longer missing than seen
    path = written(tmp_path / "x.json", results({4: one, 7: two, 9: three}, ids=True))
    tracks = open_tracks(path, size=SIZE)
    assert [(track.person, track.start, len(track.points)) for track in tracks] == [(4, 0, 40), (7, 15, 25)]
    assert tracks[0].notes[0] == "3 persons (4: 40 frames, 7: 25, 9: 11)"
    assert "left out: person 9 is seen in 11 frames and then, after frame 0, missing in 29" in tracks[0].notes[-1]
    np.testing.assert_allclose(tracks[1].points, two[15:], rtol=1e-5)


def test_ids_that_some_detections_lack(tmp_path: Path) -> None:
    one = walk(20)
    rows = results({3: one}, ids=True)
    for row in rows[:2]:
        del row["track_id"]
    track = open_track(written(tmp_path / "x.json", rows), size=SIZE)
    assert track.notes == ("2 detections without an id are left out",)
    assert (track.person, track.filled, len(track.points)) == (3, 2, 20)
