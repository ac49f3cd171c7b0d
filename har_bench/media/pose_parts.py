"""The unfinished work of ``har-bench pose``: parts of so many frames in a folder beside the file to be.

A part is there when its state is: that is written last. Work that was interrupted goes on behind the last part, with
what the model remembered then, so that the result is that of work without a break.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from har_bench.files import write_whole
from har_bench.media.pose_files import Part
from har_bench.storing import parquet

FRAMES_A_PART = 256

_RUN = "run.json"


class Parts:
    """The finished parts of one piece of work.

    Args:
        folder: where they are kept.
        identity: what the work is; parts of other work are thrown away.

    Attributes:
        done: how many parts are finished.
        threw_away: whether parts of other work were there.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._folder = folder
        told = msgspec.json.encode(identity)
        run = folder / _RUN
        begun = run.read_bytes() if run.is_file() else None
        self.threw_away = begun is not None and begun != told
        if begun != told:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_whole(run, told)
        self.done = 0
        while self._path("state", self.done, "json").is_file():
            self.done += 1

    def add(self, part: Part, state: dict[str, Any]) -> None:
        """Keep the next part, and what the model remembers after it."""
        for name, rows in (("frames", part.frames), ("poses", part.poses)):
            parquet.write(rows, self._path(name, self.done, "parquet"))
        write_whole(self._path("state", self.done, "json"), msgspec.json.encode(state))
        self.done += 1

    def state(self) -> dict[str, Any]:
        """What the model remembered after the last part."""
        found: dict[str, Any] = msgspec.json.decode(self._path("state", self.done - 1, "json").read_bytes())
        return found

    def __iter__(self) -> Iterator[Part]:
        for number in range(self.done):
            yield Part(*(self._table(name, number) for name in ("frames", "poses")))

    def remove_if_empty(self) -> None:
        """Leave nothing behind where no part was finished."""
        if not self.done:
            self.remove()

    def remove(self) -> None:
        """Throw them away: the file is written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str, number: int, suffix: str) -> Path:
        return self._folder / f"{name}-{number:05d}.{suffix}"

    def _table(self, name: str, number: int) -> pa.Table:
        return pq.read_table(self._path(name, number, "parquet"))


def fingerprint_of(path: Path) -> str:
    """What tells that a file or a folder's files are still the same, without reading them: names, sizes, times."""
    digest = hashlib.sha256()
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        about = each.stat()
        digest.update(f"{each.name} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()
