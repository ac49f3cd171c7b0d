"""Losses and measures: by hand, and beside the numbers of the original program."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from har_bench.baselines.deephar.losses import elastic_net, pose_losses
from har_bench.protocols.mpii import pckh
from har_bench.protocols.mpjpe import mpjpe, pck3d
from tests.golden import REAL

ABSENT = -1e9


@cache
def golden() -> dict[str, npt.NDArray[Any]]:
    path = REAL / "models/deephar_data/measures_losses.npz"
    if not path.is_file():
        return {}
    with np.load(path) as file:
        return dict(file)


def test_a_pose_by_hand() -> None:
    """One of two joints is known, 0.1 and 0.2 off; the other one is hidden and said to be as likely as not there."""
    truth = torch.tensor([[[0.5, 0.5, 1.0], [ABSENT, ABSENT, 0.0]]])
    predicted = torch.tensor([[[0.6, 0.7, 0.8], [0.3, 0.3, 0.5]]], requires_grad=True)
    seen = 0.01 * (-math.log(0.8) - math.log(0.5)) / 2
    found = pose_losses(predicted, truth, "l1l2")
    assert found.item() == pytest.approx((0.3 + 0.05) / 2 + seen, rel=1e-5)
    crossed = 0.01 * -(math.log(0.6 * 0.4) + math.log(0.7 * 0.3)) / 4
    all_terms = pose_losses(predicted, truth)
    assert all_terms.item() == pytest.approx((0.3 + 0.05) / 2 + crossed + seen, rel=1e-5)
    all_terms.sum().backward()  # type: ignore[no-untyped-call]
    gradient = predicted.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient[0, 1, :2].tolist() == [0, 0], "what is not known teaches nothing"


def test_nothing_known_is_no_distance() -> None:
    truth = torch.full((1, 3, 3), ABSENT)
    truth[..., -1] = 0
    found = pose_losses(torch.full((1, 3, 3), 0.5), truth, "l1")
    assert found.item() == pytest.approx(-0.01 * math.log(0.5), rel=1e-5)


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in golden() if name.startswith(("loss_", "objective_"))])
def test_losses_of_the_original(name: str) -> None:
    truth, predicted = (torch.from_numpy(golden()[f"l_{which}"]) for which in ("true", "pred"))
    kind: Any = name.rpartition("_")[2]
    if name == "objective_elasticnet":
        found = elastic_net(predicted[..., :2], truth[..., :2])
    else:
        found = pose_losses(predicted, truth, kind)
    if "clip" in name:
        found = found.reshape(2, 2).mean(dim=1)
    np.testing.assert_allclose(found.numpy(), golden()[name], rtol=2e-6)


@pytest.mark.real
def test_measures_of_the_original_are_our_protocols() -> None:
    values = golden()
    truth = np.where(values["yt"] < 0, np.nan, values["yt"])[:, 2:]
    for name, at in (("pckh", 0.5), ("pckh02", 0.2)):
        found = pckh(values["yp"][:, 2:], truth, values["hs"][:, 0], at=at)
        assert found.hit.sum() / found.counted.sum() == pytest.approx(values[name].item())
    known = (values["yt"] > -1e6).all(axis=-1)
    flat = [np.pad(values[name][known], [(0, 0), (0, 1)])[None] for name in ("yp", "yt")]
    assert mpjpe(*flat) == pytest.approx(values["mde"].item())
    assert pck3d(values["p3"][:, 1:], values["y3"][:, 1:]) / 100 == pytest.approx(values["pck3d"].item())
    assert mpjpe(values["p3"], values["y3"]) == pytest.approx(values["mde3"].item())
