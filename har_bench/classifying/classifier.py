"""A network that classifies clips, as a baseline: a model adds its network, and no more.

Each stream has a network of its own, trained alone; their probabilities are fused by pyskl's weights. The last epoch is
what is scored, never the best on the test set.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import torch
from torch import nn

from har_bench import devices
from har_bench.arrays import Ints, Singles
from har_bench.classifying.feed import Examples, Feed, Recipe
from har_bench.classifying.model import ClipModel, Learnt, learnt_from
from har_bench.classifying.preparing import preparation
from har_bench.classifying.reel import Cutter, Reel, mirrored
from har_bench.classifying.sampling import middles, uniform_tests
from har_bench.classifying.streams import WEIGHTS, chosen
from har_bench.errors import HarBenchError
from har_bench.foreign.networks import in_words
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.store import Store
from har_bench.training import Losses, Plan, Trained, train, weights
from har_bench.training.curves import History

PER_BATCH = 128
"""Learning rates are told for batches of so many clips, and grow with the batch."""

FILES: Mapping[str, str] = {"joint": "j.pth", "bone": "b.pth", "joint-motion": "jm.pth", "bone-motion": "bm.pth"}
"""What pyskl calls the weights of the streams."""

SETTING = ("frames", "clips", "epochs", "batch", "lr", "smoothing", "mirror", "rotate", "scale")
"""The options that a preparation has defaults for."""


@dataclass
class Classifier(Trained, ClipModel):
    """A network from (N, M, T, V, C) clips to (N, classes) logits. Subclasses implement :meth:`network`."""

    architecture: ClassVar[tuple[str, ...]] = ()
    """The options that define the network; they are saved with its weights."""

    own: ClassVar[Mapping[str, Any]] = {}
    """Where this network is trained in another way than its preparation's default."""

    streams: tuple[str, ...] = option(
        ("joint",), "joint, bone, joint-motion, bone-motion, or all: a network each, fused 2:2:1:1"
    )
    frames: int | None = option(None, "frames of a clip; 100 with pyskl's views, 32 with rms", least=1)
    clips: int | None = option(None, "clips of a test sequence, whose probabilities are averaged; 10, or 1", least=1)
    epochs: int | None = option(None, "passes over the training clips; 80, or 40", least=1)
    batch: int | None = option(None, "clips per step; 128, or 32", least=1)
    lr: float | None = option(
        None, "learning rate of SGD (Nesterov) for 128 clips a step, in proportion for others; cosine to 0", above=0
    )
    weight_decay: float = option(5e-4, "of every parameter", least=0)
    smoothing: float | None = option(None, "label smoothing; 0, or 0.1", least=0)
    mirror: bool | None = option(None, "train on mirror images half of the time; not with pyskl's views")
    rotate: float | None = option(None, "turn training clips by up to so much [rad]; 0, or 0.3", least=0)
    scale: float | None = option(None, "stretch each of their axes by up to so much; 0, or 0.2", least=0)
    flip: bool = option(False, "predict mirror images too, and average")
    seed: int = option(0, "fixes the initial weights, the order of the clips, their sampling and variation")

    models: nn.ModuleDict | None = field(default=None, init=False, repr=False)
    history: History = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Put the streams in order.

        Raises:
            HarBenchError: there is no such stream.
        """
        self.streams = chosen(tuple(self.streams))
        self._given = {name: value for name, value in vars(self).items() if name in self.architecture}

    @abstractmethod
    def network(self, learnt: Learnt) -> nn.Module:
        """A network from (N, M, T, V, 3) clips to (N, classes) logits."""

    def setting(self, name: str) -> Any:
        """An option's value: what was given, else this model's own, else what was published with the view."""
        given = getattr(self, name)
        if given is not None:
            return given
        return self.own.get(name, preparation(self.known().view).defaults[name])

    def optimiser(self) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
        """Makes the optimiser of the parameters."""
        rate = self.setting("lr") * self.setting("batch") / PER_BATCH
        return partial(torch.optim.SGD, lr=rate, momentum=0.9, nesterov=True, weight_decay=self.weight_decay)

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Train a network for every stream on the protocol's training split."""
        lesson = self.lesson(store, protocol)
        examples = Examples(Reel(lesson.clips, self.known().persons), torch.from_numpy(lesson.labels))
        if self.setting("batch") < self.devices:
            raise HarBenchError(f"batch is {self.setting('batch')}; give {self.devices} or more, one for each device")
        self.models, histories = nn.ModuleDict(), []
        for name in self.streams:
            model, history = self._trained(name, examples, self._identity(name, store, protocol))
            self.models[name] = model
            histories.append(history)
        self.history = [
            {key: value for row in rows for key, value in row.items()} for rows in zip(*histories, strict=True)
        ]

    def _trained(self, name: str, examples: Examples, identity: Mapping[str, Any]) -> tuple[nn.Module, History]:
        with devices.forked():
            torch.manual_seed(self.seed)
            model = nn.ModuleDict({name: self.network(self.known())})
        feed = Feed(examples, self._cutter(name), self._recipe())
        plan = Plan(
            self.setting("epochs"),
            self.seed,
            self.optimiser(),
            schedule=partial(cosine, steps=self.setting("epochs") * feed.steps),
            identity=identity,
            steps=feed.steps,
        )
        losses = partial(smoothed, name=name, smoothing=self.setting("smoothing"))
        history = train(model, feed, losses, self.here(plan, name), quiet=self.quiet)
        return model[name], history

    def _recipe(self) -> Recipe:
        return Recipe(self.seed, *(self.setting(name) for name in ("frames", "batch", "mirror", "rotate", "scale")))

    def _cutter(self, name: str) -> Cutter:
        learnt = self.known()
        return Cutter(preparation(learnt.view), learnt.layout, name)

    def probabilities(self, clips: Sequence[Singles]) -> Singles:
        """The weighted mean of the streams' probabilities, each the mean over a sequence's clips."""
        learnt, reel = self.known(), Reel(clips, self.known().persons)
        places = [self.places(length) for length in reel.lengths.tolist()]
        which = np.repeat(np.arange(len(clips)), [len(each) for each in places])
        total = np.zeros((len(clips), learnt.classes))
        for name in self.streams:
            found = self._softmax(name, reel, which, np.concatenate(places))
            total += WEIGHTS[name] * found.reshape(len(clips), -1, learnt.classes).mean(axis=1, dtype=np.float64)
        if not np.isfinite(total).all():
            raise HarBenchError(
                f"the scores of {type(self).__name__} are no numbers, as after a training that diverged; lower the "
                "learning rate (lr) and train again, or give other weights"
            )
        return np.asarray(total / sum(WEIGHTS[name] for name in self.streams), np.float32)

    def places(self, length: int) -> Ints:
        """(clips, L) the frames of a test sequence."""
        frames = self.setting("frames")
        if preparation(self.known().view).sampling == "uniform":
            return uniform_tests(length, frames, self.setting("clips"))
        return middles(length, frames, self.setting("clips"))

    def _softmax(self, name: str, reel: Reel, which: Ints, places: Ints) -> Singles:
        """(B, classes) probabilities of clips; with ``flip`` averaged with those of their mirror images."""
        if self.models is None:
            raise HarBenchError(f"{type(self).__name__} has learnt nothing yet; fit it or load weights")
        device = devices.chosen(self.device)
        model, cutter, found = self.models[name].to(device).eval(), self._cutter(name), []
        size = max(self.setting("batch"), 1)
        with torch.inference_mode(), devices.precision(device, self.precision):
            for start in range(0, len(which), size):
                piece = slice(start, start + size)
                seen = [cutter.cut(reel, which[piece], places[piece])]
                if self.flip:
                    seen.append(cutter.cut(reel, which[piece], places[piece], mirrored(len(seen[0]), cutter.axes)))
                found.append(torch.stack([model(each.to(device)).float().softmax(1) for each in seen]).mean(0).cpu())
        return np.asarray(torch.cat(found).numpy())

    def save(self, path: Path) -> None:
        """Write the networks, and what is needed to use them, as ``.safetensors``."""
        options = {
            "baseline": type(self).__name__,
            "learnt": msgspec.to_builtins(self.known()),
            "streams": list(self.streams),
            "settings": {name: self.setting(name) for name in (*self.architecture, "frames", "clips")},
        }
        weights.write(path, dict(self.models or {}), options)

    def load(self, weights_file: Path) -> None:
        """Read weights that :meth:`save` wrote, or published ones; of several streams, from a folder of pyskl's files.

        Raises:
            HarBenchError: a file is damaged, of another model, or lacks tensors.
        """
        files = {name: weights_file / FILES[name] for name in self.streams} if weights_file.is_dir() else {}
        found = weights.read(next(iter(files.values()), weights_file))
        if found.options:
            self._load_own(found)
            return
        if not files and len(self.streams) > 1:
            raise HarBenchError(
                f"{weights_file} is a network of one stream and {len(self.streams)} are asked for; give a folder with "
                f"{', '.join(FILES[name] for name in self.streams)}"
            )
        states = {name: self.plain(state_of(weights.read(file))) for name, file in files.items()}
        states = states or {self.streams[0]: self.plain(state_of(found))}
        learnt, settings = self.published(next(iter(states.values())), found.path)
        self._adopt(settings, found.path)
        self._take(learnt, states, weights_file)

    def _load_own(self, found: weights.Checkpoint) -> None:
        if found.options.get("baseline") != type(self).__name__:
            whose = found.options.get("baseline")
            raise HarBenchError(f"{found.path} holds weights of {whose}, not {type(self).__name__}; name that baseline")
        self._adopt(found.options["settings"], found.path)
        self.streams = chosen(tuple(found.options["streams"]))
        self._take(learnt_from(found.options["learnt"], found.path), found.models, found.path)

    def _adopt(self, settings: Mapping[str, Any], path: Path) -> None:
        """Take the options that weights were made with; how they are tested may be chosen anew."""
        for name, value in settings.items():
            given = self._given.get(name)
            if given not in (None, getattr(type(self), name), value):
                raise HarBenchError(f"{path} was made with {name}={value}, not {given}; leave the option out")
            if name in self.architecture or getattr(self, name) is None:
                setattr(self, name, value)

    def _take(self, learnt: Learnt, states: Mapping[str, weights.State], path: Path) -> None:
        self.learnt, self.models = learnt, nn.ModuleDict()
        for name in self.streams:
            model = self.network(learnt)
            weights.fill(model, states.get(name, {}), f"{name} of {path}")
            self.models[name] = model

    def plain(self, state: weights.State) -> weights.State:
        """Published weights under this model's names."""
        return state

    def published(self, state: weights.State, path: Path) -> tuple[Learnt, Mapping[str, Any]]:
        """What weights that others published were trained on, and the options of their architecture.

        Raises:
            HarBenchError: they are of another network.
        """
        raise HarBenchError(
            f"{path} is no file that {type(self).__name__} saved: it has {in_words(state)}; give one that is"
        )

    def describe(self) -> dict[str, Any]:
        """How it was trained and tested, on what, device and size."""
        networks = self.models or nn.ModuleDict()
        told = SETTING if self.history else ("frames", "clips")  # what weights were trained with, their file says
        return (
            super().describe()
            | {name: self.setting(name) for name in (*self.architecture, *told)}
            | {
                "streams": "+".join(self.streams),
                "seed": self.seed,
                "flip": self.flip,
                "device": devices.label(devices.chosen(self.device)),
                "torch": torch.__version__,
                "parameters": weights.count(networks),
            }
        )

    def _identity(self, name: str, store: Store, protocol: Protocol) -> dict[str, Any]:
        """What makes a training this one, so that a checkpoint of another is not mistaken for its own."""
        free = {"device", "devices", "checkpoints", "flip", "inputs", "inputs_layout", "compile", "clips", "streams"}
        options = {item.name: getattr(self, item.name) for item in fields(self) if item.init and item.name not in free}
        return (
            options
            | {each: self.setting(each) for each in (*self.architecture, *SETTING) if each not in free}
            | {
                "baseline": type(self).__name__,
                "stream": name,
                "view": self.known().view,
                "joints": self.known().layout.name,
                "keypoints": self.keypoints,
                "store": store.fingerprint,
                "split": protocol.train_split,
            }
        )


def cosine(step: int, steps: int) -> float:
    """The factor on the learning rate at a step, counted from 0, of ``steps``."""
    return (1 + math.cos(math.pi * step / steps)) / 2


def smoothed(model: Any, batch: tuple[torch.Tensor, torch.Tensor], *, name: str, smoothing: float) -> Losses:
    """The cross entropy of a batch of clips and classes, under the stream's name."""
    clips, labels = batch
    return {name: nn.functional.cross_entropy(model[name](clips), labels, label_smoothing=smoothing)}


def state_of(found: weights.Checkpoint) -> weights.State:
    """The network of a published file: mmcv's ``state_dict``, or the file itself.

    Raises:
        HarBenchError: it holds none.
    """
    for name in ("state_dict", ""):
        if name in found.models:
            return found.models[name]
    raise HarBenchError(f"{found.path} holds {', '.join(found.models)} and no state_dict; give pyskl's .pth")
