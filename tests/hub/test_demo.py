"""The walk that a newcomer takes first."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.parametrize("absent", [(), ("torch", "lightning", "safetensors")], ids=["everything", "no torch"])
def test_the_demo_runs_whatever_is_installed(absent: tuple[str, ...], tmp_path: Path) -> None:
    """Models whose libraries are missing are left out, and said to be; the others learn on every dataset's sample."""
    block = f"import sys; sys.modules.update(dict.fromkeys({absent!r}))"
    program = f"{block}; from har_bench.cli import main; main(['demo', {str(tmp_path / 'demo')!r}])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    results = {path.name for path in (tmp_path / "demo" / "results").iterdir()}
    assert {"h36m-mpjpe.mean-pose.json", "mpii-pckh.oracle-noise.json"} <= results
    assert (tmp_path / "demo" / "site" / "index.html").exists()
    if absent:
        assert "left out: the baseline 'videopose3d' cannot be imported" in said
    assert ("h36m-mpjpe.videopose3d.json" in results) == (not absent and find_spec("lightning") is not None)
