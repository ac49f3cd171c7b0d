"""Readers of models' files, of entries, of detections and of pictures; what each needs is loaded when it is used."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def _moved(path: Path, name: str, reader: Callable[[Path], Any]) -> None:
    """Read a folder that holds a file, or a pipe, under another name."""
    with tempfile.TemporaryDirectory() as folder:
        if path.is_fifo():
            os.mkfifo(Path(folder, name))
        else:
            shutil.copyfile(path, Path(folder, name))
        reader(Path(folder))


def keras(path: Path) -> None:
    from har_bench.baselines.deephar.keras_file import KerasFile

    KerasFile(path)


def lart_weights(path: Path) -> None:
    from har_bench.baselines.lart.released import released
    from har_bench.training import weights

    released(weights.read(path))


def lart_tracklet(path: Path) -> None:
    from har_bench.converters.ava.tracklets import Name, read_poses

    read_poses(path, Name("clip", 1))


def lart_checked(path: Path) -> None:
    from har_bench.baselines.lart.checking import check_tracklet

    check_tracklet(path)


def lart_norm(path: Path) -> None:
    from har_bench.baselines.lart.windows import norm_read

    norm_read(str(path))


def floor(path: Path) -> None:
    from har_bench.baselines.nearest import NearestCentroid

    NearestCentroid().load(path)


def boxes(path: Path) -> None:
    import pyarrow as pa

    from har_bench.media.boxes import BoxFile

    sequences = pa.table({"sequence": ["a"], "image_id": [7]})
    store: Any = SimpleNamespace(sequences=sequences, dataset="toy", path=Path("store"))
    BoxFile(path, store)


def label(path: Path) -> None:
    from har_bench.keypoints.tracks import open_track

    _moved(path, "clip_1.txt", lambda folder: open_track(folder, size=(100, 100), fps=50))


def card(path: Path) -> None:
    from har_bench.entries import card

    card.read(path)


def record(path: Path) -> None:
    from har_bench.entries import record

    record.read(path)


def separations(path: Path) -> None:
    from har_bench.entries import separations

    _moved(path, separations.SEPARATIONS, separations.read)


def image(path: Path) -> None:
    from har_bench.media.images import read_image

    read_image(path)


def video(path: Path) -> None:
    from har_bench.media.video import Video

    with Video(path) as film:
        for number in range(len(film)):
            film.frame(number)


def described(path: Path) -> None:
    from har_bench.cli.describing_files import described

    described(path)


MODEL_READERS: Mapping[str, Callable[[Path], Any]] = {
    "keras": keras,
    "lart weights": lart_weights,
    "lart tracklet": lart_tracklet,
    "lart checked": lart_checked,
    "lart norm": lart_norm,
    "floor": floor,
    "boxes": boxes,
    "label": label,
    "card": card,
    "record": record,
    "separations": separations,
    "image": image,
    "video": video,
    "described": described,
}
