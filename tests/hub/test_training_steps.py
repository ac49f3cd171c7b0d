"""A step of a training leaves its numbers where they are: whoever asks for one makes the processor wait for a GPU."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import har_bench.training.loop  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.lifting.feed import Batches  # noqa: E402
from har_bench.lifting.windows import Span  # noqa: E402
from har_bench.training import Plan, Share, train  # noqa: E402
from tests.gpu import lifting  # noqa: E402

FUSED = partial(torch.optim.Adam, lr=1e-3, amsgrad=True, fused=True)
"""As on a GPU; Adam's other form asks a CPU for the number of its steps."""


class Asked(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
    """Remembers where a tensor's number was asked for, or whether all are true."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name() in ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero"):
            self.places.append("".join(traceback.format_stack(limit=12)))
        return func(*args, **(kwargs or {}))


def asked_in(steps: int) -> list[str]:
    """Where numbers are asked for in one epoch of so many steps, with the loss and the windows of videopose3d."""
    model = VideoPose3D(arc="3,3", channels=8, device="cpu")
    reel = lifting.reel(Span(1, 4), "cpu", 2, 40)  # 160 windows

    def batches(share: Share) -> Iterator[Batches]:
        return ((batch, None) for batch in reel.epoch(share.epoch, len(reel) // steps))

    models = torch.nn.ModuleDict({"model_pos": lifting.network((3, 3), 8)})
    with Asked() as asked:
        train(models, batches, model.losses, Plan(1, 0, FUSED, device="cpu"))
    return asked.places


def test_the_numbers_that_a_training_asks_for_do_not_grow_with_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(har_bench.training.loop, "TOLD_EVERY_S", 1e9)  # once a second the loss so far is told
    few, many = asked_in(4), asked_in(20)
    assert few  # the means of an epoch are asked for, at its end
    assert len(many) == len(few), many


def test_an_epoch_s_order_is_taken_to_the_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reel = lifting.reel(Span(1, 4), "cpu", 2, 40)
    epoch = reel.epoch(0, 16)
    next(epoch)
    kept = torch.as_tensor

    def no_copies(values: Any, *args: Any, **options: Any) -> Any:
        assert isinstance(values, torch.Tensor), "a batch is made of numbers on the processor"
        return kept(values, *args, **options)

    monkeypatch.setattr(torch, "as_tensor", no_copies)
    assert sum(len(batch.points) for batch in epoch) == len(reel) - 16


def test_training_is_deterministic_and_leaves_the_switches_alone(tmp_path: Path) -> None:
    seen = []

    def losses(models: Any, batch: Any) -> dict[str, Any]:
        seen.append((torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark))
        return {"loss": models(batch).square().mean()}

    kept = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    train(torch.nn.Linear(2, 1), lambda _: [torch.ones(4, 2)], losses, Plan(1, 0, FUSED, device="cpu"))
    assert set(seen) == {(True, False)}
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == kept
