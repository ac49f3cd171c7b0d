"""The datasets of a recipe: whose stores, which splits and classes, and the people whose pictures are there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pyarrow as pa

from har_bench.classifying.classes import Classes
from har_bench.errors import HarBenchError, HarBenchWarning, listed, unknown
from har_bench.media.of_store import Pictures, Shot
from har_bench.protocol import make_protocol
from har_bench.skeletons import Skeleton
from har_bench.store import Store

from .data import files
from .data.layouts import NETWORKS
from .data.samples import Sample
from .data.stores import Wanted, samples
from .recipes import ANY, Part, Recipe

LABELLED: Mapping[str, str] = MappingProxyType(
    {"penn_action": "penn_action/accuracy", "ntu60": "ntu60/xsub", "ntu120": "ntu120/xsub", "ntu": "ntu60/xsub"}
)
"""The protocols whose classes are learnt of a dataset, where none is named: others would number them otherwise."""


@dataclass(frozen=True)
class Given:
    """A store to learn from.

    Attributes:
        store: the store.
        root: the folder of its pictures.
        split: what of it.
        classes: of its sequences.
    """

    store: Store
    root: Path
    split: str
    classes: Classes | None

    @property
    def dataset(self) -> str:
        """The store's."""
        return self.store.dataset

    @cached_property
    def pictures(self) -> Pictures:
        """Its pictures, one after the other: several are read by the threads that cut them."""
        return Pictures(self.store, self.root, workers=1)


@dataclass(frozen=True)
class Annotated:
    """The original's own annotation files of a dataset, to learn from in the place of a store.

    Attributes:
        dataset: in :data:`har_bench.baselines.deephar.data.files.DATASETS`.
        root: the folder of its annotations, with its pictures as the original has them.
    """

    dataset: str
    root: Path
    split: ClassVar[str] = "its own training part"
    classes: ClassVar[None] = None
    pictures: ClassVar[None] = None

    def samples(self, layout: Skeleton) -> list[Sample]:
        """Everybody in it, in a network's joints.

        Raises:
            HarBenchError: they do not become those, or the files cannot be read.
        """
        joints = len(layout)
        if layout.name not in NETWORKS.get(joints, ()) or (joints > 17 and self.dataset != "ntu"):
            raise HarBenchError(
                f"deephar's own annotations of {self.dataset} have no joints of {layout.name}; leave them out"
            )
        return files.people(self.dataset, self.root, "train", joints)


def annotated(texts: Sequence[str]) -> list[Annotated]:
    """Folders of the original's own annotations, such as ``h36m=datasets/Human3.6M``.

    Raises:
        HarBenchError: a text is no dataset and its folder.
    """
    made = []
    for text in texts:
        dataset, equals, folder = text.partition("=")
        if dataset not in files.DATASETS:
            raise unknown("dataset of deephar's own annotations", dataset, files.DATASETS)
        if not equals or not Path(folder).is_dir():
            raise HarBenchError(f"annotations={text} names no folder; give {dataset}=FOLDER, with annotations in it")
        made.append(Annotated(dataset, Path(folder)))
    return made


Source = Given | Annotated
"""Where people come from."""


class Actions:
    """The classes of a store that no protocol knows: its sequences' actions, in alphabetical order."""

    def __init__(self, store: Store, split: str) -> None:
        names = store.select(split)["action"].to_pylist() if "action" in store.sequences.column_names else []
        self.names = sorted({name for name in names if name})
        if not self.names:
            raise HarBenchError(f"{store.path} has no sequences with actions in {split}; give a store that has")

    @property
    def classes(self) -> int:
        """How many."""
        return len(self.names)

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """By the action's name; None where the split has none of it."""
        known = {name: number for number, name in enumerate(self.names)}
        return [known.get(action) for action in sequences["action"].to_pylist()]


def present(recipe: Recipe, given: Sequence[Source]) -> list[list[tuple[Part, Source]]]:
    """The recipe's parts with their stores; those without one are left out, which is said.

    Raises:
        HarBenchError: a group has none.
    """
    made, absent = [], []
    for group in recipe.groups:
        found = [(part, of) for part in group if (of := _of(part, given)) is not None]
        absent += [part.dataset for part in group if _of(part, given) is None]
        if not found:
            raise HarBenchError(
                f"the recipe learns from {listed(part.dataset for part in group)}, and the stores are of "
                f"{listed(each.dataset for each in given)}; give a store of it too"
            )
        made.append(found)
    if absent:
        told = f"the recipe also learns from {', '.join(absent)}, of which no store is given; it does without"
        warnings.warn(HarBenchWarning(told), stacklevel=2)
    return made


def _of(part: Part, given: Sequence[Source]) -> Source | None:
    if part.dataset == ANY:
        return next(each for each in given if isinstance(each, Given))
    named = (each for each in given if part.dataset in (each.dataset, each.dataset.rstrip("0123456789")))
    return next(named, None)


def told_classes(protocol: object) -> Classes | None:
    """A protocol as the classes that it knows; None of one that knows none."""
    return protocol if isinstance(protocol, Classes) else None


def classes_of(given: Source) -> Classes:
    """The protocol's classes, else those of the protocol that is usual for the dataset, else those of the store."""
    usual = told_classes(make_protocol(LABELLED[given.dataset])) if given.dataset in LABELLED else None
    found = given.classes or usual
    if found is None and isinstance(given, Annotated):
        raise HarBenchError(f"deephar's own annotations of {given.dataset} have no actions; give a store that has")
    return found or Actions(given.store, given.split)  # type: ignore[union-attr]


def labels_of(given: Source) -> str:
    """The name of the protocol whose classes they are; empty where they are the store's own."""
    return str(getattr(classes_of(given), "name", ""))


def people(part: Part, given: Source, wanted: Wanted) -> list[Sample]:
    """Those to learn from whose pictures are there; that some are not is said.

    Raises:
        HarBenchError: there is no picture at all.
    """
    if isinstance(given, Annotated):
        found = given.samples(wanted.layout)
    else:
        classes = classes_of(given) if part.clips else None
        found = list(samples(given.store, given.split, wanted, root=given.root, classes=classes))

    def there(sample: Sample) -> bool:
        first = sample.pictures[0]
        if isinstance(given, Given) and isinstance(first, Shot):
            return given.pictures.has(first.sequence)
        return isinstance(first, Path) and first.exists()

    kept = [sample for sample in found if there(sample)]
    if not kept:
        raise HarBenchError(
            f"{given.root} holds no picture of the {len(found)} people of {given.dataset} in {given.split}; give "
            "the folder of the raw download with --set images=FOLDER"
        )
    if len(kept) < len(found):
        told = f"{len(found) - len(kept)} of {len(found)} people of {given.dataset} have no pictures there"
        warnings.warn(HarBenchWarning(f"{told}, and are left out"), stacklevel=2)
    return kept
