"""What Human3.6M's ``metadata.xml`` says: names of sequences, video lengths, image sizes, cameras, challenge split.

The same facts are in the package (``metadata.json``), for archives that come without the file.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.cameras import Camera
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.texts import utf8

FPS = 50.0
SUBJECTS = 11

SHIFTED = "shifted"
CAMERA_MISSING = "camera-missing"
MOCAP_SHORT = "mocap-short"
DEFECTS = {
    SHIFTED: "the ground truth of S9 Greeting, SittingDown 1 and Waiting 1 lies 165 to 196 mm in world x, 28 to 60 mm "
    "in y and 6 to 31 mm in z away from the person in the images",
    CAMERA_MISSING: "S11 Directions has no video of camera 54138969, so VideoPose3D leaves it out for all cameras",
    MOCAP_SHORT: "every camera's video is more than 5 frames longer than the motion capture",
}
"""Known defects of sequences, with their meaning; they are named in the store and nothing is left out."""

_SHIFTED = {("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1")}
SPELLINGS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
"""S1's names of two actions, and everybody else's."""

_USUAL_SURPLUS = 5  # frames; nearly every video is 1 to 3 frames longer, those of cameras 2 and 3 up to 10


class Take(msgspec.Struct, frozen=True, array_like=True):
    """One recorded sequence.

    Attributes:
        subject: such as ``S9``.
        act: number of the action, 2 to 16 (1 is the range-of-motion take ``_ALL``).
        subact: 1 or 2; which one a name's number suffix means differs between subjects.
        official: the name of its files, such as ``TakingPhoto 1``.
        video_frames: frames of its video from each camera.
    """

    subject: str
    act: int
    subact: int
    official: str
    video_frames: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name by which the other subjects' files, and every paper, call it: ``Photo 1`` for ``TakingPhoto 1``."""
        return canonical(self.official)

    @property
    def action(self) -> str:
        """The name without its number suffix."""
        return self.name.split(" ")[0]

    def defects(self, mocap_frames: int) -> list[str]:
        """Which of :data:`DEFECTS` it has, when its motion capture has that many frames."""
        found = {
            SHIFTED: (self.subject, self.name) in _SHIFTED,
            CAMERA_MISSING: (self.subject, self.name) == ("S11", "Directions"),
            MOCAP_SHORT: min(self.video_frames) - mocap_frames > _USUAL_SURPLUS,
        }
        return [code for code, present in found.items() if present]


class Metadata(msgspec.Struct, frozen=True, dict=True):
    """The parts of ``metadata.xml`` that a store needs.

    Attributes:
        source: where this copy comes from.
        cameras: the four cameras' serial numbers.
        challenge: subjects of the challenge's ``train``, ``val`` and ``test`` (not the split of the papers).
        sizes: width and height [px] of every subject's four cameras.
        w0: 300 numbers: of camera c and subject s the three angles and the centre [mm] at ``6 (11 c + s - 1)``, then of
            camera c fx, fy, cx, cy, k1, k2, k3, p1, p2 at ``264 + 9 c``.
        takes: every recorded sequence, ``_ALL`` included.
    """

    source: str
    cameras: tuple[str, ...]
    challenge: dict[str, tuple[str, ...]]
    sizes: dict[str, tuple[tuple[int, int], ...]]
    w0: tuple[float, ...]
    takes: tuple[Take, ...]

    @cached_property
    def spellings(self) -> dict[str, str]:
        """The names of sequences, official and canonical, by their small letters."""
        return {name.lower(): name for take in self.takes for name in (take.name, take.official)}

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Take]:
        return {(take.subject, take.name): take for take in self.takes}

    def take(self, subject: str, name: str) -> Take | None:
        """A subject's sequence by its official or canonical name, or None."""
        return self._by_name.get((subject, canonical(name)))

    def camera(self, subject: str, camera: str) -> Camera:
        """A camera as calibrated for a subject."""
        index = self.cameras.index(camera)
        place = 6 * (SUBJECTS * index + int(subject[1:]) - 1)
        angles, centre = np.reshape(self.w0[place : place + 6], (2, 3))
        fx, fy, cx, cy, k1, k2, k3, p1, p2 = self.w0[264 + 9 * index : 273 + 9 * index]
        R = rotation(angles)
        return Camera(
            f=np.array([fx, fy]),
            c=np.array([cx, cy]),
            R=R,
            t=-R @ centre,
            distortion=np.array([k1, k2, p1, p2, k3]),
            model="h36m",
        )

    def splits(self, subject: str) -> list[str]:
        """The splits a subject belongs to."""
        return [
            *(f"standard/{name}" for name, subjects in STANDARD.items() if subject in subjects),
            *(f"challenge/{name}" for name, subjects in self.challenge.items() if subject in subjects),
        ]


STANDARD = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
"""The split of nearly every paper."""


def canonical(official: str) -> str:
    """A sequence's name with S1's own spellings replaced by those of the other subjects."""
    for theirs, ours in SPELLINGS.items():
        official = official.replace(theirs, ours)
    return official


def rotation(angles: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(3, 3) world-to-camera rotation ``Rx(a) Ry(b) Rz(c)`` of ``metadata.xml``'s three angles [rad]."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(x @ y @ z)


@cache
def packaged() -> Metadata:
    """The package's own copy."""
    return msgspec.json.decode(files(__package__).joinpath("metadata.json").read_bytes(), type=Metadata)


def spelled(name: str) -> str:
    """A sequence's name as the official files spell it, whatever its letters' case; others as they are.

    >>> spelled("WALKING 1"), spelled("takingphoto"), spelled("my dance")
    ('Walking 1', 'TakingPhoto', 'my dance')
    """
    return packaged().spellings.get(name.lower(), name)


def read(path: Path) -> Metadata:
    """Read the official file.

    Raises:
        HarBenchError: it is not Human3.6M's ``metadata.xml``.
    """
    try:
        content = compressed.read(path)
        plain = utf8(content, str(path))
        # expat bounds the expansion of entities, and nothing outside the file is fetched; a text's encoding is known,
        # whatever its first line says
        root = ElementTree.fromstring(content if plain == content else plain.decode())  # noqa: S314
        header, *body = [[cell.text or "" for cell in row] for row in _element(root, "mapping")]
        subjects = header[2:]
        rows = [row for row in body if row[0].isdigit()]
        sizes = next(row for row in body if row[2].startswith("["))[2:]
        frames = [[cell.text or "" for cell in row][1:] for row in _element(root, "frames")]
        found = Metadata(
            source=path.name,
            cameras=tuple(item.text or "" for item in _element(root, "dbcameras/index2id")),
            challenge={
                name: tuple(f"S{number:.0f}" for number in _numbers(_element(root, f"{name}_subjects").text))
                for name in ("train", "val", "test")
            },
            sizes={subject: _sizes(text) for subject, text in zip(subjects, sizes, strict=True)},
            w0=_numbers(_element(root, "w0").text),
            takes=tuple(
                Take(subject, int(row[0]), int(row[1]), row[2 + index], tuple(map(int, _numbers(count)[:4])))
                for index, subject in enumerate(subjects)
                for row, count in zip(rows, frames[index], strict=True)
            ),
        )
    except (OSError, ElementTree.ParseError, ValueError, LookupError, StopIteration) as error:
        raise HarBenchError(
            f"{path} is not the metadata.xml of Human3.6M ({error}); put the official file there, or none: "
            "the calibration is in the package"
        ) from error
    if len(found.w0) != 300 or len(found.cameras) != 4 or any(len(take.video_frames) != 4 for take in found.takes):
        raise HarBenchError(f"{path} is not whole: it needs 300 numbers w0, 4 cameras and 4 video lengths per sequence")
    return found


def write(path: Path, metadata: Metadata) -> None:
    """Write a ``metadata.xml`` in the official structure, with the parts that :func:`read` reads."""
    subjects = list(metadata.sizes)
    takes = {subject: [take for take in metadata.takes if take.subject == subject] for subject in subjects}
    root = ElementTree.Element("a")
    table = [
        ["Action", "subaction", *subjects],
        *(
            [str(row[0].act), str(row[0].subact), *(take.official for take in row)]
            for row in zip(*takes.values(), strict=True)
        ),
        ["", "", *(_matrix([(height, width) for width, height in metadata.sizes[subject]]) for subject in subjects)],
    ]
    lengths = [
        ["", *(_matrix([(*take.video_frames, sum(take.video_frames))]) for take in row)] for row in takes.values()
    ]
    for name, rows in (("mapping", table), ("frames", lengths)):
        parent = ElementTree.SubElement(root, name)
        for row in rows:
            line = ElementTree.SubElement(parent, "tr")
            for cell in row:
                ElementTree.SubElement(line, "td").text = cell or None
    for name, members in metadata.challenge.items():
        ElementTree.SubElement(root, f"{name}_subjects").text = _matrix(
            [tuple(int(subject[1:]) for subject in members)]
        )
    ElementTree.SubElement(root, "w0").text = _matrix([metadata.w0])
    ids = ElementTree.SubElement(ElementTree.SubElement(root, "dbcameras"), "index2id")
    for camera in metadata.cameras:
        ElementTree.SubElement(ids, "item").text = camera
    ElementTree.indent(root, "   ")
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _element(root: ElementTree.Element, path: str) -> ElementTree.Element:
    found = root.find(path)
    if found is None:
        raise LookupError(f"it has no element {path}")
    return found


def _numbers(text: str | None) -> tuple[float, ...]:
    """MATLAB's ``[1 2;3 4]`` as flat numbers."""
    return tuple(map(float, re.split(r"[\s;]+", (text or "").strip("[] \n"))))


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    """``[height width;...]`` as (width, height) pairs."""
    numbers = tuple(map(int, _numbers(text)))
    return tuple(zip(numbers[1::2], numbers[::2], strict=True))


def _matrix(rows: list[tuple[float, ...]]) -> str:
    return "[" + ";".join(" ".join(map(repr, row)) for row in rows) + "]"
