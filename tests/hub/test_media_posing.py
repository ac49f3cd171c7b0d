"""``har-bench pose``: pictures in, joints out, in every form; whose is whose; interrupted work; pictures of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

av = pytest.importorskip("av")

from har_bench.cli import main  # noqa: E402
from har_bench.errors import HarBenchWarning  # noqa: E402
from har_bench.geometry.boxes import overlap  # noqa: E402
from har_bench.keypoints import open_track  # noqa: E402
from har_bench.media import pose_parts, posing  # noqa: E402
from har_bench.media.posing import pose  # noqa: E402
from har_bench.media.tracking import Identities  # noqa: E402
from har_bench.schema import to_numpy  # noqa: E402
from tests.pictures import Finder, Rectangle, film, joints_of, save  # noqa: E402

FINDER = "tests.pictures:Finder"


def two_people(frames: int) -> list[list[Rectangle]]:
    """One walks to the right, the other one to the left, and is away in the middle; in frame 5 nobody is there."""
    made = []
    for frame in range(frames):
        first, second = (10 + 3 * frame, 20, 16, 60), (130 - frame, 30, 14, 50)
        made.append([] if frame == 5 else [first] if 8 <= frame < 12 else [first, second])
    return made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twenty frames of two people."""
    return film(tmp_path / "clip.mp4", two_people(20))


def columns(path: Path) -> dict[str, Any]:
    rows = pq.read_table(path)
    return {field.name: to_numpy(rows[field.name], field) for field in rows.schema}


def test_a_film_becomes_parquet_in_our_columns(clip: Path, tmp_path: Path) -> None:
    said = pose(FINDER, clip, tmp_path / "out.parquet")
    found = columns(tmp_path / "out.parquet")
    assert said.startswith(f"20 frames of {clip}; 2 people; nobody in 1 of them; ")
    assert said.endswith(f"written to {tmp_path / 'out.parquet'}")
    expected = two_people(20)
    assert found["frame"].tolist() == [frame for frame, people in enumerate(expected) for _ in people]
    for row, (frame, person) in enumerate(zip(found["frame"], found["person"], strict=True)):
        away = np.abs(found["keypoints"][row] - joints_of(expected[frame][0 if person == 0 else -1])).max()
        assert away < 2, f"frame {frame}, person {person}"
    facts = {key.decode(): value.decode() for key, value in pq.read_schema(tmp_path / "out.parquet").metadata.items()}
    assert {
        "layout": "coco17",
        "width": "160",
        "height": "120",
        "fps": "25",
        "film": "true",
        "model.boxes": "own",
    }.items() <= facts.items()
    assert not (tmp_path / "out.parquet.partial").exists()


def test_who_was_there_for_a_moment_only_is_counted_apart(tmp_path: Path) -> None:
    walker, passer_by = (10, 20, 16, 60), (120, 30, 14, 50)
    clip = film(tmp_path / "clip.mp4", [[walker, passer_by] if 10 <= frame < 14 else [walker] for frame in range(30)])
    said = pose(FINDER, clip, tmp_path / "out.parquet")
    assert "; 2 people, 1 of them for a moment; " in said


def test_lifting_models_read_what_is_written(clip: Path, tmp_path: Path) -> None:
    pose(FINDER, clip, tmp_path / "out.parquet")
    pose(FINDER, clip, tmp_path / "out.json")
    for file in ("out.parquet", "out.json"):
        track = open_track(tmp_path / file, person=0)
        assert (track.layout, track.points.shape, track.filled) == ("coco17", (20, 17, 2), 1)


def test_coco_s_json_has_images_joints_and_persons(clip: Path, tmp_path: Path) -> None:
    pose(FINDER, clip, tmp_path / "out.json", max_frames=7)
    found = json.loads((tmp_path / "out.json").read_text())
    assert [image["id"] for image in found["images"]] == list(range(7))
    assert {(image["width"], image["height"]) for image in found["images"]} == {(160, 120)}
    assert found["categories"][0]["keypoints"][0] == "nose"
    lines = found["categories"][0]["skeleton"]
    assert [6, 7] in lines, "from shoulder to shoulder, counted from 1"
    assert [1, 6] not in lines, "none from the nose to a shoulder"
    assert {each["image_id"] for each in found["annotations"]} == {0, 1, 2, 3, 4, 6}
    assert all(len(each["keypoints"]) == 51 and each["track_id"] in (0, 1) for each in found["annotations"])


def test_npz_holds_the_same_as_plain_arrays(clip: Path, tmp_path: Path) -> None:
    pose(FINDER, clip, tmp_path / "out.npz")
    pose(FINDER, clip, tmp_path / "out.parquet")
    expected = columns(tmp_path / "out.parquet")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
        assert (str(found["layout"]), found["joints"][0], float(str(found["fps"]))) == ("coco17", "nose", 25)


def test_a_folder_is_pictures_of_anything(tmp_path: Path) -> None:
    for number, people in enumerate(([(10, 10, 20, 40)], [], [(5, 5, 30, 60), (100, 20, 20, 50)])):
        save(tmp_path / "in" / f"{number}.png", people, (160 + number, 120))
    said = pose(FINDER, tmp_path / "in", tmp_path / "out.json", settings={"batch": 2})
    assert said.startswith(f"3 pictures of {tmp_path / 'in'}; 2 people at most; nobody in 1 of them; ")
    found = json.loads((tmp_path / "out.json").read_text())
    assert [(image["file_name"], image["width"]) for image in found["images"]] == [
        ("0.png", 160),
        ("1.png", 161),
        ("2.png", 162),
    ]
    assert [each["image_id"] for each in found["annotations"]] == [0, 2, 2]
    pose(FINDER, tmp_path / "in", tmp_path / "one.parquet", people=1)
    assert columns(tmp_path / "one.parquet")["sequence"].tolist() == ["0.png", "2.png"]
    pose(FINDER, tmp_path / "in", tmp_path / "film.parquet", fps=2.5)
    assert columns(tmp_path / "film.parquet")["frame"].tolist() == [0, 2, 2]
    assert pq.read_schema(tmp_path / "film.parquet").metadata[b"fps"] == b"2.5"


def test_an_image_in_another_layout(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [(10, 10, 20, 40)])
    pose(FINDER, path, tmp_path / "out.parquet", layout="h36m17")
    assert columns(tmp_path / "out.parquet")["keypoints"].shape == (1, 17, 2)
    assert pq.read_schema(tmp_path / "out.parquet").metadata[b"layout"] == b"h36m17"


def test_every_other_frame_and_no_more_than_so_many(clip: Path, tmp_path: Path) -> None:
    pose(FINDER, clip, tmp_path / "out.parquet", every=3, max_frames=4)
    assert sorted(set(columns(tmp_path / "out.parquet")["frame"].tolist())) == [0, 3, 6, 9]


@dataclass
class Tired(Finder):
    """Gives up after so many pictures."""

    after: int = 0
    looked: int = 0

    def look(self, images: Sequence[Any], boxes: Any) -> Any:
        self.looked += len(images)
        if self.after and self.looked > self.after:
            raise KeyboardInterrupt
        return super().look(images, boxes)

    def describe(self) -> dict[str, Any]:
        return super().describe()


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of four frames."""
    for module in (pose_parts, posing):
        monkeypatch.setattr(module, "FRAMES_A_PART", 4)


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("source", ["film", "pictures"])
def test_interrupted_work_goes_on_and_ends_the_same(source: str, clip: Path, tmp_path: Path) -> None:
    path = clip
    if source == "pictures":
        path = tmp_path / "in"
        for number, people in enumerate(two_people(20)):
            save(path / f"{number}.png", people)
    pose(Tired(batch=2), path, tmp_path / "whole.parquet", overlay=tmp_path / "whole.gif")
    broken = Tired(after=10, batch=2)
    with pytest.raises(KeyboardInterrupt):
        pose(broken, path, tmp_path / "out.parquet", overlay=tmp_path / "out.gif")
    assert not (tmp_path / "out.parquet").exists()
    assert not (tmp_path / "out.gif").exists()
    assert len(list((tmp_path / "out.parquet.partial").glob("state-*"))) == 2
    again = Tired(batch=2)
    said = pose(again, path, tmp_path / "out.parquet", overlay=tmp_path / "out.gif")
    assert "went on after 8 of an interrupted run" in said
    assert again.looked == 12
    assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert (tmp_path / "out.gif").read_bytes() == (tmp_path / "whole.gif").read_bytes()
    assert not (tmp_path / "out.parquet.partial").exists()


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("harmed", ["poses-00001.parquet", "state-00001.json"])
def test_a_part_that_was_damaged_is_looked_for_again(harmed: str, clip: Path, tmp_path: Path) -> None:
    pose(Tired(batch=2), clip, tmp_path / "whole.parquet")
    with pytest.raises(KeyboardInterrupt):
        pose(Tired(after=14, batch=2), clip, tmp_path / "out.parquet")
    partial = tmp_path / "out.parquet.partial"
    assert len(list(partial.glob("state-*"))) == 3
    if harmed.startswith("poses"):  # another part's poses: whole, and not what was written
        shutil.copyfile(partial / "poses-00000.parquet", partial / harmed)
    else:
        (partial / harmed).write_bytes(b"{")
    again = Tired(batch=2)
    with pytest.warns(HarBenchWarning, match=r"out\.parquet\.partial is damaged, and what was found from part 1 on is"):
        pose(again, clip, tmp_path / "out.parquet")
    assert again.looked == 16
    assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))


@pytest.mark.usefixtures("short_parts")
def test_work_with_other_options_begins_again_and_says_so(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pose(Tired(after=10), clip, tmp_path / "out.parquet")
    again = Tired()
    assert "an unfinished run with other options was thrown away" in pose(
        again, clip, tmp_path / "out.parquet", people=1
    )
    assert again.looked == 20


@pytest.mark.parametrize("suffix", ["mp4", "gif", "png"])
def test_the_poses_are_drawn_on_the_film(suffix: str, clip: Path, tmp_path: Path) -> None:
    drawn = tmp_path / f"drawn.{suffix}"
    assert f"drawn on {drawn}" in pose(FINDER, clip, tmp_path / "out.parquet", overlay=drawn)
    if suffix == "mp4":
        with av.open(str(drawn)) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            assert float(container.streams.video[0].average_rate) == 25
        assert len(pictures) == 20
        with av.open(str(clip)) as container:
            given = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        changed = [(np.abs(made.astype(int) - was) > 60).sum() for made, was in zip(pictures, given, strict=True)]
        assert changed[0] > 100
        assert changed[5] == 0, "nobody is there"
    elif suffix == "gif":
        with Image.open(drawn) as image:
            assert (image.n_frames, image.size, image.info["duration"]) == (20, (160, 120), 40)  # type: ignore[attr-defined]
    else:
        with Image.open(drawn) as image:
            assert image.size == (4 * (160 + 6) + 6, 3 * (120 + 6) + 6)


def coloured(image: Any) -> int:
    """Pixels that are neither dark nor white nor grey."""
    return int((image.astype(int).max(axis=-1) - image.astype(int).min(axis=-1) > 40).sum())


def test_the_only_picture_is_drawn_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [(10, 10, 20, 40)])
    pose(FINDER, path, tmp_path / "out.json", overlay=tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as image:
        assert image.size == (160, 120)
        assert coloured(np.asarray(image)) > 10


@pytest.mark.parametrize("size", [(1, 1), (20_000, 40)], ids=["one pixel", "panorama"])
def test_odd_sizes_are_pictures_too(size: tuple[int, int], tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", [], size)
    said = pose(FINDER, path, tmp_path / "out.parquet")
    assert f"1 picture of {path}; nobody was found; " in said
    assert ("1 of them is so long that a detector, which sees a small square, misses most people" in said) == (
        size[0] > 1
    )
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{clip}", "out.txt"], "out.txt cannot be written; poses are written as .parquet, .json, .npz"),
        (
            ["{clip}", "out.json", "--overlay", "out.avi"],
            "out.avi cannot be drawn; pictures are written as .mp4, .gif, .png",
        ),
        (["{clip}", "out.json", "--every", "0"], "every and max-frames count from 1"),
        (["{clip}", "out.json", "--layout", "ntu25"], "there is no mapping from coco17 to ntu25"),
        (["{clip}", "out.json", "--smooth"], "Finder has no smooth for films; leave it out"),
        (["{clip}", "out.json", "--set", "colour=red"], "no option of tests.pictures:Finder is called 'colour'"),
        (["{clip}", "out.json", "--set", "boxes=truth"], "boxes is for `har-bench run`, on a store; leave it out"),
        (["none.mp4", "out.json"], "none.mp4 is not there"),
        (["none.jpg", "out.json"], "none.jpg is not there; give an image, a folder of images, a video or a webcam's"),
        (["half.jpg", "out.json"], "half.jpg is not a whole image that Pillow can read"),
        (["text.mp4", "out.json"], "text.mp4 is not a whole video"),
        (["{clip}", "out.json", "--model", "mean-pose"], "mean-pose is no model of images"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str],
    words: str,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("no film")
    Path("half.jpg").write_bytes(save(Path("a.jpg"), [(10, 10, 20, 40)]).read_bytes()[:-400])
    model = [] if "--model" in arguments else ["--model", FINDER]
    with pytest.raises(SystemExit) as stopped:
        main(["pose", *(word.format(clip=clip) for word in arguments), *model, "--quiet"])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("har-bench: ")
    assert words in line
    assert not Path("out.json").exists()
    assert not Path("out.json.partial").exists()


def test_the_command_says_what_it_did(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pose", str(clip), str(tmp_path / "out.parquet"), "--model", FINDER, "--people", "1", "--quiet"])
    assert capsys.readouterr().out.startswith(f"20 frames of {clip}; 1 person; nobody in 1 of them; ")


def test_identities_follow_boxes_and_remember_for_a_second() -> None:
    """Two boxes that move; the first one is away for less than a second, the second one for longer."""
    numbers = Identities()
    left, right = [0.0, 0, 10, 20], [100.0, 0, 10, 20]
    assert numbers.claim(np.array([left, right]), 0.0).tolist() == [0, 1]
    assert numbers.claim(np.array([[98.0, 0, 10, 20], [2.0, 0, 10, 20]]), 0.1).tolist() == [1, 0]
    assert numbers.claim(np.array([[98.0, 0, 10, 20]]), 0.5).tolist() == [1]
    assert numbers.claim(np.array([left]), 1.0).tolist() == [0]
    assert numbers.claim(np.array([left, right]), 2.0).tolist() == [0, 2]
    other = Identities()
    other.resume(json.loads(json.dumps(numbers.state())))
    assert other.claim(np.array([right, left]), 2.1).tolist() == [2, 0]


def test_overlaps_by_hand() -> None:
    boxes, others = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2], [5, 5, 1, 1], [0, 0, 0, 0]])
    np.testing.assert_allclose(overlap(boxes, others), [[1 / 3, 0, 0]])
    assert overlap(others[2:], others[2:]).tolist() == [[0]]


def test_a_camera_is_watched_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from har_bench.media import frames

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(frames.CAMERAS, sys.platform, ("lavfi", "testsrc=size=64x48:rate=30,setpts=PTS+{}"))
    said = pose(FINDER, "0", "out.parquet", max_frames=3)
    assert said.startswith("3 frames of webcam 0; ")

    def stopped(self: Any, which: slice) -> Iterator[Any]:
        for number, frame in enumerate(original(self, slice(0, 5, 1))):
            if number == 2:
                raise KeyboardInterrupt
            yield frame

    original = frames.Webcam.frames
    monkeypatch.setattr(frames.Webcam, "frames", stopped)
    assert pose(FINDER, "0", "out.json").startswith("2 frames of webcam 0; ")
