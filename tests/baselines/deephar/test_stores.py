"""People of stores as samples: whose, in which joints, looked at where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.baselines.deephar.data.layouts import layout_of, slots
from har_bench.baselines.deephar.data.samples import Sample
from har_bench.baselines.deephar.data.stores import Wanted, samples
from har_bench.media.of_store import Shot
from har_bench.protocol import make_protocol
from har_bench.skeletons import skeleton

from .conftest import Drawn

PA16 = Wanted(layout_of(16), 2)


def of(
    drawn: Callable[[str], Drawn], dataset: str, split: str, wanted: Wanted = PA16, protocol: str = ""
) -> list[Sample]:
    store, root = drawn(dataset)
    return list(samples(store, split, wanted, root=root, classes=make_protocol(protocol) if protocol else None))


def test_mpii_s_single_persons(drawn: Callable[[str], Drawn]) -> None:
    """As many as the store marks in the split; joints in pa16, and the window is a square below objpos."""
    store, _ = drawn("mpii")
    found = of(drawn, "mpii", "tompson/train")
    rows = store.poses("tompson/train", ["sequence", "objpos", "scale", "keypoints", "single_person"])
    alone = [row for row in rows.to_pylist() if row["single_person"] and row["scale"]]
    assert 0 < len(found) == len(alone) < store.poses().num_rows
    row = next(row for row in alone if found[0].pictures[0] == Shot(row["sequence"], 0))
    pelvis = np.array(row["keypoints"]).reshape(16, 2)[6]
    assert pelvis.tolist() in [sample.points[0, 0].tolist() for sample in found]
    window = found[0].window(np.zeros(1, int))
    assert window.sides[0] == window.sides[1] == 250 * row["scale"]
    x, y = row["objpos"]
    np.testing.assert_allclose(window.centre, (x, y + 15 * row["scale"]))


def test_penn_s_clips_have_classes_and_only_visible_joints(drawn: Callable[[str], Drawn]) -> None:
    store, _ = drawn("penn_action")
    found = of(drawn, "penn_action", "standard/train", protocol="penn_action/accuracy")
    classes = make_protocol("penn_action/accuracy")
    for sample in found:
        (name,) = {picture.sequence for picture in sample.pictures if isinstance(picture, Shot)}
        assert [sample.action] == classes.class_of(store.select(sequences=[name]))  # type: ignore[attr-defined]
        seen = store.sequence(name).visibility == 2
        np.testing.assert_array_equal(np.isfinite(sample.points).all(axis=-1).sum(axis=1), seen.sum(axis=1))
    assert np.isnan(found[0].points[:, :3]).all(), "Penn Action has neither pelvis, thorax nor neck"


def test_depths_are_those_before_the_camera(drawn: Callable[[str], Drawn]) -> None:
    store, _ = drawn("h36m")
    found = of(drawn, "h36m", "standard/train", Wanted(layout_of(17), 3, every=5))
    sequence = store.sequence(found[0].pictures[0].sequence)  # type: ignore[union-attr]
    assert len(found[0]) == -(-len(sequence) // 5)
    np.testing.assert_allclose(found[0].points[1, 0, 2], sequence.keypoints_3d[5, 0, 2])
    np.testing.assert_allclose(found[0].points[1, 0, :2], sequence.keypoints[5, 0])


def test_of_two_persons_the_one_seen_longest_acts(drawn: Callable[[str], Drawn]) -> None:
    wanted = Wanted(layout_of(20), 3)
    everybody = of(drawn, "ntu60", "xsub/train", wanted)
    acting = of(drawn, "ntu60", "xsub/train", wanted, "ntu60/xsub")
    names = [sample.pictures[0].sequence for sample in acting]  # type: ignore[union-attr]
    assert len(names) == len(set(names)) < len(everybody)
    longest = {name: max(len(each) for each in everybody if each.pictures[0].sequence == name) for name in names}  # type: ignore[union-attr]
    assert [len(sample) for sample in acting] == [longest[name] for name in names]


def test_coco_s_and_merl_s_people_are_looked_at_in_their_boxes(drawn: Callable[[str], Drawn]) -> None:
    for dataset, split in (("coco", "2017/train"), ("merl", "clips/train")):
        for sample in of(drawn, dataset, split):
            assert sample.boxes is not None
            np.testing.assert_allclose(sample.window(np.zeros(1, int)).box, sample.boxes[0], rtol=1e-6)
    merl = of(drawn, "merl", "clips/train")[0]
    assert isinstance(merl.pictures[0], Path)
    assert merl.pictures[0].is_file()


def test_the_seed_s_joints_are_coco_s_without_the_last(drawn: Callable[[str], Drawn]) -> None:
    ours, theirs = (of(drawn, "coco", "2017/train", Wanted(skeleton(name), 2)) for name in ("mpii-pa16", "coco16"))
    coco = skeleton("coco17")
    pa16 = skeleton("mpii-pa16")
    for joint in ("left_wrist", "right_knee", "left_ankle"):
        place = coco.joints.index(joint)
        np.testing.assert_array_equal(ours[0].points[:, pa16.joints.index(joint)], theirs[0].points[:, place])
    assert skeleton("coco16").flip.tolist() == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 15]


def test_what_a_network_has_besides_is_empty() -> None:
    points = np.arange(32.0).reshape(1, 16, 2)
    found = slots(skeleton("mpii16"), layout_of(17))(points)
    assert np.isnan(found[0, 16]).all()
    np.testing.assert_array_equal(found[0, 0], points[0, 6])


def test_joints_that_do_not_become_the_network_s_are_refused() -> None:
    with pytest.raises(HarBenchError, match="mpii16 does not become ntu-pa20; train a network of other joints"):
        slots(skeleton("mpii16"), layout_of(20))
    with pytest.raises(HarBenchError, match="16, 17 or 20 joints, and not 18"):
        layout_of(18)
    with pytest.raises(HarBenchError, match="mpii16 does not become coco16"):
        slots(skeleton("mpii16"), skeleton("coco16"))
