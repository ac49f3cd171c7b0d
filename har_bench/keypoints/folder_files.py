"""Keypoints of videos in folders: a file a frame (OpenPose, ultralytics, MMPose), or a file a video (Detectron)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from har_bench.arrays import Singles
from har_bench.errors import HarBenchError, unknown
from har_bench.foreign import opening
from har_bench.foreign.npz import open_npz
from har_bench.keypoints.json_files import Json, has_document, of_video, read_frames, usual
from har_bench.keypoints.npz_files import of_detectron
from har_bench.keypoints.numbering import numbers_of
from har_bench.keypoints.people import People, unseen_as_nan
from har_bench.keypoints.recognising import are_media
from har_bench.keypoints.seen import Seen, one_video, the_one
from har_bench.skeletons import names, skeleton

BOX = 5
"""The first numbers of a line of a label: a class, and a box."""
MOST_ID = 1 << 53
"""A tracker's ids are numbers below it: from it on, not every whole number is a double."""

OPENPOSE = r"(.*?)_?(\d+)_keypoints\.json"


def from_folder(path: Path, video: str | None) -> Seen:
    """What a folder's files are, told by their names.

    Raises:
        HarBenchError: it has no files of keypoints.
    """
    there = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    for reader, files in (
        (_openpose, [each for each in there if re.fullmatch(OPENPOSE, each.name)]),
        (_labels, [each for each in there if each.suffix == ".txt"]),
        (_labels, sorted((path / "labels").glob("*.txt"))),
        (_frames, [each for each in there if each.suffix == ".json"]),
        (_detectron, sorted(path.rglob("*.npz"))),
    ):
        if files:
            return reader(path, files, video)
    if are_media(there):
        raise HarBenchError(
            f"{path} holds images or videos; run a 2D pose detector on them (`har-bench pose` is one), and give its "
            "keypoints; images of one film are lifted with their --fps"
        )
    raise HarBenchError(
        f"{path} has no *_keypoints.json of OpenPose, no labels and no .npz; give that folder, or one file of keypoints"
    )


def _openpose(path: Path, files: Sequence[Path], video: str | None) -> Seen:
    """OpenPose's folder, a file ``NAME_000000000012_keypoints.json`` per frame. BODY_25 is ``body25``."""
    matched = {file: match for file in files if (match := re.fullmatch(OPENPOSE, file.name))}
    name = the_one(path, sorted({match[1] for match in matched.values()}), video)
    frames = {file: int(match[2]) for file, match in matched.items() if match[1] == name}
    return _numbered(read_frames(path, frames), frames, "OpenPose's folder of json")


def _frames(path: Path, files: Sequence[Path], video: str | None) -> Seen:
    """A json file a frame; or one of results, beside one that names their images."""
    one_video(path, video)
    if len(files) < 3 and has_document(files):
        return of_video(path)
    numbers = numbers_of(path, [file.name for file in files])
    frames = {file: numbers[file.name] for file in files}
    return _numbered(read_frames(path, frames), frames, "a folder of json, a file a frame")


def _numbered(found: Json, frames: Mapping[Path, int], taken_for: str) -> Seen:
    """The frames of files whose detections' images are the files."""
    numbers = {file.name: number for file, number in frames.items()}
    people = People(
        np.array([numbers[str(image)] for image in found.image], np.int64), found.points, found.score, found.person
    )
    span = min(frames.values()), max(frames.values())
    return Seen(taken_for, people, span, word=usual(found), joints=found.joints, notes=found.notes)


def _labels(path: Path, files: Sequence[Path], video: str | None) -> Seen:
    """Ultralytics' ``labels/NAME_12.txt``: a line a person of class, box, joints, perhaps a confidence and an id.

    Coordinates are fractions of width and height. A frame without a file is one without anybody.
    """
    if video is not None:
        files = [file for file in files if re.fullmatch(rf"{re.escape(video)}_?\d+", file.stem)]
        if not files:
            raise HarBenchError(f"{path} has no label called {video}_1.txt or alike; see the names there")
    numbers = numbers_of(path, [file.name for file in files])
    rows = [(numbers[file.name], _line(file, text)) for file in files for text in _lines(file) if text.strip()]
    if not rows:
        raise HarBenchError(f"{path} has nobody in its {len(files)} labels; is it the right folder?")
    joints, width = _format(path, Counter(len(line) - BOX for _, line in rows))
    kept = [(frame, line) for frame, line in rows if line[0] == 0 or all(other[0] for _, other in rows)]
    size = joints * width
    points = np.array([line[BOX : BOX + size] for _, line in kept], np.float32).reshape(len(kept), joints, width)
    extra = [line[BOX + size :] for _, line in kept]
    ids = np.array(
        [int(more[-1]) if more and 1 <= more[-1] < MOST_ID and more[-1] % 1 == 0 else -1 for more in extra], np.int64
    )
    sure = np.array([more[0] if more and 0 <= more[0] <= 1 else 1.0 for more in extra])
    notes = (f"{len(rows) - len(kept):,} labels of other classes than 0 are left out",) if len(kept) < len(rows) else ()
    people = People(
        np.array([frame for frame, _ in kept], np.int64),
        unseen_as_nan(points),
        sure,
        None if (ids < 0).all() else ids,
    )
    span = min(numbers.values()), max(numbers.values())
    word = "coco" if joints == 17 else None
    return Seen("ultralytics' labels", people, span, word=word, shares=True, notes=notes)


def _lines(file: Path) -> list[str]:
    return opening.read(file, "give labels of ultralytics").decode("utf-8", "replace").splitlines()


def _line(file: Path, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise HarBenchError(f"{file} is no label of ultralytics ({error}); give the folder of a pose model") from error


def _format(path: Path, lengths: Counter[int]) -> tuple[int, int]:
    """How many joints a line has, and numbers a joint: COCO's 17 of three first, then what leaves the least over."""
    known = {len(skeleton(name)) for name in names()}
    usual = lengths.most_common(1)[0][0]
    fitting = [
        (joints != 17 or width != 3, width != 3, usual - joints * width, joints, width)
        for joints in known
        for width in (2, 3)
        if 0 <= usual - joints * width <= 2 and min(lengths) >= joints * width
    ]
    if not fitting:
        raise HarBenchError(f"{path} has labels without keypoints of a known skeleton; give those of a pose model")
    *_, joints, width = min(fitting)
    return joints, width


def _detectron(path: Path, files: Sequence[Path], video: str | None) -> Seen:
    """Detectron's ``FOLDER/NAME.mp4.npz``, one for each video."""
    by_name = {video_name(path, file): file for file in files}
    file = by_name[the_one(path, by_name, video)]
    archive = open_npz(file)
    for name in ("boxes", "keypoints"):
        if name not in archive:
            raise unknown(f"array of {file}", name, archive, hint="give Detectron's folder")
    return of_detectron(file, archive)


def video_name(folder: Path, file: Path) -> str:
    """``S1/Walking.54138969`` of ``S1/Walking.54138969.mp4.npz`` in a folder."""
    name = file.relative_to(folder).as_posix().removesuffix(".npz")
    return re.sub(r"\.(mp4|avi|mov|mkv|webm|mpg|mpeg|m4v)$", "", name, flags=re.IGNORECASE)


def best_of(file: Path) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Singles]:
    """Frames and joints of the best person in each frame of one of Detectron's files."""
    return of_detectron(file, open_npz(file)).people.best()
