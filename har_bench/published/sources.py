"""Published files in what somebody has: the file itself, a wheel, an npm package, or a folder of these."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from har_bench.errors import HarBenchError, Malformed
from har_bench.foreign import compressed, opening
from har_bench.foreign.budget import Budget
from har_bench.published.cache import digest, folder
from har_bench.published.listing import Published, catalogue

_LARGEST_TEXT = 1 << 20
_REMEDY = "fetch it again"
_PACKED = 8
"""Bytes that a byte of an archive may become: weights are packed to no less than half."""

_MEMBERS = 20_000
"""Of an archive."""


class Content(NamedTuple):
    """A file's bytes, and those of its licence where it came with one."""

    weights: bytes
    licence: bytes = b""


def search(published: Published, source: Path) -> Content:
    """The file that ``source`` is or holds; its checksum is not compared yet.

    Args:
        published: which file.
        source: the file under any name, an archive, or a folder of such.

    Raises:
        HarBenchError: it is not there, or an archive is damaged.
    """
    if not source.exists():
        raise HarBenchError(
            f"{source} does not exist; give {published.file}, the package that holds it, or their folder"
        )
    places = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
    for path in places:
        if published.sha256 and path.stat().st_size == published.bytes and digest(path) == published.sha256:
            return Content(opening.read(path, _REMEDY))
    archives = [path for path in places if is_archive(path)]
    for path in archives:
        if published.member and published.member in _names(path):
            return member(path, published)
    named = [path for path in places if path.name == published.file or (path == source and path not in archives)]
    if named:
        return Content(opening.read(named[0], _REMEDY))
    raise HarBenchError(f"{source} does not hold {published.file}; give it, the package that holds it, or their folder")


def content(published: Published, source: Path | None = None, *, fetch: str = "") -> bytes:
    """A file's bytes as they were published: out of ``source``, else out of the folder of fetched weights.

    Args:
        published: which file.
        source: as :func:`search` takes it.
        fetch: the name that a user is told to fetch where it is not there; the file's own by default.

    Raises:
        HarBenchError: it is not there, or not what was published.
    """
    remedy = f"`har-bench weights fetch {fetch or published.name}` gets it"
    place = source or folder() / published.file
    if source is None and not place.is_file():
        raise HarBenchError(f"{published.file} is not in {folder()}; {remedy}")
    found = search(published, place).weights
    if wrong := problem(published, found):
        raise HarBenchError(f"{place} is not {published.file} as it was published: it {wrong}; {remedy}")
    return found


def recognised(path: Path, *, named: bool = False) -> Published | None:
    """Which published file this is, by its content.

    Args:
        path: the file.
        named: its name tells too, where its authors give no checksum.
    """
    every = catalogue().values()
    alike = [each for each in every if each.sha256 and each.bytes == path.stat().st_size]
    found = digest(path) if alike else ""
    if known := next((each for each in alike if each.sha256 == found), None):
        return known
    alike = [each for each in every if each.md5 and Path(each.file).suffix == path.suffix]
    found = digest(path, "md5") if alike else ""
    if known := next((each for each in alike if each.md5 == found), None):
        return known
    unsigned = (each for each in every if not each.sha256 and not each.md5 and each.file == path.name)
    return next(unsigned, None) if named else None


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of a package."""
    return path.suffix in (".whl", ".zip", ".tgz") or path.name.endswith(".tar.gz")


def member(package: Path, published: Published) -> Content:
    """A file of a wheel or npm package, and the text of its licence where the package has it.

    Raises:
        HarBenchError: the package lacks it, or is damaged.
    """
    try:
        texts = fnmatch.filter(_names(package), published.licence_text) if published.licence_text else []
        return Content(
            _read(package, published.member, published.bytes),
            _read(package, texts[0], _LARGEST_TEXT) if texts else b"",
        )
    except (
        *(Malformed, KeyError, OSError, EOFError, RuntimeError),
        *(tarfile.TarError, zipfile.BadZipFile, zlib.error),
    ) as error:
        reason = str(error).strip("'\"")
        raise HarBenchError(f"{package} does not hold {published.file} ({reason}); fetch it again") from error


def problem(published: Published, content: bytes) -> str:
    """How a file's bytes differ from what was published; empty where they do not, or nothing is known of them."""
    if published.bytes and len(content) != published.bytes:
        return f"has {len(content):,} bytes and not {published.bytes:,}"
    for kind, expected in (("sha256", published.sha256), ("md5", published.md5)):
        found = hashlib.new(kind, content, usedforsecurity=False).hexdigest() if expected else ""
        if found != expected:
            return f"has the {kind} {found[:12]}… and not {expected[:12]}…"
    return ""


def _names(package: Path) -> list[str]:
    try:
        if zipfile.is_zipfile(package):
            with zipfile.ZipFile(package) as archive:
                return archive.namelist()
        with _unpacked(package) as tar:
            names = [each.name for each in islice(tar, _MEMBERS + 1)]
        if len(names) > _MEMBERS:
            raise Malformed(f"it has more than {_MEMBERS:,} members")
        return names
    except (Malformed, OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise HarBenchError(f"{package} is no archive that can be read ({error}); fetch it again") from error


@contextmanager
def _unpacked(package: Path) -> Iterator[tarfile.TarFile]:
    """A tar archive in memory, once it is known to unfold into no more than its size explains.

    Raises:
        Malformed: it does not.
    """
    content = opening.content(package)
    inside = compressed.unfold(content, Budget(len(content), _PACKED))
    with tarfile.open(fileobj=io.BytesIO(inside), mode="r:") as tar:
        yield tar


def _read(package: Path, name: str, most: int) -> bytes:
    """At most one byte more than ``most`` of a member: a longer one is not what was published."""
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive, archive.open(name) as file:
            return file.read(most + 1)
    with _unpacked(package) as tar:
        found = tar.extractfile(name)
        if found is None:
            raise KeyError(f"{name} is no file")
        return found.read(most + 1)
