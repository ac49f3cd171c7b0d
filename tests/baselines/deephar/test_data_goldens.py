"""Crops, boxes, cameras, clips and loaders beside the original's numbers; the files say which cases there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from har_bench.baselines.deephar.data import augmentation, boxes, cameras, clips, files
from har_bench.baselines.deephar.data.samples import Item, Sample, Target, item
from har_bench.media.crops import Crop
from har_bench.media.images import read_image
from har_bench.skeletons import mapping, skeleton
from tests.golden import REAL, load

FOLDER = REAL / "models/deephar_data"
FIXTURES = FOLDER / "fixtures"
FLIPS = {"pa16j": "mpii-pa16", "pa17j": "h36m-pa17", "pa20j": "ntu-pa20", "coco17j": "coco17"}
MAPS = {
    ("pa16j", "map_from_mpii"): ("mpii16", "mpii-pa16"),
    ("pa16j", "map_to_mpii"): ("mpii-pa16", "mpii16"),
    ("pa17j", "map_from_h36m"): ("h36m32", "h36m-pa17"),
    ("pa17j", "map_from_ntu"): ("ntu25", "ntu-pa17"),
    ("pa20j", "map_from_ntu"): ("ntu25", "ntu-pa20"),
}
SIZE = (64, 64)
DRAWN = augmentation.Variation(20, 1.3, (10, -5), True, (0.9, 1.0, 1.1))
"""What the fixtures' second setting is."""

pytestmark = pytest.mark.real


@cache
def numbers(name: str) -> dict[str, npt.NDArray[Any]]:
    path = FOLDER / name
    if not path.is_file():
        return {}
    with np.load(path) as file:
        return dict(file)


def corners(box: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """x, y, w, h -> x1, y1, x2, y2."""
    return np.concatenate([box[..., :2], box[..., :2] + box[..., 2:]], axis=-1)


@pytest.mark.parametrize(
    "name", [name for name, of in load("models/deephar_data/layouts.json").items() if name in FLIPS]
)
def test_the_other_side_of_a_joint(name: str) -> None:
    assert skeleton(FLIPS[name]).flip.tolist() == load("models/deephar_data/layouts.json")[name]["map_hflip"]


@pytest.mark.parametrize("names", MAPS, ids=".".join)
def test_joints_come_from_where_the_original_takes_them(names: tuple[str, str]) -> None:
    source, target = map(skeleton, MAPS[names])
    found = [sources[0] for sources in mapping(source, target).sources]
    assert found == load("models/deephar_data/layouts.json")[names[0]][names[1]]


@pytest.mark.parametrize("name", load("models/deephar_data/dataconf.json"))
def test_augmentations(name: str) -> None:
    ours = {"mpii_sp": "mpii", "pennaction": "penn-clips", "pennaction_pe": "penn", "human36m": "h36m"}
    ours |= {"ntu": "ntu-clips", "ntu_pe": "ntu"}
    found = augmentation.AUGMENTATIONS[ours[name.removesuffix("_dataconf")]]
    renamed = {"trans_x": "across", "trans_y": "down", "hflips": "flips", "chpower": "powers"}
    renamed |= {"subsampling": "steps", "fixed_subsampling": "step"}
    for theirs in ("angles", "scales", *renamed):
        values = load("models/deephar_data/dataconf.json")[name][theirs]
        np.testing.assert_allclose(getattr(found, renamed.get(theirs, theirs)), values, err_msg=theirs)


@pytest.mark.parametrize("case", json.loads(str(numbers("bbox_clips.npz").get("clips", "[]"))), ids=str)
def test_the_clip_in_the_middle(case: Any) -> None:
    length, step, frames, places = case
    assert clips.centre(length, frames, step).tolist() == places


@pytest.mark.parametrize("case", json.loads(str(numbers("bbox_clips.npz").get("multiclip", "[]"))), ids=str)
def test_clips_one_after_the_other(case: Any) -> None:
    length, frames, step, places = case
    assert [clip.tolist() for clip in clips.several(length, frames, step)] == places


def test_boxes() -> None:
    golden = numbers("bbox_clips.npz")
    points, lost = golden["pts"], np.where(golden["pts_inv"] < -1e6, np.nan, golden["pts_inv"])
    np.testing.assert_allclose(corners(boxes.around(points)), golden["vb"])
    np.testing.assert_allclose(corners(boxes.around(lost)), golden["vb_inv"])
    np.testing.assert_allclose(corners(boxes.around(points, 1.0, square=False)), golden["vb_rel1_ns"])
    sure = np.where(golden["jp"] > 0.5, points, np.nan)
    np.testing.assert_allclose(corners(boxes.around(sure)), golden["vb_jp"])
    of = boxes.around(points)
    np.testing.assert_allclose(of[:2] + of[2:] / 2, golden["ow_o"])
    np.testing.assert_allclose(of[2:], golden["ow_w"])
    np.testing.assert_allclose(corners(boxes.around(points + 5)), golden["pb"][1])
    np.testing.assert_allclose(corners(boxes.grid((640, 480))), golden["grid"])
    np.testing.assert_allclose(corners(boxes.grid((640, 480), square=False)), golden["grid_ns"])
    np.testing.assert_array_equal(boxes.inside(golden["vis_in"]), golden["vis_out"] == 1)
    seen = np.where(golden["gt_vis"][..., None] > 0, golden["gt_seq"], np.nan)
    np.testing.assert_allclose(corners(boxes.of_joints(seen, 1.0).box), golden["gt_bbox"])
    np.testing.assert_allclose(corners(boxes.of_joints(seen, 0.7).box), golden["gt_bbox_s"])


def test_cameras() -> None:
    golden = numbers("camera.npz")
    bent, straight = cameras.camera(golden["ser"]), cameras.camera(golden["ser_nok"])
    for of, name in ((bent, ""), (straight, "_nok")):
        np.testing.assert_allclose(cameras.projected(of, golden["pw"]), golden[f"uvd{name}"], atol=1e-9)
        np.testing.assert_allclose(cameras.unprojected(of, golden[f"uvd{name}"]), golden[f"back{name}"], atol=1e-8)
    np.testing.assert_allclose(cameras.numbers(bent), golden["ser_back"])
    for row, (A, root) in enumerate(zip(golden["pp_A"], golden["pp_rootz"], strict=True)):
        pose = golden["pp"][row]
        crop = Crop(tuple(map(tuple, A[:2])), (1, 1))
        np.testing.assert_allclose(crop.to_image(pose[:, :2]), golden["pp_out"][row, :, :2])
        np.testing.assert_allclose(cameras.in_millimetres(pose[:, 2], root), golden["pp_out"][row, :, 2])


@pytest.mark.parametrize(("name", "scale"), [("crop", 1.0), ("crop1", 0.8)])
def test_the_window_about_a_root(name: str, scale: float) -> None:
    golden = numbers("camera.npz")
    found = boxes.of_root((1000, 1002), tuple(golden["f"]), golden["crop_rootj"][:, None], scale)
    np.testing.assert_allclose(found.centre, golden[f"{name}_objpos"])
    np.testing.assert_allclose(found.sides, golden[f"{name}_win"])
    depth = golden["crop_rootj"][0, 2]
    ends = cameras.in_millimetres(0.5 + scale * np.array([-0.5, 0.5]), depth)
    np.testing.assert_allclose(ends, golden[f"{name}_zrange"])


def cases() -> Iterator[str]:
    """The loaders' samples: what stands before the last part of a key."""
    yield from dict.fromkeys(key.rpartition("/")[0] for key in numbers("loaders.npz") if "get_pose" not in key)


def seen(sample: Sample, frames: npt.NDArray[Any], joints: int, dims: int, *, varied: bool) -> Item:
    skeletons = {16: "mpii-pa16", 17: "h36m-pa17", 20: "ntu-pa20"}
    target = Target(skeleton(skeletons[joints]).flip, dims, SIZE)
    pictures = [read_image(sample.pictures[frame]) for frame in frames]  # type: ignore[arg-type]
    return item(sample, pictures, frames, target, DRAWN if varied else augmentation.PLAIN)


def of_case(case: str) -> Item:
    dataset, setting, *rest = case.split("/")
    varied, golden = setting == "1", numbers("loaders.npz")
    frames = golden.get(f"{case}/frame_list", np.zeros(1, int))
    if dataset == "mpii":
        sample, _ = list(files.mpii(FIXTURES / "MPII", "valid"))[int(rest[1])]
        joints, dims = (16, 2) if rest[0] == "pa16j2d" else (17, 3)
        return seen(sample, np.zeros(1, int), joints, dims, varied=varied)
    if dataset == "h36m":
        samples = [sample for sample, _, _ in files.h36m(FIXTURES / "Human3.6M", "valid")]
        if rest[0] == "seq0":
            return seen(samples[0], np.arange(2), 17, 3, varied=varied)
        number = int(rest[0].removeprefix("frame"))
        return seen(samples[number // 2], np.array([number % 2]), 17, 3, varied=varied)
    if dataset == "penn":
        where: Any = {"gt0_pb0": "picture", "gt0_pb1": "file"}.get(rest[0], "joints")
        samples = list(files.penn(FIXTURES / "PennAction", "test", where, FIXTURES / "PennAction/pred_bboxes.json"))
        return seen(samples[int(golden[f"{case}/seq_idx"])], frames, 16, 2, varied=varied)
    joints = int(rest[0][-2:])
    samples = files.ntu(FIXTURES / "NTU", "test", "picture" if "gt0" in rest[0] else "joints", joints=joints)
    return seen(samples[int(golden[f"{case}/seq_idx"])], frames, joints, 3, varied=varied)


@pytest.mark.parametrize("case", list(cases()))
def test_loaders(case: str) -> None:
    """Poses and maps are equal; pixels to what decoders of JPEG differ by, some grey levels."""
    golden, found = (
        {key.rpartition("/")[2]: value for key, value in numbers("loaders.npz").items() if key.startswith(f"{case}/")},
        of_case(case),
    )
    affine = found.crop.array / np.array(SIZE)[:, None]
    np.testing.assert_allclose(affine, golden["afmat"][:2], atol=1e-12)
    pose = golden["pose"] if golden["pose"].ndim == 3 else golden["pose"][None]
    np.testing.assert_allclose(found.pose, pose, atol=1e-9)
    frames = golden["frame"] if golden["frame"].ndim == 4 else golden["frame"][None]
    apart = np.abs(found.pixels - frames) * 255 / 2
    assert apart.mean() < 1
    assert apart.max() < 16
    for name, value in golden.items():
        if name in ("pennaction", "ntuaction") and value.any():
            assert found.action == value.argmax()
        if name == "action":
            assert found.action == value


@pytest.mark.parametrize("setting", ["0", "1"])
def test_poses_and_cameras_of_human36m(setting: str) -> None:
    golden = numbers("loaders.npz")
    for number, (sample, world, camera) in enumerate(files.h36m(FIXTURES / "Human3.6M", "valid")):
        for frame in range(2):
            key = f"h36m/{setting}/frame{2 * number + frame}"
            np.testing.assert_allclose(cameras.numbers(camera), golden[f"{key}/camera"])
            np.testing.assert_allclose(world[frame], golden[f"{key}/pose_w"])
            np.testing.assert_allclose(sample.points[frame], golden[f"{key}/pose_uvd"])


@pytest.mark.parametrize("setting", ["0", "1"])
def test_head_sizes_and_boxes_of_mpii(setting: str) -> None:
    golden, varied = numbers("loaders.npz"), DRAWN if setting == "1" else augmentation.PLAIN
    for number, (sample, head) in enumerate(files.mpii(FIXTURES / "MPII", "valid")):
        key = f"mpii/{setting}/pa16j2d/{number}"
        window = sample.window(np.zeros(1, int), varied.scale).moved(varied.shift)
        np.testing.assert_allclose(corners(window.box), golden[f"{key}/bbox"])
        assert head == golden[f"{key}/headsize"]


def test_joints_of_ntu() -> None:
    (sample,) = files.ntu(FIXTURES / "NTU", "train")
    seen, there = (numbers("loaders.npz")[f"ntu/get_pose_annot/{name}"][::2] for name in ("pose", "visible"))
    np.testing.assert_array_equal(np.isfinite(sample.points).all(axis=-1), there == 1)
    np.testing.assert_allclose(np.nan_to_num(sample.points, nan=-1e9)[there == 1], seen[there == 1])
