"""Whoever is in a film has a label for every second, in a table and on the pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from har_bench.arrays import Singles
from har_bench.classifying.model import ClipModel, Learnt
from har_bench.classifying.telling import tell, windows
from har_bench.cli import main
from har_bench.errors import HarBenchError
from har_bench.keypoints import open_tracks
from har_bench.media.answers import write_answers
from har_bench.protocol import Protocol
from har_bench.skeletons import skeleton
from har_bench.store import Store
from tests.pictures import film
from tests.walkers import flat, walk

FPS = 10.0


@dataclass
class Speed(ClipModel):
    """Tells who moves fast: class 1 beyond a pixel a frame, of clips in pixels."""

    summary = "who moves"
    trains = False

    def __post_init__(self) -> None:
        self.learnt = Learnt(layout=skeleton("coco17"), view="rms", persons=1, classes=3)
        self.lengths: list[int] = []

    def probabilities(self, clips: Sequence[Singles]) -> Singles:
        self.lengths += [clip.shape[1] for clip in clips]
        moved = np.array([float(np.abs(np.diff(clip[0, :, :, 0], axis=0)).mean()) for clip in clips])
        fast = (moved > 0.02).astype(np.float32) * 0.6 + 0.2
        return np.stack([0.8 - fast, fast, np.full(len(clips), 0.2)], axis=1).astype(np.float32)

    def fit(self, store: Store, protocol: Protocol) -> None:
        raise NotImplementedError

    def load(self, weights: Path) -> None:
        self.loaded = weights


def still(frames: int, x: float) -> Any:
    return np.tile(walk(1, at=x), (frames, 1, 1))


def moving(frames: int, x: float) -> Any:
    """A person whose joints jump about, each in its own way."""
    jumps = np.random.default_rng(0).normal(0, 30, (frames, 17, 2))
    return still(frames, x) + jumps


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    """Person 1 stands for three seconds and then moves; person 2 comes in the second second and moves."""
    one, two = np.concatenate([still(30, 300), moving(20, 300)]), moving(25, 900)
    rows = [
        {"image_id": frame, "category_id": 1, "keypoints": flat(points), "score": 0.9, "track_id": number}
        for number, start, track in ((1, 0, one), (2, 10, two))
        for frame, points in enumerate(track, start)
    ]
    path = tmp_path / "tracked.json"
    path.write_text(json.dumps(rows))
    return path


def told(path: Path) -> dict[tuple[int, int], str]:
    with path.open(newline="") as file:
        return {(int(row["person"]), int(row["second"])): row["label"] for row in csv.DictReader(file)}


def test_everybody_has_a_label_for_every_second(keypoints: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("stand\nmove\nother\n")
    out, model = tmp_path / "seen.csv", Speed()
    said = tell(model, keypoints, out, labels=str(tmp_path / "names.txt"), window=1.0, fps=FPS)
    first = {(1, second): "stand" if second < 3 else "move" for second in range(5)}
    assert told(out) == first | {(2, second): "move" for second in (1, 2, 3)}
    assert model.lengths == [10] * 7 + [5]
    assert "2 persons of" in said
    assert "over 8 seconds: move in 5, stand in 3; written to" in said


def test_a_longer_window_sees_more_as_far_as_the_person_is_there(keypoints: Path, tmp_path: Path) -> None:
    model = Speed()
    tell(model, keypoints, tmp_path / "seen.json", window=2.0, fps=FPS)
    whole = json.loads((tmp_path / "seen.json").read_text())
    assert whole["classes"] == ["class 0", "class 1", "class 2"]
    assert model.lengths[:5] == [15, 20, 20, 20, 15]
    row = whole["seconds"][0]
    assert row == {"person": 1, "second": 0, "first_frame": 0, "last_frame": 14, "label": "class 0", "score": 0.6}
    tell(model, keypoints, tmp_path / "seen.parquet", window=2.0, fps=FPS)
    assert pq.read_table(tmp_path / "seen.parquet").to_pylist() == whole["seconds"]


def test_windows_by_hand() -> None:
    assert windows(0, 30, 10.0, 1.0) == [(0, 0, 9), (1, 10, 19), (2, 20, 29)]
    assert windows(15, 10, 10.0, 2.0) == [(1, 15, 24), (2, 15, 24)]
    assert windows(0, 1, 25.0, 0.01) == [(0, 0, 0)]


def test_labels_are_drawn_at_everybody(keypoints: Path, tmp_path: Path) -> None:
    """On grey where there is no film, on its pictures where there is one."""
    tell(Speed(), keypoints, tmp_path / "a.csv", window=1.0, fps=FPS, size=(1200, 900), overlay=tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as drawn:
        assert drawn.size == (480, 360)
        assert drawn.n_frames > 20  # those who stand still are one picture
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 20
    folder = tmp_path / "film"
    folder.mkdir()
    for number in range(50):
        Image.new("RGB", (120, 90), (0, 90, 0)).save(folder / f"{number:02}.png")
    tell(Speed(), keypoints, tmp_path / "b.csv", fps=FPS, pictures=folder, overlay=tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as drawn:
        assert drawn.size == (120, 90)
        assert drawn.convert("RGB").getpixel((119, 89))[1] > 60  # the film's green, and not grey
    with pytest.raises(HarBenchError, match="does not say how large the film is; give --pictures FILM"):
        tell(Speed(), keypoints, tmp_path / "c.csv", fps=FPS, overlay=tmp_path / "c.gif")


def test_of_a_film_the_keypoints_are_found_first(tmp_path: Path) -> None:
    """Whoever is in the film, by a model of images; the same answers as of the keypoints that it has written."""
    pytest.importorskip("av")
    clip = film(
        tmp_path / "clip.mp4", [[(10 + 3 * frame, 20, 16, 60), (130 - frame, 30, 14, 50)] for frame in range(12)]
    )
    out, model = tmp_path / "seen.csv", Speed()
    said = tell(model, clip, out, window=1.0, pose_model="tests.pictures:Finder", overlay=tmp_path / "seen.gif")
    assert said.splitlines()[0].startswith(f"12 frames of {clip}")
    assert "2 persons of" in said
    assert len(told(out)) == len(model.lengths) >= 2
    with Image.open(tmp_path / "seen.gif") as drawn, Image.open(tmp_path / "seen.gif") as last:
        last.seek(drawn.n_frames - 1)
        assert drawn.convert("RGB").tobytes() != last.convert("RGB").tobytes()
    rate = next(iter(open_tracks(tmp_path / "seen.poses.parquet"))).fps
    tell(Speed(), tmp_path / "seen.poses.parquet", tmp_path / "again.csv", window=1.0, fps=rate)
    assert told(tmp_path / "again.csv") == told(out)


def test_what_does_not_fit_is_said(keypoints: Path, tmp_path: Path) -> None:
    other = Speed()
    other.learnt = Learnt(layout=skeleton("ntu25"), view="rms", persons=2, classes=60)
    cases: list[tuple[ClipModel, dict[str, Any], str]] = [
        (other, {"fps": FPS}, "has learnt on ntu25 and the .* has coco17, whose joints are others"),
        (Speed(), {}, "does not say the film's frames per second; give --fps"),
        (Speed(), {"fps": FPS, "window": 0}, "a window of 0 s is none"),
        (Speed(), {"fps": FPS, "labels": "ntu60/xsub"}, "ntu60/xsub names 60 classes, and the model tells 3 apart"),
    ]
    for model, options, words in cases:
        with pytest.raises(HarBenchError, match=words):
            tell(model, keypoints, tmp_path / "x.csv", **options)


def test_the_command_takes_keypoints_and_a_model_of_skeletons(
    keypoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = "tests.hub.classifying.test_telling:Speed"
    words = ["classify", str(keypoints), str(tmp_path / "o.csv"), "--model", named, "--weights", str(keypoints)]
    main([*words, "--fps", "10", "--window", "1", "--quiet"])
    assert "2 persons of" in capsys.readouterr().out
    assert len(told(tmp_path / "o.csv")) == 8
    with pytest.raises(SystemExit):
        main([*words, "--fps", "10", "--hop", "3"])
    assert "--hop and --max-frames are of models of pictures" in capsys.readouterr().err.replace("\n", " ")


def test_a_class_that_is_a_formula_is_none_in_a_table(tmp_path: Path) -> None:
    write_answers(tmp_path / "a.csv", [{"label": "=1+1", "score": -0.5}], whole={})
    assert (tmp_path / "a.csv").read_text() == "label,score\n'=1+1,-0.5\n"
