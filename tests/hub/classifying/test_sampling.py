"""Which frames are seen: pyskl's draws to the digit, segments by hand; and how training clips are varied."""

from __future__ import annotations

import numpy as np
import pytest

from har_bench.classifying.distorting import distortion, turned
from har_bench.classifying.sampling import Random, middles, segments, uniform, uniform_tests
from tests.golden import REAL

PATHS = [REAL / "models/skeleton" / name for name in ("uniform_sample.npz", "augmentation_and_2d.npz")]
UNIFORM, VARIED = (dict(np.load(path)) if path.is_file() else {} for path in PATHS)


@pytest.mark.real
@pytest.mark.parametrize("key", UNIFORM)
def test_clips_are_pyskls_to_the_frame(key: str) -> None:
    kind, _, length = key.partition("/")
    frames = UNIFORM[key].shape[-1]
    match kind:
        case "test":
            found = uniform_tests(int(length), frames, len(UNIFORM[key]))
        case "val1":
            (found,) = uniform_tests(int(length), frames, 1)
        case _:
            found = uniform(int(length), frames, Random(int(length)))
    np.testing.assert_array_equal(found, UNIFORM[key])


def test_a_short_clip_loops() -> None:
    assert uniform(3, 7, Random(0), start=2).tolist() == [2, 0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("length", [10, 13, 19, 20, 57])
def test_frames_of_a_long_clip_rise_and_are_in_it(length: int) -> None:
    for sample in (uniform, segments):
        found = sample(length, 10, Random(length))
        assert (np.diff(found) > 0).all()
        assert found[0] >= 0
        assert found[-1] < length


def test_middles_and_segments_by_hand() -> None:
    assert middles(8, 4).tolist() == [[1, 3, 5, 7]]
    assert middles(2, 4).tolist() == [[0, 0, 1, 1]]
    assert middles(8, 2, clips=2).tolist() == [[1, 5], [3, 7]]
    assert segments(2, 4, Random(0)).tolist() == [0, 0, 1, 1]
    assert segments(4, 4, Random(0)).tolist() == [0, 1, 2, 3]


@pytest.mark.real
def test_turns_and_stretches_are_pyskls() -> None:
    np.testing.assert_allclose(turned(VARIED["theta"]), VARIED["rot3d"], atol=1e-12)
    np.testing.assert_allclose(turned(np.array([0.25])), VARIED["rot2d_0.25"], atol=1e-12)
    stretched = VARIED["x"] @ distortion(3, 0.1, 0, Random(4)).T
    np.testing.assert_allclose(stretched, VARIED["scaled_0.1_seed4"], atol=1e-12)
    angles = 0.3 * Random(3).uniform(-1, 1, 3)
    np.testing.assert_allclose(VARIED["x"] @ turned(angles).T, VARIED["rotated_seed3"], atol=1e-12)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_turn_keeps_lengths_and_a_stretch_is_as_small_as_it_says(axes: int) -> None:
    turn = distortion(axes, 0, 0.3, Random(5))
    np.testing.assert_allclose(turn @ turn.T, np.eye(axes), atol=1e-12)
    sizes = [np.linalg.svd(distortion(axes, 0.2, 0.3, Random(seed)), compute_uv=False) for seed in range(50)]
    assert 0.8 <= np.min(sizes) < 0.85
    assert 1.15 < np.max(sizes) <= 1.2
