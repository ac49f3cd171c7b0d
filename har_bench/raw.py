"""Raw downloads as people have them: some folders deeper, still packed, with file names of another system.

A converter asks :func:`home` (or :func:`homes`, where a dataset may lie in several folders) for the folder that its
layout begins in, and raises :func:`nothing_found` where there is none: the sentence says what *is* there.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from har_bench.errors import HarBenchError, completing
from har_bench.foreign import opening

DEPTH = 3
"""How many folders below the one given a layout may begin."""

ARCHIVES = (".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".rar", ".7z", ".gz", ".bz2", ".xz", ".zst")
"""Endings of what has to be unpacked, unless a converter reads it as it is."""

_PACKED = (".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", *ARCHIVES[:-4])  # never one file of a dataset
_MAGIC = (b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")
_WORD = re.compile("[a-z]+")
_ZIPPED = (".npz", ".pt", ".pth", ".bin", ".ckpt", ".xlsx")  # zip files by design
_LISTED = 20_000  # entries that a description looks at
_NAMED = 3
_ELSEWHERE = frozenset("\\:\0")  # letters that lead away on some system


def folders(raw: Path, depth: int = DEPTH, *, avoid: Callable[[str], object] | None = None) -> Iterator[Path]:
    """``raw`` and the folders in it, the nearest first and by name; hidden and unreadable ones are passed over.

    Args:
        raw: the folder given.
        depth: how far below ``raw`` to look.
        avoid: tells by its name a folder that is not to be entered, such as one of a video's thousands of frames.
    """
    level = [raw] if raw.is_dir() else []
    for below in range(depth + 1):
        yield from level
        inside = (path for folder in level for path in _subfolders(folder)) if below < depth else iter(())
        level = [path for path in inside if avoid is None or not avoid(path.name)]


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir() and _shown(entry.name)]
    except OSError:  # such as lost+found at the root of a disk
        return []
    return [folder / name for name in sorted(names)]


def _shown(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def files(
    raw: Path,
    depth: int = DEPTH,
    *,
    avoid: Callable[[str], object] | None = None,
    also: Callable[[str], object] | None = None,
) -> Iterator[Path]:
    """The files of :func:`folders`, the nearest first and by name; ``raw`` itself where it is a file.

    Args:
        raw: as of :func:`folders`.
        depth: as of :func:`folders`.
        avoid: as of :func:`folders`.
        also: tells by its name a folder that stands in the place of a file; it is given too, for it cannot be read.
    """
    if raw.is_file():
        yield raw
    for folder in folders(raw, depth, avoid=avoid):
        try:
            with os.scandir(folder) as entries:  # tens of thousands of files: no stat of each
                names = sorted(
                    each.name
                    for each in entries
                    if _shown(each.name) and (not each.is_dir() or (also and also(each.name)))
                )
        except OSError:
            continue
        yield from (folder / name for name in names)


def in_any_case(folder: Path, inner: str) -> Path:
    """A path below a folder as it is spelled there, in small or capital letters; as asked for where there is none.

    Args:
        folder: a folder that is there.
        inner: the path below it, with slashes.
    """
    for part in inner.split("/"):
        exact = folder / part
        if not exact.exists():
            with suppress(OSError):
                spelled = (path for path in sorted(folder.iterdir()) if path.name.casefold() == part.casefold())
                exact = next(spelled, exact)
        folder = exact
    return folder


def homes(raw: Path, holds: Callable[[Path], object], depth: int = DEPTH) -> list[Path]:
    """The folders, at or below ``raw``, that a layout begins in; none of them lies in another.

    Args:
        raw: the folder given.
        holds: whether the layout begins in a folder.
        depth: how far below ``raw`` to look.
    """
    found: list[Path] = []
    level = [raw] if raw.is_dir() else []
    for below in range(depth + 1):
        here = [folder for folder in level if holds(folder)]
        found += here
        level = [path for each in level if each not in here for path in _subfolders(each)] if below < depth else []
    return sorted(found)


def home(raw: Path, holds: Callable[[Path], object], what: str, depth: int = DEPTH) -> Path | None:
    """The only folder of :func:`homes`; None where there is none.

    Args:
        raw: the folder given.
        holds: whether the layout begins in a folder.
        what: what the error calls the dataset.
        depth: how far below ``raw`` to look.

    Raises:
        HarBenchError: there are several.
    """
    found = homes(raw, holds, depth)
    if len(found) > 1:
        raise HarBenchError(
            f"{raw} holds {what} {len(found)} times, in {_listed(raw, found)}; give one of these folders"
        )
    return found[0] if found else None


def refuse_archive(raw: Path, inside: str = "the folder with what was in it") -> None:
    """Refuse a download that was not unpacked; ``.csv.gz`` and its kin, which readers may know, pass.

    Args:
        raw: the file or folder given.
        inside: what messages ask for in its place.

    Raises:
        HarBenchError: ``raw`` is an archive of files, by its name or by its first bytes.
    """
    if not raw.is_file() or raw.suffix.lower() in _ZIPPED:
        return
    with completing(raw, f"give {inside}"), opening.opened(raw) as stream:
        head = stream.read(8)
    if raw.name.lower().endswith(_PACKED) or head.startswith(_MAGIC):
        raise HarBenchError(f"{raw} is an archive; unpack it and give {inside}")


def nothing_found(raw: Path, what: str, expected: str) -> HarBenchError:
    """The error of a converter that finds nothing of its dataset: what is there instead, and what was expected.

    Args:
        raw: the file or folder given.
        what: the dataset's name.
        expected: its layout, in one phrase.
    """
    if not raw.exists():
        return HarBenchError(f"{raw} does not exist; give the folder of {what}: expected {expected}")
    if raw.is_file():
        if raw.name.lower().endswith(ARCHIVES):
            return HarBenchError(f"{raw} is packed and no {what} as it is; unpack it: expected {expected}")
        return HarBenchError(f"{raw} is no file of {what}; expected {expected}")
    present = list(islice(files(raw, DEPTH + 1), _LISTED))
    archives = [path for path in present if path.name.lower().endswith(ARCHIVES)]
    if archives:
        there = f"holds no {what} but archives that are not unpacked, {_listed(raw, archives)}; unpack them there"
        return HarBenchError(f"{raw} {there}: expected {expected}")
    return HarBenchError(f"{raw} holds no {what} ({_described(raw, present)}); expected {expected}")


def _described(raw: Path, present: list[Path]) -> str:
    """What a folder holds, in a few words: ``it holds 12 .jpg, 1 .csv, such as a/val.csv``."""
    if not present:
        inside = list(islice(folders(raw), 1, _NAMED + 1))
        return f"it holds no file, only folders such as {_listed(raw, inside)}" if inside else "it is empty"
    kinds = Counter(path.suffix.lower() or "nameless" for path in present)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_NAMED))
    rare = min(present, key=lambda path: kinds[path.suffix.lower() or "nameless"])
    return f"it holds {counts}{' and others' * (len(kinds) > _NAMED)}, such as {rare.relative_to(raw).as_posix()}"


def _listed(raw: Path, paths: list[Path]) -> str:
    """The first few of some paths, as they lie under the folder given."""
    names = ", ".join(path.relative_to(raw).as_posix() if path != raw else raw.name for path in paths[:_NAMED])
    return names + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")


def file_name(path: str) -> str:
    r"""The last part of a path of any system.

    >>> file_name("C:\\data\\images\\a.jpg"), file_name("../images/a.jpg"), file_name("a.jpg")
    ('a.jpg', 'a.jpg', 'a.jpg')
    """
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def stays_inside(path: str) -> bool:
    r"""Whether a path of a file leads below the folder it is relative to, on every system.

    >>> [stays_inside(path) for path in ("a/b.jpg", "/a.jpg", "../a.jpg", "a\\b.jpg", "C:/a.jpg", "")]
    [True, False, False, False, False, False]
    """
    parts = path.split("/")
    return bool(path.strip()) and _ELSEWHERE.isdisjoint(path) and ".." not in parts and not path.startswith("/")


def split_word(path: Path, words: Collection[str], ignoring: Collection[str] = ()) -> str | None:
    """The split that a file belongs to: what its folder is called, else the last word of its name; None for neither.

    Args:
        path: the file; relative to the raw folder, if that folder's own name is not to count.
        words: the splits, in small letters.
        ignoring: words that stand behind the split in known names, such as the dataset's.

    >>> split_word(Path("val/003418_mpii_test.json"), ["val", "test"])
    'val'
    >>> split_word(Path("train_2.json"), ["train"]), split_word(Path("trained_test_poses.json"), ["train", "test"])
    ('train', None)
    """
    for name in (path.parent.name, path.name.partition(".")[0]):
        last = next((word for word in reversed(_WORD.findall(name.lower())) if word not in ignoring), "")
        if last in words:
            return str(last)
    return None
