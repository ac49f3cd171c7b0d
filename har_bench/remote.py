"""Places on other machines: any URL that fsspec knows (``s3://``, ``gs://``, ``https://``, …) beside local paths.

Everything here works on local files. What lies at a URL is copied to a cache folder when it is first needed, and again
when it has changed there; what is written for a URL grows in the cache folder and is copied out when it is whole.
``$HAR_BENCH_CACHE`` names the cache folder; without it, it is ``har-bench`` in the user's own.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from blake3 import blake3

from har_bench import files as here
from har_bench.errors import HarBenchError
from har_bench.files import UNFINISHED, URL, whole, write_whole

_UNNAMED = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
"""What a name makes of a copy that is none for a file."""

_ORIGIN = ".origin"
"""Ends the name of the file beside a copy that says which version the copy is of."""

_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "adl", "oss", "oci"}
"""Where a file appears when it is whole, and folders are not made: who asks for one would be given a new bucket."""


def as_url(place: str | Path) -> str | None:
    """The URL that a place is; None for a path. ``Path`` makes one slash of two, which is mended here.

    >>> as_url("s3://bucket/stores/h36m"), as_url(Path("s3://bucket/stores/h36m")), as_url("stores/h36m")
    ('s3://bucket/stores/h36m', 's3://bucket/stores/h36m', None)
    """
    found = URL.fullmatch(str(place))
    if found is None:
        return None
    scheme, rest = found.groups("")
    return f"file:///{rest.rstrip('/')}" if scheme.lower() == "file" else f"{scheme.lower()}://{rest.rstrip('/')}"


def is_far(place: str | Path) -> bool:
    """Whether a place is a URL, and not one of this machine's own files."""
    url = as_url(place)
    return url is not None and not url.startswith("file:")


def absolute(place: str | Path) -> str | Path:
    """A place as a process that works in another folder finds it."""
    return as_url(place) or Path(place).absolute()


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
    if not is_far(place):
        return local(place).exists()
    with _asking(place) as (files, path):
        return bool(files.exists(path))


def fetch(place: str | Path) -> Path:
    """A file, or a folder with everything in it, on this machine: a path as it is, the copy of a URL.

    A copy is made again when the original has changed, by what the server says of it (size, time, checksum).

    Raises:
        HarBenchError: nothing is there, it cannot be read, or the library that reads it is not installed.
    """
    target = local(place)
    if not is_far(place):
        return target
    with _asking(place) as (files, path):
        if files.isfile(path):
            return _copied(files, path, target)
        inside = _found(files, path, place)
        copies = {_copied(files, each, _inside(target, each, path)) for each in inside}
    for left in filter(_is_content, target.rglob("*")):
        if left not in copies:  # gone there since
            left.unlink()
    return target


def files_at(place: str | Path) -> list[str | Path]:
    """The paths or URLs of all files in a folder and the folders in it, by name; of a file, its own.

    Raises:
        HarBenchError: nothing is there, or it cannot be asked.
    """
    if is_far(place):
        with _asking(place) as (files, path):
            return [f"{as_url(place)}{name.removeprefix(path)}" for name in _found(files, path, place)]
    folder = local(place)
    with here.readable(folder):
        if not folder.exists():
            raise HarBenchError(f"{folder} does not exist; name a file or a folder that does")
        return [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())


def _found(files: Any, path: str, place: str | Path) -> list[str]:
    """The files in a remote folder by name, without the empty ones that stand for folders in a bucket."""
    found = sorted(name for name in files.find(path) if not name.endswith("/"))
    if not found:
        raise HarBenchError(f"nothing is at {as_url(place)}; is it spelled right?")
    return found


def beside(place: str | Path, name: str) -> str | Path:
    """The path or URL of what has another name in the same folder; of the folder itself, where the name is empty.

    >>> beside("s3://bucket/results/a.json", "b.json"), beside("s3://bucket/results/a.json", "")
    ('s3://bucket/results/b.json', 's3://bucket/results')
    """
    if is_far(place):
        return f"{as_url(place)}".rpartition("/")[0] + (f"/{name}" if name else "")
    return local(place).parent / name


def destination(place: str | Path, *suffixes: str) -> Path:
    """As :func:`har_bench.files.destination`, of a path or a URL: where to write the file, to publish it from there.

    Raises:
        HarBenchError: it cannot be written.
    """
    here.refuse_suffix(as_url(place) or place, *suffixes)
    ask(place)
    return here.destination(local(place))


def destination_folder(place: str | Path) -> Path:
    """As :func:`har_bench.files.destination_folder`, of a path or a URL."""
    ask(place, folder=True)
    return here.destination_folder(local(place))


def ask(place: str | Path, *, folder: bool = False) -> None:
    """Find out whether a URL can be written to, by an empty file beside it that is removed; nothing is done for a path.

    Args:
        place: of a file.
        folder: the place is that of a folder.

    Raises:
        HarBenchError: it cannot, or a folder is where a file is wanted.
    """
    if not is_far(place):
        return
    with _asking(place) as (files, path):
        if not folder and files.isdir(path):
            raise HarBenchError(f"{as_url(place)} is a folder; name the file to write")
        empty = f"{path}.{secrets.token_hex(6)}{UNFINISHED}"
        _make_folder(files, empty.rpartition("/")[0])
        files.pipe_file(empty, b"")
        with suppress(PermissionError):  # who may write need not be allowed to remove
            files.rm_file(empty)


def publish(path: Path, place: str | Path, *, last: str = "manifest.json") -> None:
    """Copy a file, or a folder with everything in it, to a URL; nothing is done for a path.

    A folder's file ``last`` makes it whole, and is copied last. Where it is there already with the same bytes, so is
    the rest of the folder.

    Raises:
        HarBenchError: it cannot be written.
    """
    if not is_far(place):
        return
    inside = [path]
    if path.is_dir():
        inside = sorted((each for each in path.rglob("*") if _is_content(each)), key=lambda each: each.name == last)
    with _asking(place) as (files, target):
        names = [f"{target}/{each.relative_to(path).as_posix()}" if each != path else target for each in inside]
        if not inside or (inside[-1].name == last and _same(files, names[-1], inside[-1])):
            return
        for folder in sorted({name.rpartition("/")[0] for name in names}):
            _make_folder(files, folder)
        for each, name in zip(inside, names, strict=True):
            _put(files, each, name)
        files.invalidate_cache()
        if path == local(place):  # what was made in the cache folder is a copy from now on
            for each, name in zip(inside, names, strict=True):
                write_whole(_origin(each), _version(files.info(name)))


def _make_folder(files: Any, path: str) -> None:
    if path and not _is_bucket(files):
        files.makedirs(path, exist_ok=True)


def _is_bucket(files: Any) -> bool:
    named = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    return bool(named & _BUCKETS)


def _put(files: Any, path: Path, name: str) -> None:
    """Copy a file out, so that it appears whole or not at all."""
    if _is_bucket(files):
        files.put_file(str(path), name)
        return
    temporary = f"{name}.{secrets.token_hex(6)}{UNFINISHED}"
    try:
        files.put_file(str(path), temporary)
        files.mv(temporary, name)
    finally:
        if files.exists(temporary):
            files.rm_file(temporary)


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
    _make_room(path, said, target)
    if target.is_file() and _origin(target).is_file() and _origin(target).read_bytes() == version:
        return target
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


def _make_room(path: str, said: dict[str, Any], target: Path) -> None:
    """Make the folder of a copy; what a bucket calls its files may be no names for files here."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clashes = target.is_dir() or said.get("type") == "directory"
    except OSError as error:
        if error.errno not in _UNNAMED:
            raise
        clashes = error.errno != errno.ENAMETOOLONG
        if not clashes:
            raise HarBenchError(f"{path} has a name that is too long for a file here; rename it there") from error
    if clashes:
        raise HarBenchError(f"{path} is both a file and a folder there, which cannot be here; rename one of them")


def _origin(target: Path) -> Path:
    """Where it is written down which version a copy is of."""
    return target.with_name(f".{target.name}{_ORIGIN}")


def _version(said: dict[str, Any]) -> bytes:
    """What a server says of a file: its size, and its time or checksum."""
    return blake3(repr(sorted((key, str(value)) for key, value in said.items())).encode()).hexdigest().encode()


@contextmanager
def _asking(place: str | Path) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the path in it; what goes wrong with it is one sentence."""
    import fsspec

    url = as_url(place)
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
    except NotImplementedError as error:
        raise HarBenchError(f"{url} can only be read; name another place to write to") from error
    except Exception as error:  # every kind of server has errors of its own
        reason = str(error) or type(error).__name__
        raise HarBenchError(f"{url} cannot be reached ({reason}); look at the address and your keys to it") from error
