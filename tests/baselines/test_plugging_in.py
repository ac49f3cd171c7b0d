"""A stranger's baselines: by path, and as an installed package with an entry point."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import har_bench
from har_bench import Store, registry

PACKAGE = '''
"""A stranger's lifting model, whole: everybody's knees are where the average person's are."""

from dataclasses import dataclass

import torch
from torch import nn

from har_bench.lifting.lifter import Lifter


class Constant(nn.Module):
    def __init__(self, joints):
        super().__init__()
        self.pose = nn.Parameter(torch.zeros(joints, 3))

    def forward(self, points):
        return self.pose.expand(*points.shape[:2], -1, -1)


@dataclass
class Statue(Lifter):
    """One pose for everybody."""

    summary = "one pose for everybody, learnt by gradient descent"

    def network(self, sizes):
        return Constant(sizes.joints_out)
'''


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("h36m")
    registry.load("converters", "h36m").sample(home / "raw")
    return har_bench.convert("h36m", home / "raw", home / "store", jobs=1, quiet=True)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A site folder with the stranger's package as an installer leaves it."""
    (tmp_path / "statue_lift.py").write_text(PACKAGE)
    metadata = tmp_path / "statue_lift-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: statue-lift\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[har_bench.baselines]\nstatue = statue_lift:Statue\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.available.cache_clear()
    yield tmp_path
    registry.available.cache_clear()


@pytest.mark.parametrize("name", ["statue", "statue_lift:Statue"])
def test_a_stranger_s_model_trains_and_is_scored_like_ours(name: str, installed: Path, store: Store) -> None:
    pytest.importorskip("torch")
    result = har_bench.run(name, store, protocol="h36m/mpjpe", lr=0.05, epochs=6, batch=128, device="cpu")
    mean = har_bench.run("mean-pose", store, protocol="h36m/mpjpe")
    assert result.model == name
    assert result["MPJPE"] == pytest.approx(mean["MPJPE"], rel=0.2)
    assert result.speed["parameters"] == 51


def test_an_installed_model_is_on_the_command_line(installed: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); from har_bench.cli import main; main(['list'])"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "statue" in listed.stdout
