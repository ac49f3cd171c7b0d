"""What a device can do, measured: products a second, bytes a second; and what a piece of work asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from har_bench.devices import Precision, precision
from tests.gpu.setting import Setting

PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bf16")


def products_per_second(at: Setting, kind: Precision) -> float:
    """Floating-point operations a second of a large matrix product, the most that a network could reach."""
    size = at.size(8192, 64)
    one, other = (torch.randn(size, size, device=at.device) for _ in range(2))
    with precision(torch.device(at.device), kind):
        return 2 * size**3 / at.seconds(lambda: one @ other, at_most_s=0.5)


def bytes_per_second(at: Setting) -> float:
    """Bytes read and written a second by a copy."""
    source = torch.empty(at.size(1 << 28, 1 << 12), device=at.device)
    target = torch.empty_like(source)
    return 2 * source.numel() * source.element_size() / at.seconds(lambda: target.copy_(source), at_most_s=0.5)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in nested containers."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from tensors(each)


class Traffic(TorchDispatchMode):
    """Counts the bytes of every operator's operands and results: what goes through memory where nothing is fused."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(each.numel() * each.element_size() for each in tensors((args, kwargs, found)))
        return found


def demand(work: Callable[[], Any]) -> tuple[int, int]:
    """Floating-point operations and bytes of a piece of work."""
    with FlopCounterMode(display=False) as flops:
        work()
    with Traffic() as traffic:
        work()
    return flops.get_total_flops(), traffic.total
