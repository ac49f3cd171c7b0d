"""From what the network says of a window to what is said of the key frame, as LART's evaluator does it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Floats, Singles
from har_bench.errors import HarBenchError
from har_bench.schema import column, vector
from har_bench.store import Store

from .clips import Clip, Person
from .windows import Quirks

FPS, BEGINNING = 30, 900
"""AVA's frames are numbered at 30 per second from second 900 on."""

SCORED = range(902, 1799)
"""The seconds of a film that AVA annotates."""

_TEST = re.compile(r"track\.fullframe@(?:avg\.(?P<half>\d+)|(?P<truth>GT))?")
_NUMBER = re.compile(r"(\d+)\D*$")


class Test(NamedTuple):
    """Which scores a key frame gets.

    Attributes:
        kind: the mean over frames about it, its own, or its labels.
        half: how many frames before it are in the mean, and with it so many from it on.
    """

    kind: Literal["average", "frame", "truth"]
    half: int = 0


def test_of(text: str) -> Test:
    """LART's ``test_type``.

    >>> test_of("track.fullframe@avg.6"), test_of("track.fullframe@GT").kind
    (Test(kind='average', half=6), 'truth')

    Raises:
        HarBenchError: it is none.
    """
    matched = _TEST.fullmatch(text)
    if matched is None or matched["half"] == "0":
        raise HarBenchError(f"test is {text!r}; give track.fullframe@avg.6, track.fullframe@ or track.fullframe@GT")
    if matched["half"]:
        return Test("average", int(matched["half"]))
    return Test("truth" if matched["truth"] else "frame")


def second_of(keyframe: int) -> int:
    """The second of the film that a key frame is in.

    >>> second_of(150)
    905
    """
    return keyframe // FPS + BEGINNING


def scored_second(keyframe: int | None, annotated: Sequence[float] | None) -> float | None:
    """The second of a key frame under which AVA scores it; None where it does not.

    Args:
        keyframe: the number in a clip's name.
        annotated: of a clip of Kinetics' the annotated seconds, as a rule one: it is meant, whatever the number counts
            from. None of a film of AVA's, whose frames are numbered at 30 per second from second 900 on.

    >>> scored_second(150, None), scored_second(0, None), scored_second(150, [4.25, 71.5])
    (905.0, None, 4.25)
    """
    if keyframe is None:
        return None
    if annotated is not None:
        return min(annotated, key=lambda second: abs(second - keyframe / FPS), default=None)
    return float(second_of(keyframe)) if second_of(keyframe) in SCORED else None


def annotated_at(store: Store, videos: Collection[str]) -> Mapping[str, Sequence[float]]:
    """The annotated seconds of those videos that are clips of Kinetics', in a store of AVA's annotations."""
    infos = store.sequences.select(["sequence", "splits", "empty"]).to_pylist()
    clips = {
        info["sequence"]: set(info["empty"] or ())
        for info in infos
        if info["sequence"] in videos and info["splits"] and all(map(_of_kinetics, info["splits"]))
    }
    if clips:
        rows = store.table("segments", ["sequence", "timestamp"])
        rows = rows.filter(pc.is_in(rows["sequence"], pa.array(clips, rows.schema.field("sequence").type)))
        for video, second in zip(rows["sequence"].to_pylist(), rows["timestamp"].to_pylist(), strict=True):
            clips[video].add(second)
    return {video: sorted(seconds) for video, seconds in clips.items()}


def by_second(clip: Clip) -> Iterator[Clip]:
    """A clip about a key frame as it is; the tracks of a whole film once for each of its seconds that AVA annotates."""
    if clip.keyframe is not None or clip.video is None:
        yield clip
        return
    frames = np.unique(np.concatenate([person.frame for person in clip.people]))
    for frame in frames[frames % FPS == 0].tolist():
        if second_of(frame) in SCORED:
            yield clip._replace(keyframe=frame, by_frame=True)


def _of_kinetics(split: str) -> bool:
    return split.startswith("kinetics")


def key_row(clip: Clip, person: Person, quirks: Quirks) -> int | None:
    """The last row of the key frame in a track: the number at the end of its name is that of the key frame.

    None where the track has none, or the person was not detected there. LART asks whether the name contains the six
    digits, anywhere (``quirks``).
    """
    if clip.keyframe is None:
        return None
    if clip.by_frame:
        rows = np.flatnonzero((person.frame == clip.keyframe) & person.detected)
        return int(rows[-1]) if len(rows) else None
    digits = f"{clip.keyframe:06d}"
    for row in range(len(person) - 1, -1, -1):
        name = person.name[row]
        number = _NUMBER.search(PurePosixPath(name).stem)
        if digits in name if quirks == "lart" else number is not None and int(number[1]) == clip.keyframe:
            return row if person.detected[row] else None
    return None


def scores(test: Test, probabilities: Singles, key: int, count: int) -> Singles:
    """(C,) the key frame's scores, of (T, C) probabilities of a window; ``count`` of its frames are of the track."""
    if test.kind == "frame":
        return np.asarray(probabilities[key])
    window = probabilities[max(key - test.half, 0) : min(key + test.half, count)]
    return np.asarray(window.mean(axis=0))


def box_of(person: Person, row: int) -> Floats:
    """(4,) x1, y1, x2, y2 as fractions of the frame.

    Raises:
        HarBenchError: the tracklet does not say how large the frame is.
    """
    height, width = person.size[row]
    if not height or not width or not np.isfinite(person.size[row]).all():
        raise HarBenchError(
            f"track {person.track} does not say how large {person.name[row]} is (frame_size); convert whole tracklets, "
            "or gt_tracks with --option size="
        )
    x, y, w, h = person.box[row]
    return np.array([x / width, y / height, (x + w) / width, (y + h) / height])


class Told(NamedTuple):
    """What is said of one person in a key frame.

    Attributes:
        second: of the film, or of the clip.
        box: (4,) fractions of the frame.
        confidence: of the detector.
        scores: (C,) of the actions.
    """

    second: float
    box: Floats
    confidence: float
    scores: Singles


def detections(video: str, told: Sequence[Told], actions: Sequence[int], wanted: Sequence[int]) -> pa.Table:
    """Detections as ``ava/frame-map`` takes them: a row for each person and action.

    Args:
        video: its name.
        told: what is said of people, of
        actions: these, by number.
        wanted: those among them that are scored.
    """
    people, kinds = len(told), len(wanted)
    boxes = np.array([each.box for each in told], np.float64).reshape(people, 4)
    columns = [list(actions).index(action) for action in wanted]
    scores_of = [np.asarray(each.scores, np.float64)[columns] for each in told]
    return pa.table(
        {
            "sequence": pa.repeat(video, people * kinds),
            "timestamp": np.repeat([each.second for each in told], kinds),
            "label": np.tile(np.asarray(wanted, np.int32), people),
            "score": np.concatenate(scores_of or [np.zeros(0)]),
            "confidence": np.repeat([float(each.confidence) for each in told], kinds),
        }
    ).append_column(column("bbox_normalised", pa.float64(), shape=(4,)), vector(np.repeat(boxes, kinds, axis=0)))
