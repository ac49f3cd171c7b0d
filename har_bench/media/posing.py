"""Poses of the people in anybody's pictures: an image, a folder, a video, a webcam."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from har_bench import __version__
from har_bench.drawing import films
from har_bench.drawing.poses import draw
from har_bench.errors import HarBenchError
from har_bench.files import destination
from har_bench.media.batches import in_groups
from har_bench.media.frames import USUAL_FPS, Frame, Source, Webcam, open_source
from har_bench.media.pixel_model import PixelModel
from har_bench.media.pose_files import Part, Sight, part_of, pose_schema, poses_of, writer
from har_bench.media.pose_parts import FRAMES_A_PART, Parts, fingerprint_of
from har_bench.media.poses import Poses
from har_bench.media.tracking import Watcher
from har_bench.progress import progress
from har_bench.running import make_baseline
from har_bench.skeletons import Mapping as Joints
from har_bench.skeletons import mapping, skeleton

STRETCHED = 4.0
"""Times as wide as high, or as high as wide: from here on a detector that sees a square sees too little."""


@dataclass
class Tally:
    """What was seen, for the last sentence."""

    pictures: int = 0
    empty: int = 0
    stretched: int = 0
    largest: int = 0
    people: set[int] = field(default_factory=set)
    sizes: tuple[int, int] | None = None

    def count(self, part: Part) -> None:
        """Add a part."""
        sizes = [part.frames[name].to_numpy() for name in ("width", "height")]
        self.sizes = self.sizes or (int(sizes[0][0]), int(sizes[1][0]))
        keys = zip(part.poses["sequence"].to_pylist(), part.poses["frame"].to_pylist(), strict=True)
        counts: dict[tuple[str, int], int] = {}
        for key in keys:
            counts[key] = counts.get(key, 0) + 1
        self.pictures += part.frames.num_rows
        self.empty += part.frames.num_rows - len(counts)
        self.largest = max(self.largest, *counts.values(), 0) if counts else self.largest
        self.stretched += int((np.maximum(*sizes) > STRETCHED * np.minimum(*sizes)).sum())
        self.people |= set(part.poses["person"].to_pylist())

    def words(self, source: Source) -> list[str]:
        """The tally in sentences' parts."""
        kind = "frames" if source.film else "pictures"
        said = [f"{self.pictures:,} {kind if self.pictures != 1 else kind[:-1]} of {source.name}"]
        if self.empty == self.pictures:
            said.append("nobody was found")
        else:
            many = len(self.people) if source.film else self.largest
            said.append(f"{many} {'person' if many == 1 else 'people'}" + ("" if source.film else " at most"))
            said += [f"nobody in {self.empty:,} of them"] if self.empty else []
        if self.stretched:
            said.append(
                f"{self.stretched:,} of them {'is' if self.stretched == 1 else 'are'} so long that a detector, which "
                "sees a small square, misses most people; cut them into pieces"
            )
        return said


def pose(
    baseline: str | PixelModel,
    source: str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    layout: str | None = None,
    people: int = 0,
    every: int = 1,
    max_frames: int | None = None,
    fps: float | None = None,
    smooth: str = "",
    overlay: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> str:
    """Find people in pictures, and write where their joints are.

    Interrupted work on a file or folder goes on where it stopped when it is asked for again; the result is the same.

    Args:
        baseline: a model of images: a registered name, ``package.module:Name``, or an instance.
        source: an image, a folder of images, a video, or a webcam's number.
        out: ``.parquet``, ``.json`` (COCO's) or ``.npz``.
        weights: the model's weights, where it does not find them by itself.
        layout: the joints to write; by default the model's own.
        people: at most so many in a picture; 0 is everybody.
        every: look at one frame in so many.
        max_frames: look at no more than so many.
        fps: frames per second, which make a folder a film.
        smooth: steady a film's points, in a way that the model knows, such as ``true``.
        overlay: an ``.mp4``, ``.gif`` or ``.png`` with the poses drawn on the pictures.
        settings: the model's options, by name.
        quiet: no progress.

    Returns:
        What was seen and written, in a sentence.

    Raises:
        HarBenchError: no model of images, pictures that cannot be read, or files that cannot be written.
    """
    out, overlay = destination(out), None if overlay is None else destination(overlay)
    writer(out)
    if overlay is not None:
        films.check(overlay)
    if every < 1 or (max_frames is not None and max_frames < 1) or people < 0:
        raise HarBenchError("every and max-frames count from 1, people from 0; give whole numbers")
    if of_stores := [name for name in ("boxes", "images") if name in (settings or {})]:
        raise HarBenchError(
            f"{of_stores[0]} is for `har-bench run`, on a store; leave it out: people are looked for here"
        )
    model = make_baseline(baseline, settings)
    if not isinstance(model, PixelModel):
        raise HarBenchError(f"{baseline} is no model of images; `har-bench list baselines` has some")
    model.boxes = "own" if model.detects else "full"
    joints = mapping(skeleton(model.layout), skeleton(layout or model.layout))
    if weights is not None:
        model.load(Path(weights))
    with open_source(source, fps=fps, workers=model.workers) as opened:
        which = slice(0, None if max_frames is None else max_frames * every, every)
        watcher = model.watcher(people, **({"smooth": smooth} if smooth else {})) if opened.film else None
        work = Work(model, opened, joints, which, people, watcher, smooth)
        said = work.run(out, Path(source), overlay, quiet=quiet)
    return "; ".join(said)


@dataclass
class Work:
    """One piece of work: what to look at, with what, and how.

    Attributes:
        model: looks.
        source: what it looks at.
        joints: from the model's layout to the one to be written.
        which: frames of the source.
        people: at most so many in a picture; 0 is everybody.
        watcher: follows people through a film; None for pictures of anything.
        smooth: how the watcher steadies points.
        tally: what was seen so far.
    """

    model: PixelModel
    source: Source
    joints: Joints
    which: slice
    people: int
    watcher: Watcher | None
    smooth: str
    tally: Tally = field(default_factory=Tally)

    def run(self, out: Path, path: Path, overlay: Path | None, *, quiet: bool) -> list[str]:
        """Look at everything, write and draw; parts of the last sentence."""
        parts = Parts(out.with_name(out.name + ".partial"), self._identity(path))
        said = ["an unfinished run with other options was thrown away"] if parts.threw_away else []
        done, began = parts.done * FRAMES_A_PART, time.perf_counter()
        with ExitStack() as stack:
            stack.callback(parts.remove_if_empty)
            sheet = None if overlay is None else stack.enter_context(films.canvas(overlay, self._pace))
            for part in parts:
                self.tally.count(part)
            if done:
                said.append(f"went on after {self.tally.pictures:,} of an interrupted run")
                self._go_on(parts, sheet)
            self._look(parts, sheet, done, quiet=quiet)
        pace = (self.tally.pictures - done) / max(time.perf_counter() - began, 1e-9)
        writer(out)(out, parts, self.joints.target, self._facts())
        parts.remove()
        drawn = [] if overlay is None else [f"drawn on {overlay}"]
        return [*self.tally.words(self.source), *said, f"{pace:.1f} a second", f"written to {out}", *drawn]

    def _look(self, parts: Parts, sheet: films.Canvas | None, done: int, *, quiet: bool) -> None:
        """Look at what no part has yet."""
        schema = pose_schema(self.joints.target, in_space=self.model.in_space)
        sights: list[Sight] = []

        def finish() -> None:
            if sights:
                part = part_of(sights, schema)
                parts.add(part, self.watcher.state() if self.watcher else {})
                self.tally.count(part)
                sights.clear()

        total = self._total() - done
        with progress("pose", total, quiet=quiet or total <= 0) as bar:
            try:
                for frame, seen in self._seen(self._behind(done)):
                    poses = seen.mapped(self.joints)
                    self._draw(sheet, frame, poses)
                    size = frame.pixels.shape[1], frame.pixels.shape[0]
                    sights.append(Sight(frame.sequence, frame.index, frame.seconds, size, poses))
                    bar.advance(rows=len(poses))
                    if len(sights) == FRAMES_A_PART:
                        finish()
            except KeyboardInterrupt:
                if not isinstance(self.source, Webcam):  # a camera has no other end
                    raise
            finish()

    def _seen(self, which: slice) -> Iterator[tuple[Frame, Poses]]:
        """Frames and the persons in them, in the model's joints."""
        if self.watcher:
            for frame in self.source.frames(which):
                yield frame, self.watcher(frame.pixels, frame.seconds)
            return
        for group in in_groups(self.source.frames(which), self.model.batch):
            for frame, poses in zip(group, self.model.look([frame.pixels for frame in group], None), strict=True):
                yield frame, poses.take(list(range(min(self.people or len(poses), len(poses)))))

    def _go_on(self, parts: Parts, sheet: films.Canvas | None) -> None:
        """Take up the state of interrupted work, and draw what it had seen."""
        if self.watcher:
            self.watcher.resume(parts.state())
        if sheet:
            seen = (poses for part in parts for poses in poses_of(part))
            for poses, frame in zip(seen, self.source.frames(self.which), strict=False):
                self._draw(sheet, frame, poses)

    def _draw(self, sheet: films.Canvas | None, frame: Frame, poses: Poses) -> None:
        if sheet is None:
            return
        named = range(len(poses)) if poses.person is None else poses.person.tolist()
        labels = [f"{number}  {score:.2f}" for number, score in zip(named, poses.score, strict=True)]
        bones = self.joints.target
        sheet.add(draw(frame.pixels, poses.points, bones, scores=poses.scores, boxes=poses.boxes, labels=labels))

    def _behind(self, done: int) -> slice:
        return slice(self.which.start + done * self.which.step, self.which.stop, self.which.step)

    def _total(self) -> int:
        """How many pictures there are to look at; 0 where nobody knows."""
        if self.source.count is None:
            return 0 if self.which.stop is None else self.which.stop // self.which.step
        return len(range(self.source.count)[self.which])

    @property
    def _pace(self) -> float | None:
        """Pictures a second of the overlay."""
        return (self.source.fps or USUAL_FPS) / self.which.step if self.source.film else None

    def _identity(self, path: Path) -> dict[str, Any]:
        """What makes this the same work as an interrupted one."""
        live = isinstance(self.source, Webcam)
        return {
            "har_bench": __version__,
            "source": str(time.time()) if live else f"{path.absolute()} {fingerprint_of(path)}",
            "which": [self.which.stop, self.which.step],
            "fps": self.source.fps,
            "people": self.people,
            "smooth": self.smooth,
            "layout": self.joints.target.name,
            "model": {name: str(value) for name, value in self.model.describe().items()},
        }

    def _facts(self) -> dict[str, str]:
        """What the file says of itself."""
        facts = {"layout": self.joints.target.name, "film": str(self.source.film).lower(), "har_bench": __version__}
        if self.source.film and self.tally.sizes:
            width, height = self.tally.sizes
            facts |= {"width": str(width), "height": str(height)}
        if self.source.fps:
            facts["fps"] = f"{self.source.fps:.6g}"
        if self.smooth:
            facts["smooth"] = self.smooth
        return facts | {
            f"model.{name}": str(value) for name, value in self.model.describe().items() if name != "layout"
        }
