"""One sequence, or the worst ones, as a picture, a film, a moving picture or a viewer: by what the name ends in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from har_bench.drawing import films
from har_bench.errors import HarBenchError
from har_bench.files import destination, write_whole
from har_bench.showing import of_file, of_store, viewer
from har_bench.showing.painting import Painter
from har_bench.showing.stage import Stage
from har_bench.store import Store, open_store
from har_bench.studying.explaining import explain

VIEWER = ".html"

Span = tuple[int, int] | None


def show(
    store: str | Path | Store,
    sequence: str | None,
    out: str | Path,
    *,
    predictions: Mapping[str, str | Path] | None = None,
    protocol: str | None = None,
    span: Span = None,
    media: str | Path | None = None,
    layout: str | None = None,
    beside: bool = False,
    as_recorded: bool = False,
) -> Path:
    """Draw a sequence.

    Args:
        store: a converted dataset, or a file that ``har-bench lift`` or ``har-bench pose`` wrote.
        sequence: its name; of a file the first one by default.
        out: ``.png`` (one picture, or a sheet of some), ``.gif``, ``.mp4`` or ``.html``.
        predictions: files by the names of their systems.
        protocol: how predictions are read; by default the dataset's first that scores poses.
        span: from this frame to before that one.
        media: the folder of the raw download, for its images or videos.
        layout: of a file's joints, where it does not say.
        beside: a panel in space for each system, instead of one over another.
        as_recorded: see space from where the camera stood.

    Raises:
        HarBenchError: nothing of that name, predictions that do not fit, or a file that cannot be written.
    """
    out = destination(out)
    if out.suffix.lower() != VIEWER:
        films.check(out, VIEWER)
    stage = _stage(store, sequence, dict(predictions or {}), protocol, span, media, layout)
    if not stage.in_image and not stage.in_space:
        raise HarBenchError(f"{stage.title} has no joints to be drawn; choose another sequence")
    if out.suffix.lower() == VIEWER:
        return write_whole(out, viewer.page(stage, as_recorded=as_recorded).encode())
    with films.canvas(out, stage.fps) as canvas:
        for picture in Painter(stage, beside, as_recorded).frames():
            canvas.add(picture)
    return out


def _stage(
    store: str | Path | Store,
    sequence: str | None,
    predictions: dict[str, str | Path],
    protocol: str | None,
    span: Span,
    media: str | Path | None,
    layout: str | None,
) -> Stage:
    if isinstance(store, str | Path) and Path(store).suffix in of_file.SUFFIXES and Path(store).name != "arrays.h5":
        if predictions or media:
            raise HarBenchError(f"{store} is a file of joints, and nothing is drawn beside it; name the truth's store")
        return of_file.stage_of(Path(store), sequence, layout=layout, span=span)
    opened = store if isinstance(store, Store) else open_store(store)
    if sequence is None:
        raise HarBenchError(f"{opened.path} has many sequences; name one, or give --worst and predictions")
    folder = None if media is None else Path(media)
    return of_store.stage_of(opened, sequence, predictions, protocol=protocol, span=span, media=folder)


def show_worst(
    store: str | Path | Store,
    out: str | Path,
    count: int,
    *,
    predictions: Mapping[str, str | Path],
    protocol: str,
    span: Span = None,
    media: str | Path | None = None,
    beside: bool = False,
    as_recorded: bool = False,
) -> list[Path]:
    """Draw the sequences on which the first system scores worst, the worst first: ``NAME-1.gif`` and so on.

    Args:
        store: a converted dataset.
        out: what the files are called.
        count: how many.
        predictions: files by the names of their systems.
        protocol: that scores them.
        span: as for :func:`show`.
        media: as for :func:`show`.
        beside: as for :func:`show`.
        as_recorded: as for :func:`show`.

    Raises:
        HarBenchError: no predictions, or what :func:`show` and scoring raise.
    """
    if not predictions:
        raise HarBenchError("the worst sequences are those of a system; give its --predictions NAME=FILE")
    opened = store if isinstance(store, Store) else open_store(store)
    found = explain(protocol, opened, next(iter(predictions.values())), worst=count, missing="count-as-error")
    path = Path(out)
    return [
        show(
            opened,
            each.name,
            path.with_stem(f"{path.stem}-{place}"),
            predictions=predictions,
            protocol=protocol,
            span=span,
            media=media,
            beside=beside,
            as_recorded=as_recorded,
        )
        for place, each in enumerate(found.worst, 1)
    ]
