"""Actions of clips: which frames, which window, the rows of a store's sequences, and anybody's film."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import har_bench
from har_bench import HarBenchError, Store
from har_bench.baselines.deephar import Deephar, weighing
from har_bench.baselines.deephar.acting import Plan, Where
from har_bench.baselines.deephar.data.predicted import PredictedBoxes
from har_bench.baselines.deephar.published import ARCHITECTURES, clips_of
from har_bench.drawing.scenes import render
from har_bench.media.acting import classify
from har_bench.media.boxes import BoxFile
from har_bench.progress import progress
from tests.baselines.deephar.networks import MERGE, SPNET, loaded
from tests.pictures import film, save
from tests.sampled import sampled

pytest.importorskip("av")

CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def penn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """The sample of Penn Action, with its people drawn."""
    home = tmp_path_factory.mktemp("penn")
    store = sampled("penn_action", home)
    tests = store.select("standard/test")["sequence"].to_pylist()
    render(store, home / "raw", tests)
    return store, home / "raw"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SPNet of 15 actions that was never trained."""
    path = tmp_path_factory.mktemp("weights") / "spnet.safetensors"
    weighing.save(path, loaded(SPNET, "mpii-pa16"))
    return path


def test_clips_are_those_that_the_networks_were_published_with() -> None:
    told = {name: clips_of(ARCHITECTURES[name]) for name in ("penn_merge", "ntu_merge", "spnet_penn", "spnet_ntu")}
    assert told == {"penn_merge": (16, 2), "ntu_merge": (20, 2), "spnet_penn": (8, 6), "spnet_ntu": (8, 8)}
    assert [clip.tolist() for clip in Plan(4, 2).of(10)] == [[1, 3, 5, 7]]
    assert [clip.tolist() for clip in Plan(4, 2, several=True).of(12)] == [[0, 2, 4, 6], [3, 5, 7, 9]]
    assert [clip.tolist() for clip in Plan(4, 2, several=True).of(3)] == [[0, 0, 1, 2]]  # too short: one, stretched


def test_one_window_shows_a_whole_clip(penn: tuple[Store, Path], tmp_path: Path) -> None:
    """Around the true joints of the clip, or the boxes of a file, united, or the picture."""
    store, _ = penn
    info = store.select("standard/test").to_pylist()[0]
    where, name, frames = Where(store, "truth"), info["sequence"], np.array([0, 3, 6])
    chosen = store.sequences.filter(np.array(store.sequences["sequence"]) == name)
    assert [row["sequence"] for row in where.prepare(chosen)] == [name]
    points = store.sequence(name).keypoints[frames]
    inside = where.window(name, frames, (480, 270)).box
    there = points[np.isfinite(points).all(axis=-1)]
    assert (there >= inside[:2]).mean() > 0.95
    assert (there <= inside[:2] + inside[2:]).mean() > 0.95
    file = tmp_path / "boxes.csv"
    boxes = [(frame, [10.0 * frame, 20.0, 40.0, 60.0]) for frame in (0, 3, 6)]
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["sequence", "frame", *(f"bbox_{axis}" for axis in range(4))])
        writer.writerows([[name, frame, *box] for frame, box in boxes])
    np.testing.assert_allclose(
        Where(store, BoxFile(file, store)).window(name, frames, (480, 270)).box, [0, 20, 100, 60]
    )
    np.testing.assert_allclose(Where(store, "full").window(name, frames, (480, 270)).box, [0, -105, 480, 480])


def test_the_original_s_predicted_boxes_are_boxes_of_a_store(penn: tuple[Store, Path], tmp_path: Path) -> None:
    """By a sequence's place in its part and a frame, or by a clip; sequences are named where there are not as many."""
    store, _ = penn
    tests, trained = (sorted(store.select(f"standard/{part}")["sequence"].to_pylist()) for part in ("test", "train"))
    file = tmp_path / "penn_pred_bboxes_multitask.json"
    frames = {f"1.{frame}": [10 * frame, 20, 10 * frame + 40, 80] for frame in (0, 3, 6)}
    file.write_text(json.dumps([frames, {"0.2": [1, 2, 4, 6]}, {}]))
    boxes = PredictedBoxes(file, store)
    assert len(boxes) == 4
    seen = Where(store, boxes).window(tests[1], np.array([0, 3, 6]), (480, 270))
    np.testing.assert_allclose(seen.box, [0, 20, 100, 60])
    np.testing.assert_allclose(boxes.of(trained[0], 2)[0].box, [[1, 2, 3, 4]])
    assert not len(boxes.of(tests[0], 0)[1])

    clips = {"0000.2.000.0": [0, 0, 50, 60], "0000.2.001.0": [5, 0, 55, 60], "0000.2.001.1": [7, 7, 8, 8]}
    assert int(tests[-1]) >= len(tests)
    for called, name in (("0000", tests[0]), (tests[-1], tests[-1])):
        file.write_text(json.dumps({key.replace("0000", called): box for key, box in clips.items()}))
        boxes = PredictedBoxes(file, store)
        first, second = Plan(4, 2, several=True).of(12)
        np.testing.assert_allclose(Where(store, boxes).window(name, first, (480, 270)).box, [0, 0, 50, 60])
        np.testing.assert_allclose(Where(store, boxes).window(name, second, (480, 270)).box, [5, 0, 50, 60])
        whole = Where(store, boxes).window(name, first + 1, (480, 270))
        np.testing.assert_allclose(whole.box, [0, -105, 480, 480], err_msg="no clip of the file begins there")
    file.write_text(json.dumps({"9999.0": [0, 0, 1, 1]}))
    with pytest.raises(HarBenchError, match=r"has boxes of sequence 9999, and standard/test has \d+ .*convert all"):
        PredictedBoxes(file, store)
    file.write_text(json.dumps([{"image_id": 3, "bbox": [0, 0, 1, 1]}]))
    with pytest.raises(HarBenchError, match=r"has no image ids"):
        PredictedBoxes(file, store)


def test_a_store_s_clips_are_scored(penn: tuple[Store, Path], weights: Path) -> None:
    """One row of each sequence, or one of each clip and its mirror image, which multi-clip multiplies."""
    store, images = penn
    single = har_bench.run(
        Deephar(images=str(images), outputs_too=True, **CPU),
        store,
        protocol="penn_action/accuracy",
        weights=weights,
    )
    names = [row["output"] for row in single.tables["output"]]
    assert names[:4] == ["the score", "block 1", "block 2", "block 3"]
    model = Deephar(images=str(images), clips="several", frames=4, step=1, flip=True, boxes="full", **CPU)
    several = har_bench.run(model, store, protocol="penn_action/accuracy:multi-clip", weights=weights)
    assert several.counts["sequences"] == single.counts["sequences"]
    with pytest.raises(HarBenchError, match=r"rows of scores.*score with multi-clip"):
        har_bench.run(model, store, protocol="penn_action/accuracy", weights=weights)


def test_a_mirror_image_s_row_follows_its_clip_s(penn: tuple[Store, Path], weights: Path) -> None:
    store, images = penn
    given: dict[str, Any] = {"images": str(images), "frames": 4, "step": 1, **CPU}
    plain, both = Deephar(**given), Deephar(flip=True, **given)
    rows = []
    for model in (plain, both):
        model.load(weights)
        protocol = har_bench.protocol.make_protocol("penn_action/accuracy")
        rows.append(next(model.predict(store, protocol)).to_pylist())
    assert [row["clip"] for row in rows[1][:2]] == [0, 1]
    np.testing.assert_allclose(rows[0][0]["scores"], rows[1][0]["scores"], atol=1e-6)
    assert not np.allclose(rows[1][0]["scores"], rows[1][1]["scores"], atol=1e-6)


def test_what_tells_other_actions_is_refused(penn: tuple[Store, Path], tmp_path: Path) -> None:
    store, images = penn
    sixty = type(SPNET)(spnet=type(SPNET.spnet)(**{**vars(SPNET.spnet), "actions": (60,)}))
    path = tmp_path / "sixty.safetensors"
    weighing.save(path, loaded(sixty, "mpii-pa16"))
    with pytest.raises(HarBenchError, match=r"tells 60 actions apart, and penn_action/accuracy.* has 15"):
        har_bench.run(Deephar(images=str(images), **CPU), store, protocol="penn_action/accuracy", weights=path)


@pytest.mark.parametrize("architecture", [MERGE, SPNET], ids=["merge", "spnet"])
def test_anybody_s_film_is_told_clip_by_clip(architecture: Any, tmp_path: Path) -> None:
    path = film(tmp_path / "walk.mp4", [[(20 + 2 * frame, 30, 30, 60)] for frame in range(30)])
    weights = tmp_path / "weights.safetensors"
    weighing.save(weights, loaded(architecture, "mpii-pa16"))
    options = {"settings": {"frames": 4, "step": 2, **CPU}, "weights": weights, "overlay": tmp_path / "seen.gif"}
    said = classify("deephar", path, tmp_path / "actions.json", hop=10, **options)
    assert said.startswith("3 clips of")
    found = json.loads((tmp_path / "actions.json").read_text())
    assert [(clip["first_frame"], clip["last_frame"]) for clip in found["clips"]] == [(0, 6), (10, 16), (20, 26)]
    assert found["classes"][0] == "baseball_pitch"
    for clip in found["clips"]:
        assert sum(clip["scores"]) == pytest.approx(1, abs=1e-4)
        assert clip["label"] == found["classes"][int(np.argmax(clip["scores"]))]
    classify("deephar", path, tmp_path / "actions.parquet", hop=10, **options)
    table = pq.read_table(tmp_path / "actions.parquet")
    np.testing.assert_allclose(table["scores"].to_pylist(), [clip["scores"] for clip in found["clips"]], atol=1e-5)
    with Image.open(tmp_path / "seen.gif") as drawn_film:
        assert drawn_film.n_frames == 30
    assert found["model"]["boxes"] == "own"


def test_the_names_that_are_given_are_drawn_and_its_clips_are_counted(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not those that the weights know; and every frame to the last has the box of the clip before it."""
    drawn_on: list[tuple[str, bool]] = []

    def watched(pixels: Any, *_: Any, boxes: Any, labels: Sequence[str]) -> Any:
        drawn_on.append((labels[0], bool(boxes[0, 2] > 0)))
        return pixels

    @contextmanager
    def counted(*given: Any, **named: Any) -> Iterator[Any]:
        with progress(*given, **named) as bar:
            bars.append(bar)
            yield bar

    bars: list[Any] = []
    monkeypatch.setattr("har_bench.media.acting.draw", watched)
    monkeypatch.setattr("har_bench.media.acting.progress", counted)
    names = tmp_path / "names.txt"
    names.write_text("".join(f"act {number}\n" for number in range(15)))
    path = film(tmp_path / "walk.mp4", [[(20 + 2 * frame, 30, 30, 60)] for frame in range(12)])
    settings = {"frames": 4, "step": 2, **CPU}
    out, overlay = tmp_path / "actions.json", tmp_path / "seen.gif"
    classify("deephar", path, out, weights=weights, labels=str(names), overlay=overlay, hop=3, settings=settings)
    assert len(drawn_on) == 12
    assert all(label.startswith("act ") and boxed for label, boxed in drawn_on)
    assert [(bar.done, bar.total) for bar in bars] == [(3, 3)]


def test_a_film_shorter_than_a_clip_is_one(tmp_path: Path, weights: Path) -> None:
    path = film(tmp_path / "short.mp4", [[(20, 30, 30, 60)]] * 3)
    classify("deephar", path, tmp_path / "actions.csv", weights=weights, settings=CPU)
    rows = list(csv.DictReader((tmp_path / "actions.csv").read_text().splitlines()))
    assert [(row["first_frame"], row["last_frame"]) for row in rows] == [("0", "2")]


@pytest.mark.filterwarnings("ignore:deephar has no weights")
def test_what_cannot_be_classified_is_told(tmp_path: Path, weights: Path) -> None:
    path = save(tmp_path / "picture.png", [])
    out = tmp_path / "actions.json"
    with pytest.raises(HarBenchError, match=r"is no film.*give a video"):
        classify("deephar", path, out, weights=weights, settings=CPU)
    with pytest.raises(HarBenchError, match=r"gives poses and no actions; give weights that do"):
        classify("deephar", path, out, settings=CPU)
    with pytest.raises(HarBenchError, match="blazepose tells no actions"):
        classify("blazepose", path, out)
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\n")
    clip = film(tmp_path / "short.mp4", [[(20, 30, 30, 60)]] * 3)
    with pytest.raises(HarBenchError, match="names 2 classes, and the model tells 15 apart"):
        classify("deephar", clip, out, weights=weights, labels=str(names), settings=CPU)
