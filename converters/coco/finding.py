"""The annotation files of a raw download, where they are expected or up to three folders deeper; else what is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from har_bench.errors import HarBenchError, unknown

from .document import Document
from .origins import FOLDER, OFFICIAL, SUFFIXES, base, folders, stem

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tbz2", ".7z", ".rar")
DEPTH = 3
"""How many folders deeper than documented a dataset may lie."""

_WALKED = DEPTH + 2
"""With ``annotations`` and the folders of splits."""

_NAMED = 3


def near(raw: Path) -> list[Path]:
    """The files that may hold annotations where they are expected, in the order of their names."""
    there = [path for folder in (raw, raw / FOLDER) if folder.is_dir() for path in sorted(folder.iterdir())]
    return _official([path for path in there if _candidate(path)])


def deeper(raw: Path) -> list[Path]:
    """The annotation files in the folders of one dataset, wherever below the raw root it lies.

    Raises:
        HarBenchError: there are several datasets, so that the user has to choose.
    """
    found = [path for path in _walk(raw) if _candidate(path) and len(base(raw, path)) <= DEPTH]
    found = [path for path in _official(found) if is_annotations(Document(path))]
    places = Counter("/".join(base(raw, path)) for path in found)
    if len(places) > 1:
        listed = ", ".join(f"{place or '.'} ({count} files)" for place, count in sorted(places.items())[:_NAMED])
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        raise HarBenchError(
            f"{raw} has annotation files of several datasets, in {listed}{more}; give one of these folders, "
            "or choose files with the option files"
        )
    return found


def chosen(raw: Path, files: str) -> list[Path]:
    """The files that the user chose.

    Raises:
        HarBenchError: there are none, or it is no pattern of paths below the raw root.
    """
    try:
        found = sorted(path for path in raw.glob(files) if path.is_file() and ".." not in path.parts)
    except (NotImplementedError, ValueError) as error:
        raise HarBenchError(f"{files!r} is no pattern of paths below {raw} ({error}); mend the option files") from error
    if not found:
        names = ("/".join((*folders(raw, path), path.name)) for path in _walk(raw) if _candidate(path))
        raise unknown(f"file of {raw}", files, names, hint="mend the option files")
    return found


def is_annotations(document: Document) -> bool:
    """Whether a json is an annotation file in COCO's format."""
    return {"images", "annotations"} <= document.members.keys()


def nothing_found(raw: Path, expected: str) -> HarBenchError:
    """What is said where no annotation file is: what there is instead."""
    if raw.is_file():
        return HarBenchError(f"{raw} is not COCO: it is {_described(raw)}; expected {expected}")
    there = list(_walk(raw))
    archives = [path for path in there if path.name.lower().endswith(ARCHIVES)]
    if archives:
        name = "/".join((*folders(raw, archives[0]), archives[0].name))
        more = f" and {len(archives) - 1} more archives" if len(archives) > 1 else ""
        return HarBenchError(f"{raw} is not COCO yet: {name}{more} is not unpacked; unpack it there")
    jsons = [path for path in there if _candidate(path)]
    listed = [f"{'/'.join((*folders(raw, path), path.name))} is {_described(path)}" for path in jsons[:_NAMED]]
    if not listed:
        kinds = Counter(path.suffix.lower() or "without suffix" for path in there)
        listed = [f"there are {count} files {kind}" for kind, count in kinds.most_common(_NAMED)]
    more = f", and {len(jsons) - _NAMED} more json files" if len(jsons) > _NAMED else ""
    what = ", ".join(listed) or f"no file is within {_WALKED} folders"
    return HarBenchError(f"{raw} is not COCO: {what}{more}; expected there {expected}")


def _described(path: Path) -> str:
    """What a json is that is no annotation file, or that is one and was not looked for."""
    document = Document(path)
    if is_annotations(document):
        return f"an annotation file more than {DEPTH} folders deeper (give its folder)"
    lacking = " and ".join(name for name in ("images", "annotations") if name not in document.members)
    there = f" (it has {', '.join(list(document.members)[:5])})" if document.members else ""
    return f"without {lacking}{there}"


def _official(paths: list[Path]) -> list[Path]:
    """The official files, or all if there are none."""
    return [path for path in paths if OFFICIAL.fullmatch(stem(path))] or paths


def _candidate(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and path.name[0] != "." and path.is_file()


def _walk(raw: Path) -> Iterator[Path]:
    """The files under the raw root, not deeper than a dataset may lie with its folders of splits."""
    for folder, below, names in os.walk(raw):
        depth = len(Path(folder).relative_to(raw).parts)
        below[:] = sorted(name for name in below if depth < _WALKED and name[0] != "." and name != "__MACOSX")
        yield from (Path(folder) / name for name in sorted(names))
