"""A tiny synthetic HumanEva-I in the official layout, with lost markers, prefixed labels and all three trials."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.samples import walking_person
from har_bench.skeletons import skeleton

from .c3d import BLOCK, DEC, INTEL, MAGIC, SGI
from .calibration import CAMERAS, Calibration
from .joints import SEGMENTS, SKIN
from .takes import MOCAP_FPS, MOCAP_ONLY, calibrations

ROWS = {("S1", "Jog_1"): 760, ("S1", "Jog_3"): 40, ("S3", "ThrowCatch_1"): 60, ("S3", "Walking_1"): 90}
"""Rows of motion capture by take; S1's Jog_1 reaches beyond frame 368, where Train begins."""

UNCAPTURED = (("S1", "Jog_2"), ("S4", "Walking_2"))
OFFSETS = {"L": 50.0, "R": 47.5}

_JOINTS = skeleton("h36m32")
# each segment's origin, and the joint that its z axis points to
_SEGMENTS = {
    "PEL": ("hip", "thorax"),
    "TRX": ("thorax", "neck"),
    "HED": ("neck", "head"),
    **{
        letter + bone: (f"{side}_{joint}", f"{side}_{above}")
        for letter, side in (("L", "left"), ("R", "right"))
        for bone, joint, above in (
            ("FE", "knee", "hip"),
            ("TI", "ankle", "knee"),
            ("CL", "shoulder", "collar"),
            ("HU", "elbow", "shoulder"),
            ("RA", "wrist", "elbow"),
        )
    },
}
# the joint about which a marker lies; the others are on the thorax
_NEAR = {
    "ASI": "hip", "PSI": "hip", "THI": "hip", "KNE": "knee", "TIB": "knee", "ANK": "ankle", "HEE": "ankle",
    "TOE": "toe_base", "SHO": "shoulder", "UPA": "shoulder", "ELB": "elbow", "FRM": "elbow", "FRA": "elbow",
    "WRA": "wrist", "WRB": "wrist", "FIN": "hand",
}  # fmt: skip


def write_sample(out: Path, seed: int) -> None:
    """Write the tree; whoever jogs, throws or walks is the walking person."""
    rng = np.random.default_rng(seed)
    for subject in ("S1", "S3", "S4"):
        folder = out / subject
        for part in ("Image_Data", "Mocap_Data", "Calibration_Data", "Sync_Data"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        cameras = calibrations(subject) or calibrations("S1")
        for camera in CAMERAS:
            write_cal(folder / "Calibration_Data" / f"{camera}.cal", cameras.get(camera, cameras["C1"]))
    for subject, stem in (*ROWS, *UNCAPTURED):
        if not stem.endswith(str(MOCAP_ONLY)):
            _write_sync(out / subject / "Sync_Data", stem, rng)
    for subject, prefix, forearm in (("S1", "Subject1:", "FRM"), ("S3", "", "FRA")):
        folder = out / subject / "Mocap_Data"
        lines = [f"${side}ShoulderOffset = {offset}\n" for side, offset in OFFSETS.items()]
        (folder / f"{subject}.mp").write_text("".join(lines) + "$HeadOffset = 17\n", "ascii", newline="\n")
        for owner, stem in ((subject, "Static"), *ROWS):
            if owner == subject:
                labels, points = markers(walking_person(ROWS.get((owner, stem), 20), rng, fps=MOCAP_FPS), forearm)
                _lose(points, rng)
                write_c3d(folder / f"{stem}.c3d", [prefix + label for label in labels], points)


def markers(person: npt.NDArray[np.floating], forearm: str = "FRA") -> tuple[list[str], Floats]:
    """Labels and (N, P, 3) positions [mm] of what Vicon would make of (N, 32, 3) joints of ``h36m32``.

    Skin markers lie about the joint that is nearest to them; the segments' axes follow the bones.
    """
    person = np.asarray(person, np.float64)
    at = {name: person[:, place] for place, name in enumerate(_JOINTS.joints)}
    labels, points = [], []
    for place, names in enumerate(SKIN):
        label = next((name for name in names.split("|") if name.endswith(forearm)), names)
        side = {"L": "left_", "R": "right_"}.get(label[0], "")
        joint = side + _NEAR[label[1:]] if label[1:] in _NEAR else "head" if label.endswith("HD") else "thorax"
        labels.append(label)
        points.append(at[joint] + 40 * np.array([np.sin(place), np.cos(place), 0.5]))
    across = at["left_hip"] - at["right_hip"]
    for segment in SEGMENTS:
        origin, above = (at[name] for name in _SEGMENTS[segment])
        z = _unit(above - origin)
        x = _unit(np.cross(across, z))
        for letter, direction in zip("OPAL", (np.zeros_like(z), z, x, np.cross(z, x)), strict=True):
            labels.append(segment + letter)
            # the official code takes the hip for the femur's P
            far = letter == "P" and segment.endswith("FE")
            points.append(above if far else origin + 200 * direction)
    return labels, np.stack(points, axis=1)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _lose(points: Floats, rng: np.random.Generator) -> None:
    """Make skin markers of a long take vanish for a while."""
    if len(points) > 50:
        for _ in range(3):
            start = int(rng.integers(20, len(points) - 10))
            points[start : start + int(rng.integers(1, 9)), int(rng.integers(len(SKIN)))] = np.nan


def _write_sync(folder: Path, stem: str, rng: np.random.Generator) -> None:
    """Videos that begin at different frames; the motion capture runs at twice their rate, or nearly so."""
    for camera in CAMERAS:
        image, row, step = rng.integers(5, 15), rng.uniform(20, 28), 2 + rng.integers(0, 5) / 10_000
        (folder / f"{stem}_({camera}).ofs").write_text(f"{image}.0\n{row:.2f}\n{step}\n", "ascii", newline="\n")


def write_cal(path: Path, calibration: Calibration) -> None:
    """Write a camera as the official 22 numbers."""
    camera = calibration.camera
    groups = (camera.f, camera.c, [calibration.skew], camera.distortion, camera.R.ravel(), camera.t)
    lines = "".join(f"{value:.10g}\n" for group in groups for value in group)
    path.write_text(lines, "ascii", newline="\n")


def write_c3d(
    path: Path, labels: Sequence[str], points: Floats, *, processor: int = INTEL, scale: float = -1.0
) -> None:
    """Write (N, P, 3) positions [mm]; NaN is a point that was not seen.

    Args:
        path: of the file.
        labels: P names.
        points: the positions.
        processor: whose numbers: Intel's, DEC's or SGI's.
        scale: -1 for floats; a positive number for integers of that many mm.
    """
    order = ">" if processor == SGI else "<"
    width = max(map(len, labels))
    names = "".join(label.ljust(width) for label in labels).encode()
    text = _parameter(1, "LABELS", struct.pack("bBBB", -1, 2, width, len(labels)) + names, order)
    used = _parameter(1, "USED", struct.pack("bB", 2, 0) + struct.pack(f"{order}H", len(labels)), order)
    rate = _parameter(1, "RATE", struct.pack("bB", 4, 0) + _float(MOCAP_FPS, processor), order)
    step = _parameter(1, "SCALE", struct.pack("bB", 4, 0) + _float(scale, processor), order)
    units = _parameter(1, "UNITS", struct.pack("bBB", -1, 1, 2) + b"mm", order)
    group = struct.pack("bb", 5, -1) + b"POINT" + struct.pack(f"{order}H", 3) + b"\0"
    section = b"\x01\x50" + bytes(2) + group + text + used + rate + step + units + bytes(2)
    blocks = -(-len(section) // BLOCK)
    section = section[:2] + bytes([blocks, processor]) + section[4:].ljust(blocks * BLOCK - 4, b"\0")

    header = struct.pack(f"{order}5H", len(labels), 0, 1, len(points), 10) + _float(scale, processor)
    header += struct.pack(f"{order}2H", 2 + blocks, 0) + _float(MOCAP_FPS, processor)
    unseen = np.isnan(points).any(axis=-1, keepdims=True)
    values = np.concatenate([np.where(unseen, 0, points), np.where(unseen, -1.0, 0.0)], axis=-1)
    if scale > 0:
        values[..., :3] /= scale
        body = np.rint(values).astype(f"{order}i2").tobytes()
    else:
        body = _float(values, processor)
    path.write_bytes((bytes([2, MAGIC]) + header).ljust(BLOCK, b"\0") + section + body)


def _parameter(group: int, name: str, body: bytes, order: str) -> bytes:
    return struct.pack("bb", len(name), group) + name.encode() + struct.pack(f"{order}H", len(body) + 3) + body + b"\0"


def _float(values: npt.ArrayLike, processor: int) -> bytes:
    """Four-byte floats of a processor."""
    plain = np.asarray(values, np.float32)
    if processor == SGI:
        return plain.astype(">f4").tobytes()
    if processor == DEC:
        halves = np.ascontiguousarray(plain * np.float32(4), "<f4").reshape(-1).view("<u2").reshape(-1, 2)
        return halves[:, ::-1].tobytes()
    return plain.astype("<f4").tobytes()
