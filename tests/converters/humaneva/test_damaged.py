"""HumanEva-I: damaged files are named, or mended and reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from har_bench.converters.humaneva import HumanEva, archives
from har_bench.converters.humaneva import release as release
from har_bench.converters.humaneva.calibration import COLOUR
from har_bench.converters.humaneva.mat import read_mat
from har_bench.converters.humaneva.sample import markers, write_c3d
from har_bench.errors import HarBenchError
from har_bench.samples import walking_person
from tests.humaneva_data import FUZZ, tables, write_mat, write_pickled

ROUNDS = FUZZ // 2
"""Files of each of nine kinds: each of them is read with its whole tree."""

# ---- damaged input


@pytest.mark.parametrize("text", ["", "1 2", "a b c", "nan 1 2", "1 2 0", "1 2 -2", "1 2 3 4"])
def test_a_damaged_ofs_is_named(own: Path, text: str) -> None:
    (own / "S1" / "Sync_Data" / "Jog_1_(C2).ofs").write_text(text)
    with pytest.raises(HarBenchError, match=r"Jog_1_\(C2\)\.ofs"):
        tables(own, "Validate/S1/Jog 1")


@pytest.mark.parametrize("text", ["", "1 2", "1 " * 22, "x " * 22, "inf " * 22])
def test_a_damaged_cal_costs_its_camera(own: Path, text: str) -> None:
    key = "Validate/S1/Jog 1"
    before = tables(own, key)[key]
    (own / "S1" / "Calibration_Data" / "BW2.cal").write_text(text)
    after = tables(own, key)[key]
    (reject,) = after.rejects
    assert (reject.source, reject.locator, reject.action) == ("S1/Calibration_Data/BW2.cal", "BW2", "dropped")
    assert reject.reason.startswith("BW2.cal holds" if text else "BW2.cal is empty")
    kept = [row for row in before.sequences.to_pylist() if row["camera"] != "BW2"]
    assert after.sequences.to_pylist() == kept


def test_without_a_single_camera_a_take_is_refused(own: Path) -> None:
    for path in (own / "S1" / "Calibration_Data").iterdir():
        path.write_text("nothing")
    with pytest.raises(HarBenchError, match=r"Calibration_Data holds no \.cal file that can be read \(C1\.cal holds 0"):
        tables(own, "Validate/S1/Jog 1")


@pytest.mark.parametrize("text", ["", "$LShoulderOffset = 50", "$LShoulderOffset = x\n$RShoulderOffset = 1"])
def test_a_damaged_mp_is_named(own: Path, text: str) -> None:
    (own / "S1" / "Mocap_Data" / "S1.mp").write_text(text)
    with pytest.raises(HarBenchError, match=r"S1\.mp"):
        tables(own, "Validate/S1/Jog 1")


def test_a_take_without_a_marker_is_named(own: Path) -> None:
    labels, points = markers(walking_person(60, 1))
    write_c3d(own / "S1" / "Mocap_Data" / "Jog_1.c3d", ["?" if label == "T10" else label for label in labels], points)
    with pytest.raises(HarBenchError, match=r"Jog_1\.c3d has no marker T10"):
        tables(own, "Validate/S1/Jog 1")


def test_a_segment_that_is_cut_off_is_named(own: Path) -> None:
    labels, points = markers(walking_person(60, 1))
    write_c3d(own / "S1" / "Mocap_Data" / "Jog_1.c3d", labels[:-2], points[:, :-2])
    with pytest.raises(HarBenchError, match=r"Jog_1\.c3d ends within the four points of the segment RRA"):
        tables(own, "Validate/S1/Jog 1")


@pytest.mark.parametrize(
    "content", [{}, {"Markers": np.zeros((3, 4))}, {"ParameterGroup": 1, "Markers": np.zeros((3, 4, 3))}]
)
def test_another_mat_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(HarBenchError, match=r"a\.mat holds no Markers"):
        read_mat(tmp_path / "a.mat")


def mutations(honest: bytes, rng: np.random.Generator) -> bytes:
    forged = bytearray(honest)
    reach = len(forged) if rng.integers(2) else min(len(forged), 4000)  # headers are where it hurts
    for position in rng.integers(0, reach, rng.integers(1, 6)):
        forged[position] = rng.integers(256)
    if not rng.integers(8):
        del forged[int(rng.integers(len(forged))) :]
    return bytes(forged)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """One tiny tree per format: its root, and the file to damage."""
    root = tmp_path_factory.mktemp("small")
    HumanEva.sample(root / "full", seed=2)
    folder = root / "full" / "S3"
    for path in (folder / "Mocap_Data" / "Walking_1.c3d", *(folder / "Sync_Data").glob("Walking*")):
        path.unlink()
    twin = Path(shutil.copytree(root / "full" / "S3", root / "twin" / "S3"))
    for path in sorted((twin / "Mocap_Data").glob("*.c3d")):
        write_mat(path.with_suffix(".mat"), path)
        path.unlink()
    for form in ("flat", "pickled"):
        (root / form).mkdir()
    arrays = {
        name: np.random.default_rng(0).normal(0, 1, (3, 15, 3 if name[0] == "3" else 2)).astype("f4")
        for chunk in ("Train/S1|Jog 1 chunk0", "Train/S1|Jog 1 chunk2")
        for name in (f"3d|{chunk}", *(f"2d|{chunk}|{camera}" for camera in COLOUR))
    }
    np.savez(root / "flat" / "a.npz", **arrays)
    write_pickled(root / "pickled", arrays)
    shutil.move(folder, root / "c3d" / "S3")
    return {
        "c3d": (root / "c3d", "S3/Mocap_Data/ThrowCatch_1.c3d"),
        "static": (root / "c3d", "S3/Mocap_Data/Static.c3d"),
        "cal": (root / "c3d", "S3/Calibration_Data/C2.cal"),
        "ofs": (root / "c3d", "S3/Sync_Data/ThrowCatch_1_(C3).ofs"),
        "mp": (root / "c3d", "S3/Mocap_Data/S3.mp"),
        "mat": (root / "twin", "S3/Mocap_Data/ThrowCatch_1.mat"),
        "flat": (root / "flat", "a.npz"),
        "pickled": (root / "pickled", archives.POSES),
        "pixels": (root / "pickled", archives.PIXELS),
    }


@pytest.mark.parametrize("form", ["c3d", "static", "cal", "ofs", "mp", "mat", "flat", "pickled", "pixels"])
def test_mutated_files_are_read_or_named(small: dict[str, tuple[Path, str]], form: str) -> None:
    """Whatever the bytes, the outcome is tables or one HarBenchError."""
    root, name = small[form]
    path = root / name
    honest = path.read_bytes()
    rng = np.random.default_rng(17)
    read, messages = 0, []
    try:
        for _ in range(ROUNDS):
            path.write_bytes(mutations(honest, rng))
            try:
                messages += [reject.reason for shard in tables(root).values() for reject in shard.rejects]
                read += 1
            except HarBenchError as error:
                messages.append(str(error))
    finally:
        path.write_bytes(honest)
    assert read + len(messages) >= ROUNDS
    assert messages
