"""deephar as a baseline: poses of pictures and actions of clips, on a store's and on anybody's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from har_bench import devices
from har_bench.arrays import Bytes, Floats
from har_bench.classifying.classes import Classes
from har_bench.errors import HarBenchError, HarBenchWarning, unknown
from har_bench.media.actor import Actor, Acts
from har_bench.media.batches import in_groups
from har_bench.media.boxes import Boxes
from har_bench.media.of_store import Pictures
from har_bench.media.poses import Poses
from har_bench.options import option
from har_bench.progress import progress
from har_bench.protocol import Protocol
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from har_bench.training import weights as parameters

from . import acting, weighing
from .architecture import Architecture
from .data.boxes import MARGIN, ROOM, Window, around, of_picture
from .data.layouts import NETWORKS, alike, layout_of
from .in_space import AboutRoots
from .learner import Learner
from .published import ARCHITECTURES, clips_of
from .seeing import Placed, Places, Seeing
from .weighing import Loaded

SURE = 0.25
"""Joints that are surer make the box of somebody whom nobody has looked for."""
ABOVE = 15 / 200
"""Of MPII's square: how much lower the middle of what is looked at is."""
LEAST = 0.05
"""Of what was looked at, how large somebody is at least; joints that are nearer to each other say nothing."""
USUAL = "mpii_2d"
NOTHING_LEARNT = (
    "deephar has no weights: they are drawn at random, and what it finds means nothing; give --weights FILE, of those "
    "that `har-bench info deephar` lists"
)
AT_ONCE = 16
"""Sequences whose predictions are handed on together."""


@dataclass
class Deephar(Learner, Actor):
    """Networks of CVPR 2018 and TPAMI 2020, with the authors' weights, our own, or none."""

    summary = "deephar: poses in 2D and 3D and actions from pixels, with the authors' weights"
    cite = "Luvizon, Picard and Tabia, CVPR 2018 and TPAMI 2020; MIT"
    layout = "mpii-pa16"
    detects = True
    quick = MappingProxyType({"tiny": True, "steps": 4})

    variant: Literal["cvpr18", "master"] = option(
        "cvpr18", "the branch whose formula says how visible a joint is; the published weights of 2018 need cvpr18"
    )
    block: int = option(0, "the prediction after which the network stops, from 1; 0 is the last", least=0)
    outputs_too: bool = option(False, "score the network's other predictions beside it, in a table of their own")
    crops: int = option(1, "crops of each person, of several sizes, that are averaged: 1 to 5", least=1)
    flip: bool = option(False, "see each crop in a mirror too, and average")
    step: int | None = option(None, "see one frame of a clip in so many; by default as published: 2, 6 or 8", least=1)
    clips: Literal["centre", "several"] = option(
        "centre", "the clip in a sequence's middle, or several one after the other, which the protocol multiplies"
    )
    passes: int = option(2, "looks at somebody whom no box shows; the first is at the whole picture", least=1)

    _loaded: Loaded | None = field(default=None, init=False, repr=False)
    _places: Places | None = field(default=None, init=False, repr=False)

    def load(self, weights: Path) -> None:
        """Take a Keras ``.h5`` file, as published or of one's own training, or what :meth:`save` wrote.

        Raises:
            HarBenchError: it is damaged, or of another network than ``architecture`` says.
        """
        expected = self._named() if self.architecture else None
        if expected is not None:
            expected = expected.of_variant(self.variant)
        self._take(weighing.load(weights, variant=self.variant, layout=self.joints, expected=expected))
        weighing.check(self.places.seeing, self.loaded.architecture.shape.size, weights)

    def save(self, path: Path) -> None:
        """Write the network as ``.safetensors``."""
        weighing.save(path, self.loaded)

    def take(self, trained: Loaded) -> None:
        """Predict with a network that was trained just now."""
        self._take(trained)

    def begun(self, path: Path) -> Loaded:
        """A network to train on."""
        return weighing.load(path, variant=self.variant)

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """Poses in a layout that a network of deephar gives, and clips with classes, where the store names media."""
        if "media" not in store.sequences.column_names:
            return False
        if protocol.task == "clip-classification":
            return isinstance(protocol, Classes)
        return protocol.task in ("pose", "keypoint-detection") and any(
            maps(name, store, protocol) for names in NETWORKS.values() for name in names
        )

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """Poses of every person that the protocol scores, or the probabilities of every clip's actions."""
        if protocol.task == "clip-classification":
            return self._acted(store, protocol)
        deep = bool(protocol.prediction_columns) and protocol.prediction_columns[0] == "keypoints_3d"
        layout, joints = self.loaded.layout, self.loaded.architecture.shape.joints
        self.layout = next((name for name in alike(layout, joints) if maps(name, store, protocol)), "")  # type: ignore[misc]
        if not self.layout or (deep and not self.in_space):
            raise HarBenchError(
                f"{self.loaded.about} gives {layout} in {self.loaded.architecture.shape.dims} dimensions, and "
                f"{protocol.canonical} scores other joints; give other weights"
            )
        if deep and self.boxes == "truth":
            return self._about_roots(store, protocol)
        return super().predict(store, protocol)

    def clip(self) -> tuple[int, int]:
        """How many frames a clip of a film has, and one frame in how many it sees."""
        if not self.loaded.architecture.actions:
            raise HarBenchError(f"{self.loaded.about} gives poses and no actions; give weights that do")
        return self.plan.frames, self.plan.step

    def act(self, clips: Sequence[Sequence[Bytes]]) -> Acts:
        """The actions of films' clips, about whoever is seen in the middle of each."""
        found = self._find([clip[len(clip) // 2] for clip in clips])
        windows = [window(poses.boxes[0], rough=False) for poses in found]
        cut = [
            np.stack([self.places.cut((image, each)) for image in clip])
            for clip, each in zip(clips, windows, strict=True)
        ]
        scores = self.places.seeing.actions(cut, slice(0, None, len(self.loaded.architecture.actions)))
        return Acts(scores[self._chosen_of(len(scores))], np.stack([poses.boxes[0] for poses in found]))

    @property
    def labels_of(self) -> str:
        """The protocol whose classes the actions are; empty where the weights do not tell."""
        return self.loaded.labels_of

    def look(self, images: Sequence[Bytes], boxes: Sequence[Boxes] | None) -> list[Poses]:
        """A pose for every box, or of the one person whom a picture is taken to show."""
        if boxes is None:
            return self._find(images)
        owners = [image for image, each in zip(images, boxes, strict=True) for _ in each.box]
        windows = [window(box, rough=bool(rough)) for each in boxes for box, rough in zip(*each, strict=True)]
        if not owners:
            return [self._poses_of(None, each.box, []) for each in boxes]
        placed, made, start = self.places(owners, windows), [], 0
        for each in boxes:
            part = slice(start, start + len(each.box))
            start = part.stop
            made.append(self._poses_of(placed.take(part), each.box, windows[part]))
        return made

    def describe(self) -> dict[str, Any]:
        """Which network with which weights, and how it looked."""
        loaded, architecture = self.loaded, self.loaded.architecture
        kind = "SPNet" if architecture.spnet else "Reception" if architecture.heads is None else "merge"
        return super().describe() | {
            "network": kind,
            "weights": loaded.about,
            "variant": architecture.reception.variant if architecture.reception else "",
            "block": self.block or "last",
            "crops": self.crops,
            "flip": self.flip,
            "device": devices.label(devices.chosen(self.device)),
            "precision": self.precision,
            "torch": torch.__version__,
            "parameters": parameters.count(loaded.model),
        }

    @property
    def loaded(self) -> Loaded:
        """The network; with weights drawn at random until some are loaded."""
        if self._loaded is None:
            architecture = (self._named() or ARCHITECTURES[USUAL]).of_variant(self.variant)
            with devices.forked():
                torch.manual_seed(self.seed)
                model = architecture.build()
            layout = self.joints or layout_of(architecture.shape.joints).name
            warnings.warn(NOTHING_LEARNT, HarBenchWarning, stacklevel=2)
            self._take(Loaded(model, architecture, layout, f"random, seed {self.seed}"))
        assert self._loaded is not None  # noqa: S101 - just taken
        return self._loaded

    @property
    def places(self) -> Places:
        """Finds joints with the network."""
        loaded = self.loaded
        if self._places is None:
            seeing = Seeing(
                loaded.model,
                devices.chosen(self.device),
                self.precision,
                compiled=self.compile,
                batch=self.batch,
                blocks=0 if self.outputs_too else self.block,
            )
            flip = skeleton(loaded.layout).flip
            self._places = Places(
                seeing,
                loaded.architecture.shape.size,
                flip,
                crops=self.crops,
                mirrored=self.flip,
                workers=self.workers,
            )
        return self._places

    def _take(self, loaded: Loaded) -> None:
        self._loaded, self._places = loaded, None
        self.layout = loaded.layout  # type: ignore[misc]  # which joints it gives, its weights say
        self.in_space = loaded.architecture.shape.dims > 2  # type: ignore[misc]

    def _named(self) -> Architecture | None:
        if self.architecture and self.architecture not in ARCHITECTURES:
            raise unknown("network of deephar", self.architecture, ARCHITECTURES)
        return ARCHITECTURES.get(self.architecture)

    def _acted(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """The probabilities of every sequence's clips, after the last head."""
        self._check()
        if self.boxes == "own":
            raise HarBenchError("boxes=own is for poses; of clips, give boxes=truth, full or file=PATH")
        sets, wanted = self.loaded.architecture.actions, getattr(protocol, "classes", 0)
        if wanted not in sets:
            told = " or ".join(map(str, sets)) or "no"
            raise HarBenchError(
                f"{self.loaded.about} tells {told} actions apart, and {protocol.canonical} has {wanted}; "
                "give other weights"
            )
        boxes = self.box_file(store) or self.boxes
        heads = slice(sets.index(wanted), None, len(sets))
        plan, pictures = self.plan, Pictures(store, Path(self.images), workers=self.workers)
        others: dict[str, list[pa.Table]] = {}
        chosen = protocol.select(store.sequences)
        where = acting.Where(store, boxes)
        with progress("deephar", len(chosen), quiet=self.quiet) as bar:
            found = acting.judged(self.places.seeing, plan, heads, chosen, where, pictures)
            for group in in_groups(found, AT_ONCE):
                names = self.loaded.architecture.heads_named(len(group[0].probabilities))
                last = self._chosen_of(len(names))
                for number, name in enumerate(names if self.outputs_too else ()):
                    if number != last:
                        others.setdefault(name, []).append(acting.rows_of(group, number))
                bar.advance(rows=len(group))
                yield acting.rows_of(group, last)
        self.outputs = others

    @property
    def plan(self) -> acting.Plan:
        """Which clips are looked at, and how."""
        architecture = self.loaded.architecture
        frames, step = clips_of(architecture)
        several = self.clips == "several"
        return acting.Plan(self.frames or frames, self.step or step, several, self.flip, architecture.shape.size)

    def _about_roots(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        self._check()
        others: dict[str, list[pa.Table]] = {}
        for blocks in AboutRoots(self.places, store, Path(self.images)).predictions(protocol, self.layout):
            chosen = blocks[self._chosen_of(len(blocks))]
            for number, block in enumerate(blocks if self.outputs_too else (), 1):
                if block is not chosen:
                    others.setdefault(f"block {number}", []).append(block)
            yield chosen
        self.outputs = others

    def _find(self, images: Sequence[Bytes]) -> list[Poses]:
        """One person of each picture: of the whole first, then of the box around the joints that are sure."""
        windows = [of_picture((image.shape[1], image.shape[0]), np.zeros((0, 2)), 1.0) for image in images]
        placed = self.places(images, windows)
        for _ in range(self.passes - 1):
            chosen = self._chosen_of(len(placed.points))
            windows = [
                _about(points, sure, window)
                for points, sure, window in zip(placed.points[chosen], placed.sure[chosen], windows, strict=True)
            ]
            placed = self.places(images, windows)
        made = []
        for row, each in enumerate(windows):
            made.append(self._poses_of(placed.take(slice(row, row + 1)), _person(each)[None], [each]))
        return made

    def _chosen_of(self, blocks: int) -> int:
        if self.block > blocks:
            raise HarBenchError(
                f"the network predicts {blocks} times, and not {self.block}; give a block from 1 to {blocks}"
            )
        return self.block - 1 if self.block else blocks - 1

    def _poses_of(self, placed: Placed | None, boxes: Floats, windows: Sequence[Window]) -> Poses:
        count = len(skeleton(self.layout))
        if placed is None:
            return Poses(np.zeros((0, count, 2)), np.zeros((0, count)), np.zeros(0), np.zeros((0, 4)))
        deep = placed.in_space(windows)
        made = [
            Poses(points, sure, sure.mean(axis=1), boxes, None if deep is None else deep[block, :, :count])
            for block, (points, sure) in enumerate(
                zip(placed.points[:, :, :count], placed.sure[:, :, :count], strict=True)
            )
        ]
        chosen = made[self._chosen_of(len(made))]
        if not self.outputs_too:
            return chosen
        others = {f"block {number}": each for number, each in enumerate(made, 1) if each is not chosen}
        return replace(chosen, others=others)


def maps(layout: str, store: Store, protocol: Protocol) -> bool:
    """Whether the joints of a layout become those that a protocol scores."""
    try:
        wanted = protocol.skeletons[0] if protocol.skeletons else store.skeleton().name
        mapping(skeleton(layout), store.skeleton(wanted))
    except HarBenchError:
        return False
    return True


def window(box: Floats, *, rough: bool) -> Window:
    """What is looked at for a person's box: for MPII's square, what the authors looked at; else a larger square."""
    x, y, width, height = box.tolist()
    side = ROOM * max(width, height)
    down = ABOVE * height if rough else 0.0
    return Window((x + width / 2, y + height / 2 + down), (side, side), 1.0)


def _person(each: Window) -> Floats:
    """The box of somebody in a window: what :func:`window` would make the window of."""
    middle, side = np.array(each.centre), np.array(each.sides) / ROOM
    return np.concatenate([middle - side / 2, side])


def _about(points: Floats, sure: Floats, before: Window) -> Window:
    """The window around the joints that are sure; the one before, where hardly any is."""
    there = points[sure > SURE]
    if len(there) < 2 or np.ptp(there, axis=0).max() < LEAST * before.sides[0]:
        return before
    x, y, width, height = around(there, MARGIN).tolist()
    return Window((x + width / 2, y + height / 2), (width, height), 1.0)
