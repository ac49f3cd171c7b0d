"""Pixels of crops: OpenCV's and Pillow's, to the last grey level, on the processor and in torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.media.crops import Crop, around
from har_bench.media.samplers import Border, opencv_warp, opencv_warp_torch, pillow_rotate_crop
from tests.golden import REAL

IMAGE = np.random.default_rng(0).integers(0, 256, (77, 101, 3), np.uint8)
OPENCV = {
    "black": "28c8180108aa992fa3e731a0915a8eacf03b9699e66837f8dbe9aae788274d4f",
    "edge": "1e57d8a044f9a7269d4389ffcdc9b4c5fd23dc6485d34aa2b63f09afed29acc3",
}
"""sha256 of what OpenCV 4.10.0 makes of these crops: cv2.warpPerspective with the inverse map, INTER_LINEAR,
BORDER_CONSTANT and BORDER_REPLICATE."""


def crops() -> Iterator[Crop]:
    """Small and large ones, turned, mirrored, inside and outside."""
    for k in range(24):
        centre, sides = (10.3 * k - 30, 77 - 5.7 * k), (20 + 9.1 * k, 15 + 13.7 * k)
        yield around(centre, sides, (64, 48), rotation=0.27 * k - 3, flip=bool(k % 2))


@pytest.mark.parametrize("border", ["black", "edge"])
def test_every_pixel_is_the_one_that_opencv_samples(border: Border) -> None:
    made = hashlib.sha256()
    for crop in crops():
        made.update(opencv_warp(IMAGE, crop, border).tobytes())
    assert made.hexdigest() == OPENCV[border]


def test_a_quarter_of_the_way_between_two_pixels_by_hand() -> None:
    """Twice as large: every other pixel lies between two, and halves are rounded up."""
    image = np.array([[[0] * 3, [101] * 3]], np.uint8)
    made = opencv_warp(image, around((1, 0.5), (2, 1), (8, 1)), "edge")
    # pixel u of 8 is at 1 + (u / 8 - 1/2) 2 = u / 4
    assert made[0, :, 0].tolist() == [0, 25, 51, 76, 101, 101, 101, 101]
    dark = opencv_warp(image, around((1, 0.5), (2, 1), (8, 1)), "black")
    assert dark[0, :, 1].tolist() == [0, 25, 51, 76, 101, 76, 51, 25]


@pytest.mark.parametrize("border", ["black", "edge"])
def test_torch_samples_the_same_pixels(border: Border) -> None:
    torch = pytest.importorskip("torch")
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    every = list(crops())
    expected = np.stack([opencv_warp(IMAGE, crop, border) for crop in every])
    for device in devices:
        back = torch.tensor(np.stack([crop.inverse for crop in every]), device=device)
        made = opencv_warp_torch(torch.tensor(IMAGE, device=device), back, (64, 48), border)
        np.testing.assert_array_equal(made.cpu().numpy(), expected)


def test_one_pixel_is_an_image_too() -> None:
    one = np.full((1, 1, 3), 200, np.uint8)
    crop = around((0.5, 0.5), (1, 1), (16, 16))
    assert (opencv_warp(one, crop, "edge") == 200).all()
    assert opencv_warp(one, crop, "black").max() == 200


@pytest.mark.real
def test_pillow_s_crops_are_deephar_s() -> None:
    with np.load(REAL / "models/deephar_data/transform.npz") as file:
        golden = dict(file)
    cases: list[dict[str, Any]] = json.loads(str(golden["cfg"]))
    assert len(cases) == 6
    for number, case in enumerate(cases):
        image, crop = pillow_rotate_crop(
            golden["img"],
            case["center"],
            case["winsize"],
            tuple(case["size"]),
            degrees=case["angle"],
            flip=case["hflip"],
        )
        np.testing.assert_array_equal(image, golden[f"im_{number}"])
        normal = golden[f"af_{number}"][:2] * np.array(case["size"])[:, None]
        np.testing.assert_allclose(crop.array, normal, atol=1e-12)
        np.testing.assert_allclose(crop.to_crop(golden["pts"]) / case["size"], golden[f"pt_{number}"], atol=1e-12)
        back = crop.to_image(golden[f"pt_{number}"] * case["size"])
        np.testing.assert_allclose(back, golden[f"back_{number}"], atol=1e-9)


def test_pillow_s_window_by_hand() -> None:
    """A window of 4 x 2 about (3, 2), cut out as it is, and mirrored."""
    image, crop = pillow_rotate_crop(IMAGE, (3, 2), (4, 2), (4, 2))
    np.testing.assert_array_equal(image, IMAGE[1:3, 1:5])
    assert crop.to_crop(np.array([3, 2])).tolist() == [2, 1]
    mirrored, other = pillow_rotate_crop(IMAGE, (3, 2), (4, 2), (4, 2), flip=True)
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    assert other.flipped
    outside, _ = pillow_rotate_crop(IMAGE, (0, 0), (4, 4), (4, 4))
    assert (outside[:2] == 0).all()


def test_batches_are_the_crops_one_by_one_however_they_are_made() -> None:
    torch = pytest.importorskip("torch")
    from har_bench.media.batches import Sampler, in_groups

    every = list(crops())
    expected = np.stack([opencv_warp(IMAGE, crop, "edge") for crop in every])
    cpu = torch.device("cpu")
    for workers, there in ((1, False), (3, False), (1, True)):
        made = Sampler(cpu, workers=workers, on_device=there)([IMAGE] * len(every), every, "edge")
        np.testing.assert_array_equal(made.numpy(), expected)
    assert [len(group) for group in in_groups(range(7), 3)] == [3, 3, 1]
    with pytest.raises(HarBenchError, match="2 images and 1 crops make no batch"):
        Sampler(cpu)([IMAGE, IMAGE], every[:1])
