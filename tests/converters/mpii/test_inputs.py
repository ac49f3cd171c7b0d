"""MPII as people have it: deeper folders, archives, several files of one form."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import scipy.io

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.converters.mpii.tables import tompson
from har_bench.errors import HarBenchError
from tests.mpii_data import RELEASE_FILE, convert, hourglass_row, hrnet_row, write_sets

FIRST = tompson().images[0]


# ---- where the files are


@pytest.mark.parametrize("place", ["mpii_human_pose_v1_u12_2", "data/mpii/annot", "a/b/c"])
def test_any_form_may_lie_up_to_three_folders_deep(sample: Path, converted: Tables, tmp_path: Path, place: str) -> None:
    (tmp_path / "release" / place).mkdir(parents=True)
    shutil.copy(sample / RELEASE_FILE, tmp_path / "release" / place)
    assert convert(tmp_path / "release").sequences == converted.sequences
    write_sets(tmp_path / "hourglass" / place, mpii_annotations=[hourglass_row()])
    assert convert(tmp_path / "hourglass").sequences.num_rows == 1
    write_sets(tmp_path / "hrnet" / place, train=[hrnet_row()])
    assert convert(tmp_path / "hrnet").sequences.num_rows == 1


FORMS: dict[str, Callable[[Path], None]] = {
    "release": lambda path: scipy.io.savemat(path.with_suffix(".mat"), {"RELEASE": 1.0}),
    "hourglass": lambda path: path.with_suffix(".json").write_text(json.dumps([hourglass_row()])),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("form", FORMS)
def test_two_files_of_one_form_are_not_chosen_between(tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        FORMS[form](tmp_path / name)
    with pytest.raises(HarBenchError, match=r"one\.\w+ and .*two\.\w+ both hold annotations of MPII; give one"):
        MPII().discover(tmp_path)


def test_a_packed_twin_is_no_second_file(tmp_path: Path) -> None:
    text = json.dumps([hourglass_row()])
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text.encode()))
    assert [path.name for path in MPII().discover(tmp_path)[0].sources] == ["a.json"]


def test_two_files_of_one_set_are_not_chosen_between(tmp_path: Path) -> None:
    write_sets(tmp_path, valid=[hrnet_row(FIRST)], mpii_val=[hrnet_row(FIRST)])
    with pytest.raises(HarBenchError, match="are the same set of MPII; give one of them"):
        MPII().discover(tmp_path)
