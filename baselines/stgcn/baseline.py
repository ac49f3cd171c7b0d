"""ST-GCN++ and ST-GCN as a baseline: any skeleton, the four streams, and pyskl's published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from har_bench.classifying.classifier import Classifier
from har_bench.classifying.model import Learnt
from har_bench.classifying.preparing import preparation
from har_bench.classifying.seen import PERSONS
from har_bench.errors import HarBenchError
from har_bench.options import option
from har_bench.skeletons import skeleton
from har_bench.training.weights import State

from .graph import Partition, adjacency
from .model import BRANCHES, Architecture, Kind, SkeletonNetwork, stages_of

SIZES: Mapping[str, Mapping[str, Any]] = {
    "uniform": {"channels": 64, "stages": 10, "inflate": "5,8"},
    "segments": {"channels": 16, "stages": 6, "inflate": "3,5"},
}
"""The network by how its view samples: the published one, and ours for datasets of a thousand clips."""

PARTITIONS: Mapping[Kind, Partition] = {"st-gcn++": "spatial", "st-gcn": "one-hop"}
PUBLISHED = {25: ("ntu25", "pyskl"), 17: ("coco17", "pyskl-2d")}
"""The joints of pyskl's weights and their view, by how many there are."""

FIRST, LAST = "backbone.gcn.0.gcn", "cls_head.fc_cls.weight"
BACKBONE = ("data_bn.", "gcn.")
"""The beginnings of the backbone's names where it stands alone."""

AVERAGE = "ema_"
"""What mmcv's moving average has in a model beside each of its tensors."""

SUBSETS, CHANNELS = 3, 3


@dataclass
class STGCN(Classifier):
    """Graph convolutions over the joints, convolutions over time."""

    summary = "graph convolutions that tell actions from skeletons: ST-GCN++, or plain ST-GCN"
    cite = (
        "Duan et al., PYSKL: Towards Good Practices for Skeleton Action Recognition, ACM MM 2022; Yan et al., Spatial "
        "Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition, AAAI 2018"
    )
    quick = MappingProxyType(
        {"channels": 6, "stages": 2, "inflate": "2", "frames": 8, "clips": 1, "epochs": 4, "batch": 4, "lr": 1.0}
    )
    architecture = ("kind", "channels", "stages", "inflate", "dropout")

    kind: Kind = option("st-gcn++", "st-gcn++, or st-gcn")
    channels: int | None = option(None, "of the first stage; 64 with pyskl's views, 16 with rms", least=BRANCHES)
    stages: int | None = option(None, "blocks of graph and time; 10, or 6", least=1)
    inflate: str = option("", "stages at which channels double and one frame of two is left out; 5,8, or 3,5")
    dropout: float = option(0.0, "after every temporal unit but the first; the ST-GCN of 2018 has 0.5", least=0)

    def setting(self, name: str) -> Any:
        """An option's value: what was given, else what was published with the view."""
        sizes = SIZES[preparation(self.known().view).sampling]
        return getattr(self, name) or sizes[name] if name in sizes else super().setting(name)

    def design(self) -> Architecture:
        """The network's architecture.

        Raises:
            HarBenchError: the stages are no whole numbers.
        """
        try:
            at = tuple(int(stage) for stage in self.setting("inflate").split(","))
        except ValueError as error:
            raise HarBenchError(f"inflate is stages such as 5,8, and not {self.inflate!r}") from error
        if not all(1 < stage <= self.setting("stages") for stage in at):
            raise HarBenchError(
                f"inflate is {self.setting('inflate')!r}; give stages from 2 to {self.setting('stages')}"
            )
        return Architecture(self.kind, self.setting("channels"), self.setting("stages"), at, at, self.dropout)

    def network(self, learnt: Learnt) -> nn.Module:
        """The backbone on the skeleton's graph, and its head."""
        return SkeletonNetwork(self.design(), adjacency(learnt.layout, PARTITIONS[self.kind]), learnt.classes)

    def plain(self, state: State) -> State:
        """The names of pyskl, whether or not ``backbone.`` is before those of the backbone."""
        return {
            f"backbone.{name}" if name.startswith(BACKBONE) else name: tensor
            for name, tensor in state.items()
            if not name.startswith(AVERAGE)
        }

    def published(self, state: State, path: Path) -> tuple[Learnt, Mapping[str, Any]]:
        """What pyskl's weights were trained on, and their architecture, by their names and shapes.

        Raises:
            HarBenchError: they are of another network, or of joints that pyskl has not published.
        """
        if f"{FIRST}.conv.weight" in state and LAST not in state:
            raise HarBenchError(f"{path} has pyskl's backbone and no head of classes ({LAST}); give a whole checkpoint")
        try:
            outside, features = state[f"{FIRST}.conv.weight"].shape[:2]
            joints, classes = state[f"{FIRST}.A"].shape[-1], state[LAST].shape[0]
            stages = stages_of(list(state))
            widths = [state[f"backbone.gcn.{stage}.gcn.conv.weight"].shape[:2] for stage in range(stages)]
            doubled = [stage for stage, (out, into) in enumerate(widths, 1) if stage > 1 and out == SUBSETS * 2 * into]
        except (KeyError, IndexError, ValueError):
            return super().published(state, path)
        if joints not in PUBLISHED or features != CHANNELS:
            raise HarBenchError(
                f"{path} sees {joints} joints of {features} numbers, and pyskl's see 25 of NTU or 17 of COCO with 3; "
                "give weights that stgcn saved"
            )
        layout, view = PUBLISHED[joints]
        settings = {
            "kind": "st-gcn" if f"{FIRST}.PA" in state else "st-gcn++",
            "channels": outside // SUBSETS,
            "stages": stages,
            "inflate": ",".join(map(str, doubled)),
        }
        return Learnt(layout=skeleton(layout), view=view, persons=PERSONS, classes=classes), settings
