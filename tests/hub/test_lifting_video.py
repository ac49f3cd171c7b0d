"""From a detector's file of a video to 3D joints in a file, as a Python call and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")

from har_bench import HarBenchError  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.cli import main  # noqa: E402
from har_bench.keypoints import open_track, write_joints  # noqa: E402
from har_bench.lifting.lifter import Sizes  # noqa: E402
from har_bench.lifting.video import lift  # noqa: E402


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    model = VideoPose3D(channels=8, trajectory=True)
    model.sizes, model.joints, model.target = Sizes(17, 2, 17), "h36m17", "h36m17"
    torch.manual_seed(0)
    model.models = torch.nn.ModuleDict(model.networks(model.sizes))
    model.save(tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.fixture
def detections(tmp_path: Path) -> Path:
    """COCO results of 20 frames, as Detectron writes them; nobody was found in frames 7 and 8."""
    random = np.random.default_rng(0)
    found = [
        {
            "image_id": frame,
            "category_id": 1,
            "keypoints": np.column_stack([random.uniform(100, 400, (17, 2)), np.ones(17)]).ravel().tolist(),
            "score": 0.9,
        }
        for frame in range(20)
        if frame not in (7, 8)
    ]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(found))
    return path


def test_a_detector_s_file_becomes_joints(weights: Path, detections: Path, tmp_path: Path) -> None:
    said = lift(
        "videopose3d",
        detections,
        tmp_path / "j.npy",
        weights=weights,
        size=(640, 480),
        fps=25.0,
        settings={"device": "cpu"},
    )
    assert np.load(tmp_path / "j.npy").shape == (20, 17, 3)
    assert ", 2 of them filled in" in said
    assert "coco17 to h36m17 (not exact for any joint; " in said
    assert "joints before the camera" in said


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".json"])
def test_lifting_on_the_command_line(
    suffix: str, weights: Path, detections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"joints{suffix}"
    words: list[Any] = ["lift", "videopose3d", detections, out, "--weights", weights, "--width", 640, "--height", 480]
    main([str(word) for word in [*words, "--device", "cpu", "--fps", 25]])
    assert f"written to {out}" in capsys.readouterr().out
    if suffix == ".json":
        content = json.loads(out.read_text())
        assert (content["layout"], content["unit"], content["fps"], len(content["frames"])) == ("h36m17", "mm", 25, 20)
    elif suffix == ".parquet":
        assert pq.read_table(out).num_rows == 20
    else:
        assert np.isfinite(np.load(out)).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": None}, "does not say how large the video is; give its width and height"),
        ({"baseline": "mean-pose", "weights": None, "settings": None}, "mean-pose is no lifting model"),
        ({"weights": None}, "VideoPose3D has learnt nothing yet"),
        ({"out": "joints.bvh"}, r"joints\.bvh .*; name a file that ends in .npy, .parquet or .json"),
        ({"person": 3}, "person"),
    ],
)
def test_what_cannot_be_lifted_is_said(
    changes: dict[str, Any], words: str, weights: Path, detections: Path, tmp_path: Path
) -> None:
    given = {"baseline": "videopose3d", "weights": weights, "size": (640, 480), "settings": {"device": "cpu"}} | changes
    given = {name: value for name, value in given.items() if value is not None}
    out = tmp_path / given.pop("out", "joints.npy")
    with pytest.raises(HarBenchError, match=words):
        lift(given.pop("baseline"), detections, out, **given)
    assert not out.exists()


@pytest.mark.parametrize("size", [(0, 0), (640, -480)])
def test_a_video_has_a_size(size: tuple[int, int], weights: Path, detections: Path, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="cannot be"):
        lift("videopose3d", detections, tmp_path / "j.npy", weights=weights, size=size, settings={"device": "cpu"})


def test_the_keypoints_are_not_overwritten(weights: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.random.default_rng(0).uniform(0, 400, (5, 17, 2)))
    before = (tmp_path / "k.npy").read_bytes()
    with pytest.raises(HarBenchError, match="keypoints itself"):
        lift("videopose3d", tmp_path / "k.npy", tmp_path / "k.npy", weights=weights, layout="h36m17", size=(640, 480))
    assert (tmp_path / "k.npy").read_bytes() == before


def test_paths_may_be_words(detections: Path, tmp_path: Path) -> None:
    track = open_track(str(detections), layout="coco17")
    write_joints(str(tmp_path / "j.npy"), np.zeros((len(track.points), 17, 3)), "h36m17")
    assert (tmp_path / "j.npy").is_file()
