"""BlazePose as a baseline: on real images beside the figures it should reach, its options, its weights, its films."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError
from har_bench.media import pose_parts, posing
from har_bench.media.boxes import Boxes, exact
from har_bench.media.posing import pose
from har_bench.protocol import make_protocol
from har_bench.published import catalogue, folder
from har_bench.store import open_store
from tests.golden import REAL
from tests.pictures import picture

torch = pytest.importorskip("torch")

from har_bench.baselines.blazepose import BlazePose, films  # noqa: E402
from har_bench.baselines.blazepose.detector import Detections, Region  # noqa: E402
from har_bench.baselines.blazepose.eyes import masked  # noqa: E402
from har_bench.baselines.blazepose.landmarks import Landmarks  # noqa: E402
from har_bench.media.poses import Poses  # noqa: E402
from tests.sampled import sampled  # noqa: E402

CPU = {"runtime": "torch", "device": "cpu"}
COCO = REAL / "coco" / "coco_mini"
MPII = REAL / "mpii"
CLIPS = REAL / "models" / "blazepose"


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """79 real images of COCO's validation set, with 68 persons that have keypoints."""
    return har_bench.convert("coco", COCO, tmp_path_factory.mktemp("coco") / "store", jobs=1, quiet=True)


@pytest.mark.real
@pytest.mark.weights
@pytest.mark.parametrize(
    ("settings", "ap", "ap50", "within"),
    [
        ({}, 26.5, 45.3, 2.5),
        ({"boxes": "own"}, 12.93, 22.40, 0.05),
        ({"boxes": "own", "threshold": 0.2}, 13.39, 22.23, 0.05),
    ],
    ids=["true boxes", "own detector", "own detector at 0.2"],
)
def test_average_precision_on_real_images(
    settings: dict[str, Any], ap: float, ap50: float, within: float, coco: Any
) -> None:
    """With true boxes, a mask's edge that moves by a pixel moves AP by half a percent on so few persons."""
    result = har_bench.run(BlazePose(images=str(COCO), **CPU, **settings), coco, protocol="coco/oks")
    assert result["AP"] == pytest.approx(ap, abs=within)
    assert result["AP50"] == pytest.approx(ap50, abs=within)
    assert result.environment["boxes"] == settings.get("boxes", "truth")
    assert result.environment["weights"] == f"sha256 {catalogue()['pose_landmark_full'].sha256}"
    assert result.environment["runtime"] == "torch"
    assert result.speed["parameters"] == 2_965_026 + 3_169_489


@pytest.fixture(scope="module")
def mpii(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five validation persons whose pixels are at hand, as the stacked-hourglass json has them."""
    home = tmp_path_factory.mktemp("mpii") / "raw"
    home.mkdir()
    names = {each["image"] for each in json.loads((MPII / "mmpose_testdata" / "test_mpii.json").read_text())}
    with gzip.open(MPII / "hg_json" / "mpii_annotations.json.gz") as file:
        rows = [row for row in json.load(file) if row["img_paths"] in names]
    (home / "mpii_annotations.json").write_text(json.dumps(rows))
    (home / "images").symlink_to(MPII / "images")
    har_bench.convert("mpii", home, home.parent / "store", jobs=1, quiet=True)
    return home


@pytest.mark.real
@pytest.mark.weights
def test_pckh_on_real_images(mpii: Path) -> None:
    """One joint more is hit, 97.0, where the region's centre is taken from 1, as MPII's file counts pixels."""
    store = open_store(mpii.parent / "store")
    result = har_bench.run(BlazePose(images=str(mpii), **CPU), store, protocol="mpii/pckh")
    assert result.counts["joints"] == 66
    assert result["PCKh@0.5"] == pytest.approx(100 * 63 / 66, abs=1.6)
    assert result["PCKh@0.1"] == pytest.approx(37.9, abs=3.1)
    own = har_bench.run(BlazePose(images=str(mpii), boxes="own", **CPU), store, protocol="mpii/pckh")
    assert own["PCKh@0.5"] == pytest.approx(74.2, abs=0.1), "in one of the images it picks somebody else"


@pytest.mark.real
@pytest.mark.weights
def test_the_top_of_the_head_is_where_mpii_has_it(mpii: Path) -> None:
    """Of the five heads all are hit by the weighted point, none by the nose."""
    store = open_store(mpii.parent / "store")
    result = har_bench.run(BlazePose(images=str(mpii), **CPU), store, protocol="mpii/pckh")
    (head,) = [row for row in result.tables["joint"] if row["joint"] == "head_top"]
    assert head["PCKh@0.5"] == 100


@pytest.mark.real
@pytest.mark.weights
def test_human36m_gets_joints_in_space_about_the_root(tmp_path: Path) -> None:
    """A real clip stands in for the videos of a synthetic store: the numbers mean nothing, their shape does."""

    store = sampled("h36m", tmp_path)
    protocol = make_protocol("h36m/mpjpe", None, {"every": 64})
    for each in protocol.select(store.sequences).to_pylist():
        (tmp_path / each["media"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CLIPS / "clip_60.mp4", tmp_path / each["media"])
    model = BlazePose(images=str(tmp_path), boxes="own", **CPU)
    (first, *_) = model.predict(store, protocol)
    deep = np.stack(first["keypoints_3d"].to_numpy()).reshape(-1, 17, 3)
    assert (deep[:, 0] == 0).all()
    assert 600 < np.ptp(deep[0, :, 1]) < 1900, "an average person stands there, in millimetres"
    assert deep[0, 10, 1] < deep[0, 0, 1] < deep[0, 3, 1], "head above hips above ankle: y is down"


@pytest.mark.real
@pytest.mark.weights
@pytest.mark.parametrize("smooth", ["", "true"])
def test_a_film_that_was_interrupted_ends_the_same(
    smooth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People, regions, filters and numbers are all remembered."""
    monkeypatch.setattr(pose_parts, "FRAMES_A_PART", 5)
    monkeypatch.setattr(posing, "FRAMES_A_PART", 5)
    clip = CLIPS / "clip_165.mp4"

    def work(out: Path) -> None:
        pose("blazepose", clip, out, smooth=smooth, every=2, max_frames=15, settings=CPU)

    work(tmp_path / "whole.parquet")
    original, calls = films.Followed.__call__, [0]

    def tired(self: films.Followed, *given: Any) -> Poses:
        calls[0] += 1
        if calls[0] == 13:
            raise KeyboardInterrupt
        return original(self, *given)

    monkeypatch.setattr(films.Followed, "__call__", tired)
    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "out.parquet")
    work(tmp_path / "out.parquet")
    assert calls[0] == 13 + 5
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.weights
def test_nobody_is_found_where_nobody_is() -> None:
    model = BlazePose(**CPU)
    (found,) = model.look([np.full((1, 1, 3), 90, np.uint8)], None)
    assert (len(found), found.points.shape, found.points_3d.shape) == (0, (0, 33, 2), (0, 33, 3))  # type: ignore[union-attr]
    assert len(model.watcher()(np.zeros((40, 2000, 3), np.uint8), 0.0)) == 0
    (forced,) = model.look([np.zeros((1, 1, 3), np.uint8)], [exact(np.array([[0.0, 0, 1, 1]]))])
    assert np.isfinite(forced.points).all()


@pytest.mark.weights
def test_weights_are_recognised_by_what_they_hold(tmp_path: Path) -> None:
    """Renamed files are fine, exchanged, damaged and foreign ones are one sentence each."""
    names = ("pose_detection", "pose_landmark_full")
    first, second = ((folder() / catalogue()[name].file).read_bytes() for name in names)
    model = BlazePose(**CPU)
    home = tmp_path / "renamed"
    home.mkdir()
    (home / "a").write_bytes(first)
    (home / "b").write_bytes(second)
    model.load(home)
    exchanged = tmp_path / "exchanged"
    exchanged.mkdir()
    (exchanged / catalogue()[names[0]].file).write_bytes(second)
    with pytest.raises(HarBenchError, match=r"is not pose_detection.tflite as it was published: it has 6,440,512"):
        model.load(exchanged)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / catalogue()[names[0]].file).write_bytes(first)
    (damaged / catalogue()[names[1]].file).write_bytes(second[:-1] + bytes([second[-1] ^ 1]))
    with pytest.raises(HarBenchError, match=r"pose_landmark_full.tflite as it was published: it has the sha256"):
        model.load(damaged)
    (tmp_path / "foreign.tflite").write_bytes(b"\x1c\0\0\0TFL3 something else")
    model.load(home / "b")
    assert BlazePose(**CPU).look([picture([])], None)
    with pytest.raises(HarBenchError, match=r"foreign.tflite is no file of BlazePose as it was published; give one"):
        model.load(tmp_path / "foreign.tflite")
    with pytest.raises(HarBenchError, match=r"nowhere does not exist; give pose_detection.tflite, the package"):
        model.load(tmp_path / "nowhere")


def test_without_weights_the_command_that_fetches_them_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAR_BENCH_WEIGHTS", str(tmp_path))
    for network, name in (("full", "blazepose"), ("heavy", "blazepose-heavy")):
        with pytest.raises(HarBenchError, match=f"is not in {tmp_path}; `har-bench weights fetch {name}` gets it"):
            BlazePose(network=network, **CPU).look([picture([])], None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"network": "huge"}, "network='huge'; give lite or full or heavy"),
        ({"smooth": "a lot"}, "smooth='a lot'; give false or true or mediapipe"),
        ({"passes": 0}, "passes=0; give 1 or more"),
        ({"runtime": "onnx"}, "runtime='onnx'; give auto or torch or litert"),
        ({"batch": 0}, "batch=0; give 1 or more"),
    ],
)
def test_options_that_cannot_be_are_said(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(HarBenchError, match=f"BlazePose cannot take {words}"):
        BlazePose(**settings)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"runtime": "torch", "device": "tpu"}, "torch cannot compute on the device 'tpu'"),
    ],
)
def test_runtimes_that_are_not_there_are_said(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(HarBenchError, match=words):
        BlazePose(**settings).look([picture([])], None)


def landmarks_at(x: float, y: float, size: float, flag: float = 1.0) -> Landmarks:
    """Somebody upright about a place."""
    points = np.zeros((35, 3))
    points[:33, 0] = x + np.linspace(-size / 8, size / 8, 33)
    points[:33, 1] = y + np.linspace(-size / 2, size / 2, 33)
    points[33, :2], points[34, :2] = (x, y), (x, y - size / 2)
    return Landmarks(points, np.ones(33), np.ones(33), np.zeros((33, 3)), flag)


@dataclass
class Script:
    """Eyes that see what the test says: who is there, and whom the detector finds."""

    there: Sequence[Any] = ()
    found: Sequence[Any] = ()

    def search_whole(self, images: Any, threshold: float) -> list[Detections]:
        del images, threshold
        people = [landmarks_at(*each) for each in self.found]
        points = np.array([[each.points[33, :2], each.points[34, :2]] for each in people]).reshape(-1, 2, 2)
        return [Detections(np.ones(len(people)), np.zeros((len(people), 4)), points)]

    def look(self, images: Any, regions: Sequence[Region]) -> list[Landmarks]:
        del images
        made = []
        for region in regions:
            near = [each for each in self.there if np.hypot(each[0] - region.x, each[1] - region.y) < region.side / 4]
            made.append(landmarks_at(*near[0]) if near else landmarks_at(region.x, region.y, region.side / 1.25, 0.1))
        return made


def follow(frames: Sequence[tuple[Sequence[Any], Sequence[Any]]], people: int = 0) -> list[list[int]]:
    """Numbers of the persons in each frame, of whom ``(there, found by the detector)`` is told."""
    script: Any = Script()
    watcher = films.Followed(script, BlazePose.poses_of, people=people, threshold=0.5, smooth="false")
    numbers = []
    for number, (script.there, script.found) in enumerate(frames):
        poses = watcher(np.zeros((300, 600, 3), np.uint8), number / 30)
        assert poses.person is not None
        numbers.append(poses.person.tolist())
    return numbers


A, B = (100, 150, 100), (400, 150, 100)


def test_people_are_followed_without_being_found_again_and_keep_their_numbers() -> None:
    assert follow([([A, B], [A, B]), ([A, B], []), ([A, B], [B]), ([A, B], [])]) == [[0, 1]] * 4


def test_somebody_new_gets_a_number_and_somebody_lost_gets_theirs_back() -> None:
    frames = [([A], [A]), ([A, B], [A, B]), ([B], [B]), ([A, B], [A, B]), ([A, B], [])]
    assert follow(frames) == [[0], [0, 1], [1], [1, 0], [1, 0]]


def test_two_regions_that_slide_to_one_person_are_one_person() -> None:
    beside = (130, 150, 100)
    assert follow([([A], [A]), ([A], [A, beside])]) == [[0], [0]]


def test_at_most_so_many_and_one_is_as_in_mediapipe() -> None:
    assert follow([([A, B], [A, B])] * 2, people=1) == [[0], [0]]
    lost = [([A], [A]), ([], [A]), ([B], [B])]
    assert follow(lost, people=1) == [[0], [], [0]], "there is one person, whoever it is"
    assert follow([([A, B], [A, B])] * 2, people=2) == [[0, 1]] * 2


def test_what_lies_beyond_a_box_is_black() -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    made = masked(image, np.array([40.0, 40.0, 20.0, 20.0]))
    assert (made[38:62, 38:62] == 200).sum() >= 22 * 22 * 3
    assert made[:38].max() == made[:, 63:].max() == 0
    assert image.min() == 200
    assert masked(image, np.array([-40.0, -40.0, 20.0, 20.0])).max() == 0
    assert isinstance(exact(np.zeros((1, 4))), Boxes)
