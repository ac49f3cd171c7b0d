"""The site of a store: a page of facts, and a viewer and a picture for each class and defect, opened when asked for."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from har_bench.browsing import counting
from har_bench.browsing.counting import Class, Defect
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
    samples = _Samples(opened, folder, None if media is None else Path(media))
    wanted: list[Class | Defect] = [*classes[: counting.MOST_CLASSES], *defects]
    for each in wanted:
        samples.draw(each)
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
        samples=samples.drawn,
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )
    return write_whole(destination(folder / "index.html"), page.encode())


class Sample(NamedTuple):
    """A sequence that was drawn, and what its files are called."""

    sequence: str
    slug: str


class _Samples:
    """Draws a sequence for each class and defect, none twice."""

    def __init__(self, store: Store, folder: Path, media: Path | None) -> None:
        self.drawn: dict[Class | Defect, Sample] = {}
        self._store, self._folder, self._media = store, folder, media
        self._known: dict[str, Sample | None] = {}

    def draw(self, what: Class | Defect) -> None:
        """Choose the first of its sequences that can be drawn."""
        for sequence in what.samples:
            if sequence not in self._known:
                slug = f"{len(self._known):03d}-{re.sub(r'[^a-z0-9]+', '-', sequence.casefold()).strip('-')[:60]}"
                self._known[sequence] = Sample(sequence, slug) if self._write(sequence, slug) else None
            if sample := self._known[sequence]:
                self.drawn[what] = sample
                return

    def _write(self, sequence: str, slug: str) -> bool:
        """Write the viewer and the picture of a sequence; whether it has joints to be drawn."""
        store, folder = self._store, self._folder
        if not store.parts("poses"):
            return False
        try:
            first = int(store.sequence(sequence).frame.min())
            span = (first, first + MOST_FRAMES)
            stage = of_store.stage_of(store, sequence, {}, span=span, media=self._media)
            picture = None if stage.pictures is None else next(stage.pictures, None)
        except HarBenchError:  # there is no pose, or no picture of it: there is nothing to look at
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
