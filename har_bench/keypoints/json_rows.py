"""The structure of a json file of detections: which objects in it are detections, and of which image each is.

Known are COCO's results and documents, AlphaPose's results (which resemble them), MMPose's inferencer, a list of
detections for each frame (ultralytics), easy_ViTPose, OpenPose's frames in one list, landmarks a frame (MediaPipe).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from har_bench.keypoints.json_joints import has_joints
from har_bench.keypoints.json_text import decoded
from har_bench.keypoints.numbering import Image

FRAME = (
    "frame_id",
    "frame_index",
    "frame_idx",
    "frame_number",
    "frame",
    "image_id",
    "image_name",
    "image",
    "file_name",
)
"""What says which image a detection, or a list of them, is of."""

LISTS = ("instances", "people", "persons", "detections", "predictions", "annotations", "poses", "bodies")
"""What a frame calls its detections."""

LANDMARKS = ("pose_landmarks", "landmarks")
"""What a frame calls the joints of the only person in it."""

Row = tuple[Image, Mapping[str, Any]]


@dataclass(frozen=True)
class Rows:
    """Detections, and what the file says of them all.

    Attributes:
        taken_for: the program that writes such files.
        rows: the image of each, and the detection.
        images: every image of the file, with or without a detection; empty where it does not say.
        files: names of images by their ids.
        joints: the joints' names.
        layout: what the file calls the joints' order.
        categories: names of kinds of things, by number.
        transposed: a joint is y, x.
    """

    taken_for: str
    rows: list[Row]
    images: Sequence[Image] = ()
    files: Mapping[Image, str] = field(default_factory=dict)
    joints: Sequence[str] = ()
    layout: str | None = None
    categories: Mapping[int, str] = field(default_factory=dict)
    transposed: bool = False


def rows_of(value: Any) -> Rows | None:
    """The detections in a file's value; None if it has none that are known."""
    try:
        return _of_object(value) if isinstance(value, Mapping) else _of_list(value)
    except (TypeError, AttributeError, KeyError, IndexError, RecursionError):
        return None


def _of_list(value: Any) -> Rows | None:
    if not isinstance(value, list):
        return None
    if value and all(isinstance(each, str) for each in value):  # texts of json: one of each frame
        value = [decoded(each) for each in value]
    if not value:
        return Rows("json of keypoints", [])
    if any(isinstance(each, list) or each is None for each in value):
        return _of_frames(value)
    if not all(isinstance(each, Mapping) for each in value):
        return None
    if any(name in each for each in value for name in LISTS) or not any(map(has_joints, value)):
        return _of_named_frames(value)
    if any(_image(each) is not None for each in value):
        return Rows("COCO or AlphaPose keypoint json", list(_results(value)))
    if any(name in each for each in value for name in LANDMARKS):  # of one person: each is a frame
        return _of_named_frames(value)
    return Rows("json of one image's persons", [(0, each) for each in value], images=[0])


def _results(value: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Detections that say themselves which image they are of."""
    for each in value:
        image = _image(each)
        if image is None:
            raise KeyError("image_id")
        yield image, each


def _image(value: Mapping[str, Any]) -> Image | None:
    for name in FRAME:
        found = value.get(name)
        if isinstance(found, int | float | str) and not isinstance(found, bool):
            return found
    return None


def _of_frames(value: Sequence[Any]) -> Rows | None:
    """A list a frame: of detections, or of the landmarks of the one person there."""
    rows: list[Row] = []
    for frame, found in enumerate(value):
        if not found:  # nobody: an empty list or null
            continue
        if isinstance(found, Mapping):
            rows.append((frame, found))
        elif all(map(has_joints, found)):
            rows += [(frame, person) for person in found]
        elif _are_joints(found):
            rows.append((frame, {"keypoints": found}))
        elif all(map(_are_joints, found)):
            rows += [(frame, {"keypoints": person}) for person in found]
        else:
            return None
    return Rows("json of a list a frame", rows, images=range(len(value)))


def _are_joints(value: Any) -> bool:
    """Whether a list is of joints: pairs, triples or objects with x and y."""
    if not isinstance(value, list) or not value:
        return False
    first = value[0]
    return ("x" in first) if isinstance(first, Mapping) else isinstance(first, list) and _are_numbers(first)


def _are_numbers(value: Sequence[Any]) -> bool:
    return len(value) in (2, 3) and all(each is None or isinstance(each, int | float) for each in value)


def _of_named_frames(value: Sequence[Mapping[str, Any]]) -> Rows | None:
    """An object a frame, with a list of detections in it; frames without a name are those of their places."""
    rows: list[Row] = []
    images = []
    if not any(has_joints(frame) or any(name in frame for name in LISTS) for frame in value):
        return None
    for place, frame in enumerate(value):
        name = next((name for name in LISTS if isinstance(frame.get(name), list)), None)
        found = frame[name] if name is not None else [frame] if has_joints(frame) else []
        told = _image(frame)
        images.append(place if told is None else told)
        rows += [(images[-1], person) for person in found]
    if not all(has_joints(person) for _, person in rows):
        return None
    return Rows("json of detections a frame (MMPose, OpenPose)", rows, images=images)


def _of_object(value: Mapping[str, Any]) -> Rows | None:
    if "instance_info" in value:
        return _of_mmpose(value)
    if isinstance(value.get("keypoints"), list) and "image_id" not in value:
        return _of_vitpose(value) or _of_list(value["keypoints"])
    if isinstance(value.get("annotations"), list):
        return _of_document(value)
    for name in ("frames", "predictions", "results", "data", "landmarks", "pose_landmarks"):
        if isinstance(value.get(name), list | Mapping):
            inner = value[name]
            if name == "frames" and isinstance(inner, list) and all(isinstance(each, Mapping) for each in inner):
                return _of_named_frames(inner)
            return _of_list(inner) if isinstance(inner, list) else _of_object(inner)
    if "people" in value:
        return Rows("OpenPose's json of one frame", [(0, person) for person in value["people"]], images=[0])
    return _of_names(value)


def _of_mmpose(value: Mapping[str, Any]) -> Rows | None:
    """MMPose's inferencer, with ``meta_info`` beside the frames."""
    found = _of_list(value["instance_info"])
    meta = value.get("meta_info")
    if found is None or not isinstance(meta, Mapping):
        return found
    layout = meta.get("dataset_name")
    names = _in_order(meta.get("keypoint_id2name"))
    layout = layout if isinstance(layout, str) else None
    return replace(found, taken_for="MMPose's inferencer json", joints=names, layout=layout)


def _of_vitpose(value: Mapping[str, Any]) -> Rows | None:
    """easy_ViTPose: an object a frame, from a person's id to the joints, each y, x, score."""
    rows: list[Row] = []
    for frame, people in enumerate(value["keypoints"]):
        if not isinstance(people, Mapping) or not all(str(key).lstrip("-").isdigit() for key in people):
            return None
        rows += [(frame, {"track_id": int(key), "keypoints": joints}) for key, joints in people.items()]
    images = range(len(value["keypoints"]))
    names = _in_order(value.get("skeleton"))
    return Rows("easy_ViTPose's json", rows, images, joints=names, transposed=True)


def _of_document(value: Mapping[str, Any]) -> Rows:
    """COCO's document: images, annotations and categories; without images, annotations say their frames."""
    files = {image["id"]: str(image["file_name"]) for image in value.get("images") or ()}
    rows = list(_results([each for each in value["annotations"] if has_joints(each)]))
    kinds = [kind for kind in value.get("categories") or () if isinstance(kind, Mapping)]
    joints = next((kind["keypoints"] for kind in kinds if kind.get("keypoints")), ())
    named = {int(kind["id"]): str(kind["name"]).lower() for kind in kinds if "id" in kind and "name" in kind}
    names = [str(name) for name in joints]
    return Rows("COCO keypoint json", rows, list(files), files, names, categories=named)


def _of_names(value: Mapping[str, Any]) -> Rows | None:
    """From an image's name to its detections, as AlphaPose writes in its other two formats."""
    rows: list[Row] = []
    for image, found in value.items():
        if isinstance(found, Mapping):
            found = next((found[name] for name in LISTS if name in found), [found])
        if not isinstance(found, list) or not all(map(has_joints, found)):
            return None
        rows += [(image, person) for person in found]
    return Rows("json of detections by image", rows, images=list(value)) if rows else None


def _in_order(names: Any) -> list[str]:
    """Joints' names from a list, or from a mapping of their places."""
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=int)] if all(str(key).isdigit() for key in names) else []
    return [str(name) for name in names] if isinstance(names, list) else []
