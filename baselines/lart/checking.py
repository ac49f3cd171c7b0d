"""At which step somebody's tracklet differs from the released ones, from its name to its labels and boxes.

Whoever makes tracklets of their own and gets 2 or 15 mAP where 45 is published has made one of these steps in another
way, and nothing stops them: the numbers only get worse. Each step is looked at alone and says what it found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from har_bench.arrays import Anything, Floats
from har_bench.baseline import Finding
from har_bench.errors import listed
from har_bench.geometry.boxes import overlap
from har_bench.schema import to_numpy
from har_bench.store import Store

from . import forms
from .clips import TRUE
from .forms import KEYS
from .network import HIERA, JOINTS, MVIT
from .testing import FPS, SCORED, annotated_at, scored_second, second_of
from .windows import FRAMES, Norm

_NAME = re.compile(r"(?P<origin>[A-Za-z]+-[a-z]+)_(?P<video>.{11})_(?P<key>\d{6})_(?P<track>\d+)_(?P<length>\d+)")
CLIPS = "AK-val"
ORIGINS = ("ava-val", "ava-train", "kinetics-train", CLIPS)
CONFIDENT, CONFIDENT_CLIPS = 0.8, 0.9
"""The detector's least that LART scores in AVA's films, and in AVA-Kinetics' clips (AK-val)."""

POSES = 14
"""The first so many actions are what a body does, and as a rule a person has one of them."""

_SPAN_M, _FAR, _SIGMAS, _SAME = 3.0, 20.0, 6.0, 0.5
_EVERY = 6


@dataclass(frozen=True)
class Given:
    """What is looked at.

    Attributes:
        path: the file.
        values: its content: arrays without the axis of the one person, mappings of arrays (D,).
        frames: T.
        norm: PHALP's mean and deviation, if they were given.
        annotations: a store of AVA's annotations, if it was given.
    """

    path: Path
    values: Mapping[str, Any]
    frames: int
    norm: Norm | None
    annotations: Store | None

    @property
    def seen(self) -> Anything:
        """The rows in which somebody was detected."""
        return np.flatnonzero(self.values["has_detection"])

    @property
    def name(self) -> re.Match[str] | None:
        """The parts of the file's name."""
        return _NAME.fullmatch(self.path.stem)

    @property
    def confident(self) -> float:
        """The least confidence that is scored."""
        return CONFIDENT_CLIPS if self.name and self.name["origin"] == CLIPS else CONFIDENT

    @property
    def keys(self) -> list[int]:
        """The rows in whose names LART's evaluator finds the key frame's number."""
        digits = self.name["key"] if self.name else None
        return [row for row, name in enumerate(self.values["frame_name"]) if digits and digits in name]

    def key(self) -> int | None:
        """The row of the key frame, as LART's evaluator finds it: the last one."""
        return self.keys[-1] if self.keys else None


def check_tracklet(path: Path, norm: Norm | None = None, annotations: Store | None = None) -> list[Finding]:
    """Every step by which a tracklet is made, in its order, beside what the released ones have.

    Raises:
        HarBenchError: the file is no tracklet at all.
    """
    form = forms.read(path)
    differs = "; ".join([*form.missing, *form.other])
    given = Given(path, form.values, len(form.values["frame_name"]), norm, annotations)
    told = f"lacks or has in another form: {differs}" if differs else f"all {len(KEYS)}, of {given.frames} frames"
    found = [Finding("keys", told, ok=not differs)]
    if form.missing:
        return found
    needed = {"mean and deviation": ("mean_std", norm), "annotations": ("annotations", annotations)}
    for step, look in STEPS.items():
        option, what = needed.get(step, ("", given))
        if what is None:
            found.append(Finding(step, f"give --set {option}= to compare", ok=None))
            continue
        wrong = list(look(given))
        found.append(Finding(step, "; ".join(wrong) or _TOLD[step](given), ok=not wrong))
    return found


def _name(given: Given) -> Iterator[str]:
    if given.name is None:
        yield f"{given.path.name} is not DATASET_VIDEO_KEYFRAME_TRACK_LENGTH.pkl with six digits of a key frame"
        return
    if given.name["origin"] not in ORIGINS:
        yield f"{given.name['origin']} is none of {listed(ORIGINS)}, by which LART picks its files"
    if int(given.name["length"]) != given.frames or given.frames < 2:
        yield f"the name says {given.name['length']} frames and there are {given.frames}; two is the least"
    key = int(given.name["key"])
    if given.name["origin"] == "ava-val" and (key % FPS or second_of(key) not in SCORED):
        yield f"key frame {key} is no second from {SCORED[0]} to {SCORED[-1]} at {FPS} frames per second from 900 on"


def _frames(given: Given) -> Iterator[str]:
    steps = np.diff(given.values["fid"])
    if (steps != 1).any():
        yield f"fid goes by {sorted(set(steps.tolist()))[:3]} and not by 1, so features and windows are at another rate"
    key = given.key()
    if key is None:
        yield "no frame's name has the key frame's number in six digits, so LART's evaluator passes the track over"
    elif len(given.keys) > 1:
        yield f"{len(given.keys)} frames' names have the key frame's number, and LART takes the last (row {key})"
    elif not given.values["has_detection"][key]:
        yield f"nobody is detected in the key frame (row {key}), so LART's evaluator passes the track over"
    elif key >= FRAMES:
        yield f"the key frame is row {key}, beyond the {FRAMES} that LART sees"
    if not len(given.seen):
        yield "nobody is detected in any frame"


def _body(given: Given) -> Iterator[str]:
    pose = given.values["pose_shape"]
    seen = pose[given.seen]
    turns = seen[:, :216].reshape(-1, 24, 3, 3)
    if len(turns) and (turns == np.eye(3)).all():
        yield "all bodies stand at rest, as those of tracklets of joints alone do: released weights see SMPL's"
    far = np.abs(turns @ turns.swapaxes(-1, -2) - np.eye(3)).max(initial=0)
    if far > 0.01:
        yield f"the first 216 numbers are no rotation matrices (off by {far:.2g}): angles or six numbers a joint?"
    if len(seen) and np.median(np.abs(seen[:, -1])) > _FAR:
        yield f"the camera's z is {np.median(seen[:, -1]):.0f} in the middle; LART's is divided by 200"
    blank = np.setdiff1d(np.arange(given.frames), given.seen)
    if np.abs(pose[blank]).max(initial=0) > 0:
        yield "frames in which nobody was detected have a body; LART's are zero"


def _joints(given: Given) -> Iterator[str]:
    joints = given.values["3d_joints"][given.seen]
    span = np.median(np.ptp(joints[:, :-1], axis=1).max(axis=-1)) if len(joints) else 0
    if span > _SPAN_M:
        yield f"the joints span {span:.0f}, and metres about the body span 1 to 2"
    if len(joints) and not joints.any():
        yield "all joints are zero"
    if np.abs(joints[:, -1]).max(initial=0) > 1e-6:
        yield "the last of the 45 joints is not zero, as PHALP's is: another set of joints?"
    if len(joints) and np.median(np.abs(given.values["camera"][given.seen, 2])) > _FAR:
        yield "the camera that is added to the joints has a z that was not divided by 200"


def _appearance(given: Given) -> Iterator[str]:
    features = given.values["apperance_dict"]
    widths = {len(value) for value in features.values()}
    if not widths:
        yield f"there are no features, and the released ones have {HIERA} numbers (Hiera); weights of poses take none"
    elif widths != {HIERA}:
        told = listed(map(str, sorted(widths)))
        known = "those are MViT's, for the demo's weights" if widths == {MVIT} else "no known weights take them"
        yield f"features have {told} numbers, and the released ones {HIERA} (Hiera); {known}"
    index = given.values["apperance_index"]
    lost = set(index[index >= 0].tolist()) - set(features)
    if lost:
        yield f"{len(lost)} keys of apperance_index are not in apperance_dict, such as {min(lost):g}"
    there = index[given.seen] >= 0
    if len(there) and there.mean() < 1 - 1 / _EVERY:
        yield f"only {there.mean():.0%} of the detected frames have a feature; one serves six frames"
    if any(not np.any(value) for value in features.values()):
        yield "some features are zero"


def _labels(given: Given) -> Iterator[str]:
    kinds, labels = given.values["has_gt"], given.values["action_label_gt"]
    if not np.isin(kinds, (0, 1, TRUE)).all():
        strange = sorted(set(kinds.tolist()) - {0, 1, TRUE})
        yield f"has_gt has {strange[:3]}; 2 is annotated, 1 a pseudo label, 0 neither"
    true = labels[kinds == TRUE]
    if not len(true):
        yield "no frame is annotated (has_gt 2)"
    elif not true.any(axis=1).all():
        yield f"annotated frames have no action: {int((~true.any(axis=1)).sum())} of {len(true)}"
    elif not np.isin(true, (0, 1)).all():
        yield f"action_label_gt has {true[~np.isin(true, (0, 1))][0]:g}; an action is there, 1, or not, 0"
    elif not true[:, :POSES].any() and true[:, POSES].any():
        yield "an annotated frame has action 15 and none of 1 to 14: the index is the action's number less 1"
    if labels[kinds != TRUE].any():
        yield "frames that are not annotated have true labels, which nothing reads; set has_gt to 2"
    pseudo, index = given.values["action_label_psudo"], given.values["apperance_index"]
    lost = set(index[(kinds == 1) & (index >= 0)].tolist()) - set(pseudo)
    if lost:
        yield f"{len(lost)} keys of frames with has_gt 1 are not in action_label_psudo, such as {min(lost):g}"
    if any(value.min(initial=0) < 0 or value.max(initial=0) > 1 for value in pseudo.values()):
        yield "pseudo labels are not from 0 to 1: logits?"
    elif (kinds == 1).any() and not any(value.any() for value in pseudo.values()):
        yield "has_gt promises pseudo labels and action_label_psudo has none"


def _boxes(given: Given) -> Iterator[str]:
    box, size = (given.values[name][given.seen].astype(np.float64) for name in ("frame_bbox", "frame_size"))
    height, width = size.T if len(size) else (np.ones(0), np.ones(0))
    if not len(box):
        return
    right, bottom = box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]
    inside = (right <= 1.1 * width) & (bottom <= 1.1 * height)
    flat, sizeless = ((~(values > 0).all(axis=1)).sum() for values in (box[:, 2:], size))
    if flat:
        yield f"boxes have no width or height in {flat} frames; they are x, y, w, h"
    elif sizeless:
        yield f"frame_size is not there in {sizeless} frames; it is height, width"
    elif box.max() <= 2:
        yield "boxes are shares of the frame; they are x, y, w, h in pixels"
    elif inside.mean() < _SAME and ((right <= 1.1 * height) & (bottom <= 1.1 * width)).mean() > inside.mean():
        yield "boxes go beyond the frame unless its sides are exchanged; frame_size is height, width"
    elif inside.mean() < _SAME and (box[:, 2] > box[:, 0]).all() and (box[:, 2] <= 1.1 * width).all():
        yield "boxes go beyond the frame and look like x1, y1, x2, y2; they are x, y, w, h"


def _confidence(given: Given) -> Iterator[str]:
    confidence, key = given.values["frame_conf"], given.key()
    if not ((confidence >= 0) & (confidence <= 1)).all():
        yield f"confidences go from {confidence.min():.2g} to {confidence.max():.2g}, and not from 0 to 1"
    elif key is not None and confidence[key] < given.confident:
        yield f"the key frame's confidence is {confidence[key]:.2f}; below {given.confident} it is not scored"


def _norm(given: Given) -> Iterator[str]:
    if given.norm is None or not len(given.seen):
        return
    body = np.abs(given.norm.applied(given.values["pose_shape"][given.seen].astype(np.float32))[:, :226])
    off = body.mean(axis=0)
    if np.median(body) > _SIGMAS or (off > _SIGMAS).mean() > 0.2:
        yield f"bodies are {np.median(body):.1f} deviations from the mean in the middle: another body, or another mean"


def _annotated(given: Given) -> Iterator[str]:
    key = given.key()
    if given.annotations is None or given.name is None or key is None or not len(given.seen):
        return
    rows = given.annotations.table("segments", ["sequence", "timestamp", "bbox_normalised", "action"])
    video, key_number = given.name["video"], int(given.name["key"])
    second = scored_second(key_number, annotated_at(given.annotations, [video]).get(video))
    if second is None:
        yield f"key frame {key_number} is in no second that AVA annotates"
        return
    rows = rows.filter(pc.and_(pc.equal(rows["sequence"], video), pc.equal(rows["timestamp"], second)))
    if not rows.num_rows:
        yield f"{given.annotations.path} has no box of {video} at {second:g} s"
        return
    true = to_numpy(rows["bbox_normalised"], rows.schema.field("bbox_normalised")).astype(np.float64)
    boxes = np.concatenate([true[:, :2], true[:, 2:] - true[:, :2]], axis=1)
    box = np.asarray(given.values["frame_bbox"][key], np.float64)
    height, width = map(float, given.values["frame_size"][key])
    shared = _overlaps(box, (width, height), boxes)
    best = int(shared.argmax())
    if shared[best] < _SAME:
        reading = _read_as(box, (width, height), boxes)
        yield f"no annotated box is where the track's is (overlap {shared[best]:.2f} at best){reading}"
        return
    same = (np.abs(true - true[best]) < 1e-9).all(axis=1)
    yield from _compared(set(rows["action"].to_numpy()[same].tolist()), given.values["action_label_gt"][key])


def _overlaps(box: Floats, size: tuple[float, float], boxes: Floats) -> Floats:
    """(N,) how much of a box (x, y, w, h [px]) of a picture of that width and height annotated ones (N, 4) share."""
    return (
        np.asarray(overlap((box / np.array([*size, *size]))[None], boxes)[0]) if min(size) > 0 else np.zeros(len(boxes))
    )


def _read_as(box: Floats, size: tuple[float, float], boxes: Floats) -> str:
    """How the box would have to be read to lie where an annotated one is; nothing where no reading helps."""
    first, second = box[:2], box[2:]
    readings = {
        "its numbers are x1, y1, x2, y2 and not x, y, w, h": (np.concatenate([first, second - first]), size),
        "its numbers are the centre and w, h, and not x, y, w, h": (np.concatenate([first - second / 2, second]), size),
        "its numbers are y, x, h, w and not x, y, w, h": (box[[1, 0, 3, 2]], size),
        "frame_size is width, height and not height, width": (box, (size[1], size[0])),
    }
    for words, (read, of) in readings.items():
        if _overlaps(read, of, boxes).max() >= _SAME:
            return f": {words}"
    return ""


def _compared(true: set[int], labels: Floats) -> Iterator[str]:
    """Whether the labels are AVA's, or are AVA's one place too far."""
    mine = {int(index) + 1 for index in np.flatnonzero(labels)}
    if mine == true or not mine:
        return
    if {action - 1 for action in mine} == true:
        yield f"labels are one too high ({listed(sorted(map(str, mine)))}); the index is the action's number less 1"
    elif {action + 1 for action in mine} == true:
        yield f"labels are one too low ({listed(sorted(map(str, mine)))}); the index is the action's number less 1"
    else:
        yield f"labels are actions {listed(sorted(map(str, mine)))}, and AVA has {listed(sorted(map(str, true)))} there"


Look = Callable[[Given], Iterator[str]]
STEPS: Mapping[str, Look] = {
    "name": _name,
    "frames": _frames,
    "body": _body,
    "joints": _joints,
    "appearance": _appearance,
    "labels": _labels,
    "boxes": _boxes,
    "confidence": _confidence,
    "mean and deviation": _norm,
    "annotations": _annotated,
}
"""In the order in which a tracklet is made; the first one that differs explains most of what comes after."""

_TOLD: Mapping[str, Callable[[Given], str]] = {
    "name": lambda given: given.path.stem,
    "frames": lambda given: f"{len(given.seen)} of {given.frames} with a detection, the key frame in row {given.key()}",
    "body": lambda _: "24 rotations, 10 betas, a camera whose z is divided by 200",
    "joints": lambda _: f"{JOINTS // 3} joints in metres",
    "appearance": lambda given: f"{len(given.values['apperance_dict'])} features of {HIERA} numbers (Hiera)",
    "labels": lambda given: f"annotated frames: {int((given.values['has_gt'] == TRUE).sum())}",
    "boxes": lambda _: "x, y, w, h in pixels, inside height and width",
    "confidence": lambda given: f"from 0 to 1, {given.confident} or more in the key frame",
    "mean and deviation": lambda _: "bodies are where the mean says",
    "annotations": lambda _: "the labels are AVA's",
}
