"""The command itself: its name, its help, and how options are written on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from har_bench import __version__
from har_bench.errors import HarBenchError, unknown

if TYPE_CHECKING:
    from har_bench.results import Result

app = App(
    name="har-bench",
    version=__version__,
    default_parameter=Parameter(negative_iterable=""),  # no --empty-stores
    suppress_keyboard_interrupt=False,
    help="""Prepare the datasets of human pose estimation and action recognition, and benchmark models on them.

    Convert each official download once, score any model's predictions with the exact recipe a paper used, and publish
    tables anybody can check:

        har-bench convert mpii raw/mpii stores/mpii
        har-bench score mpii/pckh stores/mpii preds.h5 --recipe hrnet --out results/mine.json
        har-bench leaderboard build results site

    New here? `har-bench demo` walks through all of it on synthetic data in under a minute.
    """,
)

Options = Annotated[list[str] | None, Parameter(name=["--option", "-o"])]
Settings = Annotated[list[str] | None, Parameter(name=["--set", "-s"])]
Missing = Literal["error", "count-as-error"]


@Parameter(name="*")
@dataclass
class Recipe:
    """How a protocol is scored.

    Attributes:
        recipe: Such as hrnet; the protocol's first recipe by default.
        option: An option of the recipe, as name=value, such as every=64; may be repeated.
        missing: What missing or non-finite predictions are: an error, or counted as errors.
        skeleton: The predictions' joint layout, from `har-bench list skeletons`; usually told by the number of joints.
        unit: Of predicted 3D joints.
        one_based: Predicted pixels are counted from 1.
        axes: Which predicted coordinate each of ours is, such as x,-y,-z in 3D or y,x in the image.
        approximate: Accept joints of another layout that are only near the protocol's.
    """

    recipe: str | None = None
    option: Options = None
    missing: Missing = "error"
    skeleton: str | None = None
    unit: Literal["mm", "cm", "m"] = "mm"
    one_based: bool = False
    axes: str = ""
    approximate: bool = False

    def arguments(self) -> dict[str, Any]:
        """What the functions that score take of it."""
        from har_bench.scoring.ways import Remedies

        return {
            "recipe": self.recipe,
            "options": pairs(self.option),
            "missing": self.missing,
            "skeleton": self.skeleton,
            "remedies": Remedies(self.unit, self.one_based, self.axes, self.approximate),
        }


@Parameter(name="*")
@dataclass
class Model:
    """How a model is made.

    Attributes:
        device: Such as cpu or cuda:1, for models that compute with torch; a GPU if there is one.
        setting: An option of the model, as name=value; may be repeated.
    """

    device: str | None = None
    setting: Settings = None

    def settings(self) -> dict[str, str]:
        """Its options, by name."""
        return ({"device": self.device} if self.device else {}) | dict(pairs(self.setting))


@Parameter(name="*")
@dataclass
class Learner(Model):
    """How a model that learns is made.

    Attributes:
        init: Weights of the same model to begin the training with: fine-tuning.
        bf16: Compute in bfloat16.
    """

    init: Path | None = None
    bf16: bool = False

    def settings(self) -> dict[str, str]:
        """Its options, by name."""
        chosen = {"precision": "bf16" if self.bf16 else "", "init": str(self.init or "")}
        return {name: value for name, value in chosen.items() if value} | super().settings()


@Parameter(name="*")
@dataclass
class Keypoints:
    """What is said of a film's 2D keypoints.

    Attributes:
        layout: Of keypoints: their joints, from `har-bench list skeletons`, where the file does not say.
        width: Of keypoints: the film's, in pixels, where the file does not say.
        height: Of keypoints: the film's, in pixels, where the file does not say.
        video: Of keypoints: which film, where the file holds several.
    """

    layout: str | None = None
    width: int | None = None
    height: int | None = None
    video: str | None = None

    def arguments(self) -> dict[str, Any]:
        """What the functions that read keypoints take of it.

        Raises:
            HarBenchError: a width without a height.
        """
        if (self.width is None) != (self.height is None):
            raise HarBenchError("a film has a width and a height; give both")
        size = None if self.width is None else (self.width, self.height)
        return {"layout": self.layout, "size": size, "video": self.video}


@Parameter(name="*")
@dataclass
class Sources:
    """Where that is looked for from which results were scored.

    Attributes:
        stores: Stores, or folders that hold stores; found by fingerprint.
        predictions: Folders that hold the predictions; found by fingerprint.
        jobs: Processes.
    """

    stores: list[Path] | None = None
    predictions: list[Path] | None = None
    jobs: int = 1

    def arguments(self) -> dict[str, Any]:
        """What the functions that score again take of it."""
        return {"stores": self.stores or (), "predictions": self.predictions or (), "jobs": self.jobs}


@Parameter(name="*")
@dataclass
class Shown:
    """What of a result is shown.

    Attributes:
        by: Also show this breakdown, such as action, camera or joint; may be repeated.
        by_subject: The same as --by subject.
        latex: Also print the one row that a paper's table needs, for LaTeX with booktabs.
    """

    by: list[str] | None = None
    by_subject: bool = False
    latex: bool = False

    @property
    def names(self) -> list[str]:
        """The breakdowns to show."""
        return [*(self.by or []), *(["subject"] if self.by_subject else [])]

    def say_latex(self, result: Result) -> None:
        """Print the row, if it was asked for."""
        if self.latex:
            from har_bench.cli.terminal import say
            from har_bench.protocol import latex

            say(latex.row(result))

    def check(self, protocol: str, recipe: str | None, options: Mapping[str, str]) -> None:
        """See that a protocol makes the breakdowns, before the work begins.

        Raises:
            HarBenchError: there is no such breakdown; what comes closest is named.
        """
        from har_bench.protocol import make_protocol
        from har_bench.results import OF_RUNS

        chosen = make_protocol(protocol, recipe, options)
        titles = [table.title for table in chosen.tables]
        for name in self.names:
            if name not in (*titles, *OF_RUNS):
                raise unknown(f"breakdown of {chosen.canonical}", name, titles)


USUAL, UNTAUGHT, UNTOLD, NOWHERE = Model(), Learner(), Keypoints(), Sources()
"""Nothing said of any."""


def pairs(options: Sequence[str] | None) -> Mapping[str, str]:
    """``name=value`` options, as texts; what they become is declared where they are.

    Raises:
        HarBenchError: one is no such pair, or a name comes twice.
    """
    found: dict[str, str] = {}
    for option in options or []:
        name, equals, text = option.partition("=")
        if not equals:
            raise HarBenchError(f"the option {option!r} is not name=value; write it so")
        if name in found:
            raise HarBenchError(f"the option {name} is given twice, as {found[name]!r} and {text!r}; give it once")
        found[name] = text
    return found


def written(place: Path | None) -> str | Path | None:
    """The path or URL of the result file that a command will write, asked for before its work begins."""
    from har_bench import remote

    if place is not None:
        remote.destination(place, ".json")
    return place if place is None else remote.as_url(place) or place
