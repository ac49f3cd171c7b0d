"""Pictures of poses: where lines are, which colours, what is left out, contact sheets and films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from har_bench import HarBenchError
from har_bench.drawing import draw, films
from har_bench.drawing.poses import LEFT, MIDDLE, RIGHT, colour_of
from har_bench.skeletons import skeleton

COCO = skeleton("coco17")
BLACK = np.zeros((200, 300, 3), np.uint8)


def posed(**places: tuple[float, float]) -> np.ndarray:
    """One person of whom only these joints are seen."""
    points = np.full((1, 17, 2), np.nan)
    for joint, place in places.items():
        points[0, COCO.index(joint)] = place
    return points


def test_a_bone_is_drawn_between_its_joints_in_the_colour_of_its_side() -> None:
    made = draw(BLACK, posed(left_hip=(50, 50), left_knee=(50, 150), right_hip=(250, 50), right_knee=(250, 150)), COCO)
    assert tuple(made[100, 50]) == LEFT
    assert tuple(made[100, 250]) == RIGHT
    assert (made[:, 100:200] == 0).all()
    assert (BLACK == 0).all(), "the image given stays as it was"
    assert colour_of(COCO, COCO.index("nose")) == MIDDLE


def test_what_a_model_is_unsure_of_is_thin() -> None:
    points = posed(left_hip=(50, 50), left_knee=(50, 150))
    big = np.zeros((1000, 1000, 3), np.uint8)
    scores = np.full((1, 17), 0.9)
    sure, unsure = (
        int((draw(big, points, COCO, scores=each)[100] > 30).any(axis=-1).sum()) for each in (scores, scores / 3)
    )
    assert sure > unsure > 0


def test_a_box_and_a_label_and_nothing_that_is_not_seen() -> None:
    points = posed(nose=(150, 100))
    plain = draw(BLACK, points, COCO)
    boxed = draw(BLACK, points, COCO, boxes=np.array([[100.0, 60, 80, 90]]), labels=["7  0.95"])
    assert tuple(boxed[60, 140]) == MIDDLE
    assert (boxed[45:60, 100:140] != plain[45:60, 100:140]).any()
    nobody = np.full((1, 17, 2), np.nan)
    np.testing.assert_array_equal(draw(BLACK, nobody, COCO, boxes=np.full((1, 4), np.nan), labels=["?"]), BLACK)
    far = draw(BLACK, posed(left_hip=(-500, 50), left_knee=(5000, 150)), COCO)
    assert far.shape == BLACK.shape


def write(path: Path, images: Sequence[Any]) -> None:
    with films.canvas(path, 10) as film:
        for image in images:
            film.add(image)


def numbered(count: int, size: tuple[int, int] = (40, 30)) -> list[np.ndarray]:
    return [np.full((size[1], size[0], 3), number, np.uint8) for number in range(count)]


@pytest.mark.parametrize(("count", "grid"), [(2, (2, 1)), (12, (4, 3)), (25, (4, 3)), (200, (4, 3))])
def test_a_contact_sheet_has_some_pictures_evenly_spread(count: int, grid: tuple[int, int], tmp_path: Path) -> None:
    with films.canvas(tmp_path / "sheet.png", None) as sheet:
        for image in numbered(count):
            sheet.add(image)
    with Image.open(tmp_path / "sheet.png") as made:
        shown = np.asarray(made)
    assert shown.shape == (30 * grid[1], 40 * grid[0], 3)
    numbers = shown[15::30, 20::40, 0].reshape(-1)[: min(count, 12)].astype(int)
    steps = np.diff(numbers)
    assert numbers[0] == 0
    assert (steps > 0).all()
    assert steps.max() <= 2 * steps.min() or count < 25
    assert numbers[-1] >= 0.8 * (count - 1)


def test_the_only_picture_keeps_its_size(tmp_path: Path) -> None:
    with films.canvas(tmp_path / "one.png", None) as sheet:
        sheet.add(np.full((700, 900, 3), 9, np.uint8))
    with Image.open(tmp_path / "one.png") as made:
        assert made.size == (900, 700)


@pytest.mark.parametrize("sizes", [[(41, 31)] * 3, [(40, 30), (80, 60), (10, 200)]], ids=["odd", "different"])
def test_films_take_pictures_of_any_size(sizes: list[tuple[int, int]], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with films.canvas(tmp_path / "film.mp4", 12.5) as film:
        for size in sizes:
            film.add(np.full((size[1], size[0], 3), 128, np.uint8))
    with av.open(str(tmp_path / "film.mp4")) as container:
        made = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate) == 12.5
    assert [image.shape for image in made] == [(30, 40, 3)] * 3
    assert abs(int(made[1][15, 20, 0]) - 128) < 6


def test_a_film_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("av")
    for name in ("film.mp4", "film.gif", "film.png"):
        with pytest.raises((AttributeError, TypeError)):
            write(tmp_path / name, [BLACK, None])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HarBenchError, match=r"cannot be drawn; pictures are written as .mp4, .gif, .png"):
        films.check(tmp_path / "film.avi")
    monkeypatch.setattr(films, "GIF_FRAMES", 2)
    with pytest.raises(HarBenchError, match="a GIF holds at most 2 pictures"):
        write(tmp_path / "a.gif", numbered(3))
    monkeypatch.setattr(films.video, "installed", lambda: False)
    with pytest.raises(HarBenchError, match="writing it needs PyAV: pip install"):
        films.check(tmp_path / "film.mp4")
