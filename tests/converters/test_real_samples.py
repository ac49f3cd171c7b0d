"""One command each: every real sample converts, without an exception and without losing count of what it dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

import har_bench
from har_bench import cli
from tests.golden import REAL

pytestmark = pytest.mark.real

PLACES = {
    "ava": ["ava", "lart/tracklets"],
    "coco": ["coco/*/*val*.json*", "coco/*/annotations/*.json", "coco/fce_keypoints/gt_dataset.json"],
    "h36m": ["h36m/h36m_raw_mini", "h36m/h36m_raw_full"],
    "humaneva": ["humaneva/humaneva_synth_raw", "humaneva/humaneva15_flat.npz"],
    "merl": ["merl"],
    "mpii": ["mpii/release_like", "mpii/bearpaw", "mpii/hg_json"],
    "ntu60": ["ntu60", "ntu60/derived/*"],
    "penn_action": ["penn_action"],
}
SAMPLES = [
    (dataset, path)
    for dataset, patterns in PLACES.items()
    for pattern in patterns
    for path in sorted(REAL.glob(pattern))
    if not any(word in path.name for word in ("pred", "results", "README"))  # what lies beside the datasets
]


def test_there_are_samples_of_every_dataset() -> None:
    assert {dataset for dataset, _ in SAMPLES} == set(PLACES)


@pytest.mark.parametrize(("dataset", "path"), SAMPLES, ids=lambda each: each.name if isinstance(each, Path) else each)
def test_a_real_sample_converts(dataset: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["convert", dataset, str(path), str(tmp_path / "store"), "--jobs", "1", "--quiet"])
    store = har_bench.open_store(tmp_path / "store")
    store.validate()
    assert store.manifest.sources
    assert store.manifest.rows.get("rejects", 0) == store.manifest.rejects
