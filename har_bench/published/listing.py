"""What is known of published files of weights: names, sizes, checksums, licences and where they are.

A baseline that is a folder keeps its files in a ``weights.toml`` beside its code, which is read without importing it;
``files.toml`` here has those that a baseline loads without naming them, or that no baseline loads yet.
"""

from __future__ import annotations

import importlib.util
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from har_bench import registry
from har_bench.errors import unknown


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One file as its authors publish it; what they do not say is empty or 0.

    Attributes:
        name: what it is called here, such as ``pose_landmark_full``.
        file: its own name.
        about: what it is for.
        licence: its terms.
        model: the baseline that loads it, or is to.
        sets: names under which it is fetched together with others.
        bytes: its size.
        sha256: its checksum.
        md5: the authors' checksum, where they give none better.
        url: the page or file to open in a browser.
        pip: the requirement whose wheel holds it, for pip.
        npm: the package that holds it, for npm.
        member: where it is in that package.
        licence_text: where the licence's text is in that package, with wildcards.
        joints: the skeleton that the model takes, where it lifts joints.
        target: the skeleton that it gives.
        causal: it sees no future frames, which its weights do not tell.
    """

    name: str
    file: str
    about: str
    licence: str
    model: str
    sets: tuple[str, ...] = ()
    bytes: int = 0
    sha256: str = ""
    md5: str = ""
    url: str = ""
    pip: str = ""
    npm: str = ""
    member: str = ""
    licence_text: str = ""
    joints: str = ""
    target: str = ""
    causal: bool = False

    @property
    def line(self) -> str:
        """Everything of use in a line."""
        takes = f"; takes {self.joints}, gives {self.target}" if self.joints else ""
        causal = "; causal" if self.causal else ""
        checksum = f"sha256 {self.sha256}" if self.sha256 else f"md5 {self.md5 or 'not published'}"
        return f"{self.file}: {self.about}{takes}{causal}; {self.url or self.pip or self.npm}; {checksum}"


@cache
def catalogue() -> dict[str, Published]:
    """Every published file by name, in alphabetical order."""
    found: dict[str, Published] = {}
    texts = [files("har_bench.published").joinpath("files.toml").read_text("utf-8")]
    texts += [path.read_text("utf-8") for path in _beside_baselines()]
    for text in texts:
        for name, row in tomllib.loads(text).items():
            found[name] = msgspec.convert({"name": name, **row}, Published)
    return dict(sorted(found.items()))


def of_model(model: str) -> list[Published]:
    """The files that a baseline loads, or is to."""
    return [each for each in catalogue().values() if each.model == model]


def chosen(name: str) -> list[Published]:
    """The file of that name, or the files of that set.

    Raises:
        HarBenchError: nothing is called that; the closest name is offered.
    """
    known = catalogue()
    if name in known:
        return [known[name]]
    members = [each for each in known.values() if name in each.sets]
    if not members:
        names = sorted({*known, *(one for each in known.values() for one in each.sets)})
        raise unknown("file or set of published weights", name, names, hint="`har-bench weights list` has details")
    return members


def _beside_baselines() -> list[Path]:
    """The ``weights.toml`` of every baseline's folder; only the packages above it are imported."""
    folders: list[Path] = []
    for entry in registry.available("baselines").values():
        try:
            spec = importlib.util.find_spec(entry.module)
        except ImportError:  # its package cannot be imported; whoever uses it is told
            continue
        folders += [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    return [path for folder in dict.fromkeys(folders) if (path := folder / "weights.toml").is_file()]
