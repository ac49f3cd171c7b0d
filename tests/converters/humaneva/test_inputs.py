"""HumanEva-I as people have it: other writers of its small texts, deeper folders, a folder per subject, archives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from har_bench.converter import Tables
from har_bench.converters.humaneva import HumanEva
from har_bench.errors import HarBenchError
from har_bench.storing.fingerprint import of_table
from tests.humaneva_data import convert, flat, tables, write_pickled
from tests.text_files import WRITERS

KEY = "Validate/S1/Jog 1"
TEXTS = ("S1/Calibration_Data/C2.cal", "S1/Sync_Data/Jog_1_(C2).ofs", "S1/Mocap_Data/S1.mp")

DIALECTS: dict[str, Callable[[str], bytes]] = {
    **WRITERS,
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "blanks": lambda text: text.replace("\n", "  \n\t").encode(),
}
OF_NUMBERS: dict[str, Callable[[str], bytes]] = {
    "commas": lambda text: ",".join(text.split()).encode(),
    "commas and blanks": lambda text: ", ".join(text.split()).encode(),
    "semicolons": lambda text: ";".join(text.split()).encode(),
    "semicolons and decimal commas": lambda text: ";".join(text.replace(".", ",").split()).encode(),
    "quotation marks": lambda text: " ".join(f'"{word}"' for word in text.split()).encode(),
    "one line": lambda text: " ".join(text.split()).encode(),
    "a header": lambda text: ("calibration of one camera\n" + text).encode(),
}


def same(one: Tables, other: Tables) -> bool:
    """Whether two shards hold the same, NaN being equal."""
    assert one.poses is not None
    assert other.poses is not None
    return of_table(one.poses) == of_table(other.poses) and one.sequences == other.sequences


@pytest.mark.parametrize(("name", "writer"), [*product(TEXTS, DIALECTS), *product(TEXTS[:2], OF_NUMBERS)])
def test_a_small_text_does_not_depend_on_who_wrote_it(own: Path, name: str, writer: str) -> None:
    before = tables(own, KEY)[KEY]
    (own / name).write_bytes((DIALECTS | OF_NUMBERS)[writer]((own / name).read_text()))
    after = tables(own, KEY)[KEY]
    assert after.rejects == []
    assert same(after, before)


@pytest.mark.parametrize(
    "text",
    [
        '$LShoulderOffset = "50";\n$RShoulderOffset = 47,5\n',
        "$RShoulderOffset=47.5\n$HeadOffset = unknown\n$LShoulderOffset=50",
        "name = value\n\n$ LShoulderOffset = 50\n$ RShoulderOffset = 47.5\n",
    ],
)
def test_measures_are_read_in_any_spelling(own: Path, text: str) -> None:
    before = tables(own, KEY)[KEY]
    (own / "S1" / "Mocap_Data" / "S1.mp").write_text(text)
    assert same(tables(own, KEY)[KEY], before)


# ---- where the files are


@pytest.mark.parametrize("place", ["HumanEva_I", "data/HumanEva_I", "data/raw/HumanEva_I"])
def test_the_subjects_may_lie_up_to_three_folders_deep(raw: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(raw, tmp_path / place)
    expected, found = tables(raw, KEY)[KEY], tables(tmp_path, KEY)[KEY]
    assert found.poses == expected.poses
    media = [f"{place}/{path}" for path in expected.sequences["media"].to_pylist()]
    assert found.sequences["media"].to_pylist() == media


def test_a_folder_per_subject_is_one_download(raw: Path, tmp_path: Path) -> None:
    for subject in ("S1", "S3", "S4"):
        shutil.copytree(raw / subject, tmp_path / f"HumanEva_I_{subject}" / subject)
    expected, found = tables(raw), tables(tmp_path)
    assert set(found) == set(expected)
    assert found[KEY].poses == expected[KEY].poses


def test_one_subject_alone_may_be_given(raw: Path) -> None:
    expected, found = tables(raw, KEY)[KEY], tables(raw / "S1", KEY)[KEY]
    assert set(tables(raw / "S1")) == {key for key in tables(raw) if "/S1/" in key}
    assert found.poses == expected.poses
    media = [path.removeprefix("S1/") for path in expected.sequences["media"].to_pylist()]
    assert found.sequences["media"].to_pylist() == media


def test_two_copies_of_a_subject_are_not_chosen_between(raw: Path, tmp_path: Path) -> None:
    for place in ("new", "old"):
        shutil.copytree(raw / "S1", tmp_path / place / "S1")
    with pytest.raises(HarBenchError, match=r"new/S1 and .*old/S1 are the same subject; remove one of them"):
        HumanEva().discover(tmp_path)


@pytest.mark.parametrize("form", ["plain", "pickled"])
def test_an_archive_may_lie_deeper_but_once(raw: Path, tmp_path: Path, form: str) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    if form == "plain":
        np.savez(folder / "all.npz", **flat(raw))
    else:
        write_pickled(folder, flat(raw))
    assert convert(tmp_path, tmp_path / "store").sequences.num_rows > 0
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(folder, tmp_path / "copy")
    with pytest.raises(HarBenchError, match="both hold HumanEva; give one of these files"):
        HumanEva().discover(tmp_path)


def test_when_nothing_can_be_read_it_says_how_much_and_why(own: Path, tmp_path: Path) -> None:
    for path in own.glob("S*/Calibration_Data/*.cal"):
        path.unlink()
    with pytest.raises(HarBenchError, match=r"nothing is left of humaneva: all \d+ records") as caught:
        convert(own, tmp_path / "store")
    assert "Calibration_Data holds no .cal file; add those of C1 to BW4" in str(caught.value)


def test_poses_of_other_joints_leave_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", **{"3d|Train/S1|Walking 1 chunk0": np.zeros((4, 17, 3), np.float32)})
    with pytest.raises(HarBenchError, match=r"all\.npz, Train/S1 Walking 1 chunk0: no frames of 15 joints in 3D"):
        convert(tmp_path, tmp_path / "store")
