"""3D pose errors against VideoPose3D's and mmpose's numbers, and the accumulator against the plain functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.converter import known_of
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.mpjpe import (
    MPJPE,
    auc3d,
    mpjpe,
    mpjpe_errors,
    mpjve,
    n_mpjpe,
    n_mpjpe_errors,
    p_mpjpe,
    p_mpjpe_errors,
    pck3d,
)
from har_bench.protocols.mpjpe.files import read_poses
from har_bench.registry import load as load_plugin
from har_bench.schema import table
from tests.golden import load
from tests.h36m_data import SCHEMA, Poses

UNIT = load("h36m/golden/metric_unit_golden.json")

# --- the functions ---------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[Any, Any], float]] = {
    "mpjpe_mm": mpjpe,
    "p_mpjpe_mm": p_mpjpe,
    "n_mpjpe_mm": n_mpjpe,
    "mpjve_mm": mpjve,
    "weighted_mpjpe_mm": lambda predicted, truth: float(
        np.mean(np.array(UNIT["weights_for_weighted_mpjpe"]) * mpjpe_errors(predicted, truth))
    ),
    "pck150": pck3d,
    "auc": auc3d,
}


@pytest.mark.real
@pytest.mark.parametrize(
    ("case", "key"),
    [(case, key) for case, values in UNIT.get("cases", {}).items() for key in values if key != "pred"],
)
def test_functions_equal_videopose3d(case: str, key: str) -> None:
    predicted, truth = (1000 * np.array(poses) for poses in (UNIT["cases"][case]["pred"], UNIT["gt"]))
    assert FUNCTIONS[key](predicted, truth) == pytest.approx(UNIT["cases"][case][key], abs=2e-4)


def poses(frames: int, seed: int = 0, joints: int = 17) -> Poses:
    """(frames, joints, 3) camera-frame poses [mm]."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(frames, joints, 3)) * [150, 400, 100] + [0, 0, 5000]).astype(np.float32)


def predictions(truth: Poses, seed: int = 1) -> Poses:
    """Root-relative predictions some centimetres off."""
    noise = np.random.default_rng(seed).normal(0, 60, truth.shape)
    return (1.1 * (truth - truth[:, :1]) + noise).astype(np.float32)


def test_known_errors_by_hand() -> None:
    truth = np.zeros((2, 2, 3))
    truth[:, 1] = [0, 400, 0]
    predicted = truth + np.array([[[3, 4, 0]], [[0, 0, 12]]])
    assert mpjpe(predicted, truth) == 8.5
    assert mpjve(predicted, truth) == 13
    assert p_mpjpe(predicted, truth) == pytest.approx(0, abs=1e-12)
    assert n_mpjpe(2 * truth, truth) == 0
    assert (pck3d(predicted, truth, at=12), pck3d(predicted, truth, at=12.001)) == (50, 100)
    assert auc3d(truth, truth) == pytest.approx(100 * 30 / 31)


def test_an_error_on_a_threshold_is_not_below_it() -> None:
    truth = np.zeros((31, 1, 3))
    predicted = truth.copy()
    predicted[:, 0, 0] = np.arange(31) * 5
    assert pck3d(predicted, truth) == pytest.approx(100 * 30 / 31)
    assert auc3d(predicted, truth) == pytest.approx(100 * np.arange(31).mean() / 31)


def test_null_and_single_poses() -> None:
    truth = poses(1)
    assert np.isnan(mpjve(truth, truth))
    np.testing.assert_allclose(n_mpjpe_errors(0 * truth, truth), np.linalg.norm(truth.astype(float), axis=-1))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_distance_is_the_norm_to_the_last_bit(kind: type) -> None:
    """Of huge and tiny numbers, too."""
    random = np.random.default_rng(0)
    truth, predicted = (poses(50) * 10.0 ** random.uniform(-30, 30, (50, 1, 1)) for _ in range(2))
    predicted[0, 0] = np.nan, np.inf, 0
    truth, predicted = truth.astype(kind), predicted.astype(kind)
    expected = np.linalg.norm(np.subtract(predicted, truth, dtype=np.float64), axis=-1)
    np.testing.assert_array_equal(mpjpe_errors(predicted, truth), expected)


def test_float32_is_not_rounded_on_the_way() -> None:
    truth = poses(100)
    predicted = predictions(truth) + truth[:, :1]
    for function in (mpjpe, p_mpjpe, n_mpjpe, mpjve):
        assert function(predicted, truth) == function(predicted.astype(float), truth.astype(float))


# --- the accumulator -------------------------------------------------------------------------------------------------


def store(*names: str, defects: dict[str, list[str] | None] | None = None) -> pa.Table:
    """A ``sequences`` table of names such as ``S9/Eating 1/54138969``."""
    subjects, clips, cameras = zip(*(name.split("/") for name in names), strict=True)
    columns = {
        "sequence": list(names),
        "subject": list(subjects),
        "action": [clip.split(" ")[0] for clip in clips],
        "camera": list(cameras),
        "splits": [["standard/test"] if subject in ("S9", "S11") else ["standard/train"] for subject in subjects],
        "defects": [(defects or {}).get(name, []) for name in names],
    }
    return table(columns, SCHEMA)


def batches(sequences: pa.Table, data: dict[str, tuple[Poses, Poses]], names: Iterable[str]) -> tuple[Batch, Batch]:
    """Truth and predictions of some sequences, in the order of ``names``."""
    every = sequences["sequence"].to_pylist()
    chosen = list(names)
    rows = sequences.take([every.index(name) for name in chosen])
    starts = np.cumsum([0, *(len(data[name][0]) for name in chosen)])
    return tuple(  # type: ignore[return-value]
        Batch(rows, starts, {"keypoints_3d": np.concatenate([data[name][side] for name in chosen])}) for side in (0, 1)
    )


NAMES_OF_FIVE = [f"{clip}/{camera}" for clip in ("S9/Eating 1", "S11/Eating", "S9/Posing") for camera in ("a", "b")][1:]
FIVE = store(*NAMES_OF_FIVE)
DATA = {name: (poses(9 + 4 * i, i), predictions(poses(9 + 4 * i, i), i)) for i, name in enumerate(NAMES_OF_FIVE)}


def scored(recipe: str = "videopose3d", names: Iterable[str] = NAMES_OF_FIVE, **options: Any) -> MPJPE:
    protocol = MPJPE(recipe, options)
    protocol.update(*batches(FIVE, DATA, names))
    return protocol


@pytest.mark.parametrize("recipe", list(MPJPE.recipes))
def test_a_sequence_has_the_errors_of_the_functions(recipe: str) -> None:
    """The compiled pass against the plain functions, on poses that they are given centred."""
    name = NAMES_OF_FIVE[0]
    truth, predicted = (side.astype(np.float64) for side in DATA[name])
    truth = truth - truth[:, :1]
    predicted = predicted + 20
    if MPJPE.recipes[recipe].recentre:
        predicted = predicted - predicted[:, :1]
    data = {name: (DATA[name][0].astype(np.float64), DATA[name][1].astype(np.float64) + 20)}
    protocol = MPJPE(recipe)
    protocol.update(*batches(FIVE, data, [name]))
    found = protocol.metrics_of()
    expected = {
        "MPJPE": mpjpe(predicted, truth),
        "P-MPJPE": p_mpjpe(predicted, truth),
        "N-MPJPE": n_mpjpe(predicted, truth),
        "MPJVE": mpjve(predicted, truth),
        "3DPCK@150": pck3d(predicted, truth),
        "AUC": auc3d(predicted, truth),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-12)
    for prefix, errors in (("P-", p_mpjpe_errors(predicted, truth)), ("N-", n_mpjpe_errors(predicted, truth))):
        assert found[f"{prefix}3DPCK@150"] == pytest.approx(100 * (errors < 150).mean())
        assert found[f"{prefix}AUC"] == pytest.approx(100 * np.mean([(errors < at).mean() for at in range(0, 151, 5)]))
    by_joint = [row["P-MPJPE"] for row in protocol.compute().tables["joint"]]
    assert by_joint == pytest.approx(p_mpjpe_errors(predicted, truth).mean(axis=0))
    assert set(found) == {metric.name for metric in MPJPE.metrics}


def test_averages_over_actions_and_over_frames() -> None:
    tables = scored().compute().tables
    by_sequence = {row["sequence"]: row["MPJPE"] for row in tables["sequence"]}
    frames = {name: len(DATA[name][0]) for name in NAMES_OF_FIVE}

    def weighted(names: list[str]) -> Any:
        return np.average([by_sequence[name] for name in names], weights=[frames[name] for name in names])

    eating, posing = ([name for name in NAMES_OF_FIVE if clip in name] for clip in ("Eating", "Posing"))
    actions = [weighted(eating), weighted(posing)]
    assert [row["MPJPE"] for row in tables["action"]] == pytest.approx(actions)
    assert [(row["average"], row["MPJPE"]) for row in tables["average"]] == [
        ("action mean", pytest.approx(np.mean(actions))),
        ("frame-weighted", pytest.approx(weighted(NAMES_OF_FIVE))),
    ]
    assert scored("recentred").metrics_of()["P-MPJPE"] == pytest.approx(scored().metrics_of()["P-MPJPE"])
    deephar = scored("deephar").compute()
    assert deephar.metrics["MPJPE"] == pytest.approx(deephar.tables["average"][1]["MPJPE"])
    assert deephar.metrics["MPJPE"] != pytest.approx(deephar.tables["average"][0]["MPJPE"])


def test_tables_and_counts() -> None:
    scores = scored().compute()
    rows = {name: len(found) for name, found in scores.tables.items()}
    frames = sum(len(truth) for truth, _ in DATA.values())
    assert rows == {
        "average": 2, "action": 2, "subject": 2, "camera": 2, "joint": 17, "sequence": 5, "threshold": 31, "left_out": 0
    }  # fmt: skip
    assert scores.counts == {"sequences": 5, "frames": frames, "joints": 17 * frames, "left_out": 0}
    curve = scores.tables["threshold"]
    assert (curve[0]["threshold"], curve[0]["3DPCK"]) == (0, 0)
    assert (curve[-1]["threshold"], curve[-1]["P-3DPCK"]) == (150, pytest.approx(scores.metrics["P-3DPCK@150"]))
    assert scores.tables["joint"][0]["joint"] == "hip"
    assert sum(row["frames"] for row in scores.tables["camera"]) == frames


@settings(deadline=None)  # the first example compiles
@given(data=st.data(), recipe=st.sampled_from(list(MPJPE.recipes)))
def test_neither_order_nor_batches_nor_merges_change_a_digit(data: st.DataObject, recipe: str) -> None:
    order = data.draw(st.permutations(NAMES_OF_FIVE))
    cuts = sorted(data.draw(st.sets(st.integers(1, 4))))
    whole = scored(recipe)
    merged = whole.fresh()
    for start, stop in zip([0, *cuts], [*cuts, 5], strict=True):
        merged.merge(scored(recipe, order[start:stop]))
    assert merged.compute() == whole.compute()
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=5, max_size=5)), float)
    if weights.any():
        assert merged.metrics_of(weights) == whole.metrics_of(weights)


def test_weights_count_a_sequence_as_often() -> None:
    protocol = scored()
    assert protocol.metrics_of(np.full(5, 2.0)) == pytest.approx(protocol.metrics_of())
    only = [name for name in NAMES_OF_FIVE if "Posing" in name]
    kept = np.array([float(name in only) for name in protocol.state.names()])
    assert protocol.metrics_of(kept) == pytest.approx(scored(names=only).metrics_of())


def test_a_mean_over_actions_of_few_frames_is_said_to_mean_little() -> None:
    few = "the mean over 2 actions weighs them alike, though 2 have fewer than 100 scored frames (Eating has 39)"
    assert [note for note in scored(every=64).remarks() if note.startswith(few)]
    assert not scored().remarks()
    assert not [note for note in scored("deephar", every=64).remarks() if "actions" in note]  # it weighs frames
    many = {name: (poses(240, 3), predictions(poses(240, 3))) for name in NAMES_OF_FIVE}
    protocol = MPJPE("videopose3d", {"every": 2})
    protocol.update(*batches(FIVE, many, NAMES_OF_FIVE))
    assert [note.split(" ")[0] for note in protocol.remarks()] == ["MPJVE"]


def test_velocity_needs_two_frames() -> None:
    single = {name: (truth[:1], predicted[:1]) for name, (truth, predicted) in DATA.items()}
    protocol = MPJPE()
    protocol.update(*batches(FIVE, single, NAMES_OF_FIVE))
    scores = protocol.compute()
    assert "MPJVE" not in scores.metrics
    assert {row["MPJVE"] for row in scores.tables["action"]} == {None}

    mixed = {**single, NAMES_OF_FIVE[0]: DATA[NAMES_OF_FIVE[0]]}
    protocol = MPJPE()
    protocol.update(*batches(FIVE, mixed, NAMES_OF_FIVE))
    assert protocol.metrics_of()["MPJVE"] == pytest.approx(scored(names=NAMES_OF_FIVE[:1]).metrics_of()["MPJVE"])


def test_a_pose_that_is_not_finite_is_named() -> None:
    name = NAMES_OF_FIVE[2]
    broken = DATA[name][1].copy()
    broken[3, 5, 1] = np.nan
    with pytest.raises(HarBenchError, match=f"{name}.*not finite"):
        MPJPE().update(*batches(FIVE, {**DATA, name: (DATA[name][0], broken)}, NAMES_OF_FIVE))


# --- recipes and options ---------------------------------------------------------------------------------------------

TEN = store(
    "S1/Eating/54138969",
    "S9/Greeting/54138969",
    "S9/Greeting/60457274",
    "S9/Greeting 1/54138969",
    "S11/Directions/54138969",
    "S11/Posing/54138969",
    "S11/Posing/60457274",
    defects={
        "S9/Greeting/54138969": ["shifted", "mocap-short"],
        "S9/Greeting/60457274": ["shifted", "mocap-short"],
        "S11/Directions/54138969": ["camera-missing"],
        "S11/Posing/54138969": None,
    },
)


@pytest.mark.parametrize(
    ("options", "sequences", "left_out"),
    [
        ({}, 5, 1),
        ({"without_damaged": True}, 3, 3),
        ({"without_damaged": "true", "subjects": "S9"}, 1, 2),
        ({"cameras": "60457274"}, 2, 0),
        ({"cameras": ["54138969", 60457274], "subjects": "S11, S9"}, 5, 1),
        ({"cameras": 60457274, "subjects": "S11"}, 1, 0),
    ],
)
def test_select(options: dict[str, Any], sequences: int, left_out: int) -> None:
    protocol = MPJPE(options=options)
    assert len(protocol.select(TEN)) == sequences
    assert len(protocol.left_out) == left_out
    protocol.update(*batches(FIVE, DATA, NAMES_OF_FIVE))
    assert protocol.compute().counts["left_out"] == left_out
    assert len(protocol.compute().tables["left_out"]) == left_out


def test_what_is_left_out_says_why() -> None:
    protocol = MPJPE(options={"without_damaged": True})
    protocol.select(TEN)
    assert protocol.left_out == {
        "S9/Greeting/54138969": "shifted",
        "S9/Greeting/60457274": "shifted",
        "S11/Directions/54138969": "camera-missing",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": "1"}, "no camera in standard/test of the store is called '1'; there are 54138969, 60457274"),
        ({"subjects": "S1"}, "called 'S1'; did you mean 'S11'? There are S11, S9"),
    ],
)
def test_select_names_what_is_not_there(options: dict[str, Any], message: str) -> None:
    with pytest.raises(HarBenchError, match=re.escape(message)):
        MPJPE(options=options).select(TEN)


def test_select_of_a_store_without_test_sequences() -> None:
    with pytest.raises(HarBenchError, match="nothing to score"):
        MPJPE().select(store("S1/Eating/54138969"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "0"}, "every=0; give 1 or more"),
        ({"without_damaged": "maybe"}, "without_damaged='maybe'"),
        ({"evry": 64}, "called 'evry'; did you mean 'every'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(HarBenchError, match=re.escape(message)):
        MPJPE(options=options)


def test_one_way_of_scoring_has_one_name() -> None:
    assert MPJPE().canonical == "h36m/mpjpe:videopose3d"
    assert (
        MPJPE(options={"every": "1", "cameras": "", "without_damaged": "no", "subjects": ()}).canonical
        == MPJPE().canonical
    )
    assert (
        MPJPE(options={"every": "64", "cameras": ["b", "a"]}).canonical == "h36m/mpjpe:videopose3d,cameras=a,b,every=64"
    )
    assert MPJPE("deephar", {"every": 64}).canonical == "h36m/mpjpe:deephar"
    assert MPJPE("deephar", {"every": "1"}).fresh().recipe.every == 1


@pytest.mark.parametrize(("every", "kept"), [(2, [0, 2, 4]), ("3", [0, 3]), (64, [0])])
def test_frames_are_taken_from_frame_0(every: Any, kept: list[int]) -> None:
    rows = pa.table({"frame": pa.chunked_array([pa.array([0, 1, 2], pa.int32()), pa.array([3, 4, 5], pa.int32())])})
    assert rows.filter(MPJPE(options={"every": every}).keep(FIVE, rows))["frame"].to_pylist() == kept
    assert MPJPE().keep(FIVE, rows) is None


def test_deephar_has_its_own_joints() -> None:
    assert MPJPE().skeletons == MPJPE("recentred").skeletons == ("h36m17",)
    assert MPJPE("deephar").skeletons == ("h36m-pa17",)
    assert [row["joint"] for row in scored("deephar").compute().tables["joint"]][-1] == "spine_base"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"S9|Walking 1|54138969": np.zeros((2, 17, 3), int)}, "holds int64 numbers, and this format is in metres"),
        ({"S9|Walking 1|54138969": np.zeros((2, 51))}, r"has the shape \(2, 51\); give poses \(n, J, 3\)"),
        (
            {"positions_3d": np.array({"S9": {"Walking 1": np.zeros((5, 32, 3), np.float32)}}, object)},
            "is one array .* world's frame, as data_3d_h36m.npz",
        ),
    ],
)
def test_npz_of_whole_numbers_or_of_the_world_is_refused(arrays: Any, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(HarBenchError, match=message):
        read_poses(tmp_path / "p.npz", known_of("h36m"), "S9|Walking 1|54138969")


def test_is_registered() -> None:
    assert load_plugin("protocols", "h36m/mpjpe") is MPJPE
