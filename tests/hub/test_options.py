"""Options as declared fields: what texts become, what is refused, and how canonical names hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from har_bench.errors import COMPARED, HarBenchError, listed, unknown
from har_bench.naming import Name, canonical, parsed
from har_bench.options import declared, given, option, read


@dataclass(frozen=True)
class Every:
    """One option of every kind."""

    count: int = option(1, "how many", least=1)
    share: float = option(0.5, "what share", above=0)
    flag: bool = option(False, "whether")
    word: Literal["mean", "sum"] = option("mean", "which")
    name: str = option("", "what it is called")
    step: int | None = option(None, "one in so many", least=1)
    names: tuple[str, ...] = option((), "only these")
    numbers: tuple[float, ...] = option((), "one each", above=0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "64", 64),
        ("count", 64.0, 64),
        ("share", "1e-3", 0.001),
        ("flag", "Yes", True),
        ("flag", False, False),
        ("word", " sum ", "sum"),
        ("name", 54138969, "54138969"),
        ("step", "", None),
        ("step", "7", 7),
        ("names", "b, a,,b", ("a", "b")),
        ("names", ["b", "a"], ("a", "b")),
        ("numbers", "0.026+0.025", (0.026, 0.025)),
        ("numbers", [1, 2.5], (1.0, 2.5)),
        ("numbers", 3, (3.0,)),
    ],
)
def test_a_text_becomes_what_the_declaration_says(name: str, text: Any, value: Any) -> None:
    assert read(Every, {name: text}, "x") == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("count", "2.5", "x cannot take count='2.5'; give a whole number"),
        ("count", True, "give a whole number"),
        ("count", "0", "x cannot take count=0; give 1 or more"),
        ("share", "0", "x cannot take share=0.0; give more than 0"),
        ("share", "nan", "give a number"),
        ("flag", "maybe", "give true or false"),
        ("word", "max", "give mean or sum"),
        ("step", "often", "give a whole number"),
        ("numbers", "1+x", "give numbers with"),
        ("numbers", [1, -1], "numbers=-1.0; give more than 0"),
        ("name", {"a": 1}, "give a text"),
        ("Count", 1, "no option of x is called 'Count'; did you mean 'count'"),
    ],
)
def test_what_an_option_cannot_be_is_one_sentence(name: str, text: Any, words: str) -> None:
    with pytest.raises(HarBenchError, match=words.replace("+", r"\+")):
        read(Every, {name: text}, "x")


def test_what_was_given_is_what_differs_from_the_defaults() -> None:
    assert given(Every()) == {}
    made = Every(**read(Every, {"names": "b,a", "numbers": "1+2", "count": "1"}, "x"))
    assert given(made) == {"names": "a,b", "numbers": "1.0+2.0"}
    assert read(Every, given(made), "x") == {"names": ("a", "b"), "numbers": (1.0, 2.0)}


def test_every_option_has_its_help() -> None:
    assert [each.about for each in declared(Every).values()][:3] == ["how many", "what share", "whether"]
    assert declared(int) == {}


@pytest.mark.parametrize("options", [{}, {"every": 64}, {"cameras": "1,2", "every": 64}, {"cameras": "1,2,3"}])
def test_a_canonical_name_is_read_as_it_was_printed(options: dict[str, Any]) -> None:
    name = canonical("h36m/mpjpe", "videopose3d", options)
    assert parsed(name) == Name("h36m/mpjpe", "videopose3d", {key: str(value) for key, value in options.items()})


def test_names_without_a_recipe() -> None:
    assert parsed("h36m/mpjpe") == Name("h36m/mpjpe", None, {})
    assert parsed("package.module:Name") == Name("package.module:Name", None, {})
    with pytest.raises(HarBenchError, match="is not option=value"):
        parsed("h36m/mpjpe:videopose3d,every")


def test_an_unknown_name_is_offered_the_closest_whatever_its_case() -> None:
    assert str(unknown("joint", "LEFT_KNE", ["left_knee", "right_hip"])).startswith(
        "no joint is called 'LEFT_KNE'; did you mean 'left_knee'? There are left_knee, right_hip"
    )
    assert str(unknown("joint", "x", [])) == "no joint is called 'x'; there is none"
    assert listed(map(str, range(20)), most=3) == "0, 1, 2 and 17 more"


def test_the_closest_of_very_many_names_is_looked_for_near_it_in_alphabetical_order() -> None:
    many = [f"S{number:06}" for number in range(20 * COMPARED)]
    said = str(unknown("sequence", "s012345.txt", many))
    assert "did you mean 'S012345'? There are S000000, S000001" in said
    assert said.endswith(f" and {len(many) - 12:,} more")
