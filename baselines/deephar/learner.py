"""deephar's training as options of a baseline: a recipe, its datasets, and a network that may go on from another."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import nn

from har_bench import devices, remote
from har_bench.classifying.classes import Classes
from har_bench.devices import Precision
from har_bench.errors import HarBenchError, HarBenchWarning, listed, unknown
from har_bench.media.of_store import Pictures, Shot
from har_bench.media.pixel_model import PixelModel
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.skeletons import Skeleton, skeleton
from har_bench.store import Store
from har_bench.storing import fingerprint
from har_bench.training import Plan, train
from har_bench.training.curves import History

from .architecture import Architecture
from .data.augmentation import AUGMENTATIONS, NONE
from .data.feed import Feed, Source
from .data.layouts import layout_of
from .data.samples import Sample, Target
from .data.stores import Wanted, samples
from .layers import Network
from .learning import NAME, Lesson, carry_on
from .recipes import ANY, RECIPES, SPLITS, USUAL, USUAL_SPLIT, Part, Recipe, with_classes, without_actions
from .weighing import Loaded

FREE = frozenset(
    ("device", "devices", "workers", "images", "boxes", "checkpoints", "compile", "epochs", "batch", "init", "flip")
)
"""Options that a training may be gone on with when they are others."""


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

    @cached_property
    def pictures(self) -> Pictures:
        """Its pictures, one after the other: several are read by the threads that cut them."""
        return Pictures(self.store, self.root, workers=1)


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


@dataclass
class Learner(PixelModel):
    """A model of pictures that learns by a recipe. Subclasses take the network and read those that it begins with."""

    recipe: str = option("", "how it is trained: `har-bench info deephar` lists them; by the dataset and task if empty")
    tiny: bool = option(False, "the recipe with a network, pictures and epochs for a try of seconds")
    epochs: int | None = option(None, "passes over the recipe's first dataset; rates and stages in proportion", least=1)
    per_step: int | None = option(None, "pictures and clips of a step from each dataset; as the recipe says", least=1)
    lr: float | None = option(None, "learning rate; the recipe's", above=0)
    steps: int = option(0, "steps of an epoch at most; 0 is all of it", least=0)
    frames: int | None = option(None, "of a clip; the recipe's", least=2)
    augment: bool = option(True, "vary pictures as the recipe says")
    held_out: str = option("", "a split of the first store whose loss is told after every epoch, and kept in best.ckpt")
    devices: int = option(1, "how many of them train", least=1)
    init: str = option("", "weights to begin with; heads for other actions begin anew")
    checkpoints: str = option("", "folder of checkpoints; a training that finds its own there goes on from it")
    architecture: str = option("", "a published network by name, such as mpii_2d; by default the one that weights tell")
    joints: str = option("", "the layout of the network's joints, where its weights do not tell; coco16 is the seed's")
    precision: Precision = option("float32", "float32, tf32 or bf16")
    compile: bool = option(False, "compile the network")
    seed: int = option(0, "fixes the weights, where none are loaded, and the order and variation of a training")

    history: History = field(default_factory=list, init=False, repr=False)

    @abstractmethod
    def take(self, model: Network, architecture: Architecture, layout: str, about: str) -> None:
        """Predict with a network from now on."""

    @abstractmethod
    def begun(self, path: Path) -> Loaded:
        """The network of a file of weights, to train on."""

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Learn from the protocol's training split."""
        self.train([store], protocol)

    def train(self, stores: Sequence[Store], protocol: Protocol | None) -> None:
        """Learn from the training splits of several stores by a recipe.

        Raises:
            HarBenchError: no recipe for these stores, pictures that are not there, or weights of another network.
        """
        recipe, given = self._recipe(stores, protocol), self._given(stores, protocol)
        groups = _present(recipe, given)
        classes = self._classes(groups)
        architecture, model, layout = self._network(recipe, classes)
        feed = self._feed(groups, recipe, architecture, layout)
        lesson = Lesson(recipe, feed, model)
        held_out = self._held_out(recipe, given, groups, architecture, layout)
        plan = Plan(
            recipe.epochs,
            self.seed,
            recipe.made(),
            schedule=lesson.factor,
            device=self.device,
            devices=self.devices,
            precision=self.precision,
            compiled=self.compile,
            folder=Path(self.checkpoints) if self.checkpoints else None,
            identity=self._identity(stores, protocol, architecture),
            loose=("per_step",),
            steps=feed.steps(recipe.frozen),
        )
        models = nn.ModuleDict({NAME: model})
        evaluated = partial(lesson.judged, feed=held_out, device=devices.chosen(self.device)) if held_out else None
        self.history = train(
            models, feed, lesson.losses, plan, starting=lesson.starting, evaluated=evaluated, quiet=self.quiet
        )
        self.take(model, architecture, layout.name, f"trained by {self.recipe or 'its usual recipe'}, seed {self.seed}")

    def _recipe(self, stores: Sequence[Store], protocol: Protocol | None) -> Recipe:
        name = self.recipe or USUAL.get((stores[0].dataset, protocol.task if protocol else ""), "")
        if name not in RECIPES:
            if self.recipe:
                raise unknown("recipe of deephar", name, RECIPES)
            raise HarBenchError(
                f"which recipe {stores[0].dataset} is learnt by is not clear; give --set recipe={listed(RECIPES)}"
            )
        recipe = RECIPES[name].tiny() if self.tiny else RECIPES[name]
        if self.epochs is not None:
            recipe = recipe.lasting(self.epochs)
        if self.per_step is not None:
            count = self.per_step
            groups = tuple(tuple(replace(part, count=count) for part in group) for group in recipe.groups)
            recipe = replace(recipe, groups=groups)
        changed: dict[str, Any] = {"rate": self.lr, "frames": self.frames}
        return replace(recipe, **{name: value for name, value in changed.items() if value is not None})

    def _given(self, stores: Sequence[Store], protocol: Protocol | None) -> list[Given]:
        folders = [self.images] if len(stores) == 1 else [each.strip() for each in self.images.split(",")]
        if len(folders) not in (1, len(stores)) or not folders[0]:
            raise HarBenchError(
                f"a model of images needs the folders of {len(stores)} raw downloads, in the order of the stores and "
                "with commas between; give --set images=FOLDER"
            )
        folders = folders * len(stores) if len(folders) == 1 else folders
        made = []
        for place, (store, folder) in enumerate(zip(stores, folders, strict=True)):
            own = protocol if place == 0 else None
            split = own.train_split if own else SPLITS.get(store.dataset, USUAL_SPLIT)
            classes = own if isinstance(own, Classes) else None
            made.append(Given(store, Path(folder), split, classes))
        return made

    def _classes(self, groups: Sequence[Sequence[tuple[Part, Given]]]) -> int:
        """How many actions are learnt; 0 of a recipe for poses."""
        found = {_classes_of(given).classes for group in groups for part, given in group if part.clips}
        return max(found, default=0)

    def _network(self, recipe: Recipe, classes: int) -> tuple[Architecture, Network, Skeleton]:
        architecture = recipe.architecture(tiny=self.tiny, name=self.architecture, classes=classes)
        joints, other = self.joints, None
        if self.init:
            path = remote.fetch(self.init)
            other, its, given, _ = self.begun(path)
            joints = joints or given
            if not self.architecture:
                architecture = with_classes(its, classes) if recipe.acts else without_actions(its)
        with devices.forked():
            torch.manual_seed(self.seed)
            model = architecture.build()
        if other is not None:
            carry_on(model, other, self.init)
        layout = skeleton(joints) if joints else layout_of(architecture.joints)
        if len(layout) != architecture.joints:
            raise HarBenchError(
                f"{layout.name} has {len(layout)} joints, and the network {architecture.joints}; give --set joints "
                "or architecture of as many"
            )
        return architecture, model, layout

    def _feed(
        self,
        groups: Sequence[Sequence[tuple[Part, Given]]],
        recipe: Recipe,
        architecture: Architecture,
        layout: Skeleton,
        *,
        plain: bool = False,
    ) -> Feed:
        target = Target(layout.flip, architecture.dims, (architecture.size, architecture.size))
        made = []
        for group in groups:
            sources = []
            for part, given in group:
                wanted = Wanted(layout, architecture.dims, 1 if part.clips else part.every)
                found = _with_pictures(
                    list(
                        samples(
                            given.store,
                            given.split,
                            wanted,
                            root=given.root,
                            classes=_classes_of(given) if part.clips else None,
                        )
                    ),
                    given,
                )
                varied = AUGMENTATIONS[part.augmentation] if self.augment and not plain else NONE
                varied = replace(varied, steps=AUGMENTATIONS[part.augmentation].steps)
                frames = recipe.frames if part.clips else 0
                sources.append(Source(found, given.pictures, target, varied, part.count, frames))
            made.append(sources)
        return Feed(made, self.seed, recipe.frozen, self.workers, self.steps)

    def _held_out(
        self,
        recipe: Recipe,
        given: Sequence[Given],
        groups: Sequence[Sequence[tuple[Part, Given]]],
        architecture: Architecture,
        layout: Skeleton,
    ) -> Feed | None:
        if not self.held_out:
            return None
        first = given[0]
        others = replace(first, split=self.held_out, classes=_classes_of(first) if recipe.acts else None)
        chosen = [[(part, others) for part, of in group if of.store is first.store] for group in groups]
        return self._feed([group for group in chosen if group], recipe, architecture, layout, plain=True)

    def _identity(
        self, stores: Sequence[Store], protocol: Protocol | None, architecture: Architecture
    ) -> Mapping[str, Any]:
        """What makes a training this one, so that a checkpoint of another is not mistaken for its own."""
        options = {name: value for name, value in self._training_options().items() if name not in FREE}
        begun = fingerprint.of_file(remote.fetch(self.init)) if self.init else ""
        return options | {
            "baseline": type(self).__name__,
            "stores": [store.fingerprint for store in stores],
            "split": protocol.train_split if protocol else "",
            "init": begun,
            "network": repr(architecture),
        }

    def _training_options(self) -> dict[str, Any]:
        names = ("recipe", "tiny", "per_step", "lr", "steps", "frames", "augment", "held_out", "joints", "precision")
        return {name: getattr(self, name) for name in (*names, "seed", "architecture")}


def _present(recipe: Recipe, given: Sequence[Given]) -> list[list[tuple[Part, Given]]]:
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
                f"{listed(each.store.dataset for each in given)}; give a store of it too"
            )
        made.append(found)
    if absent:
        told = f"the recipe also learns from {', '.join(absent)}, of which no store is given; it does without"
        warnings.warn(HarBenchWarning(told), stacklevel=2)
    return made


def _of(part: Part, given: Sequence[Given]) -> Given | None:
    if part.dataset == ANY:
        return given[0]
    named = (each for each in given if part.dataset in (each.store.dataset, each.store.dataset.rstrip("0123456789")))
    return next(named, None)


def _classes_of(given: Given) -> Classes:
    return given.classes or Actions(given.store, given.split)


def _with_pictures(found: Sequence[Sample], given: Given) -> list[Sample]:
    """Those whose pictures are there; that some are not is said."""

    def there(sample: Sample) -> bool:
        first = sample.pictures[0]
        return given.pictures.has(first.sequence) if isinstance(first, Shot) else first.exists()

    kept = [sample for sample in found if there(sample)]
    if not kept:
        raise HarBenchError(
            f"{given.root} holds no picture of the {len(found)} people of {given.store.dataset} in {given.split}; give "
            "the folder of the raw download with --set images=FOLDER"
        )
    if len(kept) < len(found):
        told = f"{len(found) - len(kept)} of {len(found)} people of {given.store.dataset} have no pictures there"
        warnings.warn(HarBenchWarning(f"{told}, and are left out"), stacklevel=2)
    return kept
