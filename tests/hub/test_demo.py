"""The walk that a newcomer takes first; tests/house/test_package.py takes it with everything installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_demo_leaves_out_models_whose_libraries_are_missing_and_says_so(tmp_path: Path) -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(('torch', 'lightning', 'safetensors')))"
    program = f"{block}; from har_bench.cli import main; main(['demo', {str(tmp_path / 'demo')!r}])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    results = {path.name for path in (tmp_path / "demo" / "results").iterdir()}
    assert {"h36m-mpjpe.mean-pose.json", "mpii-pckh.oracle-noise.json"} <= results
    assert "h36m-mpjpe.videopose3d.json" not in results
    assert (tmp_path / "demo" / "site" / "index.html").exists()
    assert "left out: the baseline 'videopose3d' cannot be imported" in said
