"""Actions in anybody's film, clip by clip: a window of frames that moves on by half its length."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.drawing import films
from har_bench.drawing.poses import draw
from har_bench.errors import HarBenchError, listed
from har_bench.files import destination
from har_bench.foreign import opening, texts
from har_bench.media.actor import Actor
from har_bench.media.answers import SUFFIXES, write_answers
from har_bench.media.frames import USUAL_FPS, Frame, Source, Webcam, open_source
from har_bench.media.pixel_model import PixelModel
from har_bench.progress import progress
from har_bench.protocol import make_protocol
from har_bench.running import make_baseline
from har_bench.schema import vector
from har_bench.skeletons import Skeleton

NOBODY = Skeleton(name="nobody", family="nobody", about="no joints to draw", joints=("none",), parents=(-1,))


class Clip(NamedTuple):
    """What was said of a clip.

    Attributes:
        first: its first frame, 0-based.
        last: its last one.
        seconds: when it begins, since the film does.
        scores: (C,) probabilities.
    """

    first: int
    last: int
    seconds: float
    scores: Floats


def classify(
    baseline: str | Actor,
    source: str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    labels: str = "",
    hop: int = 0,
    max_frames: int | None = None,
    fps: float | None = None,
    overlay: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> str:
    """Tell what somebody does in a film.

    Args:
        baseline: a model of clips of pictures: a registered name, ``package.module:Name``, or an instance.
        source: a video, a webcam's number, or a folder of images with ``fps``.
        out: ``.json``, ``.csv``, or ``.parquet`` in our columns.
        weights: the model's weights.
        labels: the classes' names: a text file with one a line, or a protocol; by default what the model knows.
        hop: frames between the beginnings of clips; half a clip by default.
        max_frames: look at no more than so many.
        fps: frames per second, which make a folder a film.
        overlay: an ``.mp4``, ``.gif`` or ``.png`` with the action written on the pictures.
        settings: the model's options, by name.
        quiet: no progress.

    Returns:
        What was seen and written, in a sentence.

    Raises:
        HarBenchError: no model of clips, no film, or files that cannot be written.
    """
    out, overlay = destination(out, *SUFFIXES), None if overlay is None else destination(overlay)
    if overlay is not None:
        films.check(overlay)
    if hop < 0 or (max_frames is not None and max_frames < 1):
        raise HarBenchError("hop and max-frames count frames; give whole numbers from 1")
    model = make_baseline(baseline, settings)
    if not isinstance(model, Actor):
        raise HarBenchError(f"{baseline} tells no actions from pictures; `har-bench list baselines` has models")
    if weights is not None:
        model.load(Path(weights))
    frames, step = model.clip()
    if isinstance(model, PixelModel):
        model.boxes = "own"
    told = model.describe()
    with open_source(source, fps=fps) as opened:
        if not opened.film:
            raise HarBenchError(f"{source} is no film, and actions take time; give a video, or a folder with --fps")
        work = Work(model, opened, frames, step, hop or max(1, frames * step // 2), labels or model.labels_of)
        work.run(overlay, max_frames, quiet=quiet)
    names = work.names
    _write(out, work.clips, names, opened, told)
    counted = Counter(names[int(clip.scores.argmax())] for clip in work.clips)
    seen = listed(f"{name} in {count}" for name, count in counted.most_common(3))
    drawn = [] if overlay is None else [f"drawn on {overlay}"]
    return "; ".join([f"{len(work.clips)} clips of {opened.name}: {seen}", f"written to {out}", *drawn])


@dataclass
class Work:
    """A film, and what was said of its clips.

    Attributes:
        model: looks.
        source: the film.
        frames: that it sees of a clip.
        step: one in so many of the film's.
        hop: frames between the beginnings of clips.
        labels: what names the classes, see :func:`names_of`.
        clips: what was said so far.
        names: the classes', once a clip was judged.
    """

    model: Actor
    source: Source
    frames: int
    step: int
    hop: int
    labels: str
    clips: list[Clip] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def run(self, overlay: Path | None, most: int | None, *, quiet: bool) -> None:
        """Look at the film to its end, or until somebody stops a camera.

        Raises:
            HarBenchError: it has no frame, or its classes are others than those that have names.
        """
        total = self.source.count or 0
        looks = self._looks(min(total, most or total))
        box: Floats = np.full(4, np.nan)
        with ExitStack() as stack:
            sheet = None if overlay is None else stack.enter_context(films.canvas(overlay, self.source.fps))
            bar = stack.enter_context(progress("classify", looks, quiet=quiet or not total))
            waiting: list[Frame] = []
            for window, new in self._windows(self.source.frames(slice(0, most))):
                waiting += new
                bar.advance(rows=len(new))
                if window:
                    box = self._look(window)
                    self._draw(sheet, waiting, box)
                    waiting = []
            if self.clips:
                self._draw(sheet, waiting, box)
        if not self.clips:
            raise HarBenchError(f"{self.source.name} has no frame; give a film")

    @property
    def length(self) -> int:
        """Frames of the film from a clip's first to its last."""
        return (self.frames - 1) * self.step + 1

    def _looks(self, count: int) -> int:
        """How often so many frames are looked at, with the last that fill no clip."""
        return 1 if count < self.length else (count - self.length) // self.hop + 2

    def _windows(self, frames: Iterator[Frame]) -> Iterator[tuple[list[Frame], list[Frame]]]:
        """Clips as they are full, with the frames that are new in each; a film that is too short is one clip."""
        length = self.length
        held: deque[Frame] = deque(maxlen=length)
        new: list[Frame] = []
        full = False
        try:
            for frame in frames:
                held.append(frame)
                new.append(frame)
                if len(held) == length and len(new) >= (self.hop if full else length):
                    full = True
                    yield list(held), new
                    new = []
        except KeyboardInterrupt:
            if not isinstance(self.source, Webcam):  # a camera has no other end
                raise
        yield ([] if full else list(held)), new

    def _look(self, window: Sequence[Frame]) -> Floats:
        """Judge a clip; (4,) the box of whom it shows."""
        places = np.linspace(0, len(window) - 1, self.frames).round().astype(int)
        found = self.model.act([[window[place].pixels for place in places]])
        self.names = self.names or names_of(self.labels, len(found.scores[0]))
        self.clips.append(Clip(window[0].index, window[-1].index, window[0].seconds, found.scores[0]))
        box: Floats = found.boxes[0]
        return box

    def _draw(self, sheet: films.Canvas | None, frames: Sequence[Frame], box: Floats) -> None:
        if sheet is None:
            return
        scores = self.clips[-1].scores
        best = int(scores.argmax())
        for frame in frames:
            shown = box if np.isfinite(box).all() else np.array([0.0, 0, 0, 0])
            text = [f"{self.names[best]}  {scores[best]:.2f}"]
            sheet.add(draw(frame.pixels, np.full((1, 1, 2), np.nan), NOBODY, boxes=shown[None], labels=text))


def names_of(labels: str, count: int) -> list[str]:
    """The names of so many classes.

    Raises:
        HarBenchError: a file or protocol of another number.
    """
    if not labels:
        return [f"class {number}" for number in range(count)]
    path = Path(labels)
    if path.is_file():
        found = [line.strip() for line in texts.lines(opening.read(path), labels) if line.strip()]
    else:
        found = list(getattr(make_protocol(labels), "codes", ()))
    if len(found) != count:
        raise HarBenchError(f"{labels} names {len(found)} classes, and the model tells {count} apart; give its own")
    return found


def _write(path: Path, clips: Sequence[Clip], names: Sequence[str], source: Source, told: Mapping[str, Any]) -> None:
    best = [int(clip.scores.argmax()) for clip in clips]
    rows = [
        {
            "clip": number,
            "first_frame": clip.first,
            "last_frame": clip.last,
            "seconds": round(clip.seconds, 3),
            "label": names[one],
            "score": round(float(clip.scores[one]), 6),
        }
        for number, (clip, one) in enumerate(zip(clips, best, strict=True))
    ]
    table = pa.Table.from_pylist([{"sequence": Path(source.name).stem, **row} for row in rows])
    table = table.append_column("scores", vector(np.array([clip.scores for clip in clips], np.float32)))
    whole = {
        "source": source.name,
        "fps": source.fps or USUAL_FPS,
        "model": {name: str(value) for name, value in told.items()},
        "classes": list(names),
        "clips": [
            row | {"scores": [round(float(value), 6) for value in clip.scores]}
            for row, clip in zip(rows, clips, strict=True)
        ],
    }
    write_answers(path, rows, table=table, whole=whole)
