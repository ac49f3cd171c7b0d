"""A stranger's baselines: by path, and as an installed package with an entry point."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import har_bench
from har_bench import Store, registry
from tests import contributing
from tests.sampled import Samples


@pytest.fixture(scope="module")
def store(samples: Samples) -> Store:
    return samples("h36m")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A site folder with the example of CONTRIBUTING.md as an installer leaves it."""
    (tmp_path / "linear_lift.py").write_text(contributing.files()["linear_lift.py"])
    metadata = tmp_path / "linear_lift-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: linear-lift\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[har_bench.baselines]\nlinear = linear_lift:Linear\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.available.cache_clear()
    yield tmp_path
    registry.available.cache_clear()


@pytest.mark.parametrize("name", ["linear", "linear_lift:Linear"])
def test_a_stranger_s_model_trains_and_is_scored_like_ours(name: str, installed: Path, store: Store) -> None:
    pytest.importorskip("torch")
    result = har_bench.run(
        name, store, protocol="h36m/mpjpe", settings={"lr": 0.01, "epochs": 6, "batch": 128, "device": "cpu"}
    )
    mean = har_bench.run("mean-pose", store, protocol="h36m/mpjpe")
    assert result.model == name
    assert result["MPJPE"] < mean["MPJPE"]
    assert result.speed["parameters"] == (17 * 2 + 1) * 17 * 3


def test_an_installed_model_is_on_the_command_line(installed: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); from har_bench.cli import main; main(['list'])"
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "one linear layer" in listed.stdout
