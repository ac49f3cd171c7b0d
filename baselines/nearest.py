"""The floors of action recognition from skeletons: the class of the nearest mean, or of the nearest training clip."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.arrays import Ints, Singles
from har_bench.classifying.model import ClipModel, Lesson, fitted, learnt_from
from har_bench.classifying.preparing import preparation
from har_bench.classifying.sampling import middles
from har_bench.errors import HarBenchError
from har_bench.files import destination, whole
from har_bench.foreign.npz import open_npz
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.skeletons import Skeleton
from har_bench.store import Store

ARRAYS = ("vectors", "labels", "frames", "learnt")


@dataclass
class Nearest(ClipModel):
    """Compares the coordinates of a clip's frames with those that it remembers."""

    frames: int = option(32, "how many frames of a clip are compared", least=1)
    mirror: bool = option(True, "remember the training clips' mirror images too")

    vectors: Singles | None = field(default=None, init=False, repr=False)
    labels: Ints | None = field(default=None, init=False, repr=False)

    @abstractmethod
    def remembered(self, vectors: Singles, labels: Ints) -> tuple[Singles, Ints]:
        """What is kept of (N, D) training clips and their classes."""

    def default_view(self, layout: Skeleton, *, flat: bool) -> str:
        """Unseen joints would be far from seen ones, were they not interpolated."""
        view = super().default_view(layout, flat=flat)
        return "rms-filled" if view == "rms" else view

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Remember the protocol's training split."""
        lesson: Lesson = self.lesson(store, protocol)
        points = self._sampled(lesson.clips)
        labels = lesson.labels
        if self.mirror:
            mirrored = points[..., self.known().layout.flip, :]
            mirrored[..., 0] *= -1
            points, labels = np.concatenate([points, mirrored]), np.concatenate([labels, labels])
        self.vectors, self.labels = self.remembered(points.reshape(len(points), -1), labels)

    def probabilities(self, clips: Sequence[Singles]) -> Singles:
        """The softmax of how much nearer than the others the nearest remembered clip of each class is."""
        if self.vectors is None or self.labels is None:
            raise HarBenchError(f"{type(self).__name__} has learnt nothing yet; fit it or load weights")
        points = self._sampled(clips).reshape(len(clips), -1)
        squares = (self.vectors**2).sum(axis=1) - 2 * points @ self.vectors.T + (points**2).sum(axis=1)[:, None]
        distances = np.sqrt(np.maximum(squares, 0))
        nearest = np.full((len(clips), self.known().classes), np.inf, np.float32)
        for label in np.unique(self.labels):
            nearest[:, label] = distances[:, self.labels == label].min(axis=1)
        scores = np.exp(nearest.min(axis=1, keepdims=True) - nearest)
        return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float32)

    def _sampled(self, clips: Sequence[Singles]) -> npt.NDArray[np.float32]:
        """(S, M, L, V, D) coordinates in the middles of equal segments."""
        persons, axes = self.known().persons, 2 if preparation(self.known().view).scored else 3
        return np.stack([fitted(clip, persons)[:, middles(clip.shape[1], self.frames)[0], :, :axes] for clip in clips])

    def save(self, path: Path) -> None:
        """Write what it remembers as ``.npz``."""
        known = msgspec.json.encode(self.known())
        with whole(destination(path)) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                vectors=np.asarray(self.vectors),
                labels=np.asarray(self.labels),
                frames=np.array(self.frames),
                learnt=np.frombuffer(known, np.uint8),
            )

    def load(self, weights: Path) -> None:
        """Read what :meth:`save` wrote.

        Raises:
            HarBenchError: it is another file.
        """
        try:
            file = open_npz(weights)
            vectors, labels, frames, learnt = (file[name] for name in ARRAYS)
            known = msgspec.json.decode(learnt.tobytes())
        except (ValueError, KeyError, TypeError, AttributeError, msgspec.DecodeError, RecursionError) as error:
            raise HarBenchError(f"{weights} is nothing that a floor saved ({error}); give such a file") from error
        self.learnt = learnt_from(known, weights)
        self.vectors, self.labels, self.frames = vectors, labels, int(frames)


@dataclass
class NearestCentroid(Nearest):
    """The class whose mean training clip is nearest."""

    summary = "the class of the nearest mean clip: the floor of action recognition"

    def remembered(self, vectors: Singles, labels: Ints) -> tuple[Singles, Ints]:
        """The mean of every class."""
        there = np.unique(labels)
        means = [vectors[labels == label].mean(axis=0, dtype=np.float64) for label in there]
        return np.stack(means).astype(np.float32), there


@dataclass
class NearestNeighbour(Nearest):
    """The class of the nearest training clip."""

    summary = "the class of the nearest training clip: what a network must beat"

    def remembered(self, vectors: Singles, labels: Ints) -> tuple[Singles, Ints]:
        """All of them."""
        return vectors, labels
