"""Commands that prepare data: convert, sample, validate, export."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from har_bench.cli.app import UNTOLD, Keypoints, Options, app, pairs
from har_bench.cli.terminal import say, show_store
from har_bench.errors import HarBenchError

if TYPE_CHECKING:
    from har_bench.store import Store

LISTED = 12
"""How many files of an export are named."""


@app.command
def convert(
    dataset: str,
    raw: Path,
    out: Path,
    *,
    jobs: int = 0,
    scheduler: str | None = None,
    strict: bool = False,
    resume: bool = True,
    format: Literal["parquet", "hdf5", "both"] = "parquet",  # noqa: A002 - the option's name
    check_media: bool = False,
    option: Options = None,
    quiet: bool = False,
) -> None:
    """Convert a raw download into a store, once.

    An interrupted conversion goes on where it stopped when the same command is given again; a finished one does
    nothing. Records that cannot be used as they are go to the store's rejects table.

    Args:
        dataset: A converter from `har-bench list`, or package.module:Name.
        raw: The official download as it is; or a finished store, to repack it in another format.
        out: The folder of the store.
        jobs: Processes; 0 is one per processor. The store's bytes do not depend on it.
        scheduler: Address of a Dask scheduler, such as tcp://host:8786, to use instead of local processes.
        strict: Stop at the first record that cannot be used as it is.
        resume: Go on where an interrupted conversion stopped; --no-resume starts afresh.
        format: parquet for scoring and analytics, hdf5 for random-access training windows, or both.
        check_media: Compare the images and videos under RAW with the store: number of frames, size.
        option: An option of the converter, as name=value; may be repeated.
        quiet: Show no progress.
    """
    from har_bench.converting import convert as run

    store = run(
        dataset,
        raw,
        out,
        jobs=jobs,
        scheduler=scheduler,
        strict=strict,
        resume=resume,
        format=format,
        options=pairs(option),
        quiet=quiet,
    )
    show_store(store)
    if check_media:
        _check_media(store, raw, jobs, quiet=quiet)


@app.command
def sample(dataset: str, out: Path, *, seed: int = 0, pictures: bool = False) -> None:
    """Write a tiny synthetic dataset in the official raw layout, quirks included.

    Args:
        dataset: A converter from `har-bench list`.
        out: The folder to write: a new or an empty one.
        seed: Another seed gives other people.
        pictures: Draw the pictures or videos too, with the people as stick figures.
    """
    from har_bench import registry
    from har_bench.files import whole_folder

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HarBenchError(f"{out} is not empty, and a sample could overwrite a real download; name a new folder")
    converter = registry.load("converters", dataset)
    with whole_folder(out) as temporary:
        converter.sample(temporary, seed=seed)
        if pictures:
            _draw(dataset, temporary)
    say(f"{out}: a raw {dataset} sample; next: har-bench convert {dataset} {out} stores/{dataset}")


def _draw(dataset: str, raw: Path) -> None:
    """Draw a raw dataset's pictures where a store of it says that they lie."""
    from har_bench.converting import convert as run
    from har_bench.drawing.scenes import render

    with TemporaryDirectory() as scratch:
        render(run(dataset, raw, Path(scratch) / "store", jobs=1, quiet=True), raw)


@app.command
def validate(store: Path, *, media: Path | None = None, jobs: int = 0, quiet: bool = False) -> None:
    """Check a store against its manifest: every value is read and its fingerprint compared.

    Args:
        store: A converted dataset.
        media: The raw folder, to compare its images and videos with the store: number of frames, size.
        jobs: Processes that read media; 0 is one per processor.
        quiet: Show no progress.
    """
    from har_bench.store import open_store

    opened = open_store(store)
    opened.validate()
    say(f"{store}: {sum(opened.manifest.rows.values()):,} rows, fingerprint {opened.fingerprint[:16]}, as converted")
    if media is not None:
        _check_media(opened, media, jobs, quiet=quiet)


@app.command
def export(
    store: Path,
    format: str,  # noqa: A002 - the field's word
    out: Path,
    *,
    option: Options = None,
    of: Keypoints = UNTOLD,
    quiet: bool = False,
) -> None:
    """Write a store as other people's code reads it: VideoPose3D's npz, pyskl's pickle, COCO's json and so on.

    Formats of tracks, lart and phalp, are made of a film's people too: of a detector's file, or of one that
    `har-bench lift` wrote.

    Args:
        store: A converted dataset; or 2D keypoints of a film (docs/keypoints.md), or lifted ones (.parquet).
        format: Such as videopose3d or coco, from `har-bench list exporters`.
        out: The folder to write: a new or an empty one. It appears when everything is in it.
        option: An option of the format, as name=value, from `har-bench info FORMAT`; may be repeated.
        of: What is said of keypoints.
        quiet: Show no progress.
    """
    from har_bench.exporting import export_people
    from har_bench.keypoints import open_people
    from har_bench.store import open_store
    from har_bench.storing.hdf5 import holds_store

    if store.is_file() and not holds_store(store):
        people = open_people(store, **of.arguments())
        written, rest = export_people(people, format, out, options=pairs(option)), ""
        say(f"{out}: {written.poses:,} poses of {len(people.persons):,} people in {people.name}")
    else:
        opened = open_store(store)
        written = opened.export(format, out, options=pairs(option), quiet=quiet)
        left = opened.manifest.rows.get("poses", 0) - written.poses
        rest = f"; {left:,} poses of the store are not in it" if left > 0 else ""
        say(f"{out}: {written.poses:,} poses of {written.sequences:,} sequences{rest}")
    for path in written.files[:LISTED]:
        say(f"  {path}")
    if len(written.files) > LISTED:
        say(f"  and {len(written.files) - LISTED:,} more files")
    for note in written.notes:
        say(f"note: {note}")


def _check_media(store: Store, raw: Path, jobs: int, *, quiet: bool) -> None:
    """Say how the images and videos differ from the store; a difference is exit status 1."""
    from har_bench.media.checking import check_media

    report = check_media(store, raw, jobs=jobs, quiet=quiet)
    for line in report.lines():
        say(line)
    if not report.ok:
        sys.exit(1)
