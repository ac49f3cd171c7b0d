"""Skeletons are consistent data, and mappings say how good they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.skeletons import mapping, names, skeleton

PAIRS = [pair for pair in itertools.permutations(names(), 2) if skeleton(pair[0]).family != skeleton(pair[1]).family]


@pytest.mark.parametrize("name", names())
def test_a_skeleton_is_a_tree_of_distinct_joints(name: str) -> None:
    found = skeleton(name)
    assert len(set(found.joints)) == len(found.joints) == len(found.parents)
    assert list(found.parents).count(-1) == 1
    for joint in range(len(found)):
        seen = [joint]
        while (parent := found.parents[seen[-1]]) >= 0:
            assert parent not in seen
            seen.append(parent)
    assert len(found.bones) == len(found) - 1
    assert len(found.sigmas) in (0, len(found))
    assert len(found.official) in (0, len(found))


@pytest.mark.parametrize(
    ("name", "drawn", "left_out"),
    [
        ("coco17", [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")], [("nose", "left_shoulder")]),
        ("blazepose33", [("left_mouth", "right_mouth")], [("nose", "left_mouth")]),
        ("h36m17", [("thorax", "left_shoulder")], [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]),
    ],
)
def test_what_is_drawn_crosses_the_trunk_where_no_joint_is_in_its_middle(
    name: str, drawn: list[tuple[str, str]], left_out: list[tuple[str, str]]
) -> None:
    found = skeleton(name)
    lines = [(found.joints[one], found.joints[other]) for one, other in found.lines]
    assert set(drawn) <= set(lines)
    assert not set(left_out) & set(lines)


@pytest.mark.parametrize("name", names())
def test_every_side_has_its_other_side_and_flipping_twice_does_nothing(name: str) -> None:
    found = skeleton(name)
    sided = [joint for joint in found.joints if joint.startswith(("left_", "right_"))]
    assert len(sided) == 2 * len(found.pairs) + (name == "coco16"), "which is all but one of COCO's joints"
    assert found.flip[found.flip].tolist() == list(range(len(found)))
    for left, right in found.pairs:
        assert found.joints[left].removeprefix("left_") == found.joints[right].removeprefix("right_")


def test_the_published_orders() -> None:
    """As in the reference tables: VideoPose3D's 17 of 32, deephar's PA17J of 32, deephar's PA16J of MPII."""
    h36m32, mpii = skeleton("h36m32"), skeleton("mpii16")
    first = [indices[0] for indices in mapping(h36m32, skeleton("h36m17")).sources]
    assert first == [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    deephar = [indices[0] for indices in mapping(h36m32, skeleton("h36m-pa17")).sources]
    assert deephar == [0, 12, 13, 15, 25, 17, 26, 18, 27, 19, 1, 6, 2, 7, 3, 8, 11]
    pa16 = [indices[0] for indices in mapping(mpii, skeleton("mpii-pa16")).sources]
    assert pa16 == [6, 7, 8, 9, 12, 13, 11, 14, 10, 15, 2, 3, 1, 4, 0, 5]
    assert skeleton("h36m17").flip.tolist() == [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]


def test_inside_a_family_names_are_exact_and_across_families_a_table_grades_each_joint() -> None:
    assert mapping(skeleton("h36m32"), skeleton("h36m17")).exact
    for source, target in PAIRS:
        try:
            found = mapping(skeleton(source), skeleton(target))
        except HarBenchError as error:
            assert "there is no mapping" in str(error)  # noqa: PT017 - most pairs have none, and say so
            continue
        weights = found.weights or ((),) * len(found.sources)
        for grade, sources, each in zip(found.grades, found.sources, weights, strict=True):
            assert grade in {"exact", "midpoint", "approximate"}
            assert (len(sources) > 1) == (grade == "midpoint" or bool(each))
            if each:
                assert len(each) == len(sources)
                assert sum(each) == pytest.approx(1)


def test_a_midpoint_is_the_mean_and_as_visible_as_its_worst_source() -> None:
    coco = skeleton("coco17")
    to_mpii = mapping(coco, skeleton("mpii16"))
    points = np.random.default_rng(0).normal(size=(5, 17, 2)).astype(np.float32)
    visible = np.full((5, 17), 2, np.uint8)
    visible[:, coco.index("left_hip")] = 1
    mapped, seen = to_mpii.points(points), to_mpii.visibility(visible)
    pelvis = to_mpii.target.index("pelvis")
    hips = points[:, [coco.index("left_hip"), coco.index("right_hip")]]
    np.testing.assert_allclose(mapped[:, pelvis], hips.mean(axis=1), rtol=1e-6)
    assert mapped.dtype == np.float32
    assert seen[0, [pelvis, to_mpii.target.index("left_hip"), to_mpii.target.index("right_hip")]].tolist() == [1, 1, 2]


def test_a_weighted_sum_may_go_beyond_its_sources() -> None:
    """By hand: ears at height 10 and shoulders at 0 put the top of the head at 17.5, the mouth at 8 the neck at 2.8."""
    blazepose = skeleton("blazepose33")
    to_mpii = mapping(blazepose, skeleton("mpii16"))
    points = np.zeros((1, 33, 2), np.float32)
    for height, joints in ((10, ("left_ear", "right_ear")), (8, ("left_mouth", "right_mouth"))):
        points[:, [blazepose.index(joint) for joint in joints], 1] = height
    visible = np.ones((1, 33), np.float32)
    visible[:, blazepose.index("right_ear")] = 0.25
    mapped, seen = to_mpii.points(points), to_mpii.visibility(visible)
    assert mapped[0, to_mpii.target.index("head_top")].tolist() == [0, 17.5]
    assert mapped[0, to_mpii.target.index("neck"), 1] == pytest.approx(2.8)
    assert mapped.dtype == np.float32
    assert seen[0, to_mpii.target.index("head_top")] == 0.25
    points += [300, -40]
    np.testing.assert_allclose(to_mpii.points(points), mapped + np.array([300, -40]), rtol=1e-6)


def test_blazepose_s_seventeen_of_coco() -> None:
    first = [indices[0] for indices in mapping(skeleton("blazepose33"), skeleton("coco17")).sources]
    assert first == [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    assert len(skeleton("blazepose33").pairs) == 16


def test_blazepose_s_joints_as_penn_actions() -> None:
    """A film of one's own goes into a model of Penn Action's joints; the head is between the ears."""
    found = mapping(skeleton("blazepose33"), skeleton("penn13"))
    assert found.sources[0] == (7, 8)
    assert [indices[0] for indices in found.sources[1:]] == [12, 11, 14, 13, 16, 15, 24, 23, 26, 25, 28, 27]


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(HarBenchError, match=r"no skeleton is called 'H36M-17'; did you mean 'h36m17'"):
        skeleton("H36M-17")
    with pytest.raises(HarBenchError, match="no joint of mpii16 is called 'nose'; there are right_ankle, "):
        skeleton("mpii16").index("nose")
    with pytest.raises(HarBenchError, match="h36m16 has nothing for h36m17's neck"):
        mapping(skeleton("h36m16"), skeleton("h36m17"))
