"""What everybody in a film does, second by second: keypoints of anybody's detector through a model of skeletons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har_bench.arrays import Bytes, Floats, Singles
from har_bench.classifying.model import ClipModel
from har_bench.classifying.preparing import preparation
from har_bench.classifying.seen import of_detections
from har_bench.drawing import films
from har_bench.drawing.poses import draw
from har_bench.errors import HarBenchError, listed
from har_bench.files import destination
from har_bench.keypoints import Track, open_tracks
from har_bench.lifting.films import POSES, is_film
from har_bench.media.acting import names_of
from har_bench.media.answers import SUFFIXES, write_answers
from har_bench.media.frames import open_source
from har_bench.media.posing import pose
from har_bench.skeletons import skeleton

WINDOW_S = 2.0
"""Seconds about the middle of each second that are looked at."""

AT_ONCE = 256
GROUND = 40
"""How grey the picture is where there is no film."""


@dataclass(frozen=True)
class Told:
    """What one person does in one second.

    Attributes:
        person: the track's number.
        second: of the film.
        first: the first frame that was looked at, 0-based.
        last: the last one.
        scores: (C,) probabilities.
    """

    person: int
    second: int
    first: int
    last: int
    scores: Singles


def tell(
    model: ClipModel,
    source: str | Path,
    out: str | Path,
    *,
    labels: str = "",
    layout: str | None = None,
    window: float = WINDOW_S,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    video: str | None = None,
    pose_model: str = "blazepose",
    pictures: str | Path | None = None,
    overlay: str | Path | None = None,
    device: str = "",
    quiet: bool = True,
) -> str:
    """Tell what everybody in a film does, a label for each person and second.

    Args:
        model: a model of skeletons, with its weights.
        source: a file of 2D keypoints (docs/keypoints.md), or a film, in which they are found first.
        out: ``.csv``, ``.json`` or ``.parquet``: a row for each person and second.
        labels: the classes' names: a text file with one a line, or a protocol; else their numbers.
        layout: the joints of the keypoints, where the file does not say.
        window: seconds that are looked at, about the middle of each second.
        size: (width, height) of the film [px], where the file does not say.
        fps: frames per second, where the file does not say.
        video: which one, where the file holds several.
        pose_model: of a film: the model of images that finds the keypoints.
        pictures: of keypoints: the film behind them, to draw on.
        overlay: ``.mp4``, ``.gif`` or ``.png``: joints and labels on the pictures.
        device: for the model of images.
        quiet: no progress.

    Returns:
        What was seen and written, in a sentence, and a line for each thing to know.

    Raises:
        HarBenchError: joints of another layout than the model's, no rate, or files that cannot be read or written.
    """
    written, drawn = destination(out, *SUFFIXES), None if overlay is None else destination(overlay)
    if drawn is not None:
        films.check(drawn)
    if not window > 0:
        raise HarBenchError(f"a window of {window:g} s is none; give more than 0")
    learnt = model.known()
    said: list[str] = []
    if is_film(source, fps):
        found = written.with_suffix(POSES)
        where = {"device": device} if device else {}
        said.append(pose(pose_model, source, found, layout=learnt.layout.name, fps=fps, settings=where, quiet=quiet))
        source, pictures, layout, fps = found, source, None, None
    tracks = open_tracks(source, layout=layout, size=size, fps=fps, video=video)
    if drawn is not None and pictures is None and tracks[0].size is None:
        raise HarBenchError(
            f"the {tracks[0].taken_for} does not say how large the film is; give --pictures FILM, or width and height"
        )
    told = list(told_of(model, tracks, window))
    names = names_of(labels, learnt.classes)
    _write(written, told, names)
    if drawn is not None:
        _draw(drawn, tracks, told, names, pictures)
    counted = Counter(names[int(each.scores.argmax())] for each in told)
    most = listed([f"{name} in {count}" for name, count in counted.most_common(3)])
    people = f"{len(tracks)} {'person' if len(tracks) == 1 else 'persons'}"
    parts = [f"{people} of {tracks[0].taken_for} over {len(told)} seconds: {most}", f"written to {written}"]
    said.append("; ".join(parts + ([] if drawn is None else [f"drawn on {drawn}"])))
    return "\n".join([*said, *(f"note: {note}" for note in dict.fromkeys(each for t in tracks for each in t.notes))])


def told_of(model: ClipModel, tracks: Sequence[Track], window: float) -> Iterator[Told]:
    """What a model says of every person and second in which the person is there.

    Raises:
        HarBenchError: joints that the model has not learnt on, or no rate.
    """
    learnt = model.known()
    arrange = preparation(learnt.view)
    asked: list[tuple[int, int, int, int, Singles]] = []
    for track in tracks:
        if skeleton(track.layout).joints != learnt.layout.joints:
            raise HarBenchError(
                f"the model has learnt on {learnt.layout.name} and the {track.taken_for} has {track.layout}, whose "
                "joints are others; give keypoints of the same joints, or a model of these"
            )
        if not track.fps:
            raise HarBenchError(f"the {track.taken_for} does not say the film's frames per second; give --fps")
        scores = np.ones(track.points.shape[:2], np.float32) if track.scores is None else track.scores
        points = np.concatenate([track.points, scores[..., None]], axis=-1)
        for second, first, last in windows(track.start, len(points), track.fps, window):
            seen = of_detections(points[first - track.start : last + 1 - track.start], track.size or (None, None))
            asked.append((track.person, second, first, last, arrange.prepared(seen)))
    for start in range(0, len(asked), AT_ONCE):
        piece = asked[start : start + AT_ONCE]
        for (person, second, first, last, _), row in zip(
            piece, model.probabilities([clip for *_, clip in piece]), strict=True
        ):
            yield Told(person, second, first, last, row)


def windows(start: int, count: int, fps: float, seconds: float) -> list[tuple[int, int, int]]:
    """The seconds in which somebody is there, and the first and last frame of the window about each one's middle.

    Args:
        start: the first frame in which the person is there.
        count: how many there are.
        fps: frames per second.
        seconds: of the window, as far as the person is there.

    >>> windows(0, 5, 2.0, 1.0)
    [(0, 0, 1), (1, 2, 3), (2, 4, 4)]
    """
    end, length = start + count - 1, max(1, round(seconds * fps))
    found = []
    for second in range(int(start / fps), int(end / fps) + 1):
        first = round((second + 0.5) * fps - length / 2)
        found.append((second, min(max(first, start), end), max(min(first + length - 1, end), start)))
    return found


def _write(path: Path, told: Sequence[Told], names: Sequence[str]) -> None:
    rows = [
        {
            "person": each.person,
            "second": each.second,
            "first_frame": each.first,
            "last_frame": each.last,
            "label": names[best],
            "score": round(float(each.scores[best]), 6),
        }
        for each in told
        for best in [int(each.scores.argmax())]
    ]
    write_answers(path, rows, whole={"classes": list(names), "seconds": rows})


def _draw(
    path: Path, tracks: Sequence[Track], told: Sequence[Told], names: Sequence[str], pictures: str | Path | None
) -> None:
    """Everybody's joints and label on every frame."""
    said: Mapping[tuple[int, int], str] = {
        (each.person, each.second): f"{names[best]}  {each.scores[best]:.2f}"
        for each in told
        for best in [int(each.scores.argmax())]
    }
    rate, bones = float(tracks[0].fps or 0), skeleton(tracks[0].layout)
    with ExitStack() as stack:
        sheet = stack.enter_context(films.canvas(path, rate))
        for index, image in _images(stack, tracks, pictures, rate):
            there = [track for track in tracks if track.start <= index < track.start + len(track.points)]
            points: Floats = np.array([track.points[index - track.start] for track in there], np.float64)
            labels = [said.get((track.person, int(index / rate)), "") for track in there]
            sheet.add(draw(image, points.reshape(len(there), -1, 2), bones, labels=labels))


def _images(
    stack: ExitStack, tracks: Sequence[Track], pictures: str | Path | None, rate: float
) -> Iterator[tuple[int, Bytes]]:
    """The film's frames with their numbers; grey ones of its size where there is no film."""
    if pictures is not None:
        source = stack.enter_context(open_source(pictures, fps=rate if Path(pictures).is_dir() else None))
        for frame in source.frames():
            yield frame.index, frame.pixels
        return
    size = tracks[0].size
    assert size is not None  # noqa: S101 - `tell` has looked
    blank = np.full((size[1], size[0], 3), GROUND, np.uint8)
    for index in range(max(track.start + len(track.points) for track in tracks)):
        yield index, blank
