"""MERL Shopping: 106 videos of 41 people before a shelf, 5 actions (Singh et al., CVPR 2016)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from har_bench.converter import Check, Converter, Reject, Shard, Tables, without
from har_bench.raw import files, home, in_any_case, nothing_found, refuse_archive, split_word
from har_bench.schema import SEGMENTS as ALL_SEGMENTS
from har_bench.schema import column, poses_schema, sequences_schema, table, vector

from .clips import JOINTS, MARKS, OCCLUDED, VISIBLE, Annotation, Clip, is_clips, read_clips
from .labels import CLASSES, Instances, Scored, read_instances, read_scored

if TYPE_CHECKING:
    from har_bench.store import Store

SEQUENCES = sequences_schema(
    [
        column("session", pa.int32(), about="1 to 3, of the subject"),
        column("video", pa.string(), about="a clip's video; null for whole videos"),
        column("start", pa.int32(), "frames", about="a clip's first frame in its video, 0-based"),
        column("stop", pa.int32(), "frames", about="the frame after a clip's last one"),
        column("results_row", pa.int32(), about="1-based row of Results/frame_names.txt where the video begins"),
        column(
            "results_thumb",
            pa.int32(),
            about="number in that row's name: thumb t shows the 0-based frames 2t - 2 and 2t - 1",
        ),
        column(
            "results_labels",
            pa.list_(pa.uint8()),
            about="class of each of the video's rows, at 15 fps: class_id - 1, or 5 for background",
        ),
    ]
)
SEGMENTS = pa.schema(
    [
        *ALL_SEGMENTS,
        column("class_id", pa.uint8(), about="c of tlabs{c}, 1 to 5"),
        column("row", pa.int32(), about="1-based row in tlabs{c}, which is in no order of time"),
    ]
)
POSES = poses_schema(
    JOINTS,
    points=pa.float64(),
    extras=[
        column(
            "flags",
            pa.uint8(),
            shape=(JOINTS,),
            about="raw code: 0 occluded, 1 visible, 2 not labelled; 255 = the record has no keypoints",
        ),
        column("origin", pa.string(), about="the file that the record is from"),
        column("record", pa.int32(), about="0-based position in that file"),
        column("image", pa.string(), about="img_paths or url of the record"),
        column("image_id", pa.int64()),
        column("num_keypoints", pa.int32(), about="as the file says; it is not the number of labelled joints"),
        column("objpos", pa.float64(), "px", shape=(2,), about="centre of the person"),
        column("area", pa.float64(), "px^2", about="segment_area"),
        column("scale", pa.float64(), about="scale_provided, the box's height / 368"),
        column("segmentation", pa.string(), about="json of segmentations"),
        column("others", pa.string(), about="json of processed_other_annotations: other persons of the image"),
    ],
)

LABELS = "Labels_MERL_Shopping_Dataset"
FRAMES = Path("Results", "frame_names.txt")
FPS, WIDTH, HEIGHT = 30.0, 920, 680

SPLITS = {"train": range(1, 21), "val": range(21, 27), "test": range(27, 42)}
"""Subjects of each split (README of the download)."""

SESSIONS = {subject: 3 if subject <= 32 else 2 if subject == 41 else 1 for subject in range(1, 42)}
"""How many videos each subject has."""

PUBLISHED_VIDEOS = {"train": 60, "val": 18, "test": 28}
PUBLISHED_INSTANCES = {
    "train": (1023, 960, 308, 403, 463),
    "val": (263, 256, 90, 123, 142),
    "test": (425, 405, 164, 148, 204),
}
"""Instances of each class in the released label files."""

SCORED_FRAMES = 56_760
"""Lines of ``Results/frame_names.txt``: the test videos at 15 fps."""

_NAME = re.compile(r"([0-9]{1,3}_[0-9]{1,3})_label\.mat", re.IGNORECASE)


@dataclass(frozen=True)
class _Job:
    """The raw files: where they are, and what each one is."""

    raw: Path
    labels: tuple[Path, ...]
    frames: Path | None
    clips: tuple[Path, ...]

    def source(self, path: Path) -> str:
        """A file's path under the raw root."""
        return path.relative_to(self.raw).as_posix()


@dataclass(frozen=True)
class MERL(Converter):
    """The official labels of the videos, and poses and boxes that others labelled on clips of them."""

    dataset = "merl"
    version = "2"
    summary = "MERL Shopping: 106 videos from above a shelf, intervals of 5 actions"
    raw = (
        f"{LABELS}/*_label.mat, beside it {FRAMES.as_posix()} and, there or in folders, pose pickles (*.pkl) and "
        "action lists (*.json) of clips, as far as they are there"
    )
    skeletons = ("coco17",)
    citation = (
        "Singh, Marks, Jones, Tuzel, Shao. A Multi-Stream Bi-Directional Recurrent Neural Network for Fine-Grained "
        "Action Detection. CVPR 2016"
    )
    licence = "Research and educational use (Mitsubishi Electric Research Laboratories, 2016)."
    notes = (
        "Segments are 0-based and half-open: [1, 30] of a label file is start 0, stop 30.",
        "Labels are spelled as in the names of extracted clips: ReachToShelf is 'Reach To Shelf' of the README.",
        "Segments overlap, also within a class; nothing is merged, and `row` tells their order in the file.",
        "The length of a video is known only from the video: n_frames is null.",
        "A clip of a pose pickle or action list is a sequence of its own, in the splits clips/*, which follow the "
        "files' folders or the last words of their names; clips of test subjects may be in clips/train, so compare "
        "`subject` before training.",
        "Poses of clips: frame counts in the clip, person counts the records of a frame, pixels are as in the file.",
        "Joints are taken to be COCO's 17, as the label tool has them; its visibility code is in `flags`.",
        "A box of null means the whole image, unless a reject says that it could not be read; boxes given as shares of "
        "the image are scaled to pixels.",
    )

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard: names of clips lie between those of videos, and the label files are 50 kB together."""
        raw = raw.absolute()
        refuse_archive(raw)
        found = home(raw, _labels, "MERL Shopping") or raw
        homes = (in_any_case(folder, FRAMES.as_posix()) for folder in (found, found.parent, raw))
        lists = [path for path in homes if path.exists()]
        job = _Job(
            raw=raw,
            labels=tuple(_labels(found)),
            frames=lists[0] if lists and lists[0].is_relative_to(raw) else None,
            clips=tuple(_clip_files(raw, found)),
        )
        if not job.labels and not job.clips:
            raise nothing_found(raw, "MERL Shopping", self.raw)
        sources = (*job.labels, *([job.frames] if job.frames else []), *job.clips)
        return [Shard("merl", sources, job)]

    def read(self, shard: Shard) -> Tables:
        """Every video and every clip."""
        job: _Job = shard.payload
        rejects: list[Reject] = []
        videos: dict[str, Instances] = {}
        for path in job.labels:
            instances = read_instances(path, job.source(path), rejects)
            if instances is not None:
                videos[path.stem[: -len("_label")]] = instances
        scored = read_scored(job.frames, job.source(job.frames), rejects) if job.frames else {}
        annotations = [one for path in job.clips for one in read_clips(path, job.source(path), rejects)]
        rows = [_video(name, scored.get(name)) for name in videos] + _clips(annotations, rejects)
        return Tables(
            sequences=table({name: [row.get(name) for row in rows] for name in SEQUENCES.names}, SEQUENCES),
            poses=_poses(annotations) if annotations else None,
            segments=_segments(videos) if videos else None,
            rejects=rejects,
        )

    def check(self, store: Store) -> list[Check]:
        """The published counts of videos and instances; the first one names the videos that are missing."""
        rows = [row for row in store.table("sequences").to_pylist() if row["video"] is None]
        subjects = {row["sequence"]: int(row["subject"]) for row in rows}
        names = [f"{subject}_{session}" for subject, last in SESSIONS.items() for session in range(1, last + 1)]
        missing = [name for name in names if name not in subjects]
        checks = [Check(f"videos{without(missing)}", len(names), len(rows))]
        instances = _instances(store, subjects)
        for split, people in SPLITS.items():
            videos = sum(subject in people for subject in subjects.values())
            checks.append(Check(f"videos in standard/{split}", PUBLISHED_VIDEOS[split], videos))
            for label, expected in zip(CLASSES, PUBLISHED_INSTANCES[split], strict=True):
                checks.append(Check(f"{label} in standard/{split}", expected, instances[split, label]))
        found = sum(len(row["results_labels"] or ()) for row in rows)
        if found:
            checks.append(Check(f"rows of {FRAMES.as_posix()}", SCORED_FRAMES, found))
        return checks

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write label files of six videos, a list of frames, a pose pickle and two action lists, quirks included."""
        from .sample import write_sample

        write_sample(out, seed)


def _labels(folder: Path) -> list[Path]:
    """The label files of a folder that holds :data:`LABELS`, or is it."""
    named = in_any_case(folder, LABELS)
    inside = files(named if named.is_dir() else folder, 0, also=_NAME.fullmatch)
    return [path for path in inside if _NAME.fullmatch(path.name)]


def _clip_files(raw: Path, found: Path) -> list[Path]:
    """Files of clips: every pickle and json beside the labels, and those farther below that begin as one."""
    beside = {path for folder in {raw, found} for path in files(folder, 0) if path.suffix.lower() in MARKS}
    return sorted(beside | {path for path in files(raw) if path not in beside and is_clips(path)})


def _split(subject: int) -> str | None:
    return next((name for name, people in SPLITS.items() if subject in people), None)


def _video(name: str, scored: Scored | None) -> dict[str, Any]:
    """The row of a whole video."""
    subject, session = name.split("_")
    split = _split(int(subject))
    return {
        "sequence": name,
        "subject": subject,
        "media": f"Videos_MERL_Shopping_Dataset/{name}_crop.mp4",
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "splits": [f"standard/{split}"] if split else [],
        "session": int(session),
        "results_row": scored.row if scored else None,
        "results_thumb": scored.thumb if scored else None,
        "results_labels": scored.labels if scored else None,
    }


def _clips(annotations: list[Annotation], rejects: list[Reject]) -> list[dict[str, Any]]:
    """A row per clip, in the order in which they occur; a clip of several files is in the splits of all."""
    found: dict[str, tuple[Clip, list[Annotation]]] = {}
    for annotation in annotations:
        found.setdefault(annotation.clip.name, (annotation.clip, []))[1].append(annotation)
    rows = []
    for clip, images in found.values():
        length, seen = clip.stop - clip.start, 1 + max(image.frame for image in images)
        if seen > length:
            reason = f"image {seen} of a clip of {length} frames; the clip is stored with {seen}"
            rejects.append(Reject(images[0].extras["origin"], clip.name, reason, "repaired"))
        width, height = next((image.size for image in images if None not in image.size), (None, None))
        rows.append(
            {
                "sequence": clip.name,
                "subject": clip.subject,
                "action": clip.action,
                "n_frames": max(length, seen),
                "fps": FPS,
                "width": width,
                "height": height,
                "splits": sorted({name for image in images for name in _splits(image.extras["origin"])}),
                "session": clip.session,
                "video": clip.video,
                "start": clip.start,
                "stop": clip.stop,
            }
        )
    return rows


def _splits(file: str) -> list[str]:
    """The split of a file of clips, by its folder or by the end of its name, such as ``train_2.json``."""
    found = split_word(Path(file), list(SPLITS), ignoring=("merl",))
    return [f"clips/{found}"] if found else []


def _segments(videos: dict[str, Instances]) -> pa.Table:
    names, instances = list(videos), list(videos.values())
    owner = np.repeat(np.arange(len(names)), [len(each.start) for each in instances])
    columns = {name: np.concatenate([getattr(each, name) for each in instances]) for name in Instances._fields}
    return table(
        {
            "sequence": pa.array(names).take(owner),
            "label": pa.array(CLASSES).take(columns["class_id"] - 1),
            **columns,
        },
        SEGMENTS,
    )


def _poses(annotations: list[Annotation]) -> pa.Table:
    met: Counter[tuple[str, int]] = Counter()
    persons = []
    for annotation in annotations:
        key = annotation.clip.name, annotation.frame
        persons.append(met[key])
        met[key] += 1
    flags = np.stack([annotation.flags for annotation in annotations])
    boxes = [annotation.bbox for annotation in annotations]
    whole = np.array([box is None for box in boxes])
    extras = {name for annotation in annotations for name in annotation.extras}
    return table(
        {
            "sequence": [annotation.clip.name for annotation in annotations],
            "frame": [annotation.frame for annotation in annotations],
            "person": persons,
            "bbox": vector(np.array([box or (np.nan,) * 4 for box in boxes], np.float32), mask=whole),
            "keypoints": np.stack([annotation.keypoints for annotation in annotations]),
            "visibility": np.select([flags == VISIBLE, flags == OCCLUDED], [np.uint8(2), np.uint8(1)], np.uint8(0)),
            "flags": flags,
            **{name: [annotation.extras.get(name) for annotation in annotations] for name in extras},
        },
        POSES,
    )


def _instances(store: Store, subjects: dict[str, int]) -> Counter[tuple[str | None, str]]:
    """Number of instances by (split, label)."""
    if "segments" not in store.manifest.rows:
        return Counter()
    segments = store.table("segments", ["sequence", "label"])
    found: Counter[tuple[str | None, str]] = Counter()
    for video, label in zip(segments["sequence"].to_pylist(), segments["label"].to_pylist(), strict=True):
        found[_split(subjects[video]), label] += 1
    return found
