"""The unfinished work of ``har-bench pose``: parts of so many frames in a folder beside the file to be.

A part is there when its state is: that is written last, with the seals of the part's tables. Work that was interrupted
goes on behind the last part, with what the model remembered then, so that the result is that of work without a break.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from har_bench.errors import HarBenchError, HarBenchWarning
from har_bench.files import readable, write_whole
from har_bench.foreign import json_file, opening
from har_bench.media.pose_files import Part
from har_bench.storing import parquet

FRAMES_A_PART = 256

_RUN, _REMEDY = "run.json", "delete it, and give the same command again"


class _Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What is written last of a part.

    Attributes:
        seals: of its frames and of its poses, as in :mod:`har_bench.storing.seals`.
        state: what the model remembered after it.
    """

    seals: tuple[str, str]
    state: dict[str, Any]


class Parts:
    """The finished parts of one piece of work.

    Args:
        folder: where they are kept.
        identity: what the work is; parts of other work are thrown away.

    Attributes:
        threw_away: whether parts of other work were there.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._folder = folder
        told = msgspec.json.encode(identity)
        run = folder / _RUN
        begun = opening.read(run, _REMEDY) if run.exists() else None
        self.threw_away = begun is not None and begun != told
        if begun != told:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_whole(run, told)
        self._finished: list[_Finished] = []
        while (found := self._found(self.done)) is not None:
            self._finished.append(found)

    @property
    def done(self) -> int:
        """How many parts are finished."""
        return len(self._finished)

    def add(self, part: Part, state: dict[str, Any]) -> None:
        """Keep the next part, and what the model remembers after it."""
        number = self.done
        frames = parquet.write(part.frames, self._path("frames", number, "parquet"))
        poses = parquet.write(part.poses, self._path("poses", number, "parquet"))
        finished = _Finished(seals=(frames, poses), state=state)
        write_whole(self._path("state", number, "json"), msgspec.json.encode(finished))
        self._finished.append(finished)

    def state(self) -> dict[str, Any]:
        """What the model remembered after the last part."""
        return self._finished[-1].state

    def __iter__(self) -> Iterator[Part]:
        for number, finished in enumerate(self._finished):
            yield self._part(number, finished)

    def remove_if_empty(self) -> None:
        """Leave nothing behind where no part was finished."""
        if not self.done:
            self.remove()

    def remove(self) -> None:
        """Throw them away: the file is written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str, number: int, suffix: str) -> Path:
        return self._folder / f"{name}-{number:05d}.{suffix}"

    def _found(self, number: int) -> _Finished | None:
        """A part that an earlier run finished; one that is damaged goes, with all behind it, which is said."""
        path = self._path("state", number, "json")
        if not path.exists():
            return None
        try:
            found: _Finished = json_file.read(path, _Finished, what="a part of poses", remedy=_REMEDY)
            self._part(number, found)
        except HarBenchError as error:
            told = f"{self._folder} is damaged, and what was found from part {number} on is looked for again ({error})"
            warnings.warn(told, HarBenchWarning, stacklevel=4)
            for behind in self._folder.glob("state-*.json"):
                if behind.name >= path.name:
                    behind.unlink()
            return None
        return found

    def _part(self, number: int, finished: _Finished) -> Part:
        tables = zip(("frames", "poses"), finished.seals, strict=True)
        return Part(*(parquet.Part(self._path(name, number, "parquet"), seal).read() for name, seal in tables))


def fingerprint_of(path: Path) -> str:
    """What tells that a file or a folder's files are still the same, without reading them: names, sizes, times."""
    digest = hashlib.sha256()
    with readable(path):
        for each in sorted(path.iterdir()) if path.is_dir() else [path]:
            about = each.stat()
            digest.update(f"{each.name} {about.st_size} {about.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
