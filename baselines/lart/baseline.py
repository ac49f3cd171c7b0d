"""LART as a baseline: learns from a store of tracklets, and says what everybody does in AVA's key frames."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import torch

from har_bench import devices, remote
from har_bench.arrays import Singles
from har_bench.baseline import Baseline, Finding
from har_bench.errors import HarBenchError, completing
from har_bench.foreign import opening
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.store import Store, open_store
from har_bench.training import Plan, Trained, weights
from har_bench.training.curves import History

from .beginning import begin
from .checking import check_tracklet
from .clips import LABELS, Clip, Clips, opened, width_of
from .lessons import bodies, films, rows_of
from .losses import TERMS, Aim, Labels, Masking
from .network import NAME, RELEASED, ROOM, Architecture, Inputs, Layers, Network, zero_masks
from .released import Released, completed, configuration, own, released, told_by
from .testing import Test, Told, annotated_at, box_of, by_second, detections, key_row, scored_second, scores, test_of
from .training import Feed, Ways, adam, begun, learn
from .windows import FRAMES, PEOPLE, Norm, Quirks, Windows, measured, norm_of, norm_read, stacked

SHARES = ("ratio", "dropout", "drop_path", "ema")
"""Options that are shares of one; all tokens may be hidden, but nothing else be left out or kept as a whole."""

ALONE_PER = 256
"""On several devices LART's learning rate is told for so many windows a step."""


@dataclass
class LART(Trained, Baseline):
    """A transformer over the tokens of all people and frames of a clip."""

    summary = "LART: actions from tracks of people, their bodies in space and how they look"
    cite = "Rajasegaran et al., On the Benefits of 3D Pose and Tracking for Human Action Recognition, CVPR 2023"
    needs = "a store of tracklets (--set tracklets=STORE, docs/lart.md)"
    quick = MappingProxyType(
        {"widths": "8,8,8", "between": "8,8,8", "depth": 1, "heads": 2, "head": 4, "hidden": 8}
        | {"frames": 16, "people": 2, "epochs": 4, "batch": 4, "lr": 0.01, "warm": 0, "ema": 0.0, "drop_path": 0.0}
    )
    architecture = ("depth", "heads", "head", "hidden", "dropout", "drop_path")
    training: ClassVar[tuple[str, ...]] = (
        *("learn_from", "labels", "terms", "others", "ratio", "masks", "epochs", "warm", "batch", "lr", "weight_decay"),
        *("layer_decay", "clip", "ema", "compile", "checkpoints", "init", "smpl", "kinetics", "parts", "widths"),
        "between",
    )

    tracklets: str = option("", "a store of tracklets, converted from LART's or PHALP's files")
    annotations: str = option("", "a store of AVA's annotations, with which `har-bench check lart` compares a tracklet")
    mean_std: str = option("", "PHALP's 3D/mean_std.npy, with which released weights were trained")
    learn_from: str = option("", "splits of the tracklets to learn from, comma-separated; those that end in -train")
    test: str = option(
        "track.fullframe@avg.6",
        "the scores of a key frame: track.fullframe@avg.N the mean over N frames before it and N from it on, "
        "track.fullframe@ its own, track.fullframe@GT its labels",
    )
    quirks: Quirks = option("none", "lart makes the slips of LART's own code (docs/lart.md)")
    frames: int = option(FRAMES, "of a window", least=1)
    people: int = option(PEOPLE, "of a window, the one it is about among them", least=1)
    parts: str = option("", "of a token beside its pose: joints,appearance, joints, appearance or none; what there is")
    widths: str = option("128,128,256", "what the encoders of pose, joints and appearance give")
    between: str = option("229,256,512", "their inner layers")
    depth: int = option(16, "layers of the transformer", least=1)
    heads: int = option(16, "of a layer's attention", least=1)
    head: int = option(64, "numbers of a head", least=1)
    hidden: int = option(512, "inner layer of the transformer's MLPs", least=1)
    dropout: float = option(0.1, "in the transformer", least=0)
    drop_path: float = option(0.4, "how often a window passes a branch of a layer by, in training", least=0)
    labels: Labels = option("all", "learn from these: true annotations, pseudo labels, or all")
    terms: str = option("actions", f"of the loss, comma-separated: {', '.join(TERMS)}")
    others: bool = option(True, "learn from everybody in a window, not from the one it is about alone")
    ratio: float = option(0.4, "how many of the detected tokens are hidden in training", least=0)
    masks: Masking = option(
        "random", "of training: random hides detected tokens, zero those alone who were not (a test's)"
    )
    epochs: int = option(30, "passes over the tracks", least=1)
    warm: int = option(5, "epochs in which the learning rate rises", least=0)
    batch: int = option(8, "windows per step, on all devices together", least=1)
    lr: float = option(1e-4, "learning rate of AdamW; on several devices for 256 windows a step", above=0)
    weight_decay: float = option(0.05, "of matrices; vectors do not decay", least=0)
    layer_decay: float = option(1.0, "learning rate of a layer beside the one above it; 0.95 to fine-tune", above=0)
    clip: float = option(2.0, "the longest gradient; longer ones are shortened, 0 is any length", least=0)
    ema: float = option(0.9999, "of the moving average of the weights, which predicts; 0 is the last weights", least=0)
    kinetics: str = option(
        "", "Kinetics-400's csv (label, youtube_id), for the term kinetics: the classes of the films"
    )
    smpl: str = option("", "smpl_mean_params.npz of the SMPL body model, for the terms of the pose")
    init: str = option("", "weights to begin with: fine-tuning")
    seed: int = option(0, "fixes the initial weights, the order of the windows, what is hidden and the dropout")

    model: Network | None = field(default=None, init=False, repr=False)
    norm: Norm | None = field(default=None, init=False, repr=False)
    actions: tuple[int, ...] = field(default=(), init=False, repr=False)
    origin: str = field(default="", init=False, repr=False)
    history: History = field(default_factory=list, init=False, repr=False)

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """People's actions in key frames, told by numbers."""
        del store
        return protocol.task == "spatio-temporal" and bool(actions_of(protocol))

    @cached_property
    def store(self) -> Store:
        """The store of tracklets.

        Raises:
            HarBenchError: none was named, or it is another.
        """
        if not self.tracklets:
            raise HarBenchError("lart needs a store of tracklets; convert LART's or PHALP's and give --set tracklets=")
        return opened(open_store(self.tracklets))

    @cached_property
    def tested(self) -> Test:
        """The option ``test``, read."""
        return test_of(self.test)

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Learn from the tracklets whose splits are for training.

        Raises:
            HarBenchError: there are none.
        """
        del store  # its annotations are in the tracklets already
        self.actions = actions_of(protocol)
        if self.tested.kind == "truth":  # labels are not learnt
            return
        for name in SHARES:
            if getattr(self, name) > (1 if name == "ratio" else 1 - 1e-12):
                raise HarBenchError(f"{name} is {getattr(self, name):g}, and is a share; give less than 1")
        made = self._made()
        clips = Clips(self.store, made.appearance.inside if made.appearance else 0)
        rows = rows_of(self.store, self.learn_from)
        self.norm = measured(bodies(self.store, rows)) if not self.mean_std else norm_read(self.mean_std)
        with devices.forked():
            torch.manual_seed(self.seed)
            network = Network(made)
        bodied = bool(self.init) and begin(network, self.init, self.actions, protocol)
        known = films(self.store, rows, self.kinetics)
        feed = Feed(clips, self._windows(), list(clips.tracks(rows)), self._columns(), self.batch, self.seed, known)
        if not feed.tracks:
            raise HarBenchError(f"{self.store.path} has no track of two frames to learn from; convert more")
        if self.batch < self.devices:
            raise HarBenchError(f"batch is {self.batch}; give {self.devices} or more, one for each device")
        self.model = self._trained(network, feed, fresh=not bodied)
        self.origin = "trained"

    def _trained(self, network: Network, feed: Feed, *, fresh: bool) -> Network:
        aim = Aim(
            tuple(word for word in self.terms.split(",") if word), self.labels, self.ratio, self.others, self.masks
        )
        begun(network, aim, smpl=self.smpl, kinetics=bool(feed.kinetics), fresh=fresh)
        plan = Plan(
            self.epochs,
            self.seed,
            adam(self.lr * (self.batch / ALONE_PER if self.devices > 1 else 1)),
            identity=self._identity(),
            loose=("batch",),
            clip=self.clip,
        )
        ways = Ways(self.warm, self.weight_decay, self.layer_decay, self.ema, quirks=self.quirks == "lart")
        learnt, self.history = learn(network, feed, aim, self.here(plan), ways, quiet=self.quiet)
        return learnt

    def _made(self) -> Architecture:
        """The network of the options, for the tracklets."""
        width = width_of(self.store)
        known = {"joints": True, "appearance": bool(width)}
        wanted = [word for word in self.parts.split(",") if word] or [part for part, there in known.items() if there]
        wrong = [word for word in wanted if word != "none" and not known.get(word)]
        if wrong:
            raise HarBenchError(f"{self.store.path} has no {wrong[0]}; give parts=joints, or parts=none for poses only")
        outside, between = (_three(getattr(self, name), name) for name in ("widths", "between"))
        released_ = RELEASED["hiera"]
        assert released_.joints is not None  # noqa: S101 - it has all parts
        return Architecture(
            Layers(released_.pose.inside, between[0], outside[0]),
            Layers(released_.joints.inside, between[1], outside[1]) if "joints" in wanted else None,
            Layers(width, between[2], outside[2]) if "appearance" in wanted else None,
            **{name: getattr(self, name) for name in self.architecture},
            actions=len(self.actions),
        )

    def _windows(self) -> Windows:
        if self.frames > ROOM[0] or self.people > ROOM[1]:
            raise HarBenchError(
                f"windows of {self.frames} frames and {self.people} people are asked for, and lart has positions for "
                f"{ROOM[0]} and {ROOM[1]}; give fewer"
            )
        if self.norm is None:
            raise HarBenchError(
                f"{self.origin} are LART's released weights, which see bodies less a mean that comes with PHALP; give "
                "its 3D/mean_std.npy with --set mean_std="
            )
        return Windows(self.norm, self.frames, self.people, self.quirks)

    def _columns(self) -> list[int]:
        """Of a label's numbers, those of the actions.

        Raises:
            HarBenchError: a label has no place for one.
        """
        if max(self.actions) > LABELS:
            raise HarBenchError(
                f"the protocol scores action {max(self.actions)}, and the labels of tracklets are of 1 to {LABELS}; "
                "give your actions numbers of these"
            )
        return [action - 1 for action in self.actions]

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """The detections of every video that the protocol scores and of which there are tracklets.

        Raises:
            HarBenchError: nothing was learnt, or other actions were.
        """
        actions = actions_of(protocol)
        self.actions = actions if self.tested.kind == "truth" else self._told_apart(protocol)
        if not set(actions) <= set(self.actions):
            missing = len(set(actions) - set(self.actions))
            raise HarBenchError(
                f"the model tells {len(self.actions)} actions, and {missing} that {protocol.canonical} scores are not "
                "among them; give weights of these, or score its own with --option actions="
            )
        wanted = set(protocol.select(store.sequences)["sequence"].to_pylist())
        videos = self.store.sequences["video"].to_pylist()
        order = sorted((video, row) for row, video in enumerate(videos) if video in wanted)
        if not order:
            raise HarBenchError(
                f"{self.store.path} has no tracklet of a video that {protocol.canonical} scores; convert those of its "
                "validation"
            )
        self._suits()
        clips = Clips(self.store, self._width(), bodies=self.tested.kind != "truth")
        seconds = annotated_at(store, wanted)
        for video, rows in groupby(order, key=lambda each: each[0]):
            cut = (clip for _, row in rows for clip in by_second(clips.clip(row)))
            told = [each for clip in cut for each in self.told(clip, seconds.get(video))]
            yield detections(video, told, self.actions, actions)

    def _told_apart(self, protocol: Protocol) -> tuple[int, ...]:
        """The numbers of the network's actions; released weights have AVA's 60 that are scored, or all 80."""
        count = self._known().made.actions
        found = self.actions or told_by(self._known().made, protocol)
        if len(found) != count:
            raise HarBenchError(f"{self.origin} tells {count} actions, which are not AVA's; give weights of these")
        return found

    def _suits(self) -> None:
        """Raise a HarBenchError where the network takes features that the tracklets have not, or have in another width.

        LART itself fills zeros in where a frame has none.
        """
        needed, there = self._width(), width_of(self.store)
        if needed and needed != there:
            raise HarBenchError(
                f"{self.origin} is of {configuration(self._known().made)}, and {self.store.path} has "
                f"{f'features of {there} numbers' if there else 'no features'}; convert tracklets with those, or give "
                "weights of the configuration that they have"
            )

    def told(self, clip: Clip, annotated: Sequence[float] | None = None) -> list[Told]:
        """What is said of everybody who is detected in a clip's key frame.

        Args:
            clip: of a film of AVA's, or of a clip of Kinetics'.
            annotated: the seconds of a clip of Kinetics' that are annotated.
        """
        second = scored_second(clip.keyframe, annotated)
        found = [(place, key_row(clip, person, self.quirks)) for place, person in enumerate(clip.people)]
        keyed = [(place, row) for place, row in found if row is not None and len(clip.people[place]) > 1]
        if second is None:
            return []
        said: list[Singles | None] = []
        for start in range(0, len(keyed), self.batch):
            said += self._scores(clip, keyed[start : start + self.batch])
        return [
            Told(
                second,
                box_of(clip.people[place], row),
                float(clip.people[place].confidence[row]),
                each,
            )
            for (place, row), each in zip(keyed, said, strict=True)
            if each is not None
        ]

    def _scores(self, clip: Clip, keyed: Sequence[tuple[int, int]]) -> list[Singles | None]:
        """The scores of some people; None where the key frame is not in the window that LART would take."""
        if self.tested.kind == "truth":
            return [clip.people[place].labels[row, self._columns()] for place, row in keyed]
        windows = self._windows()
        random = np.random.RandomState(self.seed)
        items = [windows.testing(clip, place, random, row) for place, row in keyed]
        likely = self.probabilities(stacked(items))
        found: list[Singles | None] = []
        for (place, row), item, each in zip(keyed, items, likely, strict=True):
            count = min(len(clip.people[place]) - item.start, self.frames)
            key = row - item.start
            found.append(scores(self.tested, each, key, count) if key < count else None)
        return found

    def probabilities(self, inputs: Inputs) -> Singles:
        """(B, T, C) how likely each action of the person is that each of B windows is about."""
        device = devices.chosen(self.device)
        model = self._known().to(device).eval()
        moved = inputs.to(device)
        with torch.inference_mode(), devices.precision(device, self.precision):
            output = model(moved, zero_masks(moved.detected))
            logits = model.actions(output, inputs.detected.shape[2])[:, :, 0]
        return np.asarray(logits.float().sigmoid().cpu().numpy())

    def _width(self) -> int:
        """Numbers of an appearance feature that the network takes; none where only labels are asked for."""
        appearance = self.model.made.appearance if self.model else None
        return appearance.inside if appearance else 0

    def _known(self) -> Network:
        if self.model is None:
            raise HarBenchError("lart has learnt nothing yet; fit it or load weights")
        return self.model

    def save(self, path: Path) -> None:
        """Write the network and what is needed to use it, as ``.safetensors``."""
        network, norm = self._known(), self._windows().norm
        options = {
            "baseline": type(self).__name__,
            "made": msgspec.to_builtins(network.made),
            "actions": list(self.actions),
            "frames": self.frames,
            "people": self.people,
            "mean": norm.mean.tolist(),
            "deviation": norm.deviation.tolist(),
        }
        weights.write(path, {NAME: network}, options)

    def load(self, weights_file: Path) -> None:
        """Read weights that :meth:`save` wrote, or LART's released ones.

        Raises:
            HarBenchError: the file is damaged, or of another model.
        """
        found = weights.read(weights_file)
        if found.options:
            self._take_own(found)
            return
        theirs: Released = released(found)
        self.model = Network(theirs.made)
        weights.fill(self.model, completed(theirs.state, self.model, str(weights_file)), str(weights_file))
        self.actions, self.norm = (), None
        if self.mean_std:
            self.norm = norm_read(self.mean_std)
        self.origin = f"{weights_file.name}{', the moving average' if theirs.averaged else ''}"

    def _take_own(self, found: weights.Checkpoint) -> None:
        made, self.actions = own(found)
        options = found.options
        self.model = Network(made)
        weights.fill(self.model, found.models[NAME], str(found.path))
        self.norm = norm_of(options["mean"], options["deviation"], len(options["mean"]))
        for name in ("frames", "people"):
            given = getattr(self, name)
            if given not in (getattr(type(self), name), options[name]):
                raise HarBenchError(f"{found.path} was made with {name}={options[name]}, not {given}; leave it out")
            setattr(self, name, options[name])
        self.origin = found.path.name

    def check(self, path: Path) -> Sequence[Finding]:
        """At which step a tracklet differs from the released ones.

        Raises:
            HarBenchError: it is no tracklet.
        """
        annotations = open_store(self.annotations) if self.annotations else None
        return check_tracklet(path, norm_read(self.mean_std) if self.mean_std else None, annotations)

    def describe(self) -> dict[str, Any]:
        """The network, how it was trained and tested, and on what."""
        network = self._known() if self.tested.kind != "truth" else self.model
        told = {name: getattr(self, name) for name in ("test", "quirks", "frames", "people", "seed")}
        told |= {"tracklets": self.store.fingerprint[:12], "torch": torch.__version__}
        if network is None:
            return told
        made = network.made
        told |= {"weights": self.origin, "device": devices.label(devices.chosen(self.device))}
        told["sees"] = "+".join(part for part in ("pose", "joints", "appearance") if getattr(made, part) is not None)
        told |= {name: getattr(made, name) for name in self.architecture} | {"parameters": weights.count(network)}
        if self.history:
            told |= {name: getattr(self, name) for name in (*self.training[:14], "init") if name != "learn_from"}
        return told

    def _identity(self) -> dict[str, Any]:
        """What makes a training this one, so that a checkpoint of another is not mistaken for its own."""
        free = {
            "device",
            "devices",
            "checkpoints",
            "compile",
            "tracklets",
            "test",
            "init",
            "annotations",
            "mean_std",
            "smpl",
            "kinetics",
        }
        options = {item.name: getattr(self, item.name) for item in fields(self) if item.init and item.name not in free}
        read = {
            name: _digest(getattr(self, name))
            for name in ("init", "mean_std", "smpl", "kinetics")
            if getattr(self, name)
        }
        return options | read | {"baseline": type(self).__name__, "store": self.store.fingerprint}


def actions_of(protocol: Protocol) -> tuple[int, ...]:
    """The numbers of the actions that a protocol scores in key frames; empty for other protocols."""
    return tuple(getattr(protocol, "actions", ()))


def _three(text: str, name: str) -> list[int]:
    try:
        first, second, third = (int(word) for word in text.split(","))
    except ValueError as error:
        raise HarBenchError(f"{name} is {text!r}; give three whole numbers such as 128,128,256") from error
    return [first, second, third]


def _digest(place: str) -> str:
    path = remote.fetch(place)
    with completing(path, "name a file"), opening.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
