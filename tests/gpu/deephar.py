"""deephar's published networks: the same on a GPU as on a CPU, how fast they see and learn, and after which block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from har_bench.baselines.deephar.architecture import Architecture
from har_bench.baselines.deephar.layers import Network
from har_bench.baselines.deephar.published import ARCHITECTURES, clips_of
from har_bench.baselines.deephar.spnet_parts import SPNetOptions
from har_bench.devices import Precision, precision
from tests.gpu import card
from tests.gpu.setting import Finding, Setting, compared

PICTURES = 32
STEPPED = "spnet_penn"
"""The network whose speed is told after each of its blocks, as its authors told it."""
ENOUGH = 120.0
"""Seconds that are left for what comes after."""


def chosen(at: Setting) -> dict[str, Architecture]:
    """The published networks, or one that a CPU computes in a moment."""
    if not at.tiny:
        return ARCHITECTURES
    tiny = SPNetOptions(pyramids=2, levels=2, growth=8, size=32, kernel=3, actions=(4,), action_pyramids=(2,))
    return {STEPPED: Architecture(spnet=replace(tiny, pose_features=16, visual_features=16))}


def network(architecture: Architecture, device: str) -> Network:
    """One whose weights a seed fixes."""
    torch.manual_seed(0)
    return architecture.build().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def sights(architecture: Architecture, at: Setting) -> torch.Tensor:
    """(N, 3, H, W) random pictures, or (N, T, 3, H, W) clips of actions."""
    random, side = torch.Generator().manual_seed(0), architecture.shape.size
    if not architecture.actions:
        return torch.rand(at.size(PICTURES, 1), 3, side, side, generator=random) * 2 - 1
    frames = at.size(clips_of(architecture)[0], 4)
    return torch.rand(at.size(PICTURES // 8, 1), frames, 3, side, side, generator=random) * 2 - 1


def said(found: Any) -> torch.Tensor:
    """All outputs of a network in a row."""
    parts = found if isinstance(found, list) else [*found.poses, *found.actions]
    return torch.cat([each.float().flatten() for each in parts])


def networks(at: Setting) -> Iterator[Finding]:
    """Each network: its outputs beside the CPU's, frames a second and a step of training in every precision."""
    peaks = {kind: card.products_per_second(at, kind) for kind in card.PRECISIONS}
    for name, architecture in chosen(at).items():
        if at.left() < ENOUGH:
            yield name, {"skipped": "the time is over"}
            continue
        images = sights(architecture, at)
        frames = images.shape[:-3].numel()
        few = images[:1]
        with torch.no_grad(), precision(torch.device(at.device), "float32"):
            expected = said(network(architecture, "cpu").eval()(few))
            model = network(architecture, at.device).eval()
            yield f"{name}, outputs", compared(said(model(few.to(at.device))), expected, relative=1e-3, absolute=1e-4)
        images = images.to(at.device)
        for kind in card.PRECISIONS[:1] if at.tiny else card.PRECISIONS:
            yield f"{name}, {kind}", _seen(at, model, images, kind, peaks[kind], frames)
            yield f"{name}, {kind}, training", _learnt(at, model, images, kind, frames)
        if name in ("mpii_2d", STEPPED):
            model.eval()
            model.compile(backend="aot_eager" if at.tiny else "inductor")
            yield f"{name}, bf16, compiled", _seen(at, model, images, "bf16", peaks["bf16"], frames)


def _seen(
    at: Setting, model: Network, images: torch.Tensor, kind: Precision, peak: float, frames: int
) -> dict[str, float]:
    """Frames a second, and the share of the card's measured products."""
    model.eval()
    with torch.no_grad(), precision(torch.device(at.device), kind):
        flops, _ = card.demand(lambda: model(images[:1]))
        seconds = at.seconds(lambda: model(images))
    per_frame = flops / max(frames // len(images), 1)
    return {
        "frames_per_s": frames / seconds,
        "multiply_adds_per_frame": per_frame / 2,
        "share_of_peak": per_frame * frames / seconds / peak,
    }


def _learnt(at: Setting, model: Network, images: torch.Tensor, kind: Precision, frames: int) -> dict[str, float]:
    """Frames a second of steps of training."""
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-6)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        said(model(images)).square().mean().backward()
        optimiser.step()

    with precision(torch.device(at.device), kind):
        return {"frames_per_s": frames / at.seconds(step)}


def stages(at: Setting) -> Iterator[Finding]:
    """Frames a second of a network that stops after each of its blocks."""
    architecture = chosen(at)[STEPPED]
    model = network(architecture, at.device).eval()
    images = torch.rand(at.size(PICTURES, 1), 3, architecture.shape.size, architecture.shape.size, device=at.device)
    with torch.no_grad(), precision(torch.device(at.device), "float32"):
        for blocks in range(1, 1 + len(model.poses(images[:1]))):
            yield f"block {blocks}", {"frames_per_s": len(images) / at.seconds(lambda n=blocks: model.poses(images, n))}
