"""What the network gets of a clip is what LART's code gives it, and what it gives where that code slips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from har_bench.baselines.lart.clips import Clip, Clips, opened, width_of
from har_bench.baselines.lart.windows import Item, Norm, Windows, aligned, measured, norm_read
from har_bench.errors import HarBenchError
from tests.golden import REAL, load
from tests.lart_clips import COLUMNS, GOLDEN, person, seen_in, with_person
from tests.walking_tracklets import converted, tracklet, written

PLAIN = Norm(np.zeros(229, np.float32), np.ones(229, np.float32))
ITEMS = load("lart/dataset_items.json")
CLIP = "ava-val_1j20qq1JyX4_000150"
OF_CLIP = [index for index, item in ITEMS.items() if item["name"].startswith(CLIP)]


def random() -> np.random.RandomState:
    return np.random.RandomState(0)


@pytest.fixture(scope="module")
def golden() -> Mapping[str, Any]:
    with np.load(REAL / "lart/dataset_items.npz") as items:
        return dict(items)


@pytest.fixture(scope="module")
def clip(golden: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """The golden clip: two people from their files, and the third from the window in which all of them is."""
    store = opened(converted(REAL / "lart", tmp_path_factory.mktemp("lart") / "store"))
    item = {name.removeprefix("item0/"): value for name, value in golden.items() if name.startswith("item0/")}
    track, count = (int(word) for word in ITEMS[OF_CLIP[2]]["name"].rsplit("_", 2)[1:])
    slot = next(slot for slot in range(3) if np.count_nonzero(item["in/fid"][:, slot]) == count)
    return with_person(Clips(store, width_of(store)).clip(0), seen_in(item, slot, track))


def item_of(clip: Clip, name: str, quirks: Any) -> Item:
    place = next(place for place, each in enumerate(clip.people) if name == f"{CLIP}_{each.track}_{len(each)}")
    return Windows(GOLDEN, people=3, quirks=quirks).testing(clip, place, random(), about=49)


@pytest.mark.real
@pytest.mark.parametrize("quirks", ["lart", "none"])
def test_a_window_is_larts(clip: Clip, golden: Mapping[str, Any], quirks: str) -> None:
    """The others may be in another order: LART shuffles them."""
    item = item_of(clip, ITEMS["0"]["name"], quirks)
    order = [
        next(slot for slot in range(3) if np.array_equal(golden["item0/in/fid"][:, slot, 0], item.frame[:, mine]))
        for mine in range(3)
    ]
    assert order[0] == 0
    for name, value in (
        ("in/pose_shape", item.pose),
        ("in/joints_3D", item.joints),
        ("in/apperance_emb", item.appearance),
        ("in/has_detection", item.detected[..., None]),
        ("in/mask_detection", np.zeros_like(item.detected)[..., None]),
        ("in/fid", item.frame[..., None]),
        ("out/pose_shape", item.body[:, :, None]),
        ("out/has_gt", item.has_gt[..., None, None]),
        ("out/has_detection", item.detected[..., None, None]),
    ):
        np.testing.assert_allclose(value, golden[f"item0/{name}"][:, order], rtol=0, atol=1e-5, err_msg=name)
    labels = golden["item0/out/action_label_ava"][:, order, 0, :60]
    np.testing.assert_allclose(item.labels[..., COLUMNS], labels, rtol=0, atol=1e-5)


@pytest.mark.real
@pytest.mark.parametrize("index", OF_CLIP)
def test_every_window_of_the_clip_has_larts_sums(clip: Clip, index: str) -> None:
    item, sums = item_of(clip, ITEMS[index]["name"], "lart"), ITEMS[index]["sums"]
    for name, value in (
        ("in/pose_shape", item.pose),
        ("in/has_detection", item.detected),
        ("in/fid", item.frame),
        ("in/apperance_emb", item.appearance),
        ("in/joints_3D", item.joints),
        ("out/pose_shape", item.body),
        ("out/action_label_ava", item.labels[..., COLUMNS]),
        ("out/has_gt", item.has_gt),
    ):
        assert float(value.sum(dtype=np.float64)) == pytest.approx(sums[name], rel=1e-5, abs=1e-3), name


@pytest.mark.real
def test_larts_own_golden_lacks_who_is_there_before_and_after(clip: Clip) -> None:
    """The third person's window lies within the track of the first, whom LART leaves out."""
    theirs, ours = (item_of(clip, ITEMS[OF_CLIP[2]]["name"], quirks) for quirks in ("lart", "none"))
    assert ITEMS[OF_CLIP[2]]["sums"]["in/has_detection"] == theirs.detected.sum() < ours.detected.sum()
    assert ours.frame[0].tolist() == [130, 130, 130]
    assert theirs.frame[0].tolist() == [130, 130, 0]


def test_a_window_by_hand() -> None:
    """Two people, the second from the third frame on and not detected in its last."""
    clip = Clip("c", None, None, [person(1, 10, 4), person(2, 12, 5, undetected=[1])])
    norm = PLAIN._replace(mean=np.full(229, 1.0, np.float32), deviation=np.full(229, 2.0, np.float32))
    item = Windows(norm, frames=5, people=3).testing(clip, 0, random())
    assert item.frame.tolist() == [[10, 0, 0], [11, 0, 0], [12, 12, 0], [13, 13, 0], [0, 0, 0]]
    assert item.detected[:, 1].tolist() == [False, False, True, False, False]
    assert item.pose[:, 0, 0].tolist() == [(1010 - 1) / 2, (1011 - 1) / 2, (1012 - 1) / 2, (1013 - 1) / 2, 0]
    assert item.body[:, 1, 7].tolist() == [0, 0, 2012, 2013, 0]
    assert item.appearance[2].tolist() == [[1012] * 3, [2012] * 3, [0] * 3]


def test_a_longer_track_is_seen_about_its_key_frame_and_larts_from_its_beginning() -> None:
    clip = Clip("c", None, None, [person(1, 0, 300)])
    for quirks, about, first in (("none", 200, 138), ("none", 10, 0), ("none", 299, 175), ("lart", 200, 0)):
        item = Windows(PLAIN, quirks=quirks).testing(clip, 0, random(), about)
        assert (item.start, item.frame[0, 0], item.frame[-1, 0]) == (first, first, first + 124)


def test_a_training_window_is_drawn_at_random_and_larts_is_not() -> None:
    clip = Clip("c", None, None, [person(1, 0, 300)])
    starts = {Windows(PLAIN).training(clip, 0, np.random.RandomState(seed)).start for seed in range(20)}
    assert len(starts) > 10
    assert all(0 <= start <= 175 for start in starts)
    quirky = Windows(PLAIN, quirks="lart")
    assert {quirky.training(clip, 0, np.random.RandomState(seed)).start for seed in range(20)} == {0}


@pytest.mark.parametrize(("length", "whole", "lart"), [(60, 60, 59), (126, 125, 125), (125, 125, 124), (2, 2, 1)])
def test_the_last_frame_of_a_short_track_is_lost_in_larts_training(length: int, whole: int, lart: int) -> None:
    clip = Clip("c", None, None, [person(1, 100, length)])
    for quirks, count in (("none", whole), ("lart", lart)):
        item = Windows(PLAIN, quirks=quirks).training(clip, 0, random())  # type: ignore[arg-type]
        assert np.count_nonzero(item.frame[:, 0]) == count


def test_who_is_there_before_and_after_the_window_is_missing_in_larts() -> None:
    about = person(1, 100, 20)
    others = [person(2, 90, 40), person(3, 90, 20), person(4, 110, 40), person(5, 100, 20), person(6, 300, 5)]
    clip = Clip("c", None, None, [about, *others])

    def tracks(quirks: Any) -> set[int]:
        item = Windows(PLAIN, frames=30, people=6, quirks=quirks).testing(clip, 0, random())
        return {int(value) // 1000 for value in item.body[..., 0].ravel()} - {0}

    assert tracks("none") == {1, 2, 3, 4, 5}
    assert tracks("lart") == {1, 3, 4, 5}


def test_those_who_are_longest_in_sight_are_taken_and_chance_takes_larts() -> None:
    others = [person(2, 0, 5), person(3, 0, 20), person(4, 0, 12), person(5, 0, 20, undetected=range(3))]
    clip = Clip("c", None, None, [person(1, 0, 20), *others])

    def tracks(quirks: Any, seed: int) -> list[int]:
        item = Windows(PLAIN, frames=20, people=3, quirks=quirks).testing(clip, 0, np.random.RandomState(seed))
        return [int(item.body[:, slot, 0].max()) // 1000 for slot in range(3)]

    assert {tuple(tracks("none", seed)) for seed in range(10)} == {(1, 3, 5)}
    assert len({tuple(tracks("lart", seed)) for seed in range(10)}) > 2


def test_tracks_with_gaps_are_laid_on_each_other_by_their_frames() -> None:
    rows, places = aligned(np.array([3, 4, 9, 11]), np.array([1, 3, 9, 10]))
    assert (rows.tolist(), places.tolist()) == ([0, 2], [1, 2])


def test_what_a_tracklet_says_is_what_a_person_is(tmp_path: Path) -> None:
    """A key's feature and pseudo label are those of all its frames; where annotated, the truth is the label."""
    made = tracklet(52, 8, 12, undetected=[2], has_gt=[4])
    written(tmp_path / "raw", "ava-val_abcdefghijk_000060", 3, made)
    store = converted(tmp_path / "raw", tmp_path / "store")
    clip = Clips(opened(store), 4).clip(0)
    (found,) = clip.people
    assert (clip.name, clip.video, clip.keyframe, found.track) == ("ava-val_abcdefghijk_000060", "abcdefghijk", 60, 3)
    assert found.frame.tolist() == list(range(52, 60))
    assert found.detected.tolist() == [True, True, False, *[True] * 5]
    joints = made["3d_joints"][:, 0] + made["camera"]
    np.testing.assert_allclose(found.joints, joints.reshape(8, 135), atol=1e-6)
    features = [made["apperance_dict"][key][0] for key in (0, 1000)]
    np.testing.assert_allclose(found.appearance[[0, 5, 6]], [features[0], features[0], features[1]], atol=1e-6)
    assert not found.appearance[2].any()
    assert found.labels[[1, 4, 2], 11].tolist() == pytest.approx([0.9, 1, 0])
    assert found.labels[[1, 4, 2], 3].tolist() == pytest.approx([0.1, 0, 0])
    assert found.has_gt.tolist() == [1, 1, 0, 1, 2, 1, 1, 1]
    assert list(Clips(store, 4).tracks(np.arange(1))) == [(0, 0)]
    with pytest.raises(HarBenchError, match="track 3 of ava-val_abcdefghijk_000060 has 4 numbers where 5"):
        Clips(store, 5).clip(0)


def test_a_norm_is_measured_and_read(tmp_path: Path) -> None:
    poses = np.random.default_rng(0).normal(3, 2, (50, 229)).astype(np.float32)
    poses[:, 5] = 1
    found = measured([poses[:20], poses[20:]])
    np.testing.assert_allclose(found.mean, poses.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.delete(found.deviation, 5), np.delete(poses.std(axis=0), 5), rtol=1e-4)
    assert found.deviation[5] == 1
    np.save(tmp_path / "mean_std.npy", np.stack([np.full((1, 226), 0.5), np.full((1, 226), 2.0)]))
    read = norm_read(str(tmp_path / "mean_std.npy"))
    assert read.mean[[0, 225, 226]].tolist() == [0.5, 0.5, 0]
    assert read.deviation[[0, 225, 226]].tolist() == [2, 2, 1]
    np.save(tmp_path / "other.npy", np.zeros((3, 226)))
    with pytest.raises(HarBenchError, match=r"other\.npy is float64 \(3, 226\) and not \(2, 1, 226\)"):
        norm_read(str(tmp_path / "other.npy"))
