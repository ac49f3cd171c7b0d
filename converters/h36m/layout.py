"""Where Human3.6M's files lie: the official tree, a folder per archive, h36m-fetch's, 3d-pose-baseline's, an npz.

The official archives unpack to ``S9/MyPoseFeatures/D3_Positions/Walking 1.cdf``. Who unpacks each into a folder of its
own has ``Poses_D3_Positions_S9/S9/MyPoseFeatures/D3_Positions``, and h36m-fetch makes
``extracted/S9/Poses_D3_Positions``. In all of them, and some folders deeper, the kind of a file is told by the name of
its folder, and the subject by the nearest folder that names one; a blank in a name may have become an underscore.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from har_bench.errors import HarBenchError
from har_bench.raw import DEPTH, files, folders, nothing_found

from .archives import NPZ, Form, Recording, positions
from .metadata import spelled

LAYOUTS = (
    "S*/MyPoseFeatures/D3_Positions/*.cdf (the official Poses_D3_Positions_S*.tgz, unpacked, in one folder or one "
    "each, or by h36m-fetch), S*/MyPoses/3D_positions/*.h5 (h36m.zip of 3d-pose-baseline) or "
    f"{NPZ} (VideoPose3D)"
)

BASELINE = "3D_positions"
"""What 3d-pose-baseline calls the folder of its h5 files."""

_KIND = re.compile(r"(?:Poses_)?(?P<kind>D[23]_Positions(?:_mono)?|3D_positions)(?:_S\d{1,2})?", re.IGNORECASE)
_KINDS = {kind.lower(): kind for kind in ("D3_Positions", "D3_Positions_mono", "D2_Positions", BASELINE)}
_UNIVERSAL = re.compile(r"(?:Poses_)?D3_Positions_mono_universal(?:_S\d{1,2})?", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:.*_)?(S\d{1,2})", re.IGNORECASE)
_FETCHED = "annot.h5"
_MEDIA = {"imagesequence", "images", "videos", "myvideos", "frames", "mysegmentsmat"}


def of_media(name: str) -> bool:
    """Whether a folder holds pictures or videos: thousands of files that tell nothing."""
    return name.lower() in _MEDIA


class _Kept(NamedTuple):
    """The files of a subject: worlds by take, the others by take and camera."""

    world: dict[str, Path]
    mono: dict[str, dict[str, Path]]
    pixels: dict[str, dict[str, Path]]


def recordings(raw: Path) -> list[Recording]:
    """Every sequence of the first form that is there, unordered.

    Raises:
        HarBenchError: none of the three forms is there, or a sequence is there twice.
    """
    every = list(folders(raw, DEPTH + 3, avoid=of_media))
    kinds = [(folder, kind) for folder in every if (kind := _kind(folder))]
    forms: tuple[Form, ...] = ("cdf", "h5")
    for form in forms:
        found = list(_recordings([each for each in kinds if (each[1] == BASELINE) == (form == "h5")], form))
        if found:
            return found
    return list(_npz(raw)) or _refuse(raw, every)


def _kind(folder: Path) -> str:
    """What a folder's files hold, by its name; empty for another folder."""
    match = _KIND.fullmatch(folder.name)
    return _KINDS.get(match["kind"].lower(), "") if match else ""


def _recordings(kinds: list[tuple[Path, str]], form: Form) -> Iterator[Recording]:
    subjects: dict[str, _Kept] = {}
    for folder, kind in kinds:
        subject = _subject(folder)
        for path in files(folder, 0, also=lambda name: name.lower().endswith(f".{form}")) if subject else ():
            is_range_of_motion = path.stem.upper().startswith("_ALL")
            if path.suffix.lower() == f".{form}" and not is_range_of_motion:
                _keep(subjects.setdefault(subject, _Kept({}, {}, {})), kind, path)
    for subject, kept in subjects.items():
        for name in {**kept.world, **kept.mono}:
            yield Recording(
                subject,
                name,
                form,
                world=kept.world.get(name),
                # the world poses say the same; the files in the cameras' frames are not read besides them
                mono={} if name in kept.world else kept.mono[name],
                pixels=kept.pixels.get(name, {}),
            )


def _subject(folder: Path) -> str:
    """The nearest folder, itself included, that names a subject; empty where none does."""
    near = (folder, *folder.parents[:5])
    return next((match[1].upper() for each in near if (match := _SUBJECT.fullmatch(each.name))), "")


def _keep(kept: _Kept, kind: str, path: Path) -> None:
    """``Walking 1.cdf`` of the world and ``Walking 1.54138969.cdf`` of a camera; blanks may be underscores."""
    if kind in ("D3_Positions", BASELINE):
        place, key = kept.world, spelled(path.stem.replace("_", " "))
    else:
        name, _, key = path.stem.rpartition(".")
        if not name:
            return
        cameras = kept.mono if kind == "D3_Positions_mono" else kept.pixels
        place = cameras.setdefault(spelled(name.replace("_", " ")), {})
    if place.setdefault(key, path) != path:
        raise HarBenchError(f"{place[key]} and {path} hold the same sequence; remove one of them")


def _npz(raw: Path) -> Iterator[Recording]:
    if raw.is_file():
        paths = [raw] if raw.suffix == ".npz" else []
    else:
        paths = [path for path in files(raw, avoid=of_media) if path.name.lower() == NPZ]
    if len(paths) > 1:
        raise HarBenchError(f"{paths[0]} and {paths[1]} hold the same sequences; remove one of them")
    for path in paths:
        for subject, takes in positions(path).items():
            for name in takes:
                yield Recording(subject, name, "npz", world=path)


def _refuse(raw: Path, kinds: list[Path]) -> list[Recording]:
    """Say which other part of Human3.6M is there, or what else."""
    universal = next((folder for folder in kinds if _UNIVERSAL.fullmatch(folder.name)), None)
    pixels = next(
        (folder for folder in kinds if (found := _KIND.fullmatch(folder.name)) and "D2" in found["kind"].upper()), None
    )
    fetched = next((folder / _FETCHED for folder in kinds if (folder / _FETCHED).is_file()), None)
    if fetched is None and raw.name == _FETCHED and raw.is_file():
        fetched = raw
    if universal is not None:
        raise HarBenchError(
            f"{universal} holds poses that were fitted to one skeleton, and D3_Positions, the measured ones, are not "
            "there; add Poses_D3_Positions_S*.tgz, unpacked"
        )
    if fetched is not None:
        raise HarBenchError(
            f"{fetched} is h36m-fetch's selection of frames, without the names of their recordings; give its extracted "
            "folder, with Poses_D3_Positions in it"
        )
    if pixels is not None:
        raise HarBenchError(f"{pixels} holds pixels alone; add Poses_D3_Positions_S*.tgz, unpacked")
    raise nothing_found(raw, "Human3.6M poses", LAYOUTS)
