"""Places on other machines: any URL that fsspec knows (``s3://``, ``gs://``, ``https://``, …) beside local paths.

Everything here works on local files. What lies at a URL is copied to a cache folder when it is first needed, and again
when it has changed there; what is written for a URL grows in the cache folder and is copied out when it is whole.
``$HAR_BENCH_CACHE`` names the cache folder; without it, it is ``har-bench`` in the user's own.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blake3 import blake3

from har_bench.errors import HarBenchError
from har_bench.files import UNFINISHED, whole, write_whole

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE | re.DOTALL)
_ORIGIN = ".origin"
"""Ends the name of the file beside a copy that says which version the copy is of."""


def as_url(place: str | Path) -> str | None:
    """The URL that a place is; None for a path. ``Path`` makes one slash of two, which is mended here.

    >>> as_url("s3://bucket/stores/h36m"), as_url(Path("s3://bucket/stores/h36m")), as_url("stores/h36m")
    ('s3://bucket/stores/h36m', 's3://bucket/stores/h36m', None)
    """
    found = _URL.fullmatch(str(place))
    if found is None:
        return None
    scheme, rest = found.groups()
    return f"file:///{rest.rstrip('/')}" if scheme.lower() == "file" else f"{scheme.lower()}://{rest.rstrip('/')}"


def local(place: str | Path) -> Path:
    """The place itself, or where the copy of a URL is kept on this machine; nothing is copied."""
    url = as_url(place)
    if url is None:
        return Path(place)
    if url.startswith("file:///"):
        return Path(url.removeprefix("file://"))
    scheme, _, rest = url.partition("://")
    folder = cache() / scheme / rest
    if ".." in folder.parts:
        raise HarBenchError(f"{url} leads out of its own folder; give it without '..'")
    return folder


def cache() -> Path:
    """The folder of the copies; it may be removed at any time."""
    given = os.environ.get("HAR_BENCH_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        usual = Path(home) if home else Path.home() / ".cache"
        above = next(folder for folder in (usual, *usual.parents) if folder.exists())
        own = os.access(above, os.W_OK)
    except (OSError, RuntimeError):  # no home, or one that may not be looked at
        own = False
    return (usual if own else Path(tempfile.gettempdir())) / "har-bench" / "remote"


def is_there(place: str | Path) -> bool:
    """Whether a file or folder is at a path or URL.

    Raises:
        HarBenchError: the URL cannot be asked.
    """
    url = as_url(place)
    if url is None or url.startswith("file:"):
        return local(place).exists()
    with _asking(url) as (files, path):
        return bool(files.exists(path))


def fetch(place: str | Path) -> Path:
    """A file, or a folder with everything in it, on this machine: a path as it is, the copy of a URL.

    A copy is made again when the original has changed, by what the server says of it (size, time, checksum).

    Raises:
        HarBenchError: nothing is there, it cannot be read, or the library that reads it is not installed.
    """
    url = as_url(place)
    if url is None or url.startswith("file:"):
        return local(place)
    target = local(place)
    with _asking(url) as (files, path):
        if files.isfile(path):
            return _copied(files, path, target)
        inside = files.find(path)
        if not inside:
            raise HarBenchError(f"nothing is at {url}; is it spelled right?")
        copies = {_copied(files, each, _inside(target, each, path)) for each in inside}
    for left in filter(_is_content, target.rglob("*")):
        if left not in copies:  # gone there since
            left.unlink()
    return target


def publish(path: Path, place: str | Path, *, last: str = "manifest.json") -> None:
    """Copy a file, or a folder with everything in it, to a URL; nothing is done for a path.

    A folder's file ``last`` makes it whole, and is copied last. Where it is there already with the same bytes, so is
    the rest of the folder.

    Raises:
        HarBenchError: it cannot be written.
    """
    url = as_url(place)
    if url is None or url.startswith("file:"):
        return
    inside = [path]
    if path.is_dir():
        inside = sorted((each for each in path.rglob("*") if _is_content(each)), key=lambda each: each.name == last)
    with _asking(url) as (files, target):
        names = [f"{target}/{each.relative_to(path).as_posix()}" if each != path else target for each in inside]
        if not inside or (inside[-1].name == last and _same(files, names[-1], inside[-1])):
            return
        for folder in sorted({name.rpartition("/")[0] for name in names}):
            files.makedirs(folder, exist_ok=True)
        for each, name in zip(inside, names, strict=True):
            files.put_file(str(each), name)
        files.invalidate_cache()
        if path == local(place):  # what was made in the cache folder is a copy from now on
            for each, name in zip(inside, names, strict=True):
                write_whole(_origin(each), _version(files.info(name)))


def _same(files: Any, path: str, here: Path) -> bool:
    return bool(files.exists(path)) and files.cat_file(path) == here.read_bytes()


def _is_content(path: Path) -> bool:
    return path.is_file() and not path.name.endswith((_ORIGIN, UNFINISHED))


def _inside(target: Path, path: str, root: str) -> Path:
    """Where a file of a remote folder goes; never out of the copy's folder, whatever the server calls it."""
    parts = path[len(root) :].strip("/").split("/")
    if ".." in parts:
        raise HarBenchError(f"{path} leads out of its folder; rename it")
    return target.joinpath(*parts)


def _copied(files: Any, path: str, target: Path) -> Path:
    """A copy of a remote file that is of its present version."""
    said = files.info(path)
    version = _version(said)
    if target.is_file() and _origin(target).is_file() and _origin(target).read_bytes() == version:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    size, free = said.get("size"), shutil.disk_usage(target.parent).free
    if size is not None and size > free:
        sizes = f"{path} has {size / 1e6:,.0f} MB and {target.parent} has room for {free / 1e6:,.0f} MB"
        raise HarBenchError(f"{sizes}; make room, or name another folder in $HAR_BENCH_CACHE")
    with whole(target) as temporary:
        files.get_file(path, str(temporary))
        if size is not None and temporary.stat().st_size != size:
            raise HarBenchError(f"{path} came with {temporary.stat().st_size:,} of its {size:,} bytes; try again")
    write_whole(_origin(target), version)
    return target


def _origin(target: Path) -> Path:
    """Where it is written down which version a copy is of."""
    return target.with_name(f".{target.name}{_ORIGIN}")


def _version(said: dict[str, Any]) -> bytes:
    """What a server says of a file: its size, and its time or checksum."""
    return blake3(repr(sorted((key, str(value)) for key, value in said.items())).encode()).hexdigest().encode()


@contextmanager
def _asking(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the path in it; what goes wrong with it is one sentence."""
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(url)
        files.invalidate_cache()
        yield files, path
    except HarBenchError:
        raise
    except ImportError as error:
        raise HarBenchError(f"{url} needs another library ({error}); pip install 'har-bench[remote]'") from error
    except FileNotFoundError as error:
        raise HarBenchError(f"nothing is at {url} ({error}); is it spelled right?") from error
    except Exception as error:  # every kind of server has errors of its own
        reason = str(error) or type(error).__name__
        raise HarBenchError(f"{url} cannot be reached ({reason}); look at the address and your keys to it") from error
