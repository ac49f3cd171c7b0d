"""COCO keypoints: people in everyday photographs, 17 joints (Lin et al., ECCV 2014), and files in its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from har_bench.converter import Check, Converter, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.options import option
from har_bench.skeletons import Skeleton, skeleton

from . import finding
from .document import Document
from .layout import KNOWN, WHOLEBODY, Choice, Layout, layout
from .origins import origins
from .sample import write_sample
from .tables import tables

if TYPE_CHECKING:
    from har_bench.store import Store

PUBLISHED = {
    "2017/val": {"images": 5_000, "persons": 11_004, "persons with keypoints": 6_352},
    "2017/train": {"images": 118_287, "persons": 262_465, "persons with keypoints": 149_813},
    "2014/val": {"images": 40_504},
    "2014/train": {"images": 82_783},
}
"""As they are quoted everywhere; we have not had the whole official files in hand."""


@dataclass
class COCO(Converter):
    """Annotation files in COCO's format: one shard, and one split, each."""

    dataset = "coco"
    version = "2"
    summary = "COCO keypoints 2014 and 2017, CrowdPose, COCO-WholeBody, and any file in COCO's format"
    raw = (
        "annotations/person_keypoints_{train,val}{2014,2017}.json (also without the folder, or one such file), "
        "else any annotation file in COCO's format, also Roboflow's train/, valid/ and test/, up to three folders "
        "deeper (.json, .json.gz or .json.xz)"
    )
    skeletons = (*KNOWN, WHOLEBODY)
    citation = "Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014"
    licence = "annotations CC BY 4.0; the images under their Flickr licences, one per image"
    notes = (
        "A sequence is an image: the official ones are val2017/000000000139.jpg, others file/file_name, with the name "
        "of the annotation file without its extension; so names are unique when several files are in a store.",
        "Every annotation file is a split: 2017/val; crowdpose/val for crowdpose_val.json; name/all for name.json; all "
        "files of a folder train, val (or valid) or test are one: annotations/val.",
        "Pixels are as in the files, 0-based; a joint with v = 0 is absent, and v = 1, 2 is its visibility.",
        "Crowds, persons without joints, and images without persons are kept.",
        "Joints without v are visible, and absent at (0, 0).",
    )

    files: str = option("", "a glob such as annotations/crowdpose_*.json; else person_keypoints_*, else all there are")
    category: str = option("", "take only the annotations of this category, by name or id, such as person")
    joints: str = option("", "names with commas between, a layout such as halpe136, or a number, where no file says")
    sigmas: str = option("", "of the joints, numbers with commas between, where no file says")

    def __post_init__(self) -> None:
        for name in ("files", "category", "joints", "sigmas"):  # the command line makes numbers of texts
            setattr(self, name, str(getattr(self, name)))
        self._layout: Layout | None = None
        self._document: Document | None = None

    def __getstate__(self) -> dict[str, object]:
        """A file that is mapped stays in its process."""
        return {**self.__dict__, "_document": None}

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard per annotation file at or under ``raw``; they must have the same joints.

        Raises:
            HarBenchError: there is none, they have different joints, or two would give the same sequences.
        """
        found = next(filter(None, map(self._layouts, self._candidates(raw))), None)
        if not found:
            raise finding.nothing_found(raw, self.raw)
        if all(each.empty for each in found.values()):
            raise HarBenchError(f"{next(iter(found))} lists no images and no annotations; choose another file")
        self._layout = _common(raw, found)
        found = {path: self._layout if each.silent else each for path, each in found.items()}
        shards = {
            origin.label: Shard(origin.label, (path,), origin)
            for origin, path in zip(origins(raw, found), found, strict=True)
        }
        if len(shards) < len(found):
            raise HarBenchError(f"two annotation files in {raw} have the same name; choose one with the option files")
        return [shards[label] for label in sorted(shards, key=lambda label: f"{label}/")]

    def read(self, shard: Shard) -> Tables:
        """All images and annotations of a file."""
        (path,), document, self._document = shard.sources, self._document, None  # in its own process, it is indexed
        return tables(document if document and document.path == path else Document(path), shard.payload)

    def layouts(self) -> Sequence[Skeleton]:
        """The joints of the files that were found; those of COCO's own formats before any were."""
        if self._layout is None:
            return [skeleton(name) for name in self.skeletons]
        return [self._layout.joints] if self._layout.joints else []

    def check(self, store: Store) -> list[Check]:
        """Which official files of a year are there, and the counts that are quoted for them."""
        splits = store.manifest.splits
        checks = []
        for split, counts in PUBLISHED.items():
            year, part = split.split("/")
            if not any(name.startswith(f"{year}/") for name in splits):
                continue
            name = f"annotations/person_keypoints_{part}{year}.json"
            checks.append(Check(f"{name} is there", 1, int(split in splits)))
            if split in splits:
                given = store.poses(split, ["num_keypoints"])["num_keypoints"]
                found = {
                    "images": splits[split],
                    "persons": len(given),
                    "persons with keypoints": pc.sum(pc.greater(given, 0)).as_py() or 0,
                }
                what = "as commonly quoted, not from the full file"
                checks += [Check(f"{split}: {key} ({what})", count, found[key]) for key, count in counts.items()]
        return checks

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write ``annotations/person_keypoints_{train,val}2017.json`` of a few images, with the official quirks."""
        write_sample(out, seed)

    def _candidates(self, raw: Path) -> Iterator[list[Path]]:
        """The files that may hold annotations: the user's, else those where they are expected, else those below."""
        if raw.is_file():
            yield [raw]
        elif self.files:
            yield finding.chosen(raw, self.files)
        else:
            yield finding.near(raw)
            yield finding.deeper(raw)

    def _layouts(self, paths: Sequence[Path]) -> dict[Path, Layout]:
        """The annotation files among some json files, and their joints."""
        choice = Choice(self.category, self.joints, self._sigmas())
        found: dict[Path, Layout] = {}
        for path in paths:
            document = Document(path)
            if finding.is_annotations(document):
                found[path] = layout(document, choice)
                self._document = document if len(found) == 1 else None  # of several, none is kept in memory
        return found

    def _sigmas(self) -> tuple[float, ...]:
        try:
            return tuple(float(text) for text in self.sigmas.split(",") if self.sigmas)
        except ValueError as error:
            raise HarBenchError(f"the option sigmas is no list of numbers with commas between ({error})") from error


def _common(raw: Path, found: dict[Path, Layout]) -> Layout:
    """The layout of all files, from the one that says most of it.

    Raises:
        HarBenchError: they have different joints.
    """
    first = next((path for path, each in found.items() if not each.silent), next(iter(found)))
    for path, other in found.items():
        if not found[first].fits(other):
            names = f"{first.name} and {path.name}"
            raise HarBenchError(f"{names} in {raw} have different joints; choose some with the option files")
    return max(found.values(), key=_tells)


def _tells(found: Layout) -> tuple[bool, bool, bool]:
    """What a layout has: joints, bones, sigmas."""
    if found.joints is None:
        return False, False, False
    return True, max(found.joints.parents) >= 0, bool(found.joints.sigmas)
