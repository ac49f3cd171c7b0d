"""From a film to 3D joints: both models in one command, what is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")
av = pytest.importorskip("av")

from har_bench import HarBenchError  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.cli import main  # noqa: E402
from har_bench.lifting.films import is_film, lift_film  # noqa: E402
from har_bench.lifting.lifter import Sizes  # noqa: E402
from har_bench.lifting.video import lift  # noqa: E402
from tests.golden import REAL  # noqa: E402
from tests.pictures import film, save  # noqa: E402

FINDER = "tests.pictures:Finder"
WALKER = [[(10 + 3 * frame, 20, 16, 60)] for frame in range(12)]
TWO = [[(130 - frame, 30, 14, 50), *people] for frame, people in enumerate(WALKER)]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small network that has learnt nothing."""
    made = VideoPose3D(channels=8, device="cpu")
    made.sizes, made.joints, made.target = Sizes(17, 2, 17), "coco17", "h36m17"
    torch.manual_seed(0)
    made.models = torch.nn.ModuleDict(made.networks(made.sizes))
    made.save(tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_one_command_gives_what_two_give(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, out = film(tmp_path / "clip.mp4", WALKER), tmp_path / "joints.npy"
    words = ["--weights", str(weights), "--pose-model", FINDER, "--overlay", str(tmp_path / "seen.gif"), "--quiet"]
    main(["lift", "videopose3d", str(clip), str(out), *words])
    seen, lifted, *_ = capsys.readouterr().out.splitlines()
    assert seen.startswith(f"12 frames of {clip}; 1 person; ")
    assert lifted.startswith("12 frames of ")
    assert (tmp_path / "seen.gif").is_file()
    poses = tmp_path / "joints.poses.parquet"
    assert pq.read_table(poses).num_rows == 12
    lift("videopose3d", poses, tmp_path / "again.npy", weights=weights, settings={"device": "cpu"})
    np.testing.assert_array_equal(np.load(out), np.load(tmp_path / "again.npy"))


def test_everybody_in_it_or_one_of_them(weights: Path, tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", TWO)
    given = {"pose_model": FINDER, "weights": weights}
    said = lift_film("videopose3d", clip, tmp_path / "all.parquet", person="all", **given)
    assert "2 people" in said
    assert "2 persons" in said
    lift_film("videopose3d", clip, tmp_path / "one.npy", person=1, **given)
    lift_film("videopose3d", clip, tmp_path / "best.npy", **given)
    assert np.load(tmp_path / "one.npy").shape == np.load(tmp_path / "best.npy").shape == (12, 17, 3)


def test_a_folder_of_images_is_a_film_with_its_rate(weights: Path, tmp_path: Path) -> None:
    for number, people in enumerate(WALKER):
        save(tmp_path / "in" / f"{number}.png", people)
    assert not is_film(tmp_path / "in")
    lift_film("videopose3d", tmp_path / "in", tmp_path / "o.npy", fps=25.0, pose_model=FINDER, weights=weights)
    assert np.load(tmp_path / "o.npy").shape == (12, 17, 3)
    (tmp_path / "in" / "found.json").write_text("[]")
    assert not is_film(tmp_path / "in", 25.0), "keypoints lie there"
    with pytest.raises(HarBenchError, match="in is no film; give a video, or a folder of its images and their --fps"):
        lift_film("videopose3d", tmp_path / "in", tmp_path / "o.npy", weights=weights)


def test_what_cannot_be_lifted_is_one_sentence(weights: Path, tmp_path: Path) -> None:
    clip, out = film(tmp_path / "clip.mp4", [[]] * 4), tmp_path / "o.npy"
    given = {"pose_model": FINDER, "weights": weights}
    with pytest.raises(HarBenchError, match=r"o.poses.parquet holds nobody; detect"):
        lift_film("videopose3d", clip, out, **given)
    with pytest.raises(HarBenchError, match="is the detector, and --layout, --video would be about"):
        lift_film("videopose3d", clip, out, layout="coco17", video="clip", **given)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(HarBenchError, match=r"text.mp4 is not a whole video"):
        lift_film("videopose3d", tmp_path / "text.mp4", out, **given)
    assert not out.exists()


@pytest.mark.real
@pytest.mark.weights
def test_a_real_clip_becomes_joints_in_space(weights: Path, tmp_path: Path) -> None:
    clip = REAL / "models" / "blazepose" / "clip_60.mp4"
    said = lift_film("videopose3d", clip, tmp_path / "o.npy", weights=weights, settings={"device": "cpu"})
    assert "60 frames" in said
    assert "blazepose33 to coco17 (not exact for any joint; see docs/keypoints.md)" in said
    assert np.isfinite(np.load(tmp_path / "o.npy")).all()
