"""The pictures behind a store's rows: its ``media`` column under the folder of the raw download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from har_bench.arrays import Bytes
from har_bench.errors import HarBenchError
from har_bench.media import video
from har_bench.media.images import SUFFIXES, read_image
from har_bench.media.reading import mapped, read_ahead, threads_of
from har_bench.store import Store


class Shot(NamedTuple):
    """One frame of one sequence."""

    sequence: str
    frame: int


class Pictures:
    """Reads frames of a store's sequences as they are stored: no tag turns them, since annotations are of the pixels.

    Args:
        store: its ``sequences`` name images, videos or folders of frames.
        root: the folder of the raw download, or one in which these lie in the same way.
        workers: threads that decode still images; 0 is one per processor.

    Raises:
        HarBenchError: there is no such folder, or the store names no media.
    """

    def __init__(self, store: Store, root: Path, *, workers: int = 0) -> None:
        if not root.is_dir():
            raise HarBenchError(f"{root} is no folder; give the one with the images or videos of {store.dataset}")
        columns = [name for name in ("sequence", "media", "video_frame") if name in store.sequences.column_names]
        if "media" not in columns:
            raise HarBenchError(f"{store.path} names no images or videos; convert the dataset again")
        self._root, self._workers = root, threads_of(workers)
        self._rows: Mapping[str, Mapping[str, Any]] = {
            row["sequence"]: row for row in store.sequences.select(columns).to_pylist()
        }
        self._folders: dict[Path, list[Path]] = {}

    def read(self, shots: Iterable[Shot]) -> Iterator[Bytes]:
        """(H, W, 3) RGB of each shot, in order, decoded ahead; neighbours in a video are decoded without seeking.

        Raises:
            HarBenchError: a file is not there or cannot be decoded; the sequence is named.
        """
        return read_ahead(self._read(shots), 2 * self._workers)

    def has(self, sequence: str) -> bool:
        """Whether a sequence's image, video or folder of frames is there."""
        media = self._rows[sequence]["media"]
        return media is not None and (self._root / media).exists()

    def _read(self, shots: Iterable[Shot]) -> Iterator[Bytes]:
        for film, group in groupby(shots, key=self._film_of):
            if film is None:
                yield from mapped(self._still, group, workers=self._workers, ahead=2 * self._workers)
                continue
            with video.open_video(film) as opened:
                for shot in group:
                    yield opened.frame(shot.frame + (self._rows[shot.sequence].get("video_frame") or 0))

    def _film_of(self, shot: Shot) -> Path | None:
        """The video of a shot; None for a still image or a folder of them."""
        path = self._path(shot)
        return None if path.is_dir() or path.suffix.lower() in SUFFIXES else path

    def _path(self, shot: Shot) -> Path:
        media = self._rows[shot.sequence]["media"]
        path = self._root / (media or "")
        if media is None or not path.exists():
            where = f"{path} is not there" if media else "the store does not name its image or video"
            raise HarBenchError(
                f"sequence {shot.sequence}: {where}; give the folder of the raw download with --set images=FOLDER"
            )
        return path

    def _still(self, shot: Shot) -> Bytes:
        path = self._path(shot)
        if not path.is_dir():
            return read_image(path)
        if path not in self._folders:
            self._folders[path] = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        files = self._folders[path]
        if shot.frame >= len(files):
            raise HarBenchError(f"{path} has {len(files)} images and no frame {shot.frame}; fetch it again")
        return read_image(files[shot.frame])
