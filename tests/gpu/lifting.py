"""The lifting network: the same on a GPU as on a CPU, without waiting for it, and how fast beside what the card can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from har_bench.baselines.videopose3d.model import Architecture, TemporalModel
from har_bench.devices import Precision, precision
from har_bench.lifting.clips import Clip
from har_bench.lifting.lifter import distance, rooted
from har_bench.lifting.windows import Reel, Span
from har_bench.skeletons import skeleton
from har_bench.training import Plan, Share, train
from tests.gpu import card
from tests.gpu.setting import Finding, Setting, compared

ARCHITECTURES = ((3, 3, 3), (3, 3, 3, 3, 3))
BATCH = 1024


def reel(span: Span, device: str, clips: int, frames: int) -> Reel:
    """Random clips and their mirror images, on a device."""
    random, layout = np.random.default_rng(0), skeleton("h36m17")
    shapes = ((frames, 17, 2), (frames, 17, 3), (9,))
    made = [Clip(*(random.normal(size=shape).astype(np.float32) for shape in shapes)) for _ in range(clips)]
    return Reel([each for clip in made for each in (clip, clip.mirrored(layout, layout))], span, device)


def network(widths: tuple[int, ...], channels: int, device: str = "cpu", dropout: float = 0.25) -> TemporalModel:
    """A network whose weights a seed fixes."""
    torch.manual_seed(0)
    return TemporalModel(Architecture(widths, channels=channels, dropout=dropout)).to(device).train()


def step_of(model: TemporalModel, optimiser: torch.optim.Optimizer) -> Callable[[Any], torch.Tensor]:
    """What one batch of windows does to a model; gives the loss, which stays on the device."""

    def step(batch: Any) -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        loss = distance(model(batch.points, True), rooted(batch.poses))
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def adam(model: TemporalModel, *, on_gpu: bool) -> torch.optim.Optimizer:
    """As the lifters have it."""
    return torch.optim.Adam(model.parameters(), lr=1e-3, amsgrad=True, fused=on_gpu or None)


def equality(at: Setting) -> Iterator[Finding]:
    """A forward pass, ten steps of training, and a training that was stopped and goes on."""
    widths, channels = (3, 3, 3), at.size(256, 8)
    with precision(torch.device(at.device), "float32"):
        here, there = (network(widths, channels, place, dropout=0.0) for place in ("cpu", at.device))
        points = torch.randn(64, here.architecture.receptive_field, 17, 2)
        yield "forward", compared(there(points.to(at.device), True), here(points, True), relative=1e-4, absolute=1e-5)
        losses = []
        for model, place in ((here, "cpu"), (there, at.device)):
            step = step_of(model, adam(model, on_gpu=torch.device(place).type == "cuda"))
            windows = reel(Span(1, 13), place, 4, 60)
            losses.append([step(batch) for _, batch in zip(range(10), windows.epoch(3, 32), strict=False)])
        found, expected = (torch.stack(each) for each in reversed(losses))
        yield "ten steps of training", compared(found, expected, relative=2e-3)
    yield "resumption", resumption(at, widths, channels)


def resumption(at: Setting, widths: tuple[int, ...], channels: int) -> dict[str, Any]:
    """Whether a training stopped after two epochs of four ends with the weights of one that was not, to the bit."""
    windows = reel(Span(1, 13), at.device, 4, 60)

    def batches(share: Share) -> Iterator[Any]:
        return windows.epoch(share.epoch, 64)

    def losses(models: Any, batch: Any) -> dict[str, Any]:
        return {"position": distance(models[0](batch.points, True), rooted(batch.poses))}

    ends = []
    optimiser = partial(torch.optim.Adam, lr=1e-3, amsgrad=True, fused=at.on_gpu or None)
    for stops in ((4,), (2, 4)):
        folder = at.folder / f"resumption-{len(stops)}"
        for epochs in stops:
            models = torch.nn.ModuleList([network(widths, channels)])
            plan = Plan(epochs, 1, optimiser, device=at.device, folder=folder, identity={"of": "gpu"})
            train(models, batches, losses, plan)
        ends.append(torch.cat([each.detach().cpu().flatten() for each in models.parameters()]))
    return compared(ends[1], ends[0], relative=0.0)


@contextmanager
def unwaited(at: Setting) -> Iterator[None]:
    """Where the processor waits for the GPU, an error."""
    if not at.on_gpu:
        yield
        return
    kept = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(kept)


def speed(at: Setting) -> Iterator[Finding]:
    """Step times in every precision, beside the card's products and bytes a second; no step waits for the GPU."""
    peaks = {kind: card.products_per_second(at, kind) for kind in card.PRECISIONS}
    through = card.bytes_per_second(at)
    yield "card", {**{f"{kind}_flops_per_s": each for kind, each in peaks.items()}, "bytes_per_s": through}
    for widths in ARCHITECTURES:
        for kind in card.PRECISIONS:
            for compiled in (False, True):
                name = f"{','.join(map(str, widths))} x {at.size(1024, 8)}, {kind}{', compiled' * compiled}"
                yield name, _step(at, widths, kind, peaks[kind], through, compiled=compiled)


def _step(
    at: Setting, widths: tuple[int, ...], kind: Precision, peak: float, through: float, *, compiled: bool
) -> dict[str, Any]:
    model = network(widths, at.size(1024, 8), at.device)
    pad = model.architecture.receptive_field // 2
    windows = reel(Span(1, pad), at.device, 2, at.size(4000, 40))
    step = step_of(model, adam(model, on_gpu=at.on_gpu))
    size = at.size(BATCH, 4)
    with precision(torch.device(at.device), kind):
        batch = next(windows.epoch(0, size))
        flops, traffic = card.demand(lambda: step(batch))
        if compiled:
            model.compile(backend="aot_eager" if at.tiny else "inductor")
            step(batch)
        model.set_momentum(0.05)  # as in the next epoch: no new graph
        at.wait()
        epoch = windows.epoch(1, size)
        next(epoch)  # the order goes to the device, once
        with unwaited(at):
            for _, each in zip(range(3), epoch, strict=False):
                step(each)
        seconds = at.seconds(lambda: step(batch), at_most_s=2.0)
    bound = max(flops / peak, traffic / through)
    return {
        "step_ms": seconds * 1e3,
        "frames_per_s": size / seconds,
        "flops": flops,
        "share_of_peak": flops / seconds / peak,
        "limit_ms": bound * 1e3,
        "limited_by": "memory" if traffic / through > flops / peak else "products",
        "step_over_limit": seconds / bound,
    }


def graphs(at: Setting) -> Iterator[Finding]:
    """How many graphs ten epochs with their own momentum need."""
    made: list[Any] = []

    def counted(graph: Any, _: Any) -> Any:
        made.append(graph)
        return graph.forward

    torch.compiler.reset()
    model = network((3, 3), 8, at.device)
    model.compile(backend=counted)
    points = torch.randn(4, 9, 17, 2, device=at.device)
    for epoch in range(10):
        model.set_momentum(0.1 * 0.8**epoch)
        model(points, True)
    yield "of ten epochs", {"graphs": len(made), "equal": len(made) <= 2}
