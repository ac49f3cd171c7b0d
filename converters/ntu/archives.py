"""What others made of NTU RGB+D's files, where the files themselves are not there.

* ``txt2npy``: ``<name>.skeleton.npy`` of the authors' script, a dictionary of the bodies by slot;
* ``deephar``: ``nturgb+d_numpy/<name>.npy``, one person, rows of frame number, 25 (x, y, z), 25 u, 25 v, 25 depths;
* ``pyskl``: pickles of pyskl and mmaction2 with ``annotations``, two selected bodies, most often as float16;
* ``ctrgcn``: CTR-GCN's ``.npz``, two selected bodies, 300 frames, moved so that the first one's spine is the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.converter import Reject, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.foreign import npy, pickles
from har_bench.foreign.npz import open_npz
from har_bench.schema import column

from .metadata import Sample, packaged, published, sample, setups, splits
from .skeleton_file import JOINTS
from .tables import SIMPLE, Clip, Columns, single, tables, to_millimetres

LAYOUTS = (
    "*.skeleton.npy (shahroudy's txt2npy), S*.npy (deephar's nturgb+d_numpy), a .pkl with annotations (pyskl, "
    "mmaction2) or an .npz with x_train (CTR-GCN)"
)
NOTE = (
    "body ids are lost, so person is the slot; visibility is 2 wherever there is a position; pyskl's and CTR-GCN's "
    "frames are those in which somebody is seen, and CTR-GCN's positions are relative to a joint of the first frame"
)
SEQUENCES_OF_SHARD = 512
FLOATS_OF_BODY = 3 * JOINTS
DEEPHAR = SIMPLE.append(
    column("joint_depth", pa.float32(), "mm", shape=(JOINTS,), about="the third coordinate of deephar's poses")
)

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """What reading a shard needs.

    Attributes:
        form: of its files.
        base: the raw root.
        chosen: where one file holds everything, the name and place of each sequence.
    """

    form: str
    base: Path
    chosen: tuple[Any, ...] = ()


def discover(present: Sequence[Path], base: Path, classes: int) -> list[Shard]:
    """The shards of the first form that is there; none where there is no form.

    Args:
        present: every file of the download.
        base: its folder.
        classes: 60 or 120.

    Raises:
        HarBenchError: an archive that cannot be read or holds 2D keypoints, or several of one form.
    """
    by_suffix = {suffix: [path for path in present if path.suffix == suffix] for suffix in (".npy", ".npz", ".pkl")}
    singles = [path for path in by_suffix[".npy"] if (of := _sample(path)) and of.action <= classes]
    authors = [path for path in singles if path.name.endswith(".skeleton.npy")]
    if singles:
        part = Part("txt2npy" if authors else "deephar", base)
        paths = sorted(authors or singles, key=lambda path: path.name.partition(".")[0])
        return [Shard(group[0].name, tuple(group), part) for group in _groups(paths)]
    for form, suffix, look in (("ctrgcn", ".npz", _ctrgcn_rows), ("pyskl", ".pkl", _pyskl_rows)):
        found = _only([(path, look) for path in by_suffix[suffix]], classes)
        if found is not None:
            return _shards(form, base, *found)
    return []


def _only(
    candidates: Sequence[tuple[Path, Callable[[Path, int], Sequence[Any]]]], classes: int
) -> tuple[Path, Sequence[Any]] | None:
    """The one file with sequences of the dataset, and these; an unreadable file counts where there is no other."""
    found: list[tuple[Path, Sequence[Any]]] = []
    unreadable: HarBenchError | None = None
    for path, look in candidates:
        try:
            rows = look(path, classes)
        except HarBenchError as error:
            unreadable = unreadable or error
        else:
            found += [(path, rows)] * bool(rows)
    if len(found) > 1:
        raise HarBenchError(f"{found[0][0]} and {found[1][0]} both hold such sequences; give one of these files alone")
    if not found and unreadable:
        raise unreadable
    return found[0] if found else None


def _sample(path: Path) -> Sample | None:
    """The sequence of ``<name>.npy`` or ``<name>.skeleton.npy``."""
    return sample(path.name.partition(".")[0])


def _groups(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[first : first + SEQUENCES_OF_SHARD] for first in range(0, len(items), SEQUENCES_OF_SHARD))


def _shards(form: str, base: Path, path: Path, chosen: Sequence[Any]) -> list[Shard]:
    """The shards of one file that holds every sequence."""
    groups = _groups(sorted(chosen))
    return [Shard(f"{path.stem}/{group[0][0]}", (path,), Part(form, base, tuple(group))) for group in groups]


def read(part: Part, sources: Sequence[Path], classes: int) -> Tables:
    """The sequences of a shard; one that is not what its form says is a reject."""
    clips: list[Clip] = []
    rejects: list[Reject] = []
    for path in sources:
        source = path.relative_to(part.base).as_posix()
        for where in part.chosen or [()]:
            place = where[0] if where else "the whole file"
            try:
                clip = READERS[part.form](path, source, *where)
            except HarBenchError as error:
                rejects.append(Reject(source, place, str(error).replace(str(path), source), "dropped"))
                continue
            rejects += (Reject(source, place, flaw, "repaired") for flaw in clip.flaws)
            clips.append(clip)
    return tables(clips, classes, part.form, DEEPHAR if part.form == "deephar" else SIMPLE, rejects)


def _bodies(present: npt.NDArray[np.bool_], xyz: _Array, **others: _Array) -> Columns:
    """The bodies that are there, of (M, T) slots and frames, from (M, T, 25, ...) arrays."""
    slot, frame = np.nonzero(present)
    return _columns(frame, slot, xyz[slot, frame], **{name: values[slot, frame] for name, values in others.items()})


def _columns(frame: _Array, slot: _Array, xyz: _Array, **others: _Array) -> Columns:
    """The store's columns: metres become millimetres, and every joint with a position is visible."""
    points = to_millimetres(xyz.astype(np.float64))
    return {
        "frame": frame.astype(np.int32),
        "slot": slot.astype(np.uint8),
        "person": slot.astype(np.int64),
        "keypoints_3d": points,
        "visibility": np.where(np.isfinite(points).all(axis=-1), np.uint8(2), np.uint8(0)),
        **{name: single(values.astype(np.float64)) for name, values in others.items()},
    }


def _is_numbers(values: Any, *shape: int | None) -> TypeGuard[_Array]:
    """Whether ``values`` is an array of real numbers of a shape; None stands for any length."""
    return (
        isinstance(values, np.ndarray)
        and values.dtype.kind in "fiu"
        and values.ndim == len(shape)
        and all(length in (None, found) for length, found in zip(shape, values.shape, strict=True))
    )


def _finite(columns: Columns) -> bool:
    return bool(np.isfinite(columns["keypoints_3d"]).all())


# ---- one file per sequence


def _txt2npy(path: Path, source: str) -> Clip:
    loaded = npy.load(path)
    content: Any = loaded.item() if loaded.shape == () else loaded
    counts = content.get("nbodys") if isinstance(content, dict) else None
    if not isinstance(counts, list) or not all(isinstance(count, int) and 0 <= count < 256 for count in counts):
        raise HarBenchError(f"{path} holds no list nbodys; make it again with shahroudy's txt2npy.py")
    if not counts:
        raise HarBenchError(f"{path} holds no frame; make it again with shahroudy's txt2npy.py")
    frames, bodies = len(counts), max(counts)
    flaws = []
    points = np.full((bodies, frames, JOINTS, 3), np.nan)
    pixels = np.full((bodies, frames, JOINTS, 2), np.nan)
    for name, target in (("skel_body", points), ("rgb_body", pixels)):
        for slot in range(bodies):
            values = content.get(f"{name}{slot}")
            if values is None and name == "rgb_body":  # the script's switch for colors is off
                continue
            if _is_numbers(values, frames, JOINTS, target.shape[-1]):
                target[slot] = values
            elif name == "rgb_body":
                flaws.append(f"{name}{slot} is no array of {frames} frames; these keypoints are absent")
            else:
                raise HarBenchError(f"{path} holds no {name}{slot} of {frames} frames; make it again")
    present = np.arange(bodies)[:, None] < np.array(counts, int)
    columns = _bodies(present, points, keypoints=pixels)
    return Clip(_sample(path), frames, columns, source, _finite(columns), flaws=tuple(flaws))


def _deephar(path: Path, source: str) -> Clip:
    rows = npy.load(path)
    if not _is_numbers(rows, None, 1 + 2 * FLOATS_OF_BODY):
        raise HarBenchError(f"{path} holds no rows of {1 + 2 * FLOATS_OF_BODY} numbers; it is not deephar's")
    number = rows[:, 0].astype(np.float64)
    frame = np.where(np.abs(number) < 1e6, number, 0).astype(np.int64) - 1
    if (frame != number - 1).any() or (frame < 0).any() or (np.diff(frame) <= 0).any():
        raise HarBenchError(f"{path} has frame numbers that are not 1 and rising; it is not deephar's")
    u, v, depth = np.moveaxis(rows[:, 1 + FLOATS_OF_BODY :].reshape(-1, 3, JOINTS), 1, 0)
    points = rows[:, 1 : 1 + FLOATS_OF_BODY].reshape(-1, JOINTS, 3)
    columns = _columns(frame, np.zeros(len(rows)), points, keypoints=np.stack([u, v], axis=-1), joint_depth=depth)
    return Clip(_sample(path), int(frame[-1]) + 1 if len(frame) else 0, columns, source, _finite(columns))


# ---- pyskl and mmaction2


def _annotations(path: Path) -> list[dict[str, Any]]:
    status = path.stat()
    return _loaded(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # one pickle of all sequences: each worker reads it once
def _loaded(path: Path, modified: int, size: int) -> list[dict[str, Any]]:
    del modified, size  # they only tell a changed file from the cached one
    content = pickles.load(path)
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
        raise HarBenchError(f"{path} holds no list of annotations; it is not a pickle of pyskl or mmaction2")
    return annotations


def _pyskl_rows(path: Path, classes: int) -> list[tuple[str, int, bool]]:
    """(name, place, whether the name came before) of every annotation that may be of the dataset.

    Raises:
        HarBenchError: the file is no such pickle, or all its keypoints are in the image.
    """
    annotations = _annotations(path)
    flat = [_points_in_image(each.get("keypoint")) for each in annotations]
    if flat and all(flat):
        raise HarBenchError(
            f"{path} holds two-dimensional keypoints of {flat[0]} joints, such as pyskl's HRNet detections, and not "
            f"the {JOINTS} joints in space of NTU RGB+D; give its 3D pickle (ntu60_3danno.pkl, ntu120_3danno.pkl) or "
            "the .skeleton files"
        )
    rows: list[tuple[str, int, bool]] = []
    seen: set[str] = set()
    for place, each in enumerate(annotations):
        name = str(each.get("frame_dir"))[:80]
        if (of := sample(name)) is None or of.action <= classes:
            rows.append((name, place, name in seen))
        seen.add(name)
    return rows


def _points_in_image(values: Any) -> int:
    """How many joints (bodies, frames, joints, 2) points have; 0 for anything else."""
    return int(values.shape[2]) if _is_numbers(values, None, None, None, 2) else 0


def _pyskl(path: Path, source: str, name: str, place: int, again: bool) -> Clip:
    annotation = _annotations(path)[place]
    points, of, label = annotation.get("keypoint"), sample(name), annotation.get("label")
    if of is None:
        raise HarBenchError(f"{name[:80]!r} is no name of NTU RGB+D")
    if again:
        raise HarBenchError("the sequence is given twice; the first is kept")
    if not _is_numbers(points, None, None, JOINTS, 3) or len(points) > 255:
        shape = getattr(points, "shape", type(points).__name__)
        raise HarBenchError(f"keypoint is of the shape {shape} and not (bodies, frames, {JOINTS}, 3)")
    if not points.shape[1]:
        raise HarBenchError("keypoint has no frame")
    wrong = label is not None and not (isinstance(label, int | np.integer) and label == of.action - 1)
    flaws = (f"label {repr(label)[:40]} contradicts the name; the name counts",) if wrong else ()
    columns = _bodies((points != 0).any(axis=(2, 3)), points)
    return Clip(of, points.shape[1], columns, source, _finite(columns), flaws=flaws)


# ---- CTR-GCN


def _labels(path: Path) -> dict[str, _Array]:
    """The one-hot labels of both halves; nothing when the archive is another one."""
    archive = open_npz(path)
    halves = ("train", "test")
    if not {f"{kind}_{half}" for kind in "xy" for half in halves} <= set(archive):
        return {}
    labels = {half: archive[f"y_{half}"] for half in halves}
    if not all(_is_numbers(values, None, None) and values.shape[1] for values in labels.values()):
        raise HarBenchError(f"{path} has labels that are not one-hot; it is not CTR-GCN's")
    return labels


def _ctrgcn_rows(path: Path, classes: int) -> list[tuple[str, str, int, int]]:
    """(sequence, half, row, label) of every sequence; none of an archive with other classes.

    The archive has no names. CTR-GCN orders a half by subject, camera or setup and then by name, so a whole archive
    tells them by its size, and its labels must agree; otherwise sequences are called by their place.
    """
    labels = _labels(path)
    if not labels or not all(values.shape[1:] == (classes,) for values in labels.values()):
        return []
    actions = {half: values.argmax(axis=1) + 1 for half, values in labels.items()}
    for family in ("xsub", "xview", "xset"):
        order = ctrgcn_order(classes, family)
        if order and all(
            np.array_equal([of.action for of in order[half]], actions[half]) for half in ("train", "test")
        ):
            names = {half: [of.name for of in order[half]] for half in order}
            break
    else:
        names = {half: [f"{path.stem}/{half}/{row:06}" for row in range(len(labels[half]))] for half in labels}
    return [(name, half, row, int(actions[half][row])) for half in names for row, name in enumerate(names[half])]


@cache
def ctrgcn_order(classes: int, family: str) -> dict[str, list[Sample]]:
    """The sequences of both halves of a split as CTR-GCN orders them; nothing if the dataset has no such split."""
    place = {"xsub": "performer", "xview": "camera", "xset": "setup"}[family]
    everything = sorted(of for setup in setups(classes) for of in published(setup))
    everything = [of for of in everything if of.name not in packaged().missing]
    if not any(name.startswith(f"{family}/") for name in splits(everything[0], classes)):
        return {}
    everything.sort(key=lambda of: int(getattr(of, place)))
    return {half: [of for of in everything if f"{family}/{half}" in splits(of, classes)] for half in ("train", "test")}


def _ctrgcn(path: Path, source: str, name: str, half: str, row: int, label: int) -> Clip:
    values = _poses(path, half)
    if not _is_numbers(values, None, None, 2 * FLOATS_OF_BODY) or row >= len(values):
        raise HarBenchError(f"x_{half} has the shape {values.shape} and not (sequences, frames, 150)")
    points = np.asarray(values[row]).reshape(-1, 2, JOINTS, 3).swapaxes(0, 1)
    present = (points != 0).any(axis=(2, 3))
    frames = int(np.flatnonzero(present.any(axis=0)).max(initial=-1)) + 1
    of = sample(name)
    nameless = {"sequence": name, "splits": [f"{path.stem}/{half}"], "label": label}
    columns = _bodies(present[:, :frames], points[:, :frames])
    return Clip(of, frames, columns, source, _finite(columns), {} if of else nameless)


def _poses(path: Path, half: str) -> _Array:
    status = path.stat()
    return _opened(path, half, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _opened(path: Path, half: str, modified: int, size: int) -> _Array:
    del modified, size
    archive, name = open_npz(path), f"x_{half}"
    mapped = archive.mapped(name)  # where the array is not compressed, as CTR-GCN's: 7 GB would fill a worker's memory
    return archive[name] if mapped is None else mapped


READERS: dict[str, Callable[..., Clip]] = {
    "txt2npy": _txt2npy,
    "deephar": _deephar,
    "pyskl": _pyskl,
    "ctrgcn": _ctrgcn,
}
"""By form, what reads one sequence: from a path, its name under the raw root, and its place where it has one."""
