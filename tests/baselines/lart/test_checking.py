"""A tracklet that is made as the released ones passes, and each way to make it otherwise is told by its step."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("torch")

from har_bench.baselines.lart.checking import check_tracklet
from har_bench.baselines.lart.windows import norm_of
from har_bench.baselines.mean_pose import MeanPose
from har_bench.cli import main
from har_bench.converters.ava.sample import joblib_bytes
from har_bench.errors import HarBenchError
from har_bench.store import Store
from tests.walking_tracklets import converted, tracklet, written

CLIP = "ava-val_abcdefghijk_000060"


def released_like() -> dict[str, Any]:
    """A tracklet of which every step is LART's."""
    made = tracklet(52, 20, 12, undetected=[3], has_gt=[8], features=2048)
    seen = made["has_detection"][:, 0, 0] > 0
    turns = Rotation.random(20 * 24, random_state=0).as_matrix().reshape(20, 216)
    made["pose_shape"][:, 0, :216] = turns
    made["pose_shape"][~seen] = 0
    made["3d_joints"] /= 5
    made["3d_joints"][:, :, -1] = 0
    return made


def times(name: str, factor: float) -> Callable[[dict[str, Any]], object]:
    return changed(
        name, lambda held: held * factor if isinstance(held, np.ndarray) else [each * factor for each in held]
    )


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], object]:
    return lambda made: made.update({name: change(made[name])})


def on(name: str, value: Any, *where: Any) -> Callable[[dict[str, Any]], object]:
    return lambda made: made[name].__setitem__(where, value)


def features(width: int) -> Callable[[dict[str, Any]], object]:
    return changed("apperance_dict", lambda held: {key: value[:, :width] for key, value in held.items()})


def boxes(*box: float) -> Callable[[dict[str, Any]], object]:
    return changed("frame_bbox", lambda held: [np.array(box)] * len(held))


def of_each(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], object]:
    return changed(name, lambda held: {key: change(value) for key, value in held.items()})


def rest(made: dict[str, Any]) -> None:
    """What tracklets of joints alone have in the place of a body."""
    seen = made["has_detection"][:, 0, 0] > 0
    made["pose_shape"][seen, 0, :216] = np.tile(np.eye(3).ravel(), 24)


CASES: dict[str, tuple[str, Callable[[dict[str, Any]], object], str]] = {
    "a key": ("keys", lambda made: made.pop("camera"), "no camera"),
    "a shape": ("keys", changed("action_label_gt", lambda a: a[..., :60]), r"action_label_gt is \(20, 1, 60\), not"),
    "text": ("keys", lambda made: made.update(frame_bbox=["x"] * 20), "frame_bbox has"),
    "no axis of people": ("keys", changed("pose_shape", lambda a: a[:, 0]), r"pose_shape is \(20, 229\), not \(20, 1"),
    "an axis too many": ("keys", changed("3d_joints", lambda a: a[None]), r"3d_joints is \(1, 20, 1, 45, 3\), not"),
    "a list": ("keys", changed("has_gt", lambda a: a.tolist()), "has_gt is a list, not an array"),
    "half": ("keys", changed("pose_shape", lambda a: a.astype(np.float16)), "pose_shape is float16"),
    "NaN": ("keys", on("camera", np.nan, 8), "camera has numbers that are not finite"),
    "features of three axes": (
        "keys",
        of_each("apperance_dict", lambda a: a[None]),
        r"\(1, 1, 2048\), not of \(1, D\)",
    ),
    "no features": ("keys", of_each("apperance_dict", lambda _: None), "has a key 0 that has a NoneType"),
    "features in a list": ("keys", changed("apperance_dict", lambda held: [*held.values()]), "is a list, not a dict"),
    "60 pseudo labels": ("keys", of_each("action_label_psudo", lambda a: a[:, :60]), r"\(1, 60\), not of \(1, 80\)"),
    "names in a folder of the key's": (
        "frames",
        changed("frame_name", lambda names: [f"000060/{name}" for name in names]),
        r"20 frames' names have .* the last \(row 19\)",
    ),
    "rest": ("body", rest, "all bodies stand at rest"),
    "no joints": ("joints", times("3d_joints", 0), "all joints are zero"),
    "half a label": ("labels", changed("action_label_gt", lambda a: a * 0.5), r"action_label_gt has 0\.5"),
    "all annotated": ("labels", on("has_gt", 2, slice(None)), "no action: 19 of 20"),
    "lost pseudo labels": ("labels", lambda made: made["action_label_psudo"].popitem(), "not in action_label_psudo"),
    "no height": ("boxes", boxes(10, 10, 20, 0), "no width or height in 19 frames"),
    "no size": ("boxes", times("frame_size", 0), "frame_size is not there in 19 frames"),
    "another rate": ("frames", times("fid", 2), r"fid goes by \[2.0\] and not by 1"),
    "no key frame": ("frames", changed("frame_name", lambda names: ["a"] * len(names)), "no frame's name has"),
    "nobody in it": ("frames", on("has_detection", 0, 8), "nobody is detected in the key frame"),
    "angles": ("body", times("pose_shape", 2), "no rotation matrices"),
    "z": ("body", on("pose_shape", 40 * 200, slice(None), 0, 228), "LART's is divided by 200"),
    "ghosts": ("body", on("pose_shape", 0.5, 3, 0, 220), "frames in which nobody was detected have a body"),
    "millimetres": ("joints", times("3d_joints", 1000), "metres about the body"),
    "other joints": ("joints", on("3d_joints", 0.3, slice(None), 0, 44), "the last of the 45 joints"),
    "z of the camera": ("joints", on("camera", 4000, slice(None), 0, 2), "z that was not divided"),
    "MViT": (
        "appearance",
        features(1152),
        r"have 1152 numbers, .* 2048 \(Hiera\); those are MViT's",
    ),
    "other features": ("appearance", features(768), "768 numbers, .* no known weights take them"),
    "lost keys": ("appearance", lambda made: made["apperance_dict"].popitem(), "1 keys of apperance_index are not in"),
    "few features": ("appearance", on("apperance_index", -1, slice(0, 12)), "only 42% of the detected frames"),
    "blank features": ("appearance", of_each("apperance_dict", np.zeros_like), "some features are zero"),
    "kinds": ("labels", on("has_gt", 3, 5), "2 is annotated, 1 a pseudo label"),
    "no annotation": ("labels", on("has_gt", 1, 8), "no frame is annotated"),
    "no action": ("labels", on("action_label_gt", 0, 8), "annotated frames have no action"),
    "one too far": ("labels", changed("action_label_gt", lambda a: np.roll(a, 3, -1)), "action 15 and none of 1 to 14"),
    "logits": ("labels", of_each("action_label_psudo", lambda value: value * 20 - 9), "logits"),
    "corners": ("boxes", boxes(300, 150, 380, 190), "look like x1, y1, x2, y2"),
    "shares": ("boxes", times("frame_bbox", 1 / 400), "boxes are shares of the frame"),
    "exchanged": ("boxes", boxes(20, 150, 100, 200), "frame_size is height, width"),
    "percent": ("confidence", times("frame_conf", 100), "confidences go from 0 to 90"),
    "low": ("confidence", times("frame_conf", 0.8), r"confidence is 0\.72; below 0\.8"),
}


def findings(made: dict[str, Any], folder: Path, clip: str = CLIP, **options: Any) -> dict[str, Any]:
    return {each.step: each for each in check_tracklet(written(folder, clip, 0, made), **options)}


def test_a_tracklet_as_the_released_ones_passes(tmp_path: Path) -> None:
    found = findings(released_like(), tmp_path)
    assert [each.step for each in found.values() if each.ok is False] == []
    assert [each.step for each in found.values() if each.ok is None] == ["mean and deviation", "annotations"]


@pytest.mark.parametrize("case", CASES)
def test_a_step_that_was_made_otherwise_is_told(case: str, tmp_path: Path) -> None:
    made = released_like()
    step, change, words = CASES[case]
    change(made)
    found = findings(made, tmp_path)
    assert found[step].ok is False
    assert re.search(words, found[step].found), found[step].found
    assert next(each.step for each in found.values() if each.ok is False) == step


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ("mine_abcdefghijk_000060", "not DATASET_VIDEO_KEYFRAME_TRACK_LENGTH"),
        ("my-own_abcdefghijk_000060", "my-own is none of ava-val"),
        ("ava-val_abcdefghijk_000061", "key frame 61 is no second"),
    ],
)
def test_a_name_that_lart_does_not_read_is_told(clip: str, words: str, tmp_path: Path) -> None:
    assert words in findings(released_like(), tmp_path, clip)["name"].found


def annotated(folder: Path, actions: tuple[int, ...], box: str = "0.100,0.100,0.300,0.600") -> Store:
    (folder / "raw").mkdir(parents=True)
    rows = [f"abcdefghijk,0902,{box},{action},1\n" for action in actions]
    (folder / "raw/ava_val_v2.2.csv").write_text("".join(rows))
    return converted(folder / "raw", folder / "store")


@pytest.mark.parametrize(
    ("actions", "words"),
    [((12,), ""), ((11,), "one too high"), ((13,), "one too low"), ((12, 80), "labels are actions 12, and AVA has 12")],
)
def test_labels_are_compared_with_the_annotations(actions: tuple[int, ...], words: str, tmp_path: Path) -> None:
    found = findings(released_like(), tmp_path, annotations=annotated(tmp_path, actions))["annotations"]
    assert found.ok is not bool(words)
    assert words in found.found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (boxes(240, 80, 320, 180), "x1, y1, x2, y2 and not"),
        (boxes(280, 130, 80, 100), "the centre and w, h, and not"),
        (boxes(80, 240, 100, 80), "y, x, h, w and not"),
        (changed("frame_size", lambda held: [each[::-1] for each in held]), "frame_size is width, height"),
    ],
)
def test_how_a_box_was_meant_is_told_by_the_annotations(
    change: Callable[[dict[str, Any]], object], words: str, tmp_path: Path
) -> None:
    made = released_like()
    boxes(240, 80, 80, 100)(made)
    change(made)
    truth = annotated(tmp_path, (12,), "0.600,0.400,0.800,0.900")
    assert words in findings(made, tmp_path, annotations=truth)["annotations"].found


def test_a_box_or_a_second_that_is_not_annotated_is_told(tmp_path: Path) -> None:
    away = annotated(tmp_path / "away", (12,), "0.900,0.900,0.950,0.990")
    assert "no annotated box is where" in findings(released_like(), tmp_path, annotations=away)["annotations"].found
    late = released_like() | {"frame_name": [f"{each:06d}.jpg" for each in range(82, 102)]}
    found = findings(late, tmp_path, "ava-val_abcdefghijk_000090", annotations=away)
    assert "has no box of abcdefghijk at 903 s" in found["annotations"].found


def test_a_clip_of_kinetics_is_compared_at_its_own_second_and_confidence(tmp_path: Path) -> None:
    """AK-val: LART scores from 0.9 on; the annotated second is a fraction, and the name does not tell it."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/kinetics_val_v1.0.csv").write_text("abcdefghijk,71.25,0.100,0.100,0.300,0.600,12\n")
    truth = converted(tmp_path / "raw", tmp_path / "store")
    found = findings(released_like(), tmp_path, "AK-val_abcdefghijk_000060", annotations=truth)
    assert [each.step for each in found.values() if each.ok is False] == []
    unsure = released_like()
    times("frame_conf", 0.95)(unsure)  # of 0.9
    assert "below 0.9" in findings(unsure, tmp_path, "AK-val_abcdefghijk_000060")["confidence"].found
    assert findings(unsure, tmp_path)["confidence"].ok


def test_another_mean_is_told(tmp_path: Path) -> None:
    near, far = (norm_of(np.full(226, mean), np.ones(226), 229) for mean in (0.0, 30.0))
    assert findings(released_like(), tmp_path, norm=near)["mean and deviation"].ok
    assert "30.0 deviations from the mean" in findings(released_like(), tmp_path, norm=far)["mean and deviation"].found


def test_the_command_says_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, CLIP, 0, released_like())
    main(["check", "lart", str(path)])
    assert "nothing differs" in capsys.readouterr().out
    broken = released_like()
    features(1152)(broken)
    with pytest.raises(SystemExit) as ended:
        main(["check", "lart", str(written(tmp_path, CLIP, 1, broken))])
    assert ended.value.code == 1
    assert "differs first in appearance: features have 1152" in capsys.readouterr().out.replace("\n", " ")


def test_what_is_no_tracklet_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(joblib_bytes({"a": 1}))
    with pytest.raises(HarBenchError, match=r"x\.pkl is no tracklet"):
        check_tracklet(tmp_path / "x.pkl")
    with pytest.raises(HarBenchError, match="MeanPose checks no files"):
        MeanPose().check(tmp_path / "x.pkl")
