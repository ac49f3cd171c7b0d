"""People's 2D keypoints through a video in the wild, without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.keypoints import plausibility, track_files
from har_bench.keypoints.gaps import bridged
from har_bench.keypoints.layouts import converted, told_layout
from har_bench.keypoints.persons import Person, chosen, named, persons_of
from har_bench.keypoints.seen import Seen
from har_bench.keypoints.timeline import Rows, in_rows
from har_bench.skeletons import skeleton


@dataclass(frozen=True)
class Track:
    """A person in every frame of a video.

    Attributes:
        points: (T, J, 2) px; NaN only where a joint is in no frame at all.
        scores: (T, J) confidences, 0 where interpolated; None when the file has none.
        layout: the skeleton's name.
        size: (width, height) of the video [px], when it is known.
        fps: frames per second, when they are known.
        filled: in how many frames something was interpolated.
        taken_for: what the file was taken for, as told to the user.
        person: the tracker's id, or the number of a person linked here; 0 where the file is of one person.
        start: the frame of the first row.
        notes: what was left out, who else is there, and what looks wrong; a line each.
    """

    points: Singles
    scores: Singles | None
    layout: str
    size: tuple[int, int] | None
    fps: float | None
    filled: int
    taken_for: str
    person: int = 0
    start: int = 0
    notes: tuple[str, ...] = ()

    def in_layout(self, name: str) -> Track:
        """The same track in another layout; docs/keypoints.md says how far such joints are from measured ones.

        Raises:
            HarBenchError: there is no mapping, or a joint it needs is in no frame.
        """
        points, scores = converted(self.points, self.scores, skeleton(self.layout), skeleton(name))
        return replace(self, points=points, scores=scores, layout=name)


def open_track(
    path: str | Path,
    *,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    person: int | None = None,
    video: str | None = None,
    first_frame: int | None = None,
) -> Track:
    """A track from any file that ``docs/keypoints.md`` names, recognised by its content.

    Row 0 is frame 0, which is the first frame of the file. Frames and joints that the detector missed are interpolated;
    before the first and after the last sighting the person stands still, if for no longer than it was seen.

    Args:
        path: a file or folder.
        layout: the skeleton of the joints; only needed where the file does not say.
        size: (width, height) of the video [px]; the file's own when left out.
        fps: frames per second; the file's own when left out.
        person: the tracker's id of the person, or its number; without it the one seen in most frames.
        video: which one, when the file holds several.
        first_frame: the number in the file that is frame 0.

    Raises:
        HarBenchError: an unknown or damaged file, an unclear layout, no such person, nobody in any frame, or a gap
            longer than what was seen.
    """
    path = Path(path)
    told = _Told.of(path, track_files.read(path, video), layout, size, fps, first_frame)
    if person is not None and told.seen.alone:
        raise HarBenchError(f"{path} does not tell persons apart; leave the person out")
    one = chosen(path, told.persons, person)
    return told.track(one, told.span, told.introduced(one, person))


def open_tracks(
    path: str | Path,
    *,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    video: str | None = None,
    first_frame: int | None = None,
) -> list[Track]:
    """Everybody's track, each from the person's first sighting to the last, by their numbers; as :func:`open_track`.

    Raises:
        HarBenchError: as there; persons of whom too little was seen to fill their gaps are left out and named.
    """
    path = Path(path)
    told = _Told.of(path, track_files.read(path, video), layout, size, fps, first_frame)
    tracks: list[Track] = []
    left: list[str] = []
    for one in sorted(told.persons, key=lambda each: each.number):
        frames = int(one.frames[0]), int(one.frames[-1])
        try:
            tracks.append(told.track(one, frames, [named(told.persons)] if len(told.persons) > 1 else []))
        except HarBenchError as error:
            if len(told.persons) == 1:
                raise
            left.append(f"left out: {str(error).removeprefix(f'{path}: ')}")
    if not tracks:
        raise HarBenchError(f"{path} has nobody without long gaps ({left[0]}); track people again")
    return [replace(track, notes=(*track.notes, *left)) for track in tracks]


@dataclass(frozen=True)
class _Told:
    """What a file and the user say, and everybody who is in the file."""

    path: Path
    seen: Seen
    layout: str
    size: tuple[int, int] | None
    fps: float | None
    first: int
    persons: Sequence[Person]
    notes: tuple[str, ...]

    @staticmethod
    def of(
        path: Path,
        seen: Seen,
        layout: str | None,
        size: tuple[int, int] | None,
        fps: float | None,
        first_frame: int | None,
    ) -> _Told:
        size, fps = size or seen.size, fps or seen.fps
        if size is not None and min(size) <= 0:
            raise HarBenchError(f"a video of {size[0]} x {size[1]} px cannot be; give the size of {path}'s video")
        if fps is not None and not 0 < fps < float("inf"):
            raise HarBenchError(f"{fps:g} frames per second cannot be; give those of {path}'s video")
        name, points = told_layout(
            path, seen.people.points, given=layout, word=seen.word, joints=seen.joints, sides=seen.sides
        )
        points, scaled = _pixels(path, points, size, told=seen.shares)
        people = replace(seen.people, points=points)
        there = people.kept(people.seen)
        if not len(there):
            frames = seen.span[1] - seen.span[0] + 1
            raise HarBenchError(f"{path}: none of the {frames} frames has a joint to fill the others from; detect them")
        if seen.alone:
            persons, notes = [Person(0, there.frame, there.points, 1.0)], list[str]()
        else:
            persons, notes = persons_of(there)
        first = seen.span[0] if first_frame is None else first_frame
        return _Told(path, seen, name, size, fps, first, persons, (*seen.notes, *scaled, *notes))

    @property
    def span(self) -> tuple[int, int]:
        """The first and last frames that rows are wanted for: from frame 0 to the last of the file."""
        return self.first, self.seen.span[1]

    def introduced(self, one: Person, person: int | None) -> list[str]:
        """Who is there, where there is a choice."""
        if len(self.persons) < 2:
            return []
        return [f"{named(self.persons)}; took {one.number}" + (", --person chooses" if person is None else "")]

    def track(self, one: Person, span: tuple[int, int], introduced: Sequence[str]) -> Track:
        """One person's track over some frames."""
        who = "the person" if self.seen.alone or len(self.persons) == 1 else f"person {one.number}"
        several = "" if self.seen.alone or len(self.persons) == 1 else f"person {one.number}: "
        rows = in_rows(self.path, who, one.frames, one.points, first=self.first, span=span)
        places, scores, filled = bridged(rows.points)
        remarks = plausibility.remarks(rows.points, self.size, skeleton(self.layout))
        own = [f"{several}{line}" for line in [*self._left(one), *self._begins(rows, span), *remarks]]
        notes = (*introduced, *self.notes, *own)
        return Track(
            places, scores, self.layout, self.size, self.fps, filled, self.seen.taken_for, one.number, rows.start, notes
        )

    def _left(self, one: Person) -> list[str]:
        before = int((one.frames < self.first).sum())
        return [f"{before:,} frames before frame {self.first} are left out"] if before else []

    def _begins(self, rows: Rows, span: tuple[int, int]) -> list[str]:
        """Where the rows are not those of the whole file."""
        frames = rows.start + self.first, rows.start + self.first + len(rows.points) - 1
        wanted = max(span[0], self.first), span[1]
        if frames == wanted:
            return []
        of = f"{wanted[0]} to {wanted[1]}"
        return [f"rows are the file's frames {frames[0]} to {frames[1]} of {of}; the person is in no others"]


def _pixels(
    path: Path, points: Singles, size: tuple[int, int] | None, *, told: bool
) -> tuple[Singles, tuple[str, ...]]:
    """Keypoints in pixels, and what is to be said if they were none."""
    if plausibility.are_normalised(points):
        raise HarBenchError(
            f"{path} has coordinates between -1 and 1, so normalised ones; give pixels, as the detector found them"
        )
    guessed = not told and plausibility.are_shares(points)
    if not told and not guessed:
        return points, ()
    if size is None:
        raise HarBenchError(f"{path} has coordinates in fractions of the image (0 to 1); give its width and height")
    said = f"coordinates are between 0 and 1: taken for fractions of the image, times {size[0]} x {size[1]}"
    return plausibility.in_pixels(points, size), (said,) if guessed else ()
