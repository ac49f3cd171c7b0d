"""Human3.6M as people have it: a folder per archive, h36m-fetch's, other spellings, deeper folders, archives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import har_bench
from har_bench.converters.h36m import Human36M
from har_bench.converters.h36m.archives import NPZ
from har_bench.converters.h36m.sample import WITH_PIXELS
from har_bench.errors import HarBenchError
from har_bench.samples import walking_person
from har_bench.storing.fingerprint import of_table
from tests.h36m_raw import tables, tree


def moved(raw: Path, root: Path, place: Callable[[str, str, str], str]) -> Path:
    """The sample's files, each where ``place`` of subject, kind and name puts it."""
    for path in raw.rglob("*.cdf"):
        subject, _, kind, name = path.relative_to(raw).parts
        target = root / place(subject, kind, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.copy(raw / "metadata.xml", root)
    return root


LAYOUTS: dict[str, Callable[[str, str, str], str]] = {
    "official": lambda subject, kind, name: f"{subject}/MyPoseFeatures/{kind}/{name}",
    "without MyPoseFeatures": lambda subject, kind, name: f"{subject}/{kind}/{name}",
    "a folder per archive": lambda subject, kind, name: (
        f"Poses_{kind}_{subject}/{subject}/MyPoseFeatures/{kind}/{name}"
    ),
    "a bare folder per archive": lambda subject, kind, name: f"Poses_{kind}_{subject}/{name}",
    "h36m-fetch": lambda subject, kind, name: f"extracted/{subject}/Poses_{kind}/{name}",
    "one folder deeper": lambda subject, kind, name: f"h36m/{subject}/MyPoseFeatures/{kind}/{name}",
    "two folders deeper": lambda subject, kind, name: f"training/subject/{subject}/MyPoseFeatures/{kind}/{name}",
    "three folders deeper": lambda subject, kind, name: f"a/b/c/{subject}/MyPoseFeatures/{kind}/{name}",
    "underscores": lambda subject, kind, name: f"{subject}/MyPoseFeatures/{kind}/{name.replace(' ', '_')}",
    "h36m-fetch with underscores": lambda subject, kind, name: (
        f"extracted/{subject}/Poses_{kind}/{name.replace(' ', '_')}"
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_tables(raw: Path, tmp_path: Path, layout: str) -> None:
    expected, found = tables(raw), tables(moved(raw, tmp_path, LAYOUTS[layout]))
    assert list(found) == list(expected)
    for key, shard in expected.items():
        assert found[key].rejects == []
        assert found[key].sequences == shard.sequences
        assert of_table(found[key].poses) == of_table(shard.poses)


def test_one_subject_alone_may_be_given(raw: Path) -> None:
    assert set(tables(raw / "S9")) == {key for key in tables(raw) if key.startswith("S9/")}
    assert set(tables(raw / "S9" / "MyPoseFeatures" / "D3_Positions")) == set(tables(raw / "S9"))


def test_two_spellings_of_one_file_are_not_chosen_between(own: Path) -> None:
    folder = own / "S9" / "MyPoseFeatures" / "D3_Positions"
    shutil.copy(folder / "Walking 1.cdf", folder / "Walking_1.cdf")
    with pytest.raises(HarBenchError, match=r"Walking 1\.cdf and .*Walking_1\.cdf hold the same sequence; remove one"):
        Human36M().discover(own)


def test_two_copies_are_not_chosen_between(raw: Path, tmp_path: Path) -> None:
    for place in ("new", "old"):
        shutil.copytree(raw, tmp_path / place)
    with pytest.raises(HarBenchError, match=r"hold the same sequence; remove one of them"):
        Human36M().discover(tmp_path)


@pytest.mark.parametrize("place", ["a", "a/b", "a/b/c"])
def test_the_h5_archive_and_the_npz_may_lie_deeper(tmp_path: Path, place: str) -> None:
    pose = walking_person(8).astype(np.float64)
    folder = tmp_path / "h5" / place / "S9" / "MyPoses" / "3D_positions"
    folder.mkdir(parents=True)
    with h5py.File(folder / "Walking_1.h5", "w") as file:
        file["3D_positions"] = pose.reshape(8, 96).T
    (tmp_path / "npz" / place).mkdir(parents=True)
    positions = np.array({"S9": {"Walking 1": (pose / 1000).astype(np.float32)}}, object)
    np.savez(tmp_path / "npz" / place / NPZ, allow_pickle=True, positions_3d=positions)
    for raw in (tmp_path / "h5", tmp_path / "npz"):
        assert list(tables(raw)) == ["S9/Walking 1"]


def test_folders_of_images_are_not_entered(raw: Path, tmp_path: Path) -> None:
    """h36m-fetch writes two million files there."""
    shutil.copytree(raw / "S9" / "MyPoseFeatures", tmp_path / "processed" / "S9" / "imageSequence" / "MyPoseFeatures")
    with pytest.raises(HarBenchError, match="holds no Human3"):
        Human36M().discover(tmp_path)


# ---- other parts of the dataset


def test_h36m_fetchs_own_h5_files_are_called_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "processed" / "S9" / "Walking-1" / "annot.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    for raw in (tmp_path, path):
        with pytest.raises(HarBenchError, match=r"annot\.h5 is h36m-fetch's selection of frames.*; give its extracted"):
            Human36M().discover(raw)


def test_the_universal_skeleton_is_called_what_it_is(raw: Path, tmp_path: Path) -> None:
    shutil.copytree(
        raw / "S1" / "MyPoseFeatures" / "D3_Positions_mono",
        tmp_path / "extracted" / "S1" / "Poses_D3_Positions_mono_universal",
    )
    shutil.copytree(
        raw / "S1" / "MyPoseFeatures" / "D2_Positions", tmp_path / "extracted" / "S1" / "Poses_D2_Positions"
    )
    with pytest.raises(
        HarBenchError, match=r"mono_universal holds poses that were fitted to one skeleton.*; add Poses_D3"
    ):
        Human36M().discover(tmp_path)


def test_pixels_alone_are_not_enough(raw: Path, tmp_path: Path) -> None:
    shutil.copytree(raw / "S1" / "MyPoseFeatures" / "D2_Positions", tmp_path / "S1" / "MyPoseFeatures" / "D2_Positions")
    with pytest.raises(HarBenchError, match=r"D2_Positions holds pixels alone; add Poses_D3_Positions_S\*\.tgz"):
        Human36M().discover(tmp_path)


# ---- text, and nothing left


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_metadata_xml_does_not_depend_on_who_wrote_it(own: Path, encoding: str) -> None:
    key = "/".join(WITH_PIXELS)
    before = tables(own, key)[key]
    path = own / "metadata.xml"
    path.write_bytes(path.read_text().replace("\n", "\r\n").encode(encoding))
    after = tables(own, key)[key]
    assert after.sequences == before.sequences
    assert after.cameras == before.cameras


def test_when_nothing_can_be_read_it_says_which_file_and_why(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "S9", "Walking 1", np.zeros((5, 32, 3)))
    (raw / "S9" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf").write_bytes(b"no cdf")
    with pytest.raises(
        HarBenchError, match=r"Walking 1\.cdf is not a readable CDF file .*; unpack or download it again"
    ):
        har_bench.convert("h36m", raw, tmp_path / "store", jobs=1, quiet=True)
