"""The site of a store: a page of facts, and a viewer and a picture for each class and defect, opened when asked for."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup

from har_bench.browsing import counting
from har_bench.errors import HarBenchError
from har_bench.files import destination_folder, write_whole
from har_bench.foreign.words import one_line
from har_bench.remote import destination
from har_bench.showing import of_store, viewer
from har_bench.showing.painting import Painter
from har_bench.showing.stills import png
from har_bench.store import Store, open_store

MOST_FRAMES = 300
"""Of a sample's viewer."""


def browse(store: str | Path | Store, out: str | Path, *, media: str | Path | None = None) -> Path:
    """Write what a store holds as a small static site.

    Args:
        store: a converted dataset.
        out: the folder to write; files of an earlier site in it are replaced.
        media: the folder of the raw download: samples are drawn on its pictures. Mind the dataset's licence before
            such a site is shown to others; without it no picture of the dataset is in it.

    Returns:
        The first page.

    Raises:
        HarBenchError: the store cannot be read, or the folder cannot be written.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    folder = destination_folder(out)
    by, classes = counting.classes_of(opened)
    defects = counting.defects_of(opened)
    wanted = {each.sample for each in classes[: counting.MOST_CLASSES]} | {each.sample for each in defects}
    slugs = dict(_slugs(sorted(wanted - {""})))
    raw = None if media is None else Path(media)
    shown = {
        name for name, slug in slugs.items() if opened.parts("poses") and _sampled(opened, name, folder, slug, raw)
    }
    style = _text("browse.css")
    page = _template().render(
        store=opened.manifest,
        fingerprint=opened.fingerprint,
        by=by,
        classes=classes[: counting.MOST_CLASSES],
        more=len(classes) - counting.MOST_CLASSES,
        lengths=counting.lengths_of(opened),
        poses=counting.poses_of(opened),
        levels=counting.LEVELS,
        defects=defects,
        rejects=[tuple(one_line(str(each), 200) for each in row) for row in counting.rejects_of(opened)],
        slugs={name: slug for name, slug in slugs.items() if name in shown},
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )
    return write_whole(destination(folder / "index.html"), page.encode())


def _slugs(names: list[str]) -> Iterator[tuple[str, str]]:
    """A file's name for each sequence, none twice."""
    for number, name in enumerate(names):
        yield name, f"{number:03d}-{re.sub(r'[^a-z0-9]+', '-', name.casefold()).strip('-')[:60]}"


def _sampled(store: Store, sequence: str, folder: Path, slug: str, media: Path | None) -> bool:
    """Write the viewer and the picture of a sequence; whether it has joints to be drawn."""
    try:
        stage = of_store.stage_of(store, sequence, {}, span=(0, MOST_FRAMES), media=media)
        picture = None if stage.pictures is None else next(stage.pictures, None)
    except HarBenchError:  # no pose in its first frames, or no picture of it: there is nothing to look at
        return False
    if not stage.in_image and not stage.in_space:
        return False
    write_whole(destination(folder / "pictures" / f"{slug}.png"), png(Painter(stage).painted(0, picture)))
    write_whole(destination(folder / "samples" / f"{slug}.html"), viewer.page(stage).encode())
    return True


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("browse.html.jinja"))


def _text(name: str) -> str:
    return files("har_bench.browsing").joinpath("templates", name).read_text("utf-8")
