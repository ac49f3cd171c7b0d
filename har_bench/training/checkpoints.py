"""The checkpoints of a training: the last one and the one before it, which takes over where the last is damaged."""

from __future__ import annotations

import pickle
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from har_bench.errors import HarBenchError, HarBenchWarning, Malformed
from har_bench.files import UNFINISHED, whole
from har_bench.foreign import opening
from har_bench.training.curves import CURVES, PICTURE

LATEST, BEFORE, BEST = "latest.ckpt", "before.ckpt", "best.ckpt"


@contextmanager
def kept(folder: Path) -> Iterator[Path]:
    """A temporary path for a checkpoint, which becomes the last one when the block ends well.

    Raises:
        HarBenchError: see :func:`har_bench.files.whole`.
    """
    latest = folder / LATEST
    with whole(latest) as temporary:
        yield temporary
        if latest.exists():
            latest.replace(folder / BEFORE)


def keep_best(path: Path) -> None:
    """Copy a checkpoint as the best so far."""
    with whole(path.with_name(BEST)) as copy:
        shutil.copyfile(path, copy)


def best_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The state of the model in the best checkpoint.

    Raises:
        HarBenchError: it is gone, or damaged.
    """
    path = folder / BEST
    if damage := _damage(path):
        raise HarBenchError(f"{path} is damaged or gone ({damage}); delete the checkpoints beside it, and train again")
    found: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return found


def newest(folder: Path) -> Path | None:
    """The checkpoint to go on from, if there is one; what a killed training left half-written is removed.

    A last one that is damaged is removed, which is said, and the one before it is the newest.

    Raises:
        HarBenchError: all are damaged, one is no file, or the folder cannot hold any.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{LATEST}.*{UNFINISHED}"):
            left.unlink()
    except OSError as error:
        raise HarBenchError(f"{folder} cannot hold checkpoints ({error.strerror}); name another folder") from error
    latest, before = folder / LATEST, folder / BEFORE
    for path in (folder / each for each in (LATEST, BEFORE, BEST, CURVES, PICTURE)):
        if path.exists():
            _require_file(path)
    there = [path for path in (latest, before) if path.exists()]
    damages = {path: damage for path in there if (damage := _damage(path))}
    sound = [path for path in there if path not in damages]
    if not sound and damages:
        (name, damage), *_ = damages.items()
        raise HarBenchError(f"{name} is damaged ({damage}); delete it, and the training begins again")
    if latest in damages:
        latest.unlink()
        told = f"{latest} was damaged ({damages[latest]}) and is removed; the training goes on from the one before it"
        warnings.warn(told, HarBenchWarning, stacklevel=3)
    return sound[0] if sound else None


def _require_file(path: Path) -> None:
    """What a training writes replaces no folder; to be said before the first epoch."""
    try:
        opening.require_file(path)
    except Malformed as wrong:
        raise HarBenchError(f"{path} {wrong}; move it away, or name another folder for checkpoints") from wrong


def _damage(path: Path) -> str:
    """What is wrong with a checkpoint, by the checksums of what is in it; nothing of one that is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            if (name := archive.testzip()) is not None:
                return f"{name} is not what was written"
        torch.load(path, map_location="meta", weights_only=True)
    except (
        *(RuntimeError, ValueError, OSError, EOFError, NotImplementedError),
        *(pickle.UnpicklingError, zipfile.BadZipFile),
    ) as error:
        return str(error) or type(error).__name__
    return ""
