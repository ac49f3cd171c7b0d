"""deephar on pictures: where it looks, the way back, mirrors and crops, its outputs, its weights, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import har_bench
from har_bench import HarBenchError, Store
from har_bench.baselines.deephar import Deephar, weighing
from har_bench.baselines.deephar.baseline import window
from har_bench.baselines.deephar.data.boxes import of_scale
from har_bench.baselines.deephar.seeing import Places, Seeing
from har_bench.baselines.deephar.weighing import Loaded
from har_bench.errors import HarBenchWarning
from har_bench.media.boxes import exact
from har_bench.media.posing import pose
from har_bench.published import of_model
from har_bench.skeletons import skeleton
from tests.baselines.deephar.networks import MERGE, RECEPTION, SPNET, White, drawn, loaded
from tests.golden import REAL
from tests.pictures import picture, save
from tests.sampled import sampled

CPU = {"device": "cpu"}


def places(model: White, **options: Any) -> Places:
    return Places(Seeing(model, torch.device("cpu"), "float32"), 64, skeleton("mpii-pa16").flip, workers=1, **options)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SPNet that was never trained."""
    path = tmp_path_factory.mktemp("weights") / "spnet.safetensors"
    weighing.save(path, loaded(SPNET, "mpii-pa16"))
    return path


@pytest.fixture(scope="module")
def mpii(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """The sample of MPII, and pictures for it."""
    home = tmp_path_factory.mktemp("mpii")
    store = sampled("mpii", home)
    for each in store.sequences.to_pylist():
        save(home / "raw" / each["media"], [(40, 30, 30, 60)])
    return store, home / "raw"


def test_a_joint_comes_back_to_where_it_is_in_the_picture() -> None:
    """Whatever the crop's size, and in a mirror: a white square's middle is (70, 60)."""
    image = picture([(60, 50, 20, 20)])
    box = np.array([50.0, 40.0, 40.0, 40.0])
    for options in ({}, {"mirrored": True}, {"crops": 3}):
        placed = places(White(), **options)([image], [window(box, rough=False)])
        assert placed.points.shape == (2, 1, 16, 2)
        np.testing.assert_allclose(placed.points[0], np.broadcast_to([70, 60], (1, 16, 2)), atol=0.8)
        np.testing.assert_allclose(placed.sure, 0.9, atol=1e-6)


def test_a_mirror_image_exchanges_the_sides() -> None:
    """A tenth to the right in the mirror is a tenth to the left in the picture: together they are in the middle."""
    image, box = picture([(60, 50, 20, 20)]), np.array([50.0, 40.0, 40.0, 40.0])
    plain, both = (places(White(), mirrored=turn)([image], [window(box, rough=False)]) for turn in (False, True))
    assert plain.points[1, 0, 0, 0] - plain.points[0, 0, 0, 0] == pytest.approx(0.1 * 50)
    assert both.points[1, 0, 0, 0] == pytest.approx(both.points[0, 0, 0, 0], abs=1e-6)


def test_depth_is_a_metre_before_and_behind_the_root() -> None:
    image, box = picture([(60, 50, 20, 20)]), np.array([50.0, 40.0, 40.0, 40.0])
    seen = window(box, rough=False)
    placed = places(White(depth=0.75))([image], [seen])
    assert placed.depths is not None
    np.testing.assert_allclose(placed.depths, 500)
    deep = placed.in_space([seen])
    assert deep is not None
    np.testing.assert_allclose(deep, 0, atol=1e-6)


def test_mpii_s_square_becomes_what_the_authors_looked_at() -> None:
    centre, scale = (300.0, 200.0), 1.5
    theirs = of_scale(centre, scale, np.zeros((0, 2)), 1.0)
    side = 200 * scale
    ours = window(np.array([centre[0] - side / 2, centre[1] - side / 2, side, side]), rough=True)
    np.testing.assert_allclose(ours.box, theirs.box)


def test_it_runs_on_a_store_and_shows_every_output(mpii: tuple[Store, Path], weights: Path, tmp_path: Path) -> None:
    """The last prediction is the score; the best of all stands only under that name."""
    store, images = mpii
    model = Deephar(images=str(images), outputs_too=True, **CPU)
    out = tmp_path / "poses.parquet"
    result = har_bench.run(model, store, protocol="mpii/pckh", weights=weights, out=out)
    names = [row["output"] for row in result.tables["output"]]
    assert names[:4] == ["the score", "block 1", "block 2", "block 3"]
    assert names[4].startswith("best on the test set (")
    assert result.tables["output"][0]["PCKh@0.5"] == result["PCKh@0.5"]
    third = har_bench.run(Deephar(images=str(images), block=3, **CPU), store, protocol="mpii/pckh", weights=weights)
    assert third["AUC"] == result.tables["output"][3]["AUC"]
    assert result.environment["network"] == "SPNet"
    again = har_bench.run(
        Deephar(images=str(images), boxes=f"file={out}", **CPU), store, protocol="mpii/pckh", weights=weights
    )
    assert again.environment["boxes"] == f"file={out}"  # predictions say where it was looked


@pytest.mark.filterwarnings("ignore:deephar has no weights")
def test_who_is_not_shown_by_a_box_is_looked_for() -> None:
    """First in the whole picture, then around the joints that are sure."""
    model = Deephar(**CPU)
    image = picture([(100, 30, 20, 40)])
    found = model.look([image], None)[0]
    assert found.points.shape == (1, 16, 2)
    assert model.describe()["weights"] == "random, seed 0"
    boxed = model.look([image, image], [exact(np.zeros((0, 4))), exact(np.array([[90.0, 20.0, 40.0, 60.0]]))])
    assert [len(each) for each in boxed] == [0, 1]


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    for number, architecture in enumerate((RECEPTION, MERGE, SPNET)):
        path = tmp_path / f"{number}.safetensors"
        model = drawn(architecture)
        weighing.save(path, Loaded(model, architecture, "mpii-pa16", ""))
        found = weighing.load(path)
        assert found.architecture == architecture
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(found.model.state_dict()[name], tensor, rtol=0, atol=0)


def test_weights_that_see_nobody_are_told(tmp_path: Path) -> None:
    """All joints in the image's middle, as a user saw it with weights of another network."""
    path = tmp_path / "untrained.safetensors"
    weighing.save(path, Loaded(RECEPTION.build(), RECEPTION, "mpii-pa16", ""))
    with pytest.warns(HarBenchWarning, match=r"untrained.*all joints .* in one place"):
        Deephar(**CPU).load(path)


def test_what_does_not_fit_is_told_before_any_work(mpii: tuple[Store, Path], weights: Path, tmp_path: Path) -> None:
    store, images = mpii
    with pytest.raises(HarBenchError, match=r"no network of deephar is called 'mpii_2'; did you mean 'mpii_2d'"):
        Deephar(architecture="mpii_2", **CPU).load(weights)
    with pytest.raises(HarBenchError, match="predicts 4 times, and not 5"):
        har_bench.run(Deephar(images=str(images), block=5, **CPU), store, protocol="mpii/pckh", weights=weights)
    other = tmp_path / "seventeen.safetensors"
    weighing.save(other, loaded(SPNET, "h36m-pa17"))
    with pytest.raises(HarBenchError, match=r"gives h36m-pa17 .* scores other joints; give other weights"):
        har_bench.run(Deephar(images=str(images), **CPU), store, protocol="mpii/pckh", weights=other)


def test_every_published_file_is_known() -> None:
    files = {each.file: each for each in of_model("deephar")}
    weights = [each for each in files.values() if each.target]
    assert len(weights) == 6
    assert sum(bool(each.md5) for each in weights) == 4
    assert all(each.url and each.target in each.about for each in weights)


@pytest.mark.real
def test_anybody_s_picture_with_the_weights_of_a_keras_file(tmp_path: Path) -> None:
    """Random weights of the published layout: joints stay in the picture, and are drawn."""
    image = REAL / "mpii/images/005808361.jpg"
    said = pose(
        "deephar", image, tmp_path / "poses.json", weights=REAL / "models/deephar/rec2d.weights.h5",
        overlay=tmp_path / "poses.png", settings=CPU,
    )  # fmt: skip
    assert "1 person at most" in said
    assert (tmp_path / "poses.png").stat().st_size > 100_000


def test_a_network_that_has_learnt_nothing_says_so() -> None:
    with pytest.warns(HarBenchWarning, match="drawn at random, and what it finds means nothing; give --weights"):
        assert "random" in Deephar(device="cpu").describe()["weights"]
