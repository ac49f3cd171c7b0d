"""What a training does to learning rates, gradients and weights, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from har_bench.training import Plan, Share, train  # noqa: E402
from har_bench.training.averaging import average, frozen  # noqa: E402
from har_bench.training.schedules import Group, grouped, warmed_cosine  # noqa: E402


def line(weight: float) -> Any:
    found = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(found.weight, weight)
    return found


def batches(share: Share) -> Iterator[Any]:
    yield from torch.tensor([[1.0], [2.0], [4.0]])


def pulled(model: Any, batch: Any) -> dict[str, Any]:
    """A loss whose gradient is the batch."""
    return {"loss": model["a"](batch).sum()}


def plan(**options: Any) -> Plan:
    return Plan(1, 0, partial(torch.optim.SGD, lr=1.0), device="cpu", **options)


def test_a_rate_rises_and_falls_from_epoch_to_epoch() -> None:
    factor = partial(warmed_cosine, steps=3, epochs=4, warm=2)
    assert [factor(step) for step in range(12)] == pytest.approx([0.5] * 3 + [1] * 6 + [0.5] * 3)
    assert warmed_cosine(0, steps=1, epochs=1, warm=0) == 1


def test_every_parameter_has_its_own_share_of_the_rate_and_of_the_decay() -> None:
    layer = torch.nn.Linear(2, 1)
    groups = [Group(0.5, 0.1), Group(1.0, 0.0)]
    found = grouped(layer.parameters(), groups=groups, made=partial(torch.optim.AdamW, lr=0.2))
    assert [(group["lr"], group["weight_decay"]) for group in found.param_groups] == [(0.1, 0.1), (0.2, 0.0)]
    assert [group["params"][0] is each for group, each in zip(found.param_groups, layer.parameters(), strict=True)]
    scheduled = torch.optim.lr_scheduler.LambdaLR(found, lambda _: 0.5)
    assert scheduled.get_last_lr() == [0.05, 0.1]
    same = grouped(layer.parameters(), groups=[Group(1.0, 0.0)] * 2, made=partial(torch.optim.AdamW, lr=0.2))
    assert len(same.param_groups) == 1


def test_a_long_gradient_is_shortened_and_a_short_one_is_not() -> None:
    model = torch.nn.ModuleDict({"a": line(0.0)})
    train(model, batches, pulled, plan(clip=2.0))
    assert model["a"].weight.item() == pytest.approx(-(1 + 2 + 2))
    free = torch.nn.ModuleDict({"a": line(0.0)})
    train(free, batches, pulled, plan())
    assert free["a"].weight.item() == pytest.approx(-7)


def test_the_average_moves_after_every_step_and_is_not_learnt() -> None:
    """Weights 0, -1, -3, -7: with a share of a half the average is 0, -0.5, -1.75, -4.375."""
    model = torch.nn.ModuleDict({"a": line(0.0), "b": frozen(line(0.0))})
    train(model, batches, pulled, plan(stepped=partial(average, of="a", into="b", decay=0.5)))
    assert model["a"].weight.item() == pytest.approx(-7)
    assert model["b"].weight.item() == pytest.approx(-4.375)


def test_what_is_counted_is_copied() -> None:
    model = torch.nn.ModuleDict({name: torch.nn.BatchNorm1d(1) for name in "ab"})
    model["a"].num_batches_tracked += 5
    model["a"].running_mean += 4
    average(model, of="a", into="b", decay=0.75)
    assert (model["b"].num_batches_tracked.item(), model["b"].running_mean.item()) == (5, 1)


def test_the_average_is_resumed_with_everything_else(tmp_path: Path) -> None:
    def model() -> Any:
        return torch.nn.ModuleDict({"a": line(0.0), "b": frozen(line(0.0))})

    def planned(epochs: int, folder: str) -> Plan:
        stepped = partial(average, of="a", into="b", decay=0.5)
        made = partial(torch.optim.SGD, lr=1.0)
        return Plan(epochs, 0, made, device="cpu", folder=tmp_path / folder, stepped=stepped)

    whole, cut, resumed = model(), model(), model()
    train(whole, batches, pulled, planned(3, "whole"))
    train(cut, batches, pulled, planned(2, "cut"))
    train(resumed, batches, pulled, planned(3, "cut"))
    assert resumed["b"].weight.item() == whole["b"].weight.item() != cut["b"].weight.item()
