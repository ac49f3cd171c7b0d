"""BlazePose as a baseline: on a store's images and videos, and on anybody's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from har_bench import devices
from har_bench.arrays import Bytes, Floats
from har_bench.errors import HarBenchError
from har_bench.media import poses
from har_bench.media.batches import Sampler
from har_bench.media.boxes import Boxes
from har_bench.media.pixel_model import PixelModel
from har_bench.media.poses import Poses
from har_bench.media.tracking import Watcher
from har_bench.options import option
from har_bench.published import Published, catalogue, content, is_archive, recognised
from har_bench.skeletons import mapping, skeleton

from . import detector
from .eyes import Eyes
from .films import Followed, Smooth
from .landmarks import JOINTS, Landmarks
from .runtimes import Files, Networks, networks

MM = 1000.0

_TOP = mapping(skeleton("blazepose33"), skeleton("mpii16"))
SCORED = tuple(places[0] for places in mapping(skeleton("blazepose33"), skeleton("coco17")).sources)
"""The joints whose visibility makes a person's score: COCO's, so that fingers do not count five times."""


@dataclass
class BlazePose(PixelModel):
    """33 points of the body, in the image and in space, with Google's own weights."""

    summary = "Google's BlazePose (MediaPipe Pose): 33 points from pixels, in 2D and 3D, pretrained"
    cite = "Bazarevsky et al., BlazePose: On-device Real-time Body Pose Tracking, 2020; Apache-2.0"
    trains = False
    layout = "blazepose33"
    in_space = True
    detects = True

    network: Literal["lite", "full", "heavy"] = option("full", "the landmark network: lite, full or heavy")
    runtime: Literal["auto", "torch", "litert"] = option("auto", "torch, litert, or auto: LiteRT on a CPU that has it")
    threshold: float = option(0.5, "the detector's least score where it looks for people by itself", least=0)
    passes: int = option(2, "looks at a given box in which the detector finds nobody; each refines the region", least=1)
    mask: bool = option(True, "blacken what lies beyond a given box, so that a neighbour is not taken for the person")
    smooth: Smooth = option("false", "steady a film's points: true, or mediapipe: as if it had 30 frames a second")

    _source: Path | None = field(default=None, init=False, repr=False)
    _sampler: Sampler | None = field(default=None, init=False, repr=False)

    def load(self, weights: Path) -> None:
        """Take both ``.tflite`` files, or one, out of a folder, wheel or npm package instead of those fetched.

        Raises:
            HarBenchError: they are not there, or not what was published.
        """
        self.__dict__.pop("_files", None)
        self.__dict__.pop("_networks", None)
        self._source = weights
        _ = self._files

    def look(self, images: Sequence[Bytes], boxes: Sequence[Boxes] | None) -> list[Poses]:
        """Persons in boxes, or found."""
        if boxes is None:
            return self._search(images)
        owners = [image for image, each in zip(images, boxes, strict=True) for _ in each.box]
        found = self._eyes.in_boxes(
            owners, [each.take(np.array([row])) for each in boxes for row in range(len(each.box))]
        )
        made, start = [], 0
        for each in boxes:
            made.append(self.poses_of(found[start : start + len(each.box)]))
            start += len(each.box)
        return made

    def watcher(self, people: int = 0, **options: Any) -> Watcher:
        """Follow people with MediaPipe's regions and filters."""
        smooth: Smooth = options.pop("smooth", self.smooth)
        if options:
            return super().watcher(people, **options)
        return Followed(self._eyes, self.poses_of, people=people, threshold=self.threshold, smooth=smooth)

    @staticmethod
    def poses_of(seen: list[Landmarks], sure: Floats | None = None) -> Poses:
        """Landmarks as poses; a person is as sure as flag, mean visibility and detector say together."""
        if not seen:
            return poses.nobody(JOINTS, in_space=True)
        points = np.array([each.points[:JOINTS, :2] for each in seen])
        scores = np.array([each.visibility for each in seen])
        score = np.array([each.flag for each in seen]) * scores[:, SCORED].mean(axis=1)
        world = np.array([each.world for each in seen]) * MM
        extent = poses.around(np.concatenate([points, _TOP.points(points)[:, [_TOP.target.index("head_top")]]], axis=1))
        return Poses(points, scores, score if sure is None else score * sure, extent, world)

    def describe(self) -> dict[str, Any]:
        """What was given, and which networks ran where."""
        ran = self._networks
        return super().describe() | {
            "network": self.network,
            "weights": f"sha256 {hashlib.sha256(self._files.landmarks).hexdigest()}",
            "runtime": ran.runtime,
            "device": ran.where,
            "parameters": ran.parameters,
            "passes": self.passes,
            "mask": self.mask,
            "threshold": self.threshold,
        }

    def _search(self, images: Sequence[Bytes]) -> list[Poses]:
        found = self._eyes.search_whole(images, self.threshold)
        owners = [row for row, each in enumerate(found) for _ in range(len(each))]
        regions = [detector.region(each[detector.HIPS], each[detector.CIRCLE]) for one in found for each in one.points]
        sure = [score for one in found for score in one.score]
        seen = self._eyes.look([images[row] for row in owners], regions)
        made = []
        for image in range(len(images)):
            there = [row for row, owner in enumerate(owners) if owner == image and seen[row].present]
            made.append(self.poses_of([seen[row] for row in there], np.array([sure[row] for row in there])))
        return made

    @cached_property
    def _files(self) -> Files:
        wanted = [catalogue()[name] for name in ("pose_detection", f"pose_landmark_{self.network}")]
        fetch = "blazepose" if self.network == "full" else f"blazepose-{self.network}"
        first, second = (content(each, self._place_of(each, wanted), fetch=fetch) for each in wanted)
        return Files(first, second, (wanted[0].file, wanted[1].file))

    def _place_of(self, wanted: Published, both: Sequence[Published]) -> Path | None:
        """Where to take a file from; None is the folder of fetched ones, also for what a single file is not."""
        source = self._source
        if source is None or not source.is_file() or is_archive(source):
            return source
        given = recognised(source)
        if given is None or given.model != "blazepose":
            raise HarBenchError(
                f"{source} is no file of BlazePose as it was published; give one, their folder, or their package"
            )
        if given not in both:
            raise HarBenchError(f"{source} is {given.file}, which network={self.network} does not use; set the network")
        return source if given == wanted else None

    @cached_property
    def _networks(self) -> Networks:
        return networks(self._files, self.runtime, self.device, self.batch)

    @property
    def _eyes(self) -> Eyes:
        ran = self._networks
        device = devices.chosen(self.device) if ran.runtime == "torch" else torch.device("cpu")
        if self._sampler is None:
            self._sampler = Sampler(device, workers=self.workers, on_device=self.crop_on_device)
        return Eyes(ran, self._sampler, self.passes, self.mask)
