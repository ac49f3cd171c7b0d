"""Exporting: the format is found by its name, the files appear all together, and what was left out is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har_bench import registry
from har_bench.errors import HarBenchError, unknown
from har_bench.exporting.contract import Exporter, PeopleExporter
from har_bench.files import destination_folder, whole_folder
from har_bench.options import read
from har_bench.progress import progress

if TYPE_CHECKING:
    from har_bench.exporting.people import People
    from har_bench.store import Store


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: every file.
        sequences: how many of the store's sequences are in them.
        poses: how many poses are.
        notes: what is peculiar about them, in a line each.
    """

    files: list[Path]
    sequences: int
    poses: int
    notes: list[str]


def formats(dataset: str) -> dict[str, str]:
    """The formats of a dataset's stores, by the name to ask for, with the name that each is registered by."""
    names = [name for name in registry.available("exporters") if name.rpartition("/")[0] in ("", dataset)]
    return {name.rpartition("/")[2]: name for name in names}


def export(
    store: Store,
    format: str,  # noqa: A002 - the field's word
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Exported:
    """Write a store as other people's code reads it.

    Args:
        store: the store.
        format: such as ``videopose3d``, from ``har-bench list exporters``, or ``package.module:Name``.
        out: the folder to write, a new or an empty one; it appears when everything is in it.
        options: of the format; values may be texts.
        quiet: show no progress.

    Raises:
        HarBenchError: there is no such format for the dataset, an option it lacks, ``out`` is not empty, or the store
            does not hold what the format needs.
    """
    exporter, name = _made(store.dataset, format, options)
    folder = _empty(out)
    sequences = exporter.select(store)
    with whole_folder(folder) as temporary, progress("exporting", sequences.num_rows, quiet=quiet) as state:
        exporter.write(store, sequences, temporary, lambda poses: state.advance(rows=poses))
        if not state.rows:
            raise HarBenchError(f"{store.path} has no pose that {name} has a place for; see `har-bench info {name}`")
        names = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
    return Exported([folder / each for each in names], state.done, state.rows, list(exporter.notes))


def export_people(
    people: People,
    format: str,  # noqa: A002 - the field's word
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
) -> Exported:
    """Write people who were followed through a film as other people's code reads them, without a store.

    Args:
        people: from :func:`har_bench.keypoints.open_people`.
        format: such as ``lart``, or ``package.module:Name``.
        out: the folder to write, a new or an empty one; it appears when everything is in it.
        options: of the format; values may be texts.

    Raises:
        HarBenchError: there is no such format, an option it lacks, ``out`` is not empty, or the format needs a store.
    """
    exporter, name = _made("", format, options)
    if not isinstance(exporter, PeopleExporter):
        raise HarBenchError(f"{name} is made of whole stores, and these are people in a film; convert a dataset")
    folder = _empty(out)
    with whole_folder(folder) as temporary:
        poses = exporter.write_people(people, temporary)
        if not poses:
            raise HarBenchError(f"{people.name} has no pose that {name} has a place for; see `har-bench info {name}`")
        names = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
    return Exported([folder / each for each in names], 1, poses, list(exporter.notes))


def _made(dataset: str, format: str, options: Mapping[str, Any] | None) -> tuple[Exporter, str]:  # noqa: A002
    """An exporter with its options, and its name; see :func:`export` for what is raised."""
    known = formats(dataset)
    name = format.removeprefix(f"{dataset}/")
    if ":" not in format and name not in known:
        raise unknown(f"format of {dataset or 'people'}", format, known, hint="`har-bench list exporters` names all")
    made = registry.load("exporters", known.get(name, format))
    if not (isinstance(made, type) and issubclass(made, Exporter)):
        raise HarBenchError(f"{format} is no exporter; name a class that is a har_bench.exporting.Exporter")
    return made(**read(made, options or {}, f"the format {name}")), known.get(name, name)


def _empty(out: str | Path) -> Path:
    """A folder to write.

    Raises:
        HarBenchError: there is something in it.
    """
    folder = destination_folder(out)
    if folder.is_dir() and any(folder.iterdir()):
        raise HarBenchError(f"{folder} is not empty; name a new folder, or empty it")
    return folder
