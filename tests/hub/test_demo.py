"""The walk that a newcomer takes first; tests/house/test_package.py takes it with everything installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from har_bench import HarBenchError, registry
from har_bench.cli.demo import MARK, demo


def test_the_demo_leaves_out_models_whose_libraries_are_missing_and_says_so(tmp_path: Path) -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(('torch', 'lightning', 'safetensors')))"
    program = f"{block}; from har_bench.cli import main; main(['demo', {str(tmp_path / 'demo')!r}])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    results = {path.name for path in (tmp_path / "demo" / "results").iterdir()}
    assert {"h36m-mpjpe.mean-pose.json", "mpii-pckh.oracle-noise.json"} <= results
    assert "h36m-mpjpe.videopose3d.json" not in results
    assert (tmp_path / "demo" / "site" / "index.html").exists()
    assert "left out: the baseline 'videopose3d' cannot be imported" in said


@pytest.fixture
def nothing_to_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo without protocols, whose page is not built."""
    monkeypatch.setattr(registry, "available", lambda kind: {})
    monkeypatch.setattr(registry, "load", lambda kind, name: lambda results, site: None)


@pytest.mark.usefixtures("nothing_to_walk")
def test_a_demo_replaces_a_demo_whole_or_half_and_an_empty_folder_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for there in ((), ("stores/half",), ("results/old.json", MARK)):
        for name in there:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        demo(folder, say=lambda text: None)
        assert [path.name for path in folder.iterdir()] == [MARK]
    (folder / MARK).unlink()
    demo(folder, say=lambda text: None)
    (folder / MARK).unlink()
    (folder / "thesis.tex").touch()
    for place in (folder, folder / "thesis.tex"):
        with pytest.raises(HarBenchError, match="name a"):
            demo(place, say=lambda text: None)
    assert (folder / "thesis.tex").exists()
