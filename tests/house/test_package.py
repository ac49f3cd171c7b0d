"""What is built is what is here, and it works where this repository is not."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from har_bench import registry
from tests.golden import ROOT
from tests.house.environments import Environment, copy_of_the_tree, wheel_of
from tests.house.sources import HUB, SPOKES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ILLEGAL = set('<>:"|?*\\')
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(copy_of_the_tree(tmp_path_factory.mktemp("tree")))


def test_the_wheel_holds_every_file_and_no_other(wheel: Path) -> None:
    """Whichever folders there are: none has to be listed."""
    there = set()
    for folder in (HUB, *SPOKES):
        inside = Path() if folder == HUB else Path(HUB)
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        there |= {(inside / path.relative_to(ROOT)).as_posix() for path in files}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == there


def test_every_kind_of_data_is_of_some_file() -> None:
    for pattern in PROJECT["tool"]["setuptools"]["package-data"]["*"]:
        assert any(list((ROOT / folder).rglob(pattern)) for folder in (HUB, *SPOKES)), pattern


def test_it_works_where_this_repository_is_not(wheel: Path, tmp_path: Path) -> None:
    """In an environment that has the libraries and this wheel: the demo, whose files have names that Windows takes."""
    pytest.importorskip("lightning")
    environment = Environment(tmp_path / "elsewhere")
    environment.install(wheel)
    place = environment.run("python", "-c", "import har_bench; print(har_bench.__file__)").strip()
    assert Path(place).is_relative_to(environment.home / "env")
    said = environment.run("har-bench", "demo")
    assert "left out" not in said
    demo = environment.work / "demo"
    models = {path.stem.partition(".")[2] for path in (demo / "results").iterdir()}
    assert models == {name for name in registry.available("baselines") if not registry.load("baselines", name).needs}
    written = [path.relative_to(demo) for path in demo.rglob("*")]
    assert [path for path in written if not all(map(legal, path.parts))] == []
    assert len({path.as_posix().lower() for path in written}) == len(written)
    assert not [path for path in written if path.suffix in {".partial", ".unfinished"}]


def legal(name: str) -> bool:
    """Whether Windows takes a name."""
    stem = PurePosixPath(name).name.split(".")[0].lower()
    return not ILLEGAL & set(name) and name.isprintable() and name[-1] not in ". " and stem not in RESERVED
