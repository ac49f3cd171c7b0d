"""Every metric that can be imported: lists, tensors and arrays give the same number, anything else one sentence."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench import protocols
from har_bench.errors import HarBenchError
from tests.strange import odd, tensor

RNG = np.random.default_rng(0)
POSES = RNG.normal(size=(2, 3, 4, 3))
POINTS = RNG.normal(size=(2, 3, 4, 2))
SCORES = RNG.random((5, 3))
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("auc3d", "mpjpe", "mpjve", "n_mpjpe", "p_mpjpe", "pck3d"), tuple(POSES)),
    **dict.fromkeys(("mpjpe_errors", "mpjve_errors", "n_mpjpe_errors", "p_mpjpe_errors"), tuple(POSES)),
    **dict.fromkeys(("pckh", "pck"), (*POINTS, np.array([1.0, 2.0, 0.0]))),
    "similarities": (*POINTS, POINTS[0, ..., 0] > 0, np.ones((3, 4)), np.ones(3), np.ones(4)),
    "combine": (SCORES, np.array([0, 2, 5]), "mean"),
    **dict.fromkeys(("ranks", "top_k"), (SCORES, np.array([0, 2, 1, 1, 0]))),
    "mean_class_accuracy": (np.array([0, 1, 1]), np.array([0, 1, 0]), 3),
    "mean_average_precision": (SCORES, SCORES > 0.5),
    "edit_score": (np.array([0, 4, 1]), np.array([0, 1])),
    "temporal_iou": (np.array([[0, 4.0]]), np.array([[2, 6.0], [4, 8]])),
}
"""A right call of every metric, by its name."""


def metrics() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions on arrays that the families of protocols let others import."""
    for module in pkgutil.iter_modules(protocols.__path__):
        family = importlib.import_module(f"har_bench.protocols.{module.name}")
        for name, thing in inspect.getmembers(family, inspect.isfunction):
            first = next(iter(inspect.signature(thing).parameters.values()))
            if thing.__module__.startswith(family.__name__) and "ArrayLike" in str(first.annotation):
                yield name, thing


METRICS = dict(metrics())


def leaves(found: Any) -> list[list[float]]:
    return [np.asarray(each).tolist() for each in (found if isinstance(found, tuple) else (found,))]


def test_every_metric_is_tried_here() -> None:
    assert METRICS.keys() == ARGUMENTS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_lists_and_tensors_are_as_good_as_arrays(name: str) -> None:
    arguments = ARGUMENTS[name]
    expected = leaves(METRICS[name](*arguments))
    forms: tuple[Callable[[Any], Any], ...] = (
        lambda array: array.tolist(),
        tensor,
        lambda array: tensor(array, requires_grad=array.dtype.kind == "f"),
        lambda array: array.astype(object),
    )
    for form in forms:
        given = [form(each) if isinstance(each, np.ndarray) else each for each in arguments]
        assert leaves(METRICS[name](*given)) == expected


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=60)
@given(data=st.data())
def test_nothing_but_a_sentence_leaves_a_metric(name: str, data: st.DataObject) -> None:
    arguments = list(ARGUMENTS[name])
    arrays = [place for place, each in enumerate(arguments) if isinstance(each, np.ndarray)]
    for place in data.draw(st.sets(st.sampled_from(arrays), min_size=1)):
        arguments[place] = data.draw(odd())
    with suppress(HarBenchError):
        METRICS[name](*arguments)
