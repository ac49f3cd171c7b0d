from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from har_bench import registry
from har_bench.errors import HarBenchError
from har_bench.leaderboard.board import Board
from har_bench.leaderboard.entries import Reported, Scored, entry_of, reported
from har_bench.leaderboard.equals import EQUALS
from har_bench.leaderboard.grouping import boards
from har_bench.results import Interval
from tests.leaderboard.conftest import MakeResult


@pytest.fixture
def built(make_result: MakeResult) -> Callable[..., list[Board]]:
    """Boards of the shipped rows and of synthetic results, given as the fields of each."""

    def build(*results: dict[str, object]) -> list[Board]:
        entries = [entry_of(make_result(**fields), f"{index}.json") for index, fields in enumerate(results)]
        return boards([*entries, *reported()])

    return build


def scored(found: list[Board]) -> list[Board]:
    return [board for board in found if board.scored_here]


def test_reported_rows_stand_under_their_own_protocol_text():
    entries = reported()
    found = [board for board in boards(entries) if not board.breakdown]
    assert sum(1 + len(line.also) for board in found for line in board.lines) == len(entries)
    for board in found:
        assert {entry.scoring for line in board.lines for entry in line.reported} == {board.scoring}


def test_methods_are_sorted_best_first_and_ties_by_name():
    for board in boards(reported()):
        sign = 1 if board.primary.better == "lower" else -1
        ranks = [
            (sign * line.values[board.primary.name].number, line.entry.method.casefold())
            for line in board.lines
            if board.primary.name in line.values
        ]
        assert ranks == sorted(ranks)


@pytest.mark.parametrize(("metric", "better"), [("MPJPE", "lower"), ("AUC", "higher")])
def test_the_protocol_says_which_direction_is_better(built, metric, better):
    """Not the unit: both are in percent here."""
    low, high = (
        {"metrics": {metric: number}, "units": {metric: "%"}, "primary": metric, "intervals": {}, "model": name}
        for number, name in ((1.0, "low"), (2.0, "high"))
    )
    fields = {"counts": {"poses": 9}, "environment": {}}
    (board,) = scored(built({**low, **fields}, {**high, **fields}))
    assert board.primary.better == better
    assert [line.entry.method for line in board.lines] == (["low", "high"] if better == "lower" else ["high", "low"])
    assert [board.mark(line, board.primary) for line in board.lines] == ["best", ""]


def test_where_nobody_declares_a_direction_nothing_is_the_best(built):
    other = {"protocol": "stranger/task", "dataset": "stranger", "intervals": {}}
    (board,) = scored(built({**other, "model": "a"}, {**other, "metrics": {"MPJPE": 1.0}, "model": "b"}))
    assert [line.entry.method for line in board.lines] == ["a", "b"]
    assert not any(board.mark(line, column) for line in board.lines for column in board.columns)
    assert board.how_ranked == ""


def test_every_printed_metric_has_a_direction():
    for board in boards(reported()):
        assert all(column.better for column in board.columns)


def test_a_single_number_is_not_the_best_of_anything(built):
    (board,) = scored(built({"counts": {"poses": 9}}))
    assert not any(board.mark(line, column) for line in board.lines for column in board.columns)


def test_best_and_second_are_told_among_those_that_were_given_the_same(built):
    given = {"truth": "ground truth", "CPN": "CPN", "another": "CPN", "third": "CPN"}
    numbers = {"truth": 30.0, "CPN": 45.0, "another": 44.0, "third": 44.0}
    results = [
        {"model": name, "metrics": {"MPJPE": numbers[name]}, "intervals": {}, "counts": {"poses": 9}}
        | {"environment": {"keypoints": keypoints}}
        for name, keypoints in given.items()
    ]
    (board,) = scored(built(*results))
    marks = {line.entry.method: board.mark(line, board.primary) for line in board.lines}
    assert marks == {"truth": "", "another": "best", "third": "best", "CPN": "second"}


def test_ranks_are_ranges_of_those_that_are_not_separated(built):
    ends = {"a": (40, 42), "b": (41, 43), "c": (42.5, 44), "d": (50, 51)}
    results = [
        {"model": name, "metrics": {"MPJPE": (low + high) / 2}, "counts": {"poses": 9}}
        | {"intervals": {"MPJPE": Interval(low=low, high=high)}}
        for name, (low, high) in ends.items()
    ]
    (board,) = scored(built(*results))
    shown = {line.entry.method: board.standing(line).text for line in board.lines}
    assert shown == {"a": "1–2", "b": "1–3", "c": "2–3", "d": "4"}
    assert "by their confidence intervals share them" in board.notes[-1]


def test_what_several_sources_print_of_one_setting_is_one_row():
    found = {board.title: board for board in boards(reported(), ["mpii"])}
    board = found["val (mmpose)"]
    (line,) = [
        line for line in board.lines if line.entry.method == "mmpose pose_hrnet_w32" and line.fields.rest == "256x256"
    ]
    assert line.values["PCKh@0.5"].printed == ("90.2", "90.0")
    assert line.values["PCKh@0.5"].number == 90.0  # the least favourable one ranks
    assert len({entry.source.url for entry in line.reported}) == 2


def test_a_source_that_says_less_joins_the_only_row_that_it_can_mean():
    board = next(board for board in boards(reported(), ["h36m"]) if board.title == "H36M Protocol 1")
    lines = [line for line in board.lines if line.fields.given == "CPN" and line.fields.frames == 81]
    (one,) = [line for line in lines if line.entry.method == "CrossFormer"]
    assert one.values["MPJPE"].printed == ("43.7", "43.8")
    assert one.fields.extra
    assert len([line for line in lines if line.entry.method == "PoseFormer"]) == 2  # one of them was pre-trained
    truth = [line for line in board.lines if line.fields.given == "ground truth"]
    (two,) = [line for line in truth if line.entry.method == "VideoPose3D"]  # one source says neither frames nor blocks
    assert (two.values["MPJPE"].printed, two.fields.frames) == (("37.2", "37.8"), 243)


def test_an_inflating_recipe_says_so_and_comes_last(built):
    ntu = {"protocol": "ntu60/xsub", "dataset": "ntu60", "primary": "top-1", "metrics": {"top-1": 90.0}}
    ntu |= {"units": {"top-1": "%"}, "intervals": {}, "counts": {"sequences": 16_487}}
    found = scored(built({**ntu, "recipe": "deephar"}, {**ntu, "recipe": "single-clip"}))
    assert [board.scoring for board in found] == ["ntu60/xsub:single-clip", "ntu60/xsub:deephar"]
    assert [board.plain for board in found] == [
        "Cross-subject accuracy of NTU RGB+D 60",
        "Cross-subject accuracy of NTU RGB+D 60, recipe deephar",
    ]
    assert found[1].notes[0].startswith("Inflating recipe: a sequence that keeps fewer than 32 frames counts as right")
    assert not found[0].notes[0].startswith("Inflating")
    printed = [line for line in found[0].lines if isinstance(line.entry, Reported)]
    assert len(printed) > 100
    assert not any(isinstance(line.entry, Reported) for line in found[1].lines)


def test_recipes_that_flatter_predictions_say_why():
    protocols = {name: registry.load("protocols", name) for name in registry.available("protocols")}
    said = {
        f"{name}:{recipe.name}": recipe.inflates
        for name, protocol in protocols.items()
        for recipe in protocol.recipes.values()
        if recipe.inflates
    }
    ntu = [f"{name}:deephar" for name in ("ntu60/xsub", "ntu60/xview", "ntu120/xset", "ntu120/xsub")]
    penn = ["penn_action/accuracy:deephar", "penn_action/accuracy:deephar-tpami"]
    torsos = [f"penn_action/pck:{name}" for name in ("torso", "torso-visible", "torso-middle")]
    others = ["ava/frame-map:mmaction2", "merl/frame-map:official", "mpii/map:official", "mpii/pckh:hrnet"]
    assert set(said) == {*ntu, *penn, *torsos, *others, "mpii/pckh:deephar"}
    assert not any(why.endswith(".") for why in said.values())  # they stand in a sentence


def test_published_numbers_join_the_recipe_that_is_known_to_be_theirs(built):
    (board,) = scored(built({}))
    printed = [line for line in board.lines if isinstance(line.entry, Reported)]
    assert len(printed) == 6
    assert {line.entry.source.system for line in printed} == {"VideoPose3D"}
    best = board.lines[0]
    assert (best.values["MPJPE"].text, best.values["P-MPJPE"].text) == ("37.2", "27.2")
    assert "VideoPose3D prints what its own evaluation computes" in board.notes[1]
    assert {line.fields.given for line in printed} == {"CPN", "ground truth", "Mask R-CNN"}


def test_hrnet_numbers_join_only_the_hrnet_recipe(built):
    mpii = {
        "protocol": "mpii/pckh",
        "dataset": "mpii",
        "primary": "PCKh@0.5",
        "metrics": {"PCKh@0.5": 90.0, "PCKh@0.1": 37.0},
        "units": {"PCKh@0.5": "%", "PCKh@0.1": "%"},
        "intervals": {},
        "counts": {"poses": 2958},
    }
    hrnet, official = sorted(
        scored(built({**mpii, "recipe": "hrnet"}, {**mpii, "recipe": "official"})), key=lambda b: b.scoring
    )
    repositories = {line.entry.source.repo for line in hrnet.lines if isinstance(line.entry, Reported)}
    assert repositories == {"leoxiaobin/deep-high-resolution-net.pytorch", "microsoft/human-pose-estimation.pytorch"}
    assert all(set(line.values) == {"PCKh@0.5", "PCKh@0.1"} for line in hrnet.lines)
    assert all(isinstance(line.entry, Scored) for line in official.lines)


def test_every_declared_equality_covers_shipped_rows():
    for equal in EQUALS:
        translated = [metric for entry in reported() for metric in equal.translate(entry)]
        assert set(translated) == set(equal.metrics.values())


def test_a_part_of_the_data_never_meets_published_numbers(built):
    (board,) = scored(built({"counts": {"poses": 400}}))
    assert [line.entry.method for line in board.lines] == ["lifter"]
    assert "not comparable" in board.notes[-1]


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": "mmpose"},
        {"options": {"every": 64}},
        {"version": "2"},
        {"counts": {"poses": 400}, "fingerprints": {"store": "6" * 64}},
    ],
)
def test_one_recipe_per_column(built, other):
    found = scored(built({}, other))
    assert len(found) == 2
    assert len({board.slug for board in found}) == len({board.title for board in found}) == 2
    for board in found:
        results = [line.entry.result for line in board.lines if isinstance(line.entry, Scored)]
        assert {result.canonical for result in results} == {board.scoring}
        assert len({result.version for result in results}) == 1


def test_breakdowns_are_boards_of_their_own_and_begin_with_the_mean():
    found = {board.title: board for board in boards(reported()) if board.breakdown}
    assert set(found) == {
        "H36M Protocol 1: MPJPE [mm] by action",
        "H36M Protocol 2: P-MPJPE [mm] by action",
        "val, flip test: PCKh@0.5 [%] by joint",
    }
    actions = found["H36M Protocol 1: MPJPE [mm] by action"]
    assert len(actions.columns) == 16
    assert actions.columns[0].name == "Avg"
    assert actions.primary == actions.columns[0]
    assert len(actions.lines) == 14
    assert all(len(line.values) == 16 for line in actions.lines)


def test_slugs_are_unique_and_sections_are_neighbours(built):
    found = built({}, {"version": "2"}, {"version": "3"})
    assert len({board.slug for board in found}) == len(found)
    sections = [board.dataset for board in found]
    changes = sum(before != after for before, after in pairwise(sections))
    assert changes == len(set(sections)) - 1
    assert sections[0] == "Human3.6M"
    assert found[0].scored_here


def test_datasets_are_chosen_by_our_names_or_the_sources():
    assert {board.dataset for board in boards(reported(), ["ava", "MPII"])} == {"AVA v2.1", "AVA v2.2", "MPII"}
    assert {board.dataset for board in boards(reported(), ["h36m"])} == {"Human3.6M"}
    with pytest.raises(HarBenchError, match="no dataset of the leaderboard is called 'imagenet'"):
        boards(reported(), ["imagenet"])


def test_runs_of_one_name_show_the_settings_that_differ(built):
    one, two = (
        {"environment": {"epochs": epochs, "channels": "64", "platform": epochs}, "model": "lifter"} for epochs in "12"
    )
    (board,) = scored(built(one, two, {"environment": {"epochs": "3"}, "model": "other"}))
    here = [line.entry for line in board.lines if isinstance(line.entry, Scored)]
    assert {(entry.method, entry.setting) for entry in here} == {
        *(("lifter", "epochs 1"), ("lifter", "epochs 2"), ("other", "")),
    }
    (board,) = scored(built(one, one))
    assert {line.entry.setting for line in board.lines if isinstance(line.entry, Scored)} == {"0.json", "1.json"}


def test_the_default_recipe_comes_first_as_it_was_published(built):
    deephar = {"recipe": "deephar"}
    found = scored(built(deephar, {**deephar, "model": "b"}, {"options": {"every": 64}}, {}, {"recipe": "recentred"}))
    assert [board.scoring for board in found] == [
        "h36m/mpjpe:videopose3d",
        "h36m/mpjpe:videopose3d,every=64",
        "h36m/mpjpe:recentred",
        "h36m/mpjpe:deephar",
    ]


def test_boards_of_one_title_have_slugs_of_their_own(built):
    results = [
        {"counts": {"poses": 1}, "fingerprints": {"store": f"{n:064x}"}, "options": {"a": "-" * n}} for n in range(40)
    ]
    found = scored(built(*results))
    assert len({board.slug for board in found}) == len(found) == 40


def test_models_that_are_given_the_true_boxes_compete_with_none_that_finds_them(built):
    of_pixels = {"protocol": "coco/oks", "dataset": "coco"}
    boxes = {name: {**of_pixels, "model": name, "environment": {"boxes": name}} for name in ("truth", "own")}
    found = scored(built(*boxes.values(), {**of_pixels, "model": "detections", "environment": {}}))
    assert {line.entry.method for board in found for line in board.lines} == {"truth", "own", "detections"}
    for board in found:
        assert len(board.lines) == 1
        name = board.lines[0].entry.method
        assert ("boxes: " + name in board.truth) == (name in boxes)
