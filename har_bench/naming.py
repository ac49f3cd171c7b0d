"""Canonical names: the printable name of one exact way of scoring, printed and read here and nowhere else.

A canonical name is ``dataset/measure:recipe,option=value``, such as ``h36m/mpjpe:videopose3d,every=64``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from har_bench.errors import HarBenchError


class Name(NamedTuple):
    """A canonical name in its parts.

    Attributes:
        protocol: ``dataset/measure``, or a plug-in's ``package.module:Name``.
        recipe: None where the name leaves it open.
        options: as texts.
    """

    protocol: str
    recipe: str | None
    options: dict[str, str]


def canonical(protocol: str, recipe: str, options: Mapping[str, Any]) -> str:
    """The printable name of one exact way of scoring, such as ``h36m/mpjpe:videopose3d,every=64``."""
    return ",".join([f"{protocol}:{recipe}", *(f"{key}={value}" for key, value in sorted(options.items()))])


def parsed(name: str) -> Name:
    """The parts of a canonical name.

    >>> parsed("h36m/mpjpe:videopose3d,every=64")
    Name(protocol='h36m/mpjpe', recipe='videopose3d', options={'every': '64'})

    Raises:
        HarBenchError: something after the recipe is not ``option=value``.
    """
    head, _, tail = name.partition(":")
    if not tail or "/" not in head:  # package.module:Name has no slash
        return Name(name, None, {})
    recipe, *rest = tail.split(",")
    options: dict[str, str] = {}
    last = ""
    for item in rest:
        key, equals, value = item.partition("=")
        if equals:
            last, options[key] = key, value
        elif last:  # one more of several names, as in cameras=54138969,60457274
            options[last] += f",{item}"
        else:
            raise HarBenchError(f"{item!r} in {name} is not option=value; write it so")
    return Name(head, recipe, options)
