"""Precisions of torch: set for a block, and as they were after it, whichever of its switches others used."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, get_args

import pytest

torch = pytest.importorskip("torch")

from har_bench import devices  # noqa: E402

BACKENDS: Any = torch.backends
NEWER = hasattr(BACKENDS.cudnn, "conv") and hasattr(BACKENDS.cuda.matmul, "fp32_precision")
CPU = torch.device("cpu")
KINDS = get_args(devices.Precision)


def switches() -> list[str]:
    """What every newer switch says, and the older ones as far as torch lets them be read."""
    newer = (BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.mkldnn.matmul)
    return [switch.fp32_precision for switch in newer]


@pytest.fixture
def restored() -> Iterator[None]:
    before = switches()
    yield
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cudnn.allow_tf32 = True
    newer = (BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.mkldnn.matmul)
    for switch, value in zip(newer, before, strict=True):
        switch.fp32_precision = value


@pytest.mark.parametrize("kind", KINDS)
def test_older_switches_say_what_was_chosen_and_then_what_they_said(kind: devices.Precision) -> None:
    before = torch.get_float32_matmul_precision(), BACKENDS.cudnn.allow_tf32
    with devices.precision(CPU, kind):
        assert torch.get_float32_matmul_precision() == ("highest" if kind == "float32" else "high")
        assert BACKENDS.cudnn.allow_tf32 == (kind != "float32")
        assert torch.is_autocast_enabled("cpu") == (kind == "bf16")
    assert (torch.get_float32_matmul_precision(), BACKENDS.cudnn.allow_tf32) == before


@pytest.mark.skipif(not NEWER, reason="this torch has no newer switches")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("products", "convolutions"), list(itertools.product(("none", "ieee", "tf32"), repeat=2)))
@pytest.mark.usefixtures("restored")
def test_newer_switches_that_others_set_are_no_obstacle_and_stay(
    kind: devices.Precision, products: str, convolutions: str
) -> None:
    BACKENDS.cuda.matmul.fp32_precision = products
    BACKENDS.cudnn.conv.fp32_precision = convolutions
    before = switches()
    wanted = "ieee" if kind == "float32" else "tf32"
    with devices.precision(CPU, kind):
        assert switches()[:3] == [wanted] * 3
        torch.ones(4, 4) @ torch.ones(4, 4)
    assert switches() == before
