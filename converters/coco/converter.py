"""COCO keypoints: people in everyday photographs, 17 joints (Lin et al., ECCV 2014), and files in its format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pyarrow.compute as pc

from har_bench.converter import Check, Converter, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.skeletons import Skeleton, skeleton

from .document import Document
from .layout import KNOWN, WHOLEBODY, Layout, layout
from .sample import write_sample
from .tables import Origin, tables

if TYPE_CHECKING:
    from har_bench.store import Store

SUFFIXES = (".json", ".json.gz", ".json.xz")
OFFICIAL = re.compile(r"person_keypoints_(train|val)(2014|2017)")
PARTS = ("train", "val", "trainval", "test")

PUBLISHED = {
    "2017/val": {"images": 5_000, "persons": 11_004, "persons with keypoints": 6_352},
    "2017/train": {"images": 118_287, "persons": 262_465, "persons with keypoints": 149_813},
    "2014/val": {"images": 40_504},
    "2014/train": {"images": 82_783},
}
"""As they are quoted everywhere; we have not had the whole official files in hand."""


@dataclass
class COCO(Converter):
    """Annotation files in COCO's format: one shard, and one split, each.

    Attributes:
        files: which files, as a glob under the raw folder, such as ``annotations/crowdpose_*.json``; by default the
            official ``person_keypoints_*``, and if there are none, every annotation file there is.
        sigmas: of the joints, as numbers with commas between, for files in COCO's format that do not give them.
    """

    dataset: ClassVar[str] = "coco"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "COCO keypoints 2014 and 2017, CrowdPose, COCO-WholeBody, and any file in COCO's format"
    raw: ClassVar[str] = (
        "annotations/person_keypoints_{train,val}{2014,2017}.json (also without the folder, or one such file), "
        "else any annotation file in COCO's format; .json, .json.gz or .json.xz"
    )
    skeletons: ClassVar[tuple[str, ...]] = (*KNOWN, WHOLEBODY)
    citation: ClassVar[str] = "Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014"
    licence: ClassVar[str] = "annotations CC BY 4.0; the images under their Flickr licences, one per image"
    notes: ClassVar[tuple[str, ...]] = (
        "A sequence is an image: the official ones are val2017/000000000139.jpg, others file/file_name, with the name "
        "of the annotation file without its extension; so names are unique when several files are in a store.",
        "Every annotation file is a split: 2017/val; crowdpose/val for crowdpose_val.json; name/all for name.json.",
        "Pixels are as in the files, 0-based; a joint with v = 0 is absent, and v = 1, 2 is its visibility.",
        "Crowds, persons without joints, and images without persons are kept.",
    )

    files: str = ""
    sigmas: str = ""

    def __post_init__(self) -> None:
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
        sigmas = self._sigmas()
        found: dict[Path, Layout] = {}
        for path in self._candidates(raw):
            document = Document(path)
            if {"images", "annotations"} <= document.members.keys():
                found[path] = layout(document, sigmas)
                self._document = document if len(found) == 1 else None  # of several, none is kept in memory
        if not found:
            raise HarBenchError(f"{raw} is not COCO; expected there {self.raw}")
        first = next(iter(found.values()))
        for path, other in found.items():
            if other != first:
                names = f"{next(iter(found)).name} and {path.name}"
                raise HarBenchError(f"{names} in {raw} have different joints; choose some with the option files")
        self._layout = first
        origins = [_origin(raw, path, own) for path, own in found.items()]
        shards = {
            origin.label: Shard(origin.label, (path,), origin) for origin, path in zip(origins, found, strict=True)
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

    def _candidates(self, raw: Path) -> list[Path]:
        """The files that may hold annotations, in the order of their names."""
        if raw.is_file():
            return [raw]
        if self.files:
            chosen = sorted(path for path in raw.glob(self.files) if path.is_file())
            if not chosen:
                raise HarBenchError(f"{raw} has no file {self.files}; mend the option files")
            return chosen
        near = [path for folder in (raw, raw / "annotations") if folder.is_dir() for path in sorted(folder.iterdir())]
        files = [path for path in near if path.name.endswith(SUFFIXES) and path.is_file() and path.name[0] != "."]
        return [path for path in files if OFFICIAL.fullmatch(_stem(path))] or files

    def _sigmas(self) -> tuple[float, ...]:
        try:
            return tuple(float(text) for text in self.sigmas.split(",") if self.sigmas)
        except ValueError as error:
            raise HarBenchError(f"the option sigmas is no list of numbers with commas between ({error})") from error


def _stem(path: Path) -> str:
    """A file's name without its extensions."""
    return next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), path.stem)


def _origin(raw: Path, path: Path, own: Layout) -> Origin:
    """What a file's name tells."""
    stem = _stem(path)
    source = path.relative_to(raw).as_posix() if raw.is_dir() else path.name
    official = OFFICIAL.fullmatch(stem)
    if official:
        part, year = official.groups()
        return Origin(part + year, f"{year}/{part}", source, part + year, own)
    words = stem.split("_")
    parts = [word for word in words if word in PARTS]
    rest = "_".join(word for word in words if word not in PARTS)
    split = f"{rest}/{parts[0]}" if len(parts) == 1 and rest else f"{stem}/all"
    crowdpose = own.joints is not None and own.joints.name == "crowdpose14"
    return Origin(stem, split, source, "images" if crowdpose else None, own)
