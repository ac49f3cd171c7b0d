"""Where a training begins: Lightning is loaded then, and not before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from har_bench.errors import HarBenchError
from har_bench.training.curves import History
from har_bench.training.plans import Losses, Plan, Share


def train(
    model: nn.Module,
    batches: Callable[[Share], Iterable[Any]],
    losses: Callable[[Any, Any], Losses],
    plan: Plan,
    *,
    starting: Callable[[Any, int], None] | None = None,
    evaluated: Callable[[Any], Mapping[str, float]] | None = None,
    quiet: bool = True,
) -> History:
    """Train ``model`` in place.

    Args:
        model: its parameters are learnt.
        batches: an epoch's batches for one process, of tensors on its device; with several devices it is pickled.
        losses: the terms of a batch's loss, whose sum is minimised.
        plan: how.
        starting: called at the start of every epoch, with its number from 0.
        evaluated: called after every epoch; its numbers are kept beside the losses, and the checkpoint with the
            best first number so far in ``best.ckpt``. The model is left as it was after the last epoch, or after the
            best one if the plan has ``patience`` or a ``plateau``.
        quiet: no progress.

    Returns:
        The mean of every term in each epoch, and the numbers of ``evaluated``.

    Raises:
        HarBenchError: a device that is not there or has not enough memory, checkpoints that are damaged or of another
            training, or a loss that is not finite.
    """
    try:
        from har_bench.training.loop import Lesson, learn
    except ModuleNotFoundError as error:
        raise HarBenchError(f"training needs {error.name}: pip install 'har-bench[baselines]'") from error
    return learn(Lesson(model, batches, losses, plan, starting, evaluated), quiet=quiet)
