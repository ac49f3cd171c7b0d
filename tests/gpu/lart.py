"""LART on a GPU beside a CPU: tokens, a training and what it says of tracklets; and how fast the published one is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from har_bench import devices
from har_bench.baselines.lart import LART
from har_bench.baselines.lart.network import RELEASED, Inputs, Network, random_masks, zero_masks
from har_bench.devices import Precision
from har_bench.protocol import make_protocol
from tests.gpu.setting import Finding, Setting, compared
from tests.walking_tracklets import datasets

PROTOCOL = "ava/frame-map:lart"
SIZES = {"depth": 2, "heads": 2, "head": 16, "hidden": 32, "frames": 20, "people": 2, "warm": 0, "ema": 0.9}


def on_both(at: Setting) -> Iterator[Finding]:
    """A small training there, its predictions in both places, and windows a second of the released configuration."""
    (at.folder / "lart").mkdir()
    truth, tracklets = datasets(at.folder / "lart", clips=at.size(12, 3))
    chosen = make_protocol(PROTOCOL)
    settings = SIZES | {"tracklets": str(tracklets.path), "epochs": at.size(12, 1), "batch": 4, "lr": 0.01}
    model = LART(**settings, device=at.device)
    began = time.perf_counter()
    model.fit(truth, chosen)
    at.wait()
    yield "training on tracklets", {"seconds": time.perf_counter() - began, "epochs": len(model.history)}
    path = at.folder / "lart.safetensors"
    model.save(path)
    predicted = []
    for device in (at.device, "cpu"):
        other = LART(tracklets=str(tracklets.path), device=device)
        other.load(path)
        rows = [row["score"] for table in other.predict(truth, chosen) for row in table.to_pylist()]
        predicted.append(np.array(rows))
    yield "predictions", compared(*predicted, relative=1e-3, absolute=1e-3)
    yield from _speed(at)


def _speed(at: Setting) -> Iterator[Finding]:
    """Windows a second of a training step and of a test, of the configuration that was released."""
    device, name = torch.device(at.device), "pose" if at.tiny else "hiera"
    made = replace(RELEASED[name], depth=1, heads=1, body=False) if at.tiny else RELEASED[name]
    batch, frames, people = at.size(8, 1), at.size(125, 4), at.size(5, 1)
    network = Network(made).to(device)
    shape = batch, frames, people
    parts = [None if part is None else torch.randn(*shape, part.inside) for part in (made.joints, made.appearance)]
    inputs = Inputs(torch.randn(*shape, made.pose.inside), torch.ones(shape, dtype=torch.bool), *parts).to(device)

    def step() -> None:
        network.zero_grad()
        network.actions(network(inputs, random_masks(inputs.detected)), people).square().mean().backward()

    def test() -> None:
        with torch.inference_mode():
            network(inputs, zero_masks(inputs.detected))

    kinds: tuple[Precision, ...] = ("float32", "tf32", "bf16")
    for kind in kinds:
        with devices.precision(device, kind):
            found = {name: batch / at.seconds(work) for name, work in (("training", step), ("testing", test))}
        yield f"{name}, {kind}", {f"{what} [windows/s]": value for what, value in found.items()}
