"""A model that classifies clips: where its clips come from, what it has learnt on, and its answers as predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Ints, Singles
from har_bench.baseline import Baseline
from har_bench.classifying.classes import Classes
from har_bench.classifying.clips import Source
from har_bench.classifying.preparing import preparation
from har_bench.classifying.seen import PERSONS
from har_bench.errors import HarBenchError
from har_bench.keypoints import open_detections
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.schema import vector
from har_bench.skeletons import Skeleton
from har_bench.store import Store

AT_ONCE = 64
"""Sequences that are predicted together."""

_EXACT = "-float16"


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known to use a model's weights.

    Attributes:
        layout: the joints that it sees.
        view: how clips are prepared for it.
        persons: M, how many it sees.
        classes: how many it tells apart.
    """

    layout: Skeleton
    view: str
    persons: int
    classes: int


class Lesson(NamedTuple):
    """The clips of a training split.

    Attributes:
        clips: (M, T, V, 3) each, all with somebody in them.
        labels: (S,) their classes.
        left_out: how many sequences have nobody in them, or no class.
    """

    clips: list[Singles]
    labels: Ints
    left_out: int


@dataclass
class ClipModel(Baseline):
    """Tells the action of a whole clip from its skeletons; a class without evidence is as likely as any other."""

    view: str = option(
        "",
        "how clips are prepared: pyskl, pyskl-float16, pyskl-2d, rms or rms-filled; by default pyskl for NTU's joints "
        "in space, rms for others",
    )
    inputs: str = option("", "a file of 2D keypoints (docs/keypoints.md); the store's own poses by default")
    inputs_layout: str = option("", "the joints in that file, where it does not say")

    learnt: Learnt | None = field(default=None, init=False, repr=False)
    keypoints: str = field(default="", init=False, repr=False)
    left_out: int = field(default=0, init=False, repr=False)

    @abstractmethod
    def probabilities(self, clips: Sequence[Singles]) -> Singles:
        """(S, classes) of prepared clips, none of them empty."""

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """Clips with classes, of stores with poses, or with keypoints of one's own."""
        return (
            protocol.task == "clip-classification"
            and isinstance(protocol, Classes)
            and (bool(self.inputs) or bool(store.parts("poses")))
        )

    def default_view(self, layout: Skeleton, *, flat: bool) -> str:
        """The preparation where none is asked for."""
        return "pyskl" if layout.name == "ntu25" and not flat else "rms"

    def source(self, store: Store) -> Source:
        """The clips of a store as this model sees them.

        Raises:
            HarBenchError: they are of other joints than those that it has learnt on.
        """
        given = open_detections(self.inputs, store, self.inputs_layout or None) if self.inputs else None
        layout = store.skeleton(given.layout if given else None)
        self.keypoints = f"{given.taken_for}, {given.fingerprint[:12]}" if given else "the store's poses"
        if self.learnt and self.learnt.layout.joints != layout.joints:
            whose = given.path if given else store.path
            raise HarBenchError(
                f"the model has learnt on {self.learnt.layout.name} and {whose} has {layout.name}, whose joints are "
                "others; give keypoints of the same joints, or train on these"
            )
        flat = given is not None or "keypoints_3d" not in store.schema("poses").names
        known = self.learnt.view if self.learnt else ""
        view = self.view or known or self.default_view(layout, flat=flat)
        if known and view.removesuffix(_EXACT) != known.removesuffix(_EXACT):
            raise HarBenchError(f"the model has learnt on clips prepared by {known}, not {view}; leave the view out")
        return Source(store, layout, preparation(view), given)

    def lesson(self, store: Store, protocol: Protocol) -> Lesson:
        """The clips of the protocol's training split; what the model then knows of them is in :attr:`learnt`.

        Raises:
            HarBenchError: there is none with a person and a class.
        """
        assert isinstance(protocol, Classes)  # noqa: S101 - `serves` has said so
        self.learnt = None  # what was learnt before is forgotten
        source, sequences = self.source(store), store.select(protocol.train_split)
        known = dict(zip(sequences["sequence"].to_pylist(), protocol.class_of(sequences), strict=True))
        found = [(clip, known[name]) for name, clip in source.clips(sequences) if known[name] is not None and clip.size]
        if not found:
            raise HarBenchError(
                f"{store.path} has no clip in {protocol.train_split} with a person and a class to learn from; convert "
                "the whole dataset"
            )
        clips = [clip for clip, _ in found]
        persons = PERSONS if source.preparation.sampling == "uniform" else max(map(len, clips))
        self.learnt = Learnt(
            layout=source.layout, view=source.preparation.name, persons=persons, classes=protocol.classes
        )
        self.left_out = len(sequences) - len(clips)
        return Lesson(clips, np.array([label for _, label in found], np.int64), self.left_out)

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """A row of probabilities for every sequence that the protocol scores.

        A sequence without anybody in it has the same probability for every class.

        Raises:
            HarBenchError: nothing was learnt, or other joints or classes were.
        """
        learnt, source = self.known(), self.source(store)
        classes = getattr(protocol, "classes", None)
        if classes != learnt.classes:
            raise HarBenchError(
                f"the model tells {learnt.classes} classes apart and {protocol.canonical} has {classes}; give weights "
                "of this dataset"
            )
        clips = source.clips(protocol.select(store.sequences))
        while piece := list(islice(clips, AT_ONCE)):
            scores = np.full((len(piece), learnt.classes), 1 / learnt.classes, np.float32)
            shown = [place for place, (_, clip) in enumerate(piece) if clip.size]
            if shown:
                scores[shown] = self.probabilities([piece[place][1] for place in shown])
            yield pa.table({"sequence": [name for name, _ in piece], "scores": vector(scores)})

    def describe(self) -> dict[str, Any]:
        """The view, the joints, what the keypoints were, and how many training sequences had nobody in them."""
        learnt = self.known()
        return {
            "view": self.view or learnt.view,
            "joints": learnt.layout.name,
            "clips_of": self.keypoints,
            "left_out": self.left_out,
        }

    def known(self) -> Learnt:
        """What was learnt.

        Raises:
            HarBenchError: nothing.
        """
        if self.learnt is None:
            raise HarBenchError(f"{type(self).__name__} has learnt nothing yet; fit it or load weights")
        return self.learnt


def learnt_from(options: Any, path: Path) -> Learnt:
    """What weights say of themselves.

    Raises:
        HarBenchError: it is not what :class:`Learnt` holds.
    """
    try:
        return msgspec.convert(options, Learnt)
    except msgspec.ValidationError as error:
        raise HarBenchError(f"{path} does not say what it was trained on ({error}); save it again") from error


def fitted(clip: Singles, persons: int) -> Singles:
    """(M, T, V, C) -> (``persons``, T, V, C): absent ones are zero, those who are too many are left out."""
    if len(clip) == persons:
        return clip
    padded = np.zeros((persons, *clip.shape[1:]), np.float32)
    padded[: len(clip)] = clip[:persons]
    return padded
