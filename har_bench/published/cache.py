"""The folder in which fetched weights are kept, and whether they are still what was published."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from har_bench.errors import completing
from har_bench.foreign import opening
from har_bench.published.listing import Published, catalogue

VARIABLE = "HAR_BENCH_WEIGHTS"
"""Of the environment: another folder for them."""

State = Literal["as published", "damaged", "cannot be checked"]


@dataclass(frozen=True)
class Kept:
    """A file of the folder.

    Attributes:
        path: where it is.
        published: what it is; None for a file that is not in the catalogue.
        state: whether it is what was published.
    """

    path: Path
    published: Published | None
    state: State


def folder() -> Path:
    """Where weights are kept: ``$HAR_BENCH_WEIGHTS``, else a folder of the user's cache. It need not exist."""
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return cache / "har_bench" / "weights"


def state_of(path: Path, published: Published) -> State:
    """Whether a file is what was published, by its checksum."""
    if published.bytes and path.stat().st_size != published.bytes:
        return "damaged"
    if published.sha256:
        return "as published" if digest(path) == published.sha256 else "damaged"
    if published.md5:
        return "as published" if digest(path, "md5") == published.md5 else "damaged"
    return "cannot be checked"


def kept() -> list[Kept]:
    """Every file of the folder, compared with its checksum; licences' texts are left out."""
    place = folder()
    by_file = {each.file: each for each in catalogue().values()}
    found = []
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.name.startswith((".", "LICENSE")) or not path.is_file():
            continue
        published = by_file.get(path.name)
        found.append(Kept(path, published, state_of(path, published) if published else "cannot be checked"))
    return found


def digest(path: Path, kind: str = "sha256") -> str:
    """A file's checksum in hexadecimal digits."""
    with completing(path, "fetch it again"), opening.opened(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
