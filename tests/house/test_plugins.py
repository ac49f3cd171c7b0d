"""Every plug-in describes itself."""

from __future__ import annotations

import pytest

from har_bench import registry
from har_bench.converter import Converter
from har_bench.protocol import Protocol


@pytest.mark.parametrize("name", registry.available("converters"))
def test_every_converter_describes_itself(name: str) -> None:
    converter = registry.load("converters", name)
    assert issubclass(converter, Converter)
    for attribute in ("dataset", "version", "summary", "raw", "citation", "licence"):
        assert getattr(converter, attribute).strip()
    assert converter.sample.__func__ is not Converter.sample.__func__


@pytest.mark.parametrize("name", registry.available("protocols"))
def test_every_protocol_and_recipe_describes_itself(name: str) -> None:
    protocol = registry.load("protocols", name)
    assert issubclass(protocol, Protocol)
    assert protocol.name == name
    assert protocol.dataset in {registry.load("converters", each).dataset for each in registry.available("converters")}
    assert protocol.summary
    assert protocol.version
    for key, recipe in protocol.recipes.items():
        assert (recipe.name, bool(recipe.about), bool(recipe.oracle), bool(recipe.cite)) == (key, True, True, True)
        assert protocol(key).canonical.startswith(f"{name}:{key}")
    for metric in protocol.metrics:
        assert metric.unit in {"%", "mm", "px"}
        assert metric.about


@pytest.mark.parametrize("name", registry.available("baselines"))
def test_every_baseline_describes_itself(name: str) -> None:
    baseline = registry.load("baselines", name)
    assert baseline.summary
    assert baseline()
