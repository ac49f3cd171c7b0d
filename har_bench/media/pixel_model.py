"""What every model of images shares: pictures of a store, boxes, batches, and predictions back in the image's pixels.

A model of your own says which joints it gives and implements :meth:`PixelModel.look`; one that sees a crop per person
derives from :class:`har_bench.media.crop_model.CropModel` and adds its network.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from har_bench.arrays import Anything, Bytes, Floats
from har_bench.baseline import Baseline, targets
from har_bench.errors import HarBenchError
from har_bench.media import boxes as given
from har_bench.media import predicted
from har_bench.media.batches import in_groups
from har_bench.media.boxes import Boxes
from har_bench.media.of_store import Pictures, Shot
from har_bench.media.poses import Poses
from har_bench.media.tracking import ByOverlap, Watcher
from har_bench.options import given as options_of
from har_bench.options import option, read
from har_bench.progress import progress
from har_bench.protocol import Protocol
from har_bench.schema import table
from har_bench.skeletons import Mapping, mapping, skeleton
from har_bench.store import Store


class _Look(NamedTuple):
    """One picture to look at.

    Attributes:
        shot: which.
        rows: where the persons of its boxes stand in the table of a part; empty for a detector.
        boxes: of its persons; None where the model has to find people itself.
        sure: (n,) scores of the boxes.
    """

    shot: Shot
    rows: Anything
    boxes: Boxes | None
    sure: Floats


@dataclass
class PixelModel(Baseline):
    """A model that looks at pictures."""

    needs = "the pictures of the raw download"
    layout: ClassVar[str]
    in_space: ClassVar[bool] = False
    """Whether the model gives points in three dimensions too."""
    detects: ClassVar[bool] = False
    """Whether it finds people by itself."""
    boxes_of: ClassVar[type[given.BoxFile]] = given.BoxFile
    """What reads its files of boxes."""

    images: str = option("", "the folder of the raw download, under which the store's images or videos lie")
    boxes: str = option("truth", "where persons are: truth, own (the model finds them), full (the image), or file=PATH")
    batch: int = option(16, "pictures that are looked at together", least=1)
    workers: int = option(0, "threads that decode and crop; 0 is one per processor", least=0)
    device: str = option("", "such as cpu or cuda:1; a GPU if there is one")
    crop_on_device: bool = option(False, "send whole images there and crop there, for a GPU beside few processors")

    _file: given.BoxFile | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse values that the options cannot have, whoever sets them.

        Raises:
            HarBenchError: which option, and what it may be.
        """
        read(type(self), options_of(self), type(self).__name__)

    @abstractmethod
    def look(self, images: Sequence[Bytes], boxes: Sequence[Boxes] | None) -> list[Poses]:
        """Persons of some images.

        Args:
            images: (H, W, 3) RGB each.
            boxes: of each image's persons; one pose is given for each, in their order. None: the model finds people
                itself, the surest first.
        """

    def watcher(self, people: int = 0, **options: Any) -> Watcher:
        """What follows people through a film.

        By default every frame is looked at by itself, and boxes that overlap are of one person.

        Args:
            people: how many at most; 0 is everybody.
            options: of a model that has some.
        """
        if options:
            raise HarBenchError(f"{type(self).__name__} has no {', '.join(options)} for films; leave it out")
        return ByOverlap(lambda image: self.look([image], None)[0], people)

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """Poses and detected keypoints in any layout that the model's joints map to, where the store names media."""
        if protocol.task not in ("pose", "keypoint-detection") or "media" not in store.sequences.column_names:
            return False
        if protocol.prediction_columns[0] == "keypoints_3d" and not self.in_space:
            return False
        try:
            self._joints(store, protocol)
        except HarBenchError:
            return False
        return True

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Nothing to learn, unless a model says otherwise."""

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """Poses of every person that the protocol scores, or everybody found in its images."""
        self._check()
        pictures = Pictures(store, Path(self.images), workers=self.workers)
        self._file = self.box_file(store)
        joints = self._joints(store, protocol)
        if protocol.task == "pose":
            yield from self._poses(store, protocol, pictures, joints)
        else:
            yield from self._detections(store, protocol, pictures, joints)

    def box_file(self, store: Store) -> given.BoxFile | None:
        """The file of boxes that ``boxes`` names; None where it names none."""
        return self.boxes_of(Path(self.boxes.removeprefix(given.FILE)), store) if self._from_file else None

    def describe(self) -> dict[str, Any]:
        """What the model was given."""
        return {"boxes": self.boxes, "layout": self.layout}

    @property
    def _from_file(self) -> bool:
        return self.boxes.startswith(given.FILE)

    def _check(self) -> None:
        if self.boxes not in ("truth", "own", "full") and not self._from_file:
            raise HarBenchError(f"boxes is truth, own, full or file=PATH, and not {self.boxes!r}")
        if self.boxes == "own" and not self.detects:
            raise HarBenchError(
                f"{type(self).__name__} does not find people by itself; give boxes=truth, full or file=PATH"
            )
        if not self.images:
            raise HarBenchError(
                "a model of images needs the raw download's folder, under which they lie; give --set images=FOLDER"
            )

    def _joints(self, store: Store, protocol: Protocol) -> Mapping:
        wanted = protocol.skeletons[0] if protocol.skeletons else store.skeleton().name
        return mapping(skeleton(self.layout), store.skeleton(wanted))

    def _poses(self, store: Store, protocol: Protocol, pictures: Pictures, joints: Mapping) -> Iterator[pa.Table]:
        """One pose for each row that the protocol scores."""
        name: Literal["keypoints", "keypoints_3d"] = protocol.prediction_columns[0]  # type: ignore[assignment]
        columns = [each for each in given.COLUMNS if each in store.schema("poses").names]
        others: dict[str, list[pa.Table]] = {}
        for rows in targets(store, protocol, columns):
            order, seen = [], []
            for look, poses in self._looks(pictures, self._of_rows(rows), joints):
                order.append(look.rows)
                seen.append(poses)
            back = np.argsort(np.concatenate(order)) if order else np.zeros(0, np.intp)
            for other in seen[0].others if seen else ():
                said = [poses.others[other] for poses in seen]
                others.setdefault(other, []).append(predicted.posed(rows, said, back, joints.target, name))
            yield predicted.posed(rows, seen, back, joints.target, name)
        self.outputs = others

    def _detections(self, store: Store, protocol: Protocol, pictures: Pictures, joints: Mapping) -> Iterator[pa.Table]:
        """Everybody found, or a pose for each given box."""
        names = protocol.select(store.sequences)["sequence"].to_pylist()
        looks = self._of_annotated(store, protocol) if self.boxes == "truth" else self._of_images(names)
        parts = []
        for look, poses in self._looks(pictures, looks, joints):
            count = len(poses)
            made = {
                "sequence": [look.shot.sequence] * count,
                "frame": np.full(count, look.shot.frame),
                "keypoints": poses.points.astype(np.float32),
                "keypoint_scores": poses.scores.astype(np.float32),
                "score": poses.score * look.sure if look.boxes is not None else poses.score,
                "bbox": poses.boxes.astype(np.float32),
            }
            parts.append(table(made, predicted.detection_schema(joints.target.name, len(joints.target.joints))))
        yield (
            pa.concat_tables(parts)
            if parts
            else predicted.detection_schema(joints.target.name, len(joints.target.joints)).empty_table()
        )

    def _looks(self, pictures: Pictures, looks: Sequence[_Look], joints: Mapping) -> Iterator[tuple[_Look, Poses]]:
        """Look at pictures in groups, and map what is seen into the protocol's joints."""
        with progress(type(self).__name__.lower(), len(looks), quiet=self.quiet) as bar:
            images = pictures.read(look.shot for look in looks)
            for group in in_groups(zip(looks, images, strict=True), self.batch):
                for look, poses in zip([look for look, _ in group], self._seen(group), strict=True):
                    bar.advance(rows=len(poses))
                    yield look, poses.mapped(joints)

    def _seen(self, group: Sequence[tuple[_Look, Bytes]]) -> list[Poses]:
        images = [image for _, image in group]
        if self.boxes == "own":
            found = self.look(images, None)
            return [self._one_each(look, image, poses) for (look, image), poses in zip(group, found, strict=True)]
        return self.look(images, [_or_whole(look, image) for look, image in group])

    def _one_each(self, look: _Look, image: Bytes, found: Poses) -> Poses:
        """The best person found, for every row that wants one; where nobody is, the whole image is looked at."""
        if not len(look.rows):
            return found
        best = found if len(found) else self.look([image], [given.whole(image)])[0]
        return best.take([0] * len(look.rows))

    def _of_rows(self, rows: pa.Table) -> list[_Look]:
        """One look for each frame of the rows, in the order in which a video is read."""
        names, frames = rows["sequence"].to_pylist(), rows["frame"].to_numpy()
        truth = given.of_truth(rows) if self.boxes == "truth" else None
        by_shot: dict[Shot, list[int]] = {}
        for row, (name, frame) in enumerate(zip(names, frames.tolist(), strict=True)):
            by_shot.setdefault(Shot(name, frame), []).append(row)
        looks = []
        for shot in sorted(by_shot):
            places = np.array(by_shot[shot])
            if truth is None:
                looks.append(_Look(shot, places, *self._boxes_of(shot, len(places))))
            else:
                looks.append(_Look(shot, places, truth.take(places), np.ones(len(places))))
        return looks

    def _boxes_of(self, shot: Shot, persons: int) -> tuple[Boxes | None, Floats]:
        """Boxes of a frame for so many persons; NaN stands for the whole image."""
        if self._file is None:
            return (None if self.boxes == "own" else _unknown(persons)), np.ones(persons)
        boxes, sure = self._file.of(*shot)
        if not len(sure):
            raise HarBenchError(f"{self._file.path} has no box in {shot.sequence}, frame {shot.frame}; detect it again")
        best = np.zeros(persons, np.intp)
        return boxes.take(best), sure[best]

    def _of_annotated(self, store: Store, protocol: Protocol) -> list[_Look]:
        """The annotated persons' boxes, image by image."""
        columns = [each for each in given.COLUMNS if each in store.schema("poses").names]
        looks = []
        for rows in targets(store, protocol, columns):
            kept = rows.filter(pa.array(given.annotated(rows)))
            looks += [look._replace(rows=np.zeros(0, np.intp)) for look in self._of_rows(kept)]
        return looks

    def _of_images(self, names: Sequence[str]) -> list[_Look]:
        nothing = np.zeros(0, np.intp)
        if self._file is None:
            boxes = None if self.boxes == "own" else _unknown(1)
            return [_Look(Shot(name, 0), nothing, boxes, np.ones(1)) for name in names]
        return [_Look(Shot(name, 0), nothing, *self._file.of(name, 0)) for name in names]


def _unknown(persons: int) -> Boxes:
    return given.exact(np.full((persons, 4), np.nan))


def _or_whole(look: _Look, image: Bytes) -> Boxes:
    """A look's boxes; those that are not known are the whole image."""
    boxes = _unknown(0) if look.boxes is None else look.boxes
    known = np.isfinite(boxes.box).all(axis=1, keepdims=True)
    return boxes._replace(box=np.where(known, boxes.box, given.whole(image).box))
