"""deephar's training as options of a baseline: a recipe, its datasets, and a network that may go on from another."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from har_bench import devices, remote
from har_bench.baseline import Baseline
from har_bench.errors import HarBenchError, listed, unknown
from har_bench.media.pixel_model import PixelModel
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.skeletons import Skeleton, skeleton
from har_bench.store import Store
from har_bench.training import Plan, Plateau, Trained, train
from har_bench.training import weights as parameters
from har_bench.training.curves import History

from .architecture import Architecture
from .data.augmentation import AUGMENTATIONS, NONE
from .data.feed import Feed, Source
from .data.layouts import layout_of
from .data.samples import Target
from .data.stores import Wanted
from .given import Given, annotated, classes_of, labels_of, people, present, told_classes
from .given import Source as People
from .judging import Judge, measures
from .layers import Network
from .learning import NAME, Lesson, carry_on
from .recipes import RECIPES, SPLITS, TINY_EPOCHS, USUAL, USUAL_SPLIT, Part, Recipe, with_classes, without_actions
from .spnet_parts import replicate
from .weighing import Loaded, told

TELLING = (
    *("recipe", "tiny", "epochs", "per_step", "lr", "steps", "frames", "augment", "held_out", "measured", "patience"),
    *("plateau", "annotations", "joints", "precision", "seed"),
)
"""Options that make a training another one."""


@dataclass
class Learner(Trained, PixelModel):
    """A model of pictures that learns by a recipe. Subclasses take the network and read those that it begins with."""

    training: ClassVar[tuple[str, ...]] = (
        *("recipe", "tiny", "epochs", "per_step", "lr", "steps", "augment", "held_out", "measured", "patience"),
        *("plateau", "annotations", "init", "checkpoints"),
    )
    """The options that do nothing where weights are loaded."""

    recipe: str = option(
        "",
        "how it is trained: mpii, mixed, penn, ntu, penn-ntu, penn-merge, coco, merl, merl-actions or actions; by the "
        "dataset and the task if empty",
    )
    tiny: bool = option(False, "the recipe with a network, pictures and epochs for a try of seconds")
    epochs: int | None = option(None, "passes over the recipe's first dataset; rates and stages in proportion", least=1)
    per_step: int | None = option(None, "pictures and clips of a step from each dataset; as the recipe says", least=1)
    lr: float | None = option(None, "learning rate; the recipe's", above=0)
    steps: int = option(0, "steps of an epoch at most; 0 is all of it", least=0)
    frames: int | None = option(
        None, "of a clip; by default as the network was published, 8, 16 or 20, or as its recipe says", least=1
    )
    augment: bool = option(True, "vary pictures as the recipe says")
    held_out: str = option("", "a split of the first store whose loss is told after every epoch, and kept in best.ckpt")
    annotations: tuple[str, ...] = option(
        (), "folders of deephar's own annotation files, such as h36m=datasets/Human3.6M, in the place of stores"
    )
    measured: tuple[str, ...] = option(
        (), "protocols of the stores, such as mpii/pckh, by whose numbers it is judged after every epoch"
    )
    patience: int | None = option(
        None, "epochs in which what is told first became no better, and then it ends; as its recipe says, or 0, never",
        least=0,
    )  # fmt: skip
    plateau: int = option(
        0,
        "epochs in which it became no better, and then it goes on from its best weights with a tenth of the rate",
        least=0,
    )
    init: str = option("", "weights to begin with; heads for other actions begin anew")
    architecture: str = option("", "a published network by name, such as mpii_2d; by default the one that weights tell")
    joints: str = option("", "the layout of the network's joints, where its weights do not tell; coco16 is the seed's")
    seed: int = option(0, "fixes the weights, where none are loaded, and the order and variation of a training")

    history: History = field(default_factory=list, init=False, repr=False)

    @abstractmethod
    def take(self, trained: Loaded) -> None:
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
        if (self.patience or self.plateau) and not (self.measured or self.held_out):
            raise HarBenchError(
                "nothing is told after an epoch that could become better; "
                "give --set measured=PROTOCOL or held_out=SPLIT"
            )
        recipe, given = self._recipe(stores[0].dataset, protocol), self._given(stores, protocol)
        groups = present(recipe, [*annotated(self.annotations), *given])
        acting = [(part, of) for group in groups for part, of in group if part.clips]
        classes = [classes_of(of).classes for _, of in acting]
        architecture, model, layout = self._network(recipe, classes)
        made = partial(self._feed, recipe, architecture, layout, [part for part, _ in acting])
        feed = made(groups)
        lesson = Lesson(recipe, feed, model)
        about = f"trained by {self.recipe or 'its usual recipe'}, seed {self.seed}"
        trained = Loaded(model, architecture, layout.name, about, labels_of(acting[0][1]) if acting else "")
        held_out = self._held_out(recipe, given, groups)
        judge = Judge(
            lesson,
            made(held_out, plain=True) if held_out else None,
            measures(self.measured, given),
            partial(self._looking, trained),
            devices.chosen(self.device),
        )
        plan = self.here(self._plan(recipe, lesson, judge, self._identity(stores, protocol, trained)))
        evaluated = judge if judge.tells else None
        models = nn.ModuleDict({NAME: model})
        self.history = train(
            models, feed, lesson.losses, plan, starting=lesson.starting, evaluated=evaluated, quiet=self.quiet
        )
        self.take(trained)

    def _plan(self, recipe: Recipe, lesson: Lesson, judge: Judge, identity: Mapping[str, Any]) -> Plan:
        patience = recipe.patience if self.patience is None else self.patience
        return Plan(
            recipe.epochs,
            self.seed,
            recipe.made(),
            schedule=lesson.factor,
            identity=identity,
            loose=("per_step",),
            steps=lesson.feed.steps(recipe.frozen),
            better=judge.better,
            patience=patience if judge.tells else 0,
            plateau=Plateau(self.plateau) if self.plateau else None,
        )

    def _looking(self, trained: Loaded, network: Network, given: Given) -> Baseline:
        """This model with another state of its network, that looks at some pictures."""
        other = copy.copy(self)
        other.images, other.outputs, other.quiet = str(given.root), {}, True
        other.take(trained._replace(model=network))
        return other

    def _recipe(self, dataset: str, protocol: Protocol | None) -> Recipe:
        name = self.recipe or USUAL.get((dataset, "" if protocol is None else protocol.task), "")
        if name not in RECIPES:
            if self.recipe:
                raise unknown("recipe of deephar", name, RECIPES)
            raise HarBenchError(
                f"which recipe {dataset} is learnt by is not clear; give --set recipe={listed(RECIPES)}"
            )
        recipe = RECIPES[name]
        if self.tiny:
            recipe = recipe.tiny(self.epochs or TINY_EPOCHS)
        elif self.epochs is not None:
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
        owns = [protocol, *[None] * (len(stores) - 1)]
        for store, folder, own in zip(stores, folders, owns, strict=True):
            split = SPLITS.get(store.dataset, USUAL_SPLIT) if own is None else own.train_split
            made.append(Given(store, Path(folder), split, told_classes(own)))
        return made

    def _network(self, recipe: Recipe, classes: Sequence[int]) -> tuple[Architecture, Network, Skeleton]:
        architecture = recipe.architecture(tiny=self.tiny, name=self.architecture, classes=classes)
        joints, other = self.joints, None
        if self.init:
            path = remote.fetch(self.init)
            begun = self.begun(path)
            other, its, joints = begun.model, begun.architecture, joints or begun.layout
            if not self.architecture:
                architecture = with_classes(its, classes) if recipe.acts else without_actions(its)
        with devices.forked():
            torch.manual_seed(self.seed)
            model = architecture.build()
        if other is not None:
            carry_on(model, other, self.init)
        else:
            replicate(model)
        layout = skeleton(joints) if joints else layout_of(architecture.shape.joints)
        if len(layout) != architecture.shape.joints:
            raise HarBenchError(
                f"{layout.name} has {len(layout)} joints, and the network {architecture.shape.joints}; "
                "give --set joints or architecture of as many"
            )
        return architecture, model, layout

    def _feed(
        self,
        recipe: Recipe,
        architecture: Architecture,
        layout: Skeleton,
        acting: Sequence[Part],
        groups: Sequence[Sequence[tuple[Part, People]]],
        *,
        plain: bool = False,
    ) -> Feed:
        """Batches of the groups; ``acting`` are the parts whose classes are a set of actions each."""
        target = Target(layout.flip, architecture.shape.dims, (architecture.shape.size, architecture.shape.size))
        made = []
        for group in groups:
            sources = []
            for part, given in group:
                wanted = Wanted(layout, architecture.shape.dims, part.every)
                found = people(part, given, wanted)
                varied = AUGMENTATIONS[part.augmentation] if self.augment and not plain else NONE
                varied = replace(varied, steps=AUGMENTATIONS[part.augmentation].steps)
                clips = (recipe.frames, acting.index(part)) if part.clips else (0, 0)
                sources.append(Source(found, given.pictures, target, varied, part.count, *clips))
            made.append(sources)
        return Feed(made, self.seed, recipe.frozen, self.workers, self.steps, max(len(acting), 1))

    def _held_out(
        self, recipe: Recipe, given: Sequence[Given], groups: Sequence[Sequence[tuple[Part, People]]]
    ) -> Sequence[Sequence[tuple[Part, People]]]:
        """The recipe's parts of the first store, with the split whose loss is told; none without one."""
        if not self.held_out:
            return []
        first = given[0]
        others = replace(first, split=self.held_out, classes=classes_of(first) if recipe.acts else None)
        chosen: list[list[tuple[Part, People]]] = [
            [(part, others) for part, of in group if of is first] for group in groups
        ]
        return [group for group in chosen if group]

    def _identity(self, stores: Sequence[Store], protocol: Protocol | None, trained: Loaded) -> Mapping[str, Any]:
        """What makes a training this one, so that a checkpoint of another is not mistaken for its own."""
        return {name: getattr(self, name) for name in TELLING} | {
            "baseline": type(self).__name__,
            "stores": [store.fingerprint for store in stores],
            "split": "" if protocol is None else protocol.train_split,
            "init": parameters.told_by(self.init),
            **told(trained),
        }
