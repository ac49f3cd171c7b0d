"""A lifting model as a baseline: 2D keypoints of a sequence in, 3D poses out. A model adds its network, and no more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import nn

from har_bench import devices, remote
from har_bench.arrays import Singles
from har_bench.baseline import Baseline
from har_bench.errors import HarBenchError, unknown
from har_bench.foreign.networks import in_words
from har_bench.keypoints import Track, open_detections
from har_bench.lifting.clips import MM_PER_M, Source, normalise
from har_bench.lifting.feed import Batches, Feed
from har_bench.lifting.held_out import ERROR, TEST, HeldOut, without
from har_bench.lifting.taking import Joints, joints_of, left_by_training
from har_bench.lifting.windows import Pool, Span, flipped
from har_bench.options import option, read
from har_bench.protocol import Protocol
from har_bench.schema import column, vector
from har_bench.skeletons import skeleton
from har_bench.store import Store
from har_bench.training import Losses, Plan, Trained, train, weights
from har_bench.training.curves import History, best

KEYS = ("sequence", "frame", "person")
POSE, PATH = "model_pos", "model_traj"
"""The networks' names in weights files, which are VideoPose3D's."""

FRAMES_AT_ONCE = 4096


class Sizes(NamedTuple):
    """What a network takes in and gives."""

    joints_in: int
    features: int
    joints_out: int


@dataclass
class Lifter(Trained, Baseline):
    """A model that lifts 2D keypoints to 3D poses, root-relative in the camera's frame.

    Subclasses implement :meth:`network` and, if it sees more than one frame, :attr:`span`.
    """

    architecture: ClassVar[tuple[str, ...]] = ()
    """The options that define the network; they are saved with its weights."""

    training: ClassVar[tuple[str, ...]] = (
        *("subjects", "actions", "cameras", "subset", "epochs", "batch", "lr", "decay", "stride", "augment"),
        *("compile", "checkpoints", "init", "held_out"),
    )
    """The options that do nothing where weights are loaded."""

    inputs: str = option("", "a file of 2D keypoints (see har_bench.keypoints); the store's own, the truth, by default")
    inputs_layout: str = option("", "the joints in that file, where it does not say")
    layout: str = option(
        "",
        "the joints the model takes in; those of the keypoints by default. Keypoints in other joints are "
        "converted (see docs/keypoints.md)",
    )
    features: int = option(2, "2, or 3 to take the detector's confidences in too", least=2)
    subjects: str = option("", "train on these only, comma-separated")
    actions: str = option("", "train on those only that begin so, comma-separated: Walk is WalkDog too")
    cameras: str = option("", "train on these only, comma-separated")
    subset: float = option(1.0, "fraction of every training sequence that is used", above=0)
    downsample: int = option(1, "see one frame in so many, in training and in predicting", least=1)
    epochs: int = option(80, "passes over the training windows", least=1)
    batch: int = option(1024, "predicted frames per step")
    lr: float = option(1e-3, "learning rate of Adam (amsgrad)", above=0)
    decay: float = option(0.95, "factor on the learning rate after every epoch", above=0)
    stride: int = option(1, "predicted frames per training window", least=1)
    augment: bool = option(True, "train on mirrored poses too")
    flip: bool = option(True, "predict mirrored keypoints too, and average")
    seed: int = option(1234, "fixes the initial weights, the order of the windows and the dropout")
    memory_mb: int = option(8192, "how much of the training data is in memory at a time")
    init: str = option("", "weights to begin with, of the same model: fine-tuning")
    held_out: str = option(
        "",
        "evaluate after every epoch on these of the training's subjects, comma-separated, which are not trained on; "
        "or, if you must, on what the protocol scores: test",
    )

    models: nn.ModuleDict | None = field(default=None, init=False, repr=False)
    sizes: Sizes = field(default=Sizes(0, 0, 0), init=False, repr=False)
    keypoints: str = field(default="", init=False, repr=False)
    joints: str = field(default="", init=False, repr=False)
    target: str = field(default="", init=False, repr=False)
    taken: Joints = field(default=Joints(), init=False, repr=False)
    history: History = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse options that no training can have.

        Raises:
            HarBenchError: which option, and what it may be.
        """
        self._given = {item.name: getattr(self, item.name) for item in fields(self) if item.init}
        self._given = {name: value for name, value in self._given.items() if value != getattr(type(self), name)}
        read(type(self), self._given, type(self).__name__)
        if self.batch < 2 * self.devices:
            raise HarBenchError(
                f"batch is {self.batch}; give {2 * self.devices} or more, as batch normalisation needs two"
            )
        if self.subset > 1:
            raise HarBenchError(f"subset is {self.subset}; give a fraction of at most 1")

    @abstractmethod
    def network(self, sizes: Sizes) -> nn.Module:
        """A network from (B, N, J, F) normalised keypoints to (B, N - 2 pad, K, 3) poses [m]."""

    @property
    def span(self) -> Span:
        """The frames of one training window; ``chunk`` is ``stride``."""
        return Span(self.stride)

    def networks(self, sizes: Sizes) -> dict[str, nn.Module]:
        """All networks, by their names in weights files."""
        return {POSE: self.network(sizes)}

    def losses(self, models: nn.ModuleDict, batch: Batches) -> Losses:
        """The terms of the loss [m] of a labelled batch and, in semi-supervised training, an unlabelled one."""
        labelled, _ = batch
        return {"position": distance(models[POSE](labelled.points), rooted(labelled.poses))}

    def starting(self, models: nn.ModuleDict, epoch: int) -> None:
        """Called before every epoch of the training."""

    def unlabelled(self, source: Source, sequences: pa.Table) -> tuple[Pool, int] | None:
        """The windows of some of the training split whose poses are not used, and from which epoch on."""
        del source, sequences
        return None

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """3D poses of datasets whose store has keypoints in images of calibrated cameras."""
        return (
            super().serves(store, protocol)
            and protocol.prediction_columns[0] == "keypoints_3d"
            and "keypoints" in store.schema("poses").names
            and bool(store.parts("cameras"))
        )

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Train on the protocol's training split."""
        self.joints = self.target = ""  # what was learnt before is forgotten
        self.taken = Joints()
        begun = self._begun()
        source = self.source(store, protocol)
        sequences = self.narrowed(store.select(protocol.train_split), "action", self.actions)
        sequences = self.narrowed(sequences, "camera", self.cameras)
        known = self.narrowed(sequences, "subject", self.subjects)
        held_out = None
        if self.held_out == TEST:
            held_out = HeldOut(source, protocol.select(store.sequences))
        elif self.held_out:
            known, others = without(known, words_of(self.held_out))
            held_out = HeldOut(source, others)
        labelled = self.pool(source, known, self.subset)
        self.sizes = Sizes(len(source.layout), self.features, len(source.target))
        self.joints, self.target = source.layout.name, source.target.name
        with devices.forked():
            torch.manual_seed(self.seed)
            try:
                self.models = nn.ModuleDict(self.networks(self.sizes))
            except (RuntimeError, ValueError) as error:
                raise HarBenchError(f"no network has these options ({error}); see --set") from error
        for name, network in (begun or {}).items():
            self.models[name].load_state_dict(network.state_dict())
        feed = Feed(labelled, self.unlabelled(source, sequences), max(self.batch // self.stride, 1), self.seed)
        on_gpu = devices.chosen(self.device).type == "cuda"  # elsewhere, other digits would come of it
        plan = Plan(
            self.epochs,
            self.seed,
            partial(torch.optim.Adam, lr=self.lr, amsgrad=True, fused=on_gpu or None),
            decay=self.decay,
            identity=self._identity(store, protocol, source),
            loose=("batch",),
            steps=feed.steps,
        )
        evaluated = None if held_out is None else partial(self._evaluated, held_out)
        hooks: Any = {"starting": self.starting, "evaluated": evaluated, "quiet": self.quiet}
        self.history = train(self.models, feed, self.losses, self.here(plan), **hooks)

    def _evaluated(self, held_out: HeldOut, models: nn.ModuleDict) -> dict[str, float]:
        """The error of the networks as they are, on those that they do not learn from."""
        self.models = models
        return {ERROR: held_out.error(self.lift)}

    def _begun(self) -> nn.ModuleDict | None:
        """The networks to go on from, and their options and joints; None where a training begins anew."""
        if not self.init:
            return None
        defining = {"downsample", "layout", "features", *self.architecture}
        other = type(self)(**{name: value for name, value in self._given.items() if name in defining})
        other.load(remote.fetch(self.init))
        for name in ("downsample", "features", *self.architecture):
            if getattr(self, name) == getattr(type(self), name):
                setattr(self, name, getattr(other, name))
        self.joints, self.target = other.joints, other.target
        return other.models

    def pool(self, source: Source, sequences: pa.Table, subset: float = 1.0) -> Pool:
        """The training windows of some sequences, or of a fraction of each."""
        thinned = subset, self.downsample
        return Pool(source, sequences, self.span, thinned=thinned, augment=self.augment, memory_mb=self.memory_mb)

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """Poses of everything that the protocol scores, each sequence seen as a whole."""
        self._trained()
        source = self.source(store, protocol)
        chosen = protocol.select(store.sequences)
        for part in np.unique(chosen["part"].to_numpy()).tolist():
            for clip, table in source.clips(part, chosen):
                poses = self.lift(clip.points) * np.float32(MM_PER_M)
                lifted = table.select(list(KEYS)).append_column(
                    column("keypoints_3d", pa.float32(), "mm", shape=poses.shape[1:]), vector(poses)
                )
                kept = protocol.keep(chosen, table)
                yield lifted if kept is None else lifted.filter(kept.combine_chunks())

    def lift(self, points: Singles, network: str = POSE) -> Singles:
        """(T, J, F) normalised keypoints of consecutive frames -> (T, K, 3) poses [m], relative to the root.

        A model that was trained on one frame in so many sees them so here too: every phase by itself.
        """
        phases = [
            self._lifted(points[phase :: self.downsample], network)
            for phase in range(min(self.downsample, len(points)))
        ]
        poses = np.empty((len(points), *phases[0].shape[1:]), np.float32)
        for phase, found in enumerate(phases):
            poses[phase :: self.downsample] = found
        return poses

    def _lifted(self, points: Singles, network: str) -> Singles:
        device, span = devices.chosen(self.device), self.span
        model = self._trained()[network].to(device).eval()
        seen = torch.as_tensor(np.asarray(points, np.float32), device=device)[None]
        if self.flip:
            seen = torch.cat([seen, flipped(seen, torch.as_tensor(skeleton(self.joints).flip, device=device))])
        pieces = []
        with torch.inference_mode(), devices.precision(device, self.precision):
            for start in range(0, len(points), FRAMES_AT_ONCE):
                stop = min(start + FRAMES_AT_ONCE, len(points))
                frames = torch.arange(start - span.pad - span.shift, stop + span.pad - span.shift, device=device)
                pieces.append(model(seen[:, frames.clamp(0, len(points) - 1)]).float())
        poses = torch.cat(pieces, dim=1).detach()
        if self.flip:
            order = skeleton(self.target).flip if network == POSE else np.arange(1)
            poses = (poses[:1] + flipped(poses[1:], torch.as_tensor(order, device=device))) / 2
        found: Singles = poses[0].cpu().numpy()
        return found

    def lift_track(self, track: Track) -> Singles:
        """Poses of somebody in any video.

        Args:
            track: their keypoints, and the size of the video.

        Returns:
            (T, K, 3) joints of ``self.target`` [mm] in the camera's axes, about the root; where the model has learnt
            the root's path too, before the camera.

        Raises:
            HarBenchError: the size is not known, or the keypoints do not become what the model takes.
        """
        models = self._trained()
        if track.size is None:
            raise HarBenchError(f"{track.taken_for} does not say how large the video is; give its width and height")
        self.taken.check(track.layout)
        seen = track.in_layout(self.joints)
        points = seen.points if seen.scores is None else np.concatenate([seen.points, seen.scores[..., None]], axis=-1)
        if points.shape[-1] < self.features:
            raise HarBenchError(f"the model takes confidences, and the {track.taken_for} has none")
        points = normalise(points[..., : self.features], *track.size)
        poses = self.lift(points)
        if PATH in models:
            path = self.lift(points, PATH)
            poses = np.concatenate([path, poses[:, 1:] + path], axis=1)
        return poses * np.float32(MM_PER_M)

    def save(self, path: Path) -> None:
        """Write the weights, and what is needed to use them, as ``.safetensors``."""
        settings = {name: getattr(self, name) for name in ("downsample", *self.architecture)}
        options = {
            "baseline": type(self).__name__,
            "joints": self.joints,
            "target": self.target,
            "sizes": list(self.sizes),
            "settings": settings,
        }
        weights.write(path, dict(self._trained()), options)

    def load(self, weights_file: Path) -> None:
        """Read weights that :meth:`save` wrote, or published ones where the model knows them.

        Raises:
            HarBenchError: the file is damaged, of another model, or lacks tensors.
        """
        found = weights.read(weights_file)
        trained = left_by_training(found.training, self.architecture)
        options = found.options or trained or self.published(found)
        if options.get("baseline") != type(self).__name__:
            raise HarBenchError(f"{weights_file} holds weights of {options.get('baseline')}, not {type(self).__name__}")
        certain = bool(found.options or trained)
        self.taken = joints_of(str(weights_file), self.layout, options, certain=certain)
        for name, value in options["settings"].items():
            if self._given.get(name, value) != value:
                said = f"{weights_file} was made with {name}={value}, not {self._given[name]}"
                raise HarBenchError(f"{said}; leave the option out")
            setattr(self, name, value)
        self.sizes = Sizes(*options["sizes"])
        self.features = self.sizes.features
        self.joints, self.target = self.taken.layout, options["target"]
        networks = self.networks(self.sizes)
        states = {name or POSE: state for name, state in found.models.items()}
        for name, model in networks.items():
            weights.fill(model, states.get(name, {}), f"{name} of {weights_file}")
        self.models = nn.ModuleDict(networks)

    def published(self, found: weights.Checkpoint) -> Mapping[str, Any]:
        """What :meth:`save` would say about weights that others published.

        Beside that: ``told_by``, how their joints are known; or, where they are not, ``unknown`` (``say`` what was
        assumed, or ``ask``) and ``others``, what they may be instead.
        """
        held = next(iter(found.models.values()))
        raise HarBenchError(
            f"{found.path} is no file that {type(self).__name__} saved: it has {in_words(held)}; give its own weights"
        )

    def describe(self) -> dict[str, Any]:
        """The options that differ from their defaults, the keypoints and joints that it saw, device and size."""
        given = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.init and (item.name in self.architecture or getattr(self, item.name) != item.default)
        }
        sizes = {} if self.models is None else {"parameters": weights.count(self.models)}
        told = {
            "keypoints": self.keypoints,
            "joints": self.joints,
            "device": devices.label(devices.chosen(self.device)),
            "torch": torch.__version__,
        }
        if self.history and ERROR in self.history[-1]:
            found, at = [row[ERROR] for row in self.history], best(self.history, ERROR)
            told["held_out"] = (
                f"{found[-1]:.1f} mm in the last epoch, which is scored; {found[at]:.1f} in epoch {at + 1}"
            )
        return given | told | sizes

    def _trained(self) -> nn.ModuleDict:
        if self.models is None:
            raise HarBenchError(f"{type(self).__name__} has learnt nothing yet; fit it or load weights")
        return self.models

    def source(self, store: Store, protocol: Protocol) -> Source:
        """The clips of a store as this model sees them."""
        given = open_detections(Path(self.inputs), store, self.inputs_layout or None) if self.inputs else None
        self.keypoints = f"{given.taken_for}, {given.fingerprint[:12]}" if given else "the truth, projected"
        target = store.skeleton(protocol.skeletons[0] if protocol.skeletons else None)
        if self.target and target.name != self.target:
            raise HarBenchError(f"the weights give {self.target}, and {protocol.canonical} scores {target.name}")
        joints = self.joints or self.layout or (given.layout if given else target.name)
        self.taken.check(given.layout if given else joints)
        return Source(store, target, store.skeleton(joints), given, self.features)

    @staticmethod
    def narrowed(sequences: pa.Table, name: str, wanted: Any) -> pa.Table:
        """The sequences whose ``name`` is one of the wanted, comma-separated; all of them where nothing is wanted.

        An action is wanted by its beginning: ``Walk`` is ``Walking``, ``WalkDog`` and ``WalkTogether``.

        Raises:
            HarBenchError: there is none.
        """
        words = words_of(wanted)
        if not words:
            return sequences
        there = sorted(set(sequences[name].to_pylist()))
        if name == "action":  # as VideoPose3D has it
            words = [word for word in there if word.startswith(tuple(words))] or words
        if absent := sorted(set(words) - set(there)):
            raise unknown(f"{name} of the training sequences", absent[0], there)
        return sequences.filter(pc.is_in(sequences[name], pa.array(words)))

    def _identity(self, store: Store, protocol: Protocol, source: Source) -> dict[str, Any]:
        """What makes a training this one, so that a checkpoint of another is not mistaken for its own."""
        free = {"device", "devices", "checkpoints", "flip", "inputs", "inputs_layout", "compile", "epochs", "init"}
        options = {item.name: getattr(self, item.name) for item in fields(self) if item.init and item.name not in free}
        if self.init:
            options["init"] = weights.told_by(self.init)
        seen = source.detections
        return options | {
            "baseline": type(self).__name__,
            "store": store.fingerprint,
            "split": protocol.train_split,
            "inputs": seen.fingerprint if seen else "",
            "inputs_layout": seen.layout if seen else "",
            "joints": source.layout.name,
            "target": source.target.name,
        }


def words_of(text: Any) -> list[str]:
    """The words between commas."""
    return [word.strip() for word in str(text).split(",") if word.strip()]


def distance(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The mean distance of joints (MPJPE), in their unit."""
    lengths: torch.Tensor = torch.linalg.vector_norm(predicted - truth, dim=-1)
    return lengths.mean()


def rooted(poses: torch.Tensor) -> torch.Tensor:
    """(..., K, 3) clips' poses with the root at the origin in place of its path."""
    return torch.cat([torch.zeros_like(poses[..., :1, :]), poses[..., 1:, :]], dim=-2)
