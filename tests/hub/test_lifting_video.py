"""From a detector's file of a video to 3D joints in a file, as a Python call and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")

from har_bench import HarBenchError  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.cli import main  # noqa: E402
from har_bench.keypoints import open_track, write_joints  # noqa: E402
from har_bench.lifting.lifter import Sizes  # noqa: E402
from har_bench.lifting.video import lift  # noqa: E402
from tests.walkers import SIZE, flat, walk  # noqa: E402

FRAMES = 30
ONE, TWO = walk(FRAMES), walk(FRAMES, at=700, seed=1)


def model(joints: str = "h36m17", *, trajectory: bool = True) -> VideoPose3D:
    made = VideoPose3D(channels=8, trajectory=trajectory, device="cpu")
    made.sizes, made.joints, made.target = Sizes(17, 2, 17), joints, "h36m17"
    torch.manual_seed(0)
    made.models = torch.nn.ModuleDict(made.networks(made.sizes))
    return made


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    model().save(tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def rows(missed: tuple[int, ...] = (), *, second: int = 0) -> list[dict[str, Any]]:
    """COCO's results of one person, and of a second one in so many frames, with a tracker's ids where there are two."""
    found = [
        {"image_id": frame, "category_id": 1, "keypoints": flat(points[frame]), "score": 0.9, "track_id": number}
        for number, points, last in ((1, ONE, FRAMES), (2, TWO, second))
        for frame in range(last)
        if frame not in missed
    ]
    return found if second else [{key: value for key, value in row.items() if key != "track_id"} for row in found]


@pytest.fixture
def detections(tmp_path: Path) -> Path:
    """Nobody was found in frames 7 and 8."""
    path = tmp_path / "found.json"
    path.write_text(json.dumps(rows((7, 8))))
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.json"
    path.write_text(json.dumps(rows(second=20)))
    return path


def run(*words: object) -> int:
    try:
        main([str(word) for word in words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def lifted(keypoints: Path, out: Path, **given: Any) -> str:
    return lift("videopose3d", keypoints, out, **{"size": SIZE, "fps": 25.0, "settings": {"device": "cpu"}} | given)


def test_a_detector_s_file_becomes_joints(weights: Path, detections: Path, tmp_path: Path) -> None:
    said = lifted(detections, tmp_path / "j.npy", weights=weights)
    assert np.load(tmp_path / "j.npy").shape == (FRAMES, 17, 3)
    assert said == (
        "30 frames of COCO or AlphaPose keypoint json, 2 of them filled in; coco17 to h36m17 (not exact for any joint; "
        f"see docs/keypoints.md); joints before the camera; written to {tmp_path / 'j.npy'}"
    )


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".json", ".csv", ".trc", ".bvh"])
def test_lifting_on_the_command_line(
    suffix: str, weights: Path, detections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"joints{suffix}"
    size = ("--width", SIZE[0], "--height", SIZE[1])
    given = ("--weights", weights, *size, "--device", "cpu", "--fps", 25)
    assert run("lift", "videopose3d", detections, out, *given) == 0
    assert f"written to {out}" in capsys.readouterr().out
    rows_of = {
        ".npy": lambda: len(np.load(out)),
        ".parquet": lambda: pq.read_table(out).num_rows,
        ".json": lambda: len(json.loads(out.read_text())["frames"]),
        ".csv": lambda: len(pd.read_csv(out)) / 17,
        ".trc": lambda: len(out.read_text().splitlines()) - 6,
        ".bvh": lambda: len(out.read_text().partition("MOTION")[2].splitlines()) - 3,
    }
    assert rows_of[suffix]() == FRAMES


def test_notes_are_said_in_a_line_each_and_kept_in_the_file(weights: Path, two: Path, tmp_path: Path) -> None:
    said = lifted(two, tmp_path / "j.json", weights=weights, size=(800, 600)).splitlines()
    assert said[1] == "note: 2 persons (1: 30 frames, 2: 20); took 1, --person chooses"
    assert "outside the image of 800 x 600" in said[2]
    kept = json.loads((tmp_path / "j.json").read_text())
    assert [f"note: {note}" for note in kept["notes"]] == said[1:]
    assert (kept["person"], kept["first_frame"], kept["fps"]) == (1, 0, 25.0)
    lifted(two, tmp_path / "j.parquet", weights=weights, size=(800, 600))
    assert pq.read_schema(tmp_path / "j.parquet").metadata[b"notes"].decode().split("\n") == kept["notes"]


def test_the_person_asked_for_and_everybody(
    weights: Path, two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--weights", weights, "--width", SIZE[0], "--height", SIZE[1], "--device", "cpu")
    for person, name in (("1", "1.npy"), ("2", "2.npy"), ("all", "all.npy")):
        assert run("lift", "videopose3d", two, tmp_path / name, *given, "--person", person) == 0
    one, other, both = (np.load(tmp_path / name) for name in ("1.npy", "2.npy", "all.npy"))
    assert both.shape == (2, FRAMES, 17, 3)
    np.testing.assert_array_equal(both[0], one)
    np.testing.assert_array_equal(both[1, :19], other[:19])  # the window at 19 sees the person stand still, or nobody
    assert np.isnan(both[1, 20:]).all()
    said = capsys.readouterr().out.replace("\n", " ")
    assert "50 frames of COCO or AlphaPose keypoint json; 2 persons;" in said
    assert run("lift", "videopose3d", two, tmp_path / "x.npy", *given, "--person", "7") == 1
    assert run("lift", "videopose3d", two, tmp_path / "x.npy", *given, "--person", "both") == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert "has no person 7; it has 1, 2" in said
    assert "the person 'both' is no number; give one that the file has, or all" in said


def as_published(path: Path, made: VideoPose3D, **extra: Any) -> Path:
    assert made.models is not None
    torch.save(
        {"epoch": 80, "lr": 1e-5, **{name: net.state_dict() for name, net in made.models.items()}, **extra}, path
    )
    return path


def by_hand(points: np.ndarray[Any, Any], made: VideoPose3D, swap: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What a network gives for COCO's joints, mirrored with COCO's pairs and averaged, in mm."""
    width, height = SIZE
    seen = torch.tensor(points / width * 2 - np.array([1, height / width]), dtype=torch.float32)
    padded = torch.cat([seen[:1]] * 13 + [seen] + [seen[-1:]] * 13)[None]
    mirrored = padded[:, :, torch.tensor(swap)] * torch.tensor([-1.0, 1.0])
    assert made.models is not None
    back = torch.tensor([0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13])
    net = made.models["model_pos"].eval()
    with torch.inference_mode():
        one, other = net(padded)[0], net(mirrored)[0]
    pose = (one + other[:, back] * torch.tensor([-1.0, 1.0, 1.0])) / 2
    return np.asarray(pose.numpy() * 1000)


COCO_PAIRS = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])


@pytest.mark.parametrize("told", ["--joints", "--set", "name", "published name", "ours"])
def test_a_model_of_coco_s_joints_is_given_them_and_mirrored_by_their_pairs(told: str, tmp_path: Path) -> None:
    made = model("coco17", trajectory=False)
    names = {"name": "my_coco_model.bin", "published name": "cpn-pt-243.bin"}
    path = tmp_path / names.get(told, "w.bin")
    if told == "ours":
        made.save(path)
    else:
        as_published(path, made)
    np.save(tmp_path / "k.npy", ONE)
    given = {"--joints": {"joints": "coco17"}, "--set": {"settings": {"layout": "coco17", "device": "cpu"}}}.get(
        told, {}
    )
    said = lifted(tmp_path / "k.npy", tmp_path / "j.npy", weights=path, layout="coco17", **given)
    assert "not exact" not in said
    assert ("the model takes the joints of coco17, by its" in said) == (told in names)
    found = np.load(tmp_path / "j.npy")
    np.testing.assert_allclose(found, by_hand(ONE, made, COCO_PAIRS), atol=0.01)


@pytest.mark.parametrize("kind", ["with a path", "whose statistics tell nothing"])
def test_17_to_17_and_coco_s_keypoints_ask_where_nothing_tells_what_the_model_takes(kind: str, tmp_path: Path) -> None:
    made = model("coco17", trajectory=kind == "with a path")
    assert made.models is not None
    if not made.trajectory:
        made.models["model_pos"].expand_bn.running_mean.copy_(torch.linspace(-0.2, 0.2, 8))
    path = as_published(tmp_path / "w.bin", made)
    np.save(tmp_path / "k.npy", ONE)
    with pytest.raises(HarBenchError) as caught:
        lifted(tmp_path / "k.npy", tmp_path / "j.npy", weights=path, layout="coco17")
    assert str(caught.value) == (
        f"{path} may have been trained on the joints of h36m17 or coco17, and nothing in it tells; give --joints "
        "h36m17 or --joints coco17 (har-bench run: --set layout=...)"
    )
    assert not (tmp_path / "j.npy").exists()
    lifted(tmp_path / "k.npy", tmp_path / "coco.npy", weights=path, layout="coco17", joints="coco17")
    lifted(tmp_path / "k.npy", tmp_path / "h36m.npy", weights=path, layout="coco17", joints="h36m17")
    coco, h36m = (np.load(tmp_path / f"{name}.npy") for name in ("coco", "h36m"))
    assert abs(coco - h36m).max() > 50
    assert lifted(tmp_path / "k.npy", tmp_path / "j.npy", weights=path, layout="h36m17")


def test_of_a_network_that_saw_nothing_human36m_s_joints_are_assumed_and_that_is_said(tmp_path: Path) -> None:
    path = as_published(tmp_path / "w.bin", model(trajectory=False))
    np.save(tmp_path / "k.npy", ONE)
    said = lifted(tmp_path / "k.npy", tmp_path / "j.npy", weights=path, layout="coco17")
    assert "coco17 to h36m17 (not exact for any joint" in said
    assert "does not say which joints it takes: h36m17's are assumed" in said
    assert "if the model was trained on those of coco17, give --joints coco17" in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"joints": "mpii16"}, "takes in 17 joints, and mpii16 has 16; give the joints that the model was trained on"),
        ({"joints": "coco17"}, "takes in h36m17, not coco17; leave the joints out"),
        ({"joints": "coco17", "settings": {"layout": "h36m17"}}, "coco17 by --joints and h36m17 by --set"),
        ({"joints": "coco71"}, "no skeleton is called 'coco71'"),
        ({"settings": {"video": "a"}}, "no option of videopose3d is called 'video'"),
        ({"settings": {"keypoints": "a"}}, "no option of videopose3d is called 'keypoints'"),
        ({"settings": {"size": 3, "out": 1}}, "no option of videopose3d is called 'size'"),
        ({"size": None}, "does not say how large the video is; give its width and height"),
        ({"weights": None}, "VideoPose3D has learnt nothing yet"),
        ({"out": "joints.fbx"}, r"joints\.fbx .*; name a file that ends in .npy, .parquet, .json, .csv, .trc or .bvh"),
        ({"out": "joints.bvh", "fps": None}, "needs the video's frames per second; give --fps"),
        ({"person": 3}, "has no person 3; it has 1"),
        ({"video": "a"}, "is of one video; leave 'a' out"),
        ({"smooth": True, "fps": None}, "frames per second; give --fps to smooth"),
        ({"fit_fps": 50, "fps": None}, "frames per second; give --fps"),
        ({"fps": -25.0}, "-25 frames per second cannot be"),
        ({"fps": float("nan")}, "nan frames per second cannot be"),
        ({"fit_fps": -1}, "-1 frames per second cannot be"),
        ({"first_frame": 99}, "in no frame from 99 on; give an earlier --first-frame"),
    ],
)
def test_what_cannot_be_lifted_is_said(
    given: dict[str, Any], words: str, weights: Path, detections: Path, tmp_path: Path
) -> None:
    out = tmp_path / given.pop("out", "joints.npy")
    if "layout" in given.get("settings", {}):
        weights = as_published(tmp_path / "w.bin", model())
    if given.get("joints") == "mpii16":
        weights = as_published(tmp_path / "w.bin", model())
    with pytest.raises(HarBenchError, match=words.replace("(", r"\(")):
        lifted(detections, out, **{"weights": weights, **given})
    assert not out.exists()


def test_a_model_that_lifts_nothing_is_none(detections: Path, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="mean-pose is no lifting model"):
        lift("mean-pose", detections, tmp_path / "j.npy", size=SIZE)


def test_an_option_of_the_command_given_as_one_of_the_model_is_a_sentence(
    weights: Path, detections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--weights", weights, "--width", 640, "--height", 480, "--device", "cpu", "--set", "video=z")
    assert run("lift", "videopose3d", detections, tmp_path / "j.npy", *given) == 1
    assert "no option of videopose3d is called 'video'" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(0, 0), (640, -480)])
def test_a_video_has_a_size(size: tuple[int, int], weights: Path, detections: Path, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="cannot be"):
        lifted(detections, tmp_path / "j.npy", weights=weights, size=size)


def test_the_keypoints_are_not_overwritten(weights: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", ONE)
    before = (tmp_path / "k.npy").read_bytes()
    with pytest.raises(HarBenchError, match="keypoints itself"):
        lifted(tmp_path / "k.npy", tmp_path / "k.npy", weights=weights, layout="h36m17")
    assert (tmp_path / "k.npy").read_bytes() == before


def test_paths_may_be_words(detections: Path, tmp_path: Path) -> None:
    track = open_track(str(detections), layout="coco17")
    write_joints(str(tmp_path / "j.npy"), np.zeros((len(track.points), 17, 3)), "h36m17")
    assert (tmp_path / "j.npy").is_file()


@pytest.mark.parametrize("trajectory", [True, False])
def test_a_room_has_its_floor_at_the_lowest_foot(trajectory: bool, detections: Path, tmp_path: Path) -> None:
    made = model(trajectory=trajectory)
    given = {"size": SIZE, "fps": 25.0}
    lift(made, detections, tmp_path / "camera.npy", **given)
    said = lift(made, detections, tmp_path / "room.json", world=True, **given)
    camera = np.load(tmp_path / "camera.npy")
    content = json.loads((tmp_path / "room.json").read_text())
    room = np.array(content["frames"])
    assert content["axes"] == "x right, y forward, z up"
    assert "the room is a guess: the camera is taken to be level" in said
    assert "the room is a guess: the camera is taken to be level" in content["notes"][-1]
    np.testing.assert_allclose(room[..., 0], camera[..., 0], atol=0.01)
    np.testing.assert_allclose(room[..., 1], camera[..., 2], atol=0.01)
    up = room[..., 2] + camera[..., 1]
    if trajectory:
        assert np.ptp(up) < 0.01
        assert room[..., 2].min() == 0
    else:
        assert np.ptp(up, axis=1).max() < 0.01
        assert (room[..., 2].min(axis=1) == 0).all()


def test_a_model_sees_the_video_at_the_rate_it_knows(tmp_path: Path) -> None:
    """Of a video at 25 frames per second it gives at every frame what it gives of one at 50 at every second frame."""
    made = model()
    fast = np.empty((2 * FRAMES - 1, 17, 2), np.float32)
    fast[::2], fast[1::2] = ONE, (ONE[:-1] + ONE[1:]) / 2
    np.save(tmp_path / "slow.npy", ONE)
    np.save(tmp_path / "fast.npy", fast)
    given = {"size": SIZE, "layout": "coco17"}
    lift(made, tmp_path / "fast.npy", tmp_path / "want.npy", fps=50.0, **given)
    said = lift(made, tmp_path / "slow.npy", tmp_path / "fit.npy", fps=25.0, fit_fps=50, **given)
    lift(made, tmp_path / "slow.npy", tmp_path / "plain.npy", fps=25.0, **given)
    want, fit, plain = (np.load(tmp_path / f"{name}.npy") for name in ("want", "fit", "plain"))
    assert "seen at 50 frames per second instead of 25" in said
    np.testing.assert_allclose(fit, want[::2], atol=0.01)
    assert abs(plain - want[::2]).max() > 0.1
    lift(made, tmp_path / "fast.npy", tmp_path / "same.npy", fps=50.0, fit_fps=50, **given)
    np.testing.assert_array_equal(np.load(tmp_path / "same.npy"), want)


def test_smoothing_is_off_unless_asked_for(detections: Path, tmp_path: Path) -> None:
    made = model()
    given = {"size": SIZE, "fps": 25.0}
    lift(made, detections, tmp_path / "raw.npy", **given)
    said = lift(made, detections, tmp_path / "smooth.npy", smooth=True, **given)
    raw, smooth = np.load(tmp_path / "raw.npy"), np.load(tmp_path / "smooth.npy")
    assert "; smoothed;" in said
    np.testing.assert_array_equal(raw[0], smooth[0])
    assert np.abs(np.diff(smooth, n=2, axis=0)).mean() < np.abs(np.diff(raw, n=2, axis=0)).mean()
