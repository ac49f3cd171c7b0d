"""BlazePose's networks, loaded once for each runtime that is installed."""

from __future__ import annotations

import importlib.util
from functools import cache

import torch

from har_bench.baselines.blazepose.eyes import Eyes
from har_bench.baselines.blazepose.runtimes import Files, networks
from har_bench.media.batches import Sampler
from har_bench.published import catalogue, content

RUNTIMES = ["torch", *(["litert"] if importlib.util.find_spec("ai_edge_litert") else [])]


@cache
def files() -> Files:
    """The detector and the full network, as fetched."""
    wanted = [catalogue()[name] for name in ("pose_detection", "pose_landmark_full")]
    return Files(content(wanted[0]), content(wanted[1]), (wanted[0].file, wanted[1].file))


@cache
def eyes(runtime: str) -> Eyes:
    """Both networks on the processor."""
    return Eyes(networks(files(), runtime, "cpu", 1), Sampler(torch.device("cpu")))
