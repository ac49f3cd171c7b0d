"""Joints, bones and motions: by hand, and equal to pyskl's on real files, sampled from a reel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.skeletons import skeleton
from tests.golden import REAL, load

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from har_bench.classifying.preparing import preparation  # noqa: E402
from har_bench.classifying.reel import Cutter, Reel, Variation, mirrored  # noqa: E402
from har_bench.classifying.sampling import middles, uniform_tests  # noqa: E402
from har_bench.classifying.seen import Seen  # noqa: E402
from har_bench.classifying.streams import bone_parents, chosen, stream  # noqa: E402

SHORT = {"j": "joint", "b": "bone", "jm": "joint-motion", "bm": "bone-motion"}
PATHS = {
    name: REAL / f"models/skeleton/{name}.npz" for name in ("ntu_pipeline", "penn_pipeline", "augmentation_and_2d")
}
NTU, PENN, FLAT = (dict(np.load(path)) if path.is_file() else {} for path in PATHS.values())
SUMMARY = load("models/skeleton/ntu_pipeline_summary.json")
WHOLE = [(key, name) for key in NTU for name in SHORT if key.endswith(f"/{name}") and key.count("/") == 1]


def cut(clip: Any, view: str, layout: str, name: str, places: Any, variation: Variation | None = None) -> Any:
    """(B, M, L, V, C) of frames of one clip."""
    reel = Reel([np.asarray(clip, np.float32)], len(clip))
    which = np.zeros(len(places), np.int64)
    return Cutter(preparation(view), skeleton(layout), name).cut(reel, which, np.asarray(places), variation).numpy()


def test_the_bones_of_a_published_layout_are_not_its_graph() -> None:
    """NTU's hand tips hang from the thumbs, and COCO's hips from the nose; the root's bone is zero."""
    ntu, coco, penn = (bone_parents(skeleton(name)).tolist() for name in ("ntu25", "coco17", "penn13"))
    assert (ntu[20], ntu[21], ntu[23]) == (20, 22, 24)
    assert (coco[0], coco[5], coco[11], coco[12]) == (0, 0, 0, 0)
    assert penn == [0, 0, 0, 1, 2, 3, 4, 1, 2, 7, 8, 9, 10]


def test_streams_by_hand() -> None:
    now = torch.tensor([[[0.0, 0, 1], [2, 3, 1]], [[1, 1, 1], [5, 5, 0]], [[2, 2, 1], [9, 9, 1]]])
    following, last = now.roll(-1, 0), torch.tensor([False, False, True])
    parents = torch.tensor([0, 0])

    def made(name: str, **changes: bool) -> Any:
        given = {"scored": True, "masked": False} | changes
        return stream(name, now, following, last, parents, **given).tolist()

    assert made("joint") == now.tolist()
    assert made("bone")[1] == [[0, 0, 1], [4, 4, 0.5]]
    assert made("bone", masked=True)[1] == [[0, 0, 1], [0, 0, 0.5]]
    assert made("joint-motion") == [[[1, 1, 1], [3, 2, 0.5]], [[1, 1, 1], [4, 4, 0.5]], [[0, 0, 0], [0, 0, 0]]]
    assert made("joint-motion", masked=True)[0] == [[1, 1, 1], [0, 0, 0.5]]
    assert made("bone-motion")[0] == [[0, 0, 1], [2, 1, 0.75]]
    assert made("bone-motion", masked=True)[0] == [[0, 0, 1], [0, 0, 0.75]]
    assert made("bone", scored=False)[1] == [[0, 0, 0], [4, 4, -1]]


def test_a_published_motion_is_that_of_the_video_whatever_is_sampled() -> None:
    """Streams come before sampling: one frame in ten still moves by one frame; in segments it moves by ten."""
    clip = np.zeros((1, 100, 25, 3))
    clip[..., 0] = np.arange(100)[:, None]
    places = [np.arange(5, 100, 10)]
    assert set(cut(clip, "pyskl", "ntu25", "joint-motion", places)[0, 0, :, 0, 0]) == {1}
    assert set(cut(clip, "pyskl", "ntu25", "joint-motion", [[98, 99, 99]])[0, 0, :, 0, 0]) == {1, 0}
    clip[..., 2] = 1
    assert cut(clip[:, :, :13], "rms", "penn13", "joint-motion", places)[0, 0, :, 0, 0].tolist() == [10] * 9 + [0]


def test_variation_turns_coordinates_and_exchanges_sides() -> None:
    clip = np.random.default_rng(0).normal(size=(1, 4, 13, 3))
    places = [np.arange(4)] * 2
    plain = cut(clip, "rms", "penn13", "joint", places)
    quarter = np.array([[0.0, -1], [1, 0]])
    varied = Variation(np.stack([quarter, np.eye(2)]), np.array([False, True]))
    found = cut(clip, "rms", "penn13", "joint", places, varied)
    np.testing.assert_allclose(found[0, ..., 0], -plain[0, ..., 1], atol=1e-6)
    np.testing.assert_array_equal(found[0, ..., 2], plain[0, ..., 2])
    flip = skeleton("penn13").flip
    np.testing.assert_array_equal(found[1], plain[1][..., flip, :] * np.float32([-1, 1, 1]))
    np.testing.assert_array_equal(cut(clip, "rms", "penn13", "joint", places, mirrored(2, 2))[0], found[1])


def test_streams_have_names() -> None:
    assert chosen(("bone", "joint")) == ("joint", "bone")
    assert chosen(("all",)) == ("joint", "bone", "joint-motion", "bone-motion")
    with pytest.raises(HarBenchError, match="did you mean 'bone'"):
        chosen(("bones",))
    with pytest.raises(HarBenchError, match="no stream"):
        chosen(())


@pytest.mark.real
@pytest.mark.parametrize(("key", "name"), WHOLE)
def test_a_stream_of_a_real_file_is_pyskls(key: str, name: str) -> None:
    clip = NTU[f"{key.partition('/')[0]}/prenormalize3d"]
    (found,) = cut(clip, "pyskl", "ntu25", SHORT[name], [np.arange(clip.shape[1])])
    np.testing.assert_allclose(found, NTU[key], atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key, value in SUMMARY.items() if isinstance(value, dict)])
def test_everything_until_the_network_is_pyskls(key: str) -> None:
    """Ten clips of a hundred frames from either precision: the sums of the whole formatted array."""
    file, kind, name = key.split("/")
    points = NTU[f"{file}/input"].astype(float)
    view = "pyskl-float16" if kind == "float16" else "pyskl"
    clip = preparation(view).prepared(Seen(points, np.ones(points.shape[:-1])))
    found = cut(clip, view, "ntu25", SHORT[name], uniform_tests(clip.shape[1], 100, 10)).astype(float)
    size = SUMMARY[key]["abs_sum"]
    tolerance = 1e-5 if kind == "float16" else 1e-6
    assert found.sum() == pytest.approx(SUMMARY[key]["sum"], abs=tolerance * size)
    assert np.abs(found).sum() == pytest.approx(size, rel=tolerance)
    assert np.square(found).sum() == pytest.approx(SUMMARY[key]["sum_of_squares"], rel=tolerance)


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key in NTU if key.startswith("formatted/")])
def test_formatted_clips_are_pyskls_with_the_absent_person_at_zero(key: str) -> None:
    _, file, name, _ = key.split("/")
    clip = NTU[f"{file}/prenormalize3d"].astype(np.float32)
    places = uniform_tests(clip.shape[1], 100, 10)[[0, 9]]
    reel = Reel([clip], 2)
    cutter = Cutter(preparation("pyskl"), skeleton("ntu25"), SHORT[name])
    found = cutter.cut(reel, np.zeros(2, np.int64), places).numpy()
    every = 100 // NTU[key].shape[2]
    np.testing.assert_allclose(found[:, :, ::every], NTU[key], atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key in PENN if key.rpartition("/")[2] in SHORT])
def test_a_stream_of_penn_action_is_the_reference_s(key: str) -> None:
    file, _, name = key.partition("/")
    clip = PENN[f"{file}/normalised"][None]
    (places,) = middles(clip.shape[1], len(PENN[f"{file}/test_indices_32"]))
    np.testing.assert_array_equal(places, PENN[f"{file}/test_indices_32"])
    ((found,),) = cut(clip, "rms", "penn13", SHORT[name], [places])
    np.testing.assert_allclose(found, PENN[key], atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("name", SHORT)
def test_a_stream_of_2d_keypoints_is_pyskls(name: str) -> None:
    clip = FLAT["coco/prenormalize2d"] if FLAT else np.zeros((1, 1, 17, 3))
    (found,) = cut(clip, "pyskl-2d", "coco17", SHORT[name], [np.arange(clip.shape[1])])
    np.testing.assert_allclose(found, FLAT[f"coco/{name}"], atol=1e-6)
