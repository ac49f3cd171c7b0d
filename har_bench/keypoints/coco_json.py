"""Keypoints in json: COCO's results and documents (Detectron, mmpose), and AlphaPose's results, which resemble them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, completing
from har_bench.foreign import json_file
from har_bench.keypoints.people import unseen_as_nan

Number = int | float

_REMEDY = "give a list of results with image_id and keypoints, or an object with images and annotations"


class _Person(msgspec.Struct, gc=False):
    image_id: Number | str
    keypoints: list[float]
    score: float | None = None
    idx: Number | list[Number] | None = None
    track_id: int | None = None


class _Image(msgspec.Struct, gc=False):
    id: Number | str
    file_name: str


class _Category(msgspec.Struct, gc=False):
    keypoints: list[str] = []


class _Document(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Person] = []
    categories: list[_Category] = []


@dataclass(frozen=True)
class Json:
    """What a file, or two of one folder, hold.

    Attributes:
        image: (n,) the image of each person: its file's name where the file has a list of images, else its id.
        points: (n, J, 3) x, y, confidence; unseen joints NaN.
        score: (n,) of the person.
        person: (n,) the tracker's ids, when every person has one.
        joints: the joints' names, when the file has them.
    """

    image: Sequence[Number | str]
    points: npt.NDArray[np.float32]
    score: npt.NDArray[np.float64]
    person: npt.NDArray[np.int64] | None
    joints: Sequence[str]

    @property
    def word(self) -> str | None:
        """The layout by the joints' names: COCO starts at the nose, Human3.6M at the root."""
        first = self.joints[0].lower() if self.joints else ""
        return "coco" if first == "nose" else "h36m" if first.startswith(("root", "pelvis", "hip")) else None


def read_json(path: Path) -> Json:
    """Keypoints of a list of results, of a document with ``images`` and ``annotations``, or of a folder with both.

    Raises:
        HarBenchError: no such file, or a result names an image that the document lacks.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    persons: list[_Person] = []
    images: dict[Number | str, str] = {}
    joints: Sequence[str] = ()
    for file in files:
        content = json_file.text(file)
        with completing(file, _REMEDY):
            if content.lstrip()[:1] == b"[":
                persons += json_file.decode(content, list[_Person], what="a json of keypoints")
                continue
            document: _Document = json_file.decode(content, _Document, what="a json of keypoints")
        images |= {image.id: image.file_name for image in document.images}
        persons += document.annotations if len(files) == 1 else []  # beside results, annotations are the truth
        joints = next((category.keypoints for category in document.categories if category.keypoints), joints)
    if not persons:
        raise HarBenchError(f"{path} holds no keypoints of anybody; detect them again")
    unknown = next((person.image_id for person in persons if images and person.image_id not in images), None)
    if unknown is not None:
        raise HarBenchError(f"{path} has a result of image {unknown!r}, which its list of images lacks; add it")
    lengths = {len(person.keypoints) for person in persons}
    if len(lengths) > 1 or min(lengths) == 0 or min(lengths) % 3:
        raise HarBenchError(f"{path} has keypoints of {min(lengths)} to {max(lengths)} numbers; x, y, score of each")
    points = unseen_as_nan(np.array([person.keypoints for person in persons]).reshape(len(persons), -1, 3))
    return Json(
        [images.get(person.image_id, person.image_id) for person in persons],
        points,
        np.array([1.0 if person.score is None else person.score for person in persons]),
        _ids(persons),
        joints,
    )


def _ids(persons: Sequence[_Person]) -> npt.NDArray[np.int64] | None:
    """The tracker's ids: ``track_id``, or AlphaPose's ``idx``, which some versions put into a list."""
    found = []
    for person in persons:
        own = person.idx if person.track_id is None else person.track_id
        if isinstance(own, list):
            own = own[0] if own else None
        if own is None:
            return None
        found.append(int(own))
    return np.array(found)
