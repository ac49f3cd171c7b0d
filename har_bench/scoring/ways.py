"""How predictions are taken: which protocol, what becomes of gaps, and the remedies that a user asks for by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

import numpy as np

from har_bench.arrays import Anything
from har_bench.errors import HarBenchError, unknown
from har_bench.protocol import Protocol

Missing = Literal["error", "count-as-error"]
Unit = Literal["mm", "cm", "m"]

MM: dict[str, float] = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
DIMENSIONS = {"keypoints": 2, "keypoints_3d": 3}


@dataclass(frozen=True)
class Remedies:
    """What is done to predicted coordinates before they are scored; it stands in the result's options.

    Attributes:
        unit: of predicted 3D joints.
        one_based: whether predicted pixels are counted from 1.
        axes: which predicted coordinate each of ours is, such as ``x,-y,-z`` in 3D or ``y,x`` in the image.
        approximate: whether joints of another layout are accepted that are not exactly the protocol's.
    """

    unit: Unit = "mm"
    one_based: bool = False
    axes: str = ""
    approximate: bool = False

    def __post_init__(self) -> None:
        """Refuse axes that are none.

        Raises:
            HarBenchError: they name a coordinate twice, or something else.
        """
        if self.unit not in MM:
            raise unknown("unit", self.unit, MM)
        names = self.axes.lower().replace(" ", "").split(",")
        proper = sorted(name.removeprefix("-") for name in names) in (["x", "y"], ["x", "y", "z"])
        if self.axes and not (proper and all(re.fullmatch("-?[xyz]", name) for name in names)):
            raise HarBenchError(f"the axes {self.axes!r} are none; give such as x,-y,-z, or y,x for 2D joints")

    @classmethod
    def taken(cls, options: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The remedies among a result's options, and the other options."""
        names = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in options.items() if name in names}), {
            name: value for name, value in options.items() if name not in names
        }

    @property
    def given(self) -> dict[str, Any]:
        """What differs from taking predictions as they come, by name."""
        values = {"unit": self.unit, "one_based": self.one_based, "axes": self.axes, "approximate": self.approximate}
        return {name: value for name, value in values.items() if value not in ("mm", False, "")}

    def of(self, column: str, values: Anything) -> Anything:
        """The coordinates (N, J, D) of a column, mended; other columns as they are.

        Raises:
            HarBenchError: a remedy that is not for coordinates of this kind.
        """
        dimensions = DIMENSIONS.get(column)
        if dimensions is None or not self.given.keys() - {"approximate"}:
            return values
        self._fits(column, dimensions)
        mended: Anything = values.astype(np.float64) * (MM[self.unit] if dimensions == 3 else 1) - int(self.one_based)
        if self.axes:
            names = self.axes.lower().replace(" ", "").split(",")
            turned = [mended[..., "xyz".index(name[-1])] * (-1 if name[0] == "-" else 1) for name in names]
            mended = np.stack(turned, axis=-1)
        return mended

    def _fits(self, column: str, dimensions: int) -> None:
        if dimensions == 2 and self.unit != "mm":
            raise HarBenchError(f"--unit is for 3D joints, and {column} are pixels; leave it out")
        if dimensions == 3 and self.one_based:
            raise HarBenchError(f"--one-based is for pixels, and {column} are mm; leave it out")
        if self.axes and len(self.axes.split(",")) != dimensions:
            raise HarBenchError(f"--axes {self.axes} are for other joints than {column}; name {dimensions} of them")


@dataclass(frozen=True)
class Way:
    """How predictions are to be scored; what a worker process needs to do the same as this one.

    Attributes:
        protocol: an empty accumulator of the protocol.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; None is the protocol's one with their number of joints.
        remedies: what is done to predicted coordinates first.
        columns: columns of the truth to read besides the protocol's own, where predictions answer single rows.
    """

    protocol: Protocol
    missing: Missing = "error"
    skeleton: str | None = None
    remedies: Remedies = field(default_factory=Remedies)
    columns: tuple[str, ...] = ()
