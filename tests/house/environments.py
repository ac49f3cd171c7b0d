"""The package as strangers have it: built from a copy of the tree, and installed where this repository is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.golden import ROOT
from tests.house.sources import HUB, SPOKES

NEEDED = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
NOT_A_NEWCOMERS = ("PYTHON", "PIP_", "VIRTUAL_", "HAR_BENCH_")
"""What the variables begin with that would make an environment another one than a newcomer has."""

MACHINE_CODE = "sealed-*.nb[ci]"
"""Loops as they were compiled here, each for its module's file of that size and that time."""


def copy_of_the_tree(to: Path) -> Path:
    """What a package is built from, without what lies about beside it but the machine code of its loops."""
    for folder in (HUB, *SPOKES):
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("*.pyc"))
    for name in NEEDED:
        shutil.copy2(ROOT / name, to / name)
    return to


def wheel_of(tree: Path) -> Path:
    """Build the wheel of a folder that has a pyproject.toml, as every installer does, without the network."""
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, "dist"], cwd=tree, capture_output=True, check=True)
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


class Environment:
    """A virtual environment with this one's libraries, har_bench excepted, in which pip never asks the network.

    Attributes:
        home: its folder; commands run in its subfolder ``work``, and nothing of this repository is on their path.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.work = home, home / "work"
        self.work.mkdir(parents=True)
        venv.create(home / "env", symlinks=os.name != "nt")
        libraries = home / "libraries"
        libraries.mkdir()
        for folder in (Path(each) for each in sys.path if Path(each).name in {"site-packages", "dist-packages"}):
            for found in folder.iterdir():
                if HUB not in found.name and found.suffix != ".pth" and not (libraries / found.name).exists():
                    (libraries / found.name).symlink_to(found, target_is_directory=found.is_dir())
        (site,) = (home / "env").glob("[Ll]ib/**/site-packages")
        (site / "libraries.pth").write_text(f"{libraries}\n", "utf-8")
        for name, home_of_it, main in (("pip", "pip._internal.cli.main", "main"), ("pytest", "pytest", "main")):
            script = self.scripts / name
            called = f"if __name__ == '__main__':\n    raise SystemExit({main}())\n"
            script.write_text(f"#!{self.scripts / 'python'}\nfrom {home_of_it} import {main}\n{called}", "utf-8")
            script.chmod(0o755)

    def install(self, wheel: Path) -> None:
        """Install a wheel of this repository; loops that were compiled here need not be compiled again there."""
        self.run("pip", "install", "--no-deps", wheel)
        (package,) = (self.home / "env").glob(f"[Ll]ib/**/site-packages/{HUB}")
        for folder in (HUB, *SPOKES):
            installed = package if folder == HUB else package / folder
            for code in (ROOT / folder).rglob(MACHINE_CODE):
                module = code.parents[1] / f"{code.name.removeprefix('sealed-').partition('.')[0]}.py"
                copy = installed / module.relative_to(ROOT / folder)
                if copy.exists():  # machine code outlives its module
                    shutil.copystat(module, copy)
                    shutil.copy2(code, copy.parent / "__pycache__")

    @property
    def scripts(self) -> Path:
        """Where the environment's commands are."""
        return self.home / "env" / ("Scripts" if os.name == "nt" else "bin")

    def run(self, *command: str | Path) -> str:
        """Run one of its commands; what it prints. One that fails is an AssertionError with what it said."""
        ours = {name: text for name, text in os.environ.items() if not name.startswith(NOT_A_NEWCOMERS)}
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        path = {"PATH": os.pathsep.join([str(self.scripts), os.environ.get("PATH", "")])}
        done = subprocess.run(
            [str(word) for word in command], cwd=self.work, env=ours | offline | path, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout
