"""HumanEva's errors against VideoPose3D's numbers and the official code's, through stores of the real converter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import har_bench
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.mpjpe.errors import mpjpe, mpjve, n_mpjpe, p_mpjpe
from har_bench.protocols.mpjpe.humaneva import HumanEvaMPJPE, error, error_rel, error_rel_terms, error_terms
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from tests.golden import REAL, leaves, load

DATA = REAL / "humaneva"
CLOSED_FORM = load("humaneva/golden/humaneva_closed_form_golden.json")
OFFICIAL = load("humaneva/golden/humaneva_synth_official_error.json")
OCTAVE = DATA / "golden" / "humaneva_synth_official_octave.npz"
J20, J15 = skeleton("humaneva20"), skeleton("humaneva15")
SPLITS = {"Validate": "videopose3d/test", "Train": "videopose3d/train"}
METRIC = {"mpjpe": "MPJPE", "p_mpjpe": "P-MPJPE", "n_mpjpe": "N-MPJPE", "mpjve": "MPJVE"}

Arrays = dict[str, np.ndarray]

# --- error and error_rel ---------------------------------------------------------------------------------------------


def moved(**steps: float) -> tuple[np.ndarray, np.ndarray]:
    """Two poses of 20 points that differ along z in the named ones [mm]."""
    truth = np.random.default_rng(0).normal(0, 300, (1, 20, 3))
    predicted = truth.copy()
    for name, step in steps.items():
        predicted[0, J20.index(name), 2] += step
    return predicted, truth


@pytest.mark.parametrize(
    ("steps", "absolute", "relative"),
    [
        ({"left_lower_arm_distal": 30}, 30 / 15, 30 / 14),
        # two points of one elbow apart in opposite directions: their mean stays, the error does not
        ({"right_upper_arm_distal": 30, "right_lower_arm_proximal": -30}, 30 / 15, 30 / 14),
        ({"left_upper_leg_distal": 30}, 15 / 15, 15 / 14),
        ({"torso_proximal": 30}, 15 / 15, 15 / 14),
        # the head's ends change places in error_rel
        ({"head_proximal": 30}, 15 / 15, 30 / 14),
        ({"head_distal": 30}, 30 / 15, 15 / 14),
        # the pelvis has no term of its own there, and moves all others
        ({"torso_distal": 30}, 30 / 15, 30),
        (dict.fromkeys(J20.joints, 30.0), 30, 0),
    ],
)
def test_errors_by_hand(steps: dict[str, float], absolute: float, relative: float) -> None:
    assert error(*moved(**steps)) == pytest.approx(absolute, abs=1e-11)
    assert error_rel(*moved(**steps)) == pytest.approx(relative, abs=1e-11)


def test_terms_have_the_order_of_the_joints() -> None:
    for term, joint in enumerate(J15.joints):
        sources = [J20.joints[place] for place in mapping(J20, J15).sources[term]]
        terms = error_terms(*moved(**dict.fromkeys(sources, 10.0)))[0]
        assert np.flatnonzero(terms > 1e-9).tolist() == [term], joint
    assert error_rel_terms(*moved()).shape == (1, 14)


@pytest.mark.parametrize("function", [error, error_rel])
def test_errors_need_the_20_points(function: Any) -> None:
    with pytest.raises(HarBenchError, match=r"\(3, 15, 3\)"):
        function(np.zeros((3, 15, 3)), np.zeros((3, 15, 3)))


@pytest.mark.real
@pytest.mark.parametrize(
    ("place", "key"), [(place, key) for place, row in enumerate(OFFICIAL) for key in row if not key.startswith("frame")]
)
def test_the_official_code(place: int, key: str) -> None:
    golden = OFFICIAL[place]
    with np.load(OCTAVE) as file:
        frames, points = file["frames"].tolist(), file["joints20_mm"]
    first, second = (points[[frames.index(golden[name])]] for name in ("frame_a", "frame_b"))
    function = error_rel if key == "official_error_rel_mm" else error
    assert function(first, second) == pytest.approx(golden[key], abs=1e-9, rel=0)


# --- the accumulator -------------------------------------------------------------------------------------------------

NAMES = [
    *("Validate/S1/Walking 1 chunk0/C1", "Validate/S1/Walking 1 chunk0/C2", "Validate/S2/Walking 1 chunk3/C1"),
    *("Validate/S1/ThrowCatch 1 chunk1/C1", "Validate/S3/Jog 1 chunk0/C3"),
]


def sequences(names: list[str]) -> pa.Table:
    """Their rows of a store."""
    parts = [re.split(r"[/ ]", name) for name in names]
    return pa.table(
        {
            "sequence": names,
            "subject": [part[1] for part in parts],
            "action": [part[2] for part in parts],
            "camera": [part[-1] for part in parts],
            "splits": [["official/validate", "videopose3d/test"]] * len(names),
        }
    )


def poses(name: str, joints: int) -> tuple[np.ndarray, np.ndarray]:
    """Root-relative or absolute predictions some centimetres off, and the truth [mm]."""
    random = np.random.default_rng(NAMES.index(name))
    truth = random.normal(size=(5 + 3 * NAMES.index(name), joints, 3)) * [150, 400, 100] + [0, 0, 4000]
    shift = truth[:, :1] if joints == len(J15) else 0
    return 1.05 * (truth - shift) + random.normal(0, 40, truth.shape), truth


def scored(recipe: str = "videopose3d", names: list[str] | None = None) -> HumanEvaMPJPE:
    protocol = HumanEvaMPJPE(recipe)
    chosen = NAMES if names is None else names
    if chosen:
        pairs = [poses(name, 15 if recipe == "videopose3d" else 20) for name in chosen]
        starts = np.cumsum([0, *(len(truth) for _, truth in pairs)])
        predicted, truth = (np.concatenate(side) for side in zip(*pairs, strict=True))
        rows = sequences(chosen)
        protocol.update(Batch(rows, starts, {"keypoints_3d": truth}), Batch(rows, starts, {"keypoints_3d": predicted}))
    return protocol


def test_a_sequence_has_the_errors_of_the_functions() -> None:
    predicted, truth = poses(NAMES[0], 15)
    centred = truth - truth[:, :1]
    expected = {
        "MPJPE": mpjpe(predicted, centred),
        "P-MPJPE": p_mpjpe(predicted, centred),
        "N-MPJPE": n_mpjpe(predicted, centred),
        "MPJVE": mpjve(predicted, centred),
    }
    found = scored(names=NAMES[:1]).metrics_of()
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_official_numbers_are_means_over_frames() -> None:
    pairs = [poses(name, 20) for name in NAMES]
    predicted, truth = (np.concatenate(side) for side in zip(*pairs, strict=True))
    scores = scored("official").compute()
    assert scores.metrics == pytest.approx({"error": error(predicted, truth), "error_rel": error_rel(predicted, truth)})
    joints = scores.tables["joint"]
    assert [row["joint"] for row in joints] == list(J15.joints)
    assert [row["error"] for row in joints] == pytest.approx(error_terms(predicted, truth).mean(axis=0))
    assert joints[0]["error_rel"] is None
    assert [row["error_rel"] for row in joints[1:]] == pytest.approx(error_rel_terms(predicted, truth).mean(axis=0))
    assert scores.counts == {"sequences": 5, "frames": len(truth), "joints": 20 * len(truth)}
    by_sequence = scores.tables["sequence"]
    assert by_sequence[1]["error"] == pytest.approx(error(*poses(by_sequence[1]["sequence"], 20)))


def test_recipes_rank_by_their_own_number() -> None:
    assert HumanEvaMPJPE().primary.name == "MPJPE"
    assert HumanEvaMPJPE("official").primary.name == "error"
    for recipe in HumanEvaMPJPE.recipes:
        found = scored(recipe).compute().metrics
        assert HumanEvaMPJPE(recipe).primary.name == next(iter(found))
        assert set(found) <= {metric.name for metric in HumanEvaMPJPE.metrics}


def test_cells_are_subjects_and_actions() -> None:
    tables = scored().compute().tables
    rows = {(row["subject"], row["action"]): row for row in tables["cell"]}
    assert list(rows) == [("S1", "ThrowCatch"), ("S1", "Walking"), ("S2", "Walking"), ("S3", "Jog")]
    one = scored(names=NAMES[:2])
    assert rows["S1", "Walking"]["P-MPJPE"] == pytest.approx(one.metrics_of()["P-MPJPE"])
    assert rows["S1", "Walking"]["frames"] == one.compute().counts["frames"]
    assert [row["average"] for row in tables["average"]] == ["action mean", "frame-weighted"], "not all nine cells"


@given(data=st.data(), recipe=st.sampled_from(list(HumanEvaMPJPE.recipes)))
def test_neither_order_nor_batches_nor_merges_change_a_digit(data: st.DataObject, recipe: str) -> None:
    names = data.draw(st.permutations(NAMES))
    parts = data.draw(st.sampled_from([1, 3, 8]))
    whole = scored(recipe)
    merged = whole.fresh()
    for part in data.draw(st.permutations(range(parts))):
        merged.merge(scored(recipe, names[part::parts]))
    assert merged.compute() == whole.compute()
    weights = np.array(data.draw(st.lists(st.integers(1, 3), min_size=5, max_size=5)), float)
    assert merged.metrics_of(weights) == whole.metrics_of(weights)


@pytest.mark.parametrize("recipe", HumanEvaMPJPE.recipes)
def test_weights_count_a_sequence_as_often(recipe: str) -> None:
    protocol = scored(recipe)
    kept = NAMES[1:3]
    weights = np.array([float(name in kept) for name in protocol.units()])
    assert protocol.metrics_of(2 * weights) == pytest.approx(scored(recipe, kept).metrics_of())


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, 5),
        ({"subjects": "S1"}, 3),
        ({"actions": ["Walking", "Jog"], "cameras": "C1"}, 2),
        ({"cameras": "C1,C3"}, 4),
    ],
)
def test_select(options: dict[str, Any], left: int) -> None:
    assert len(HumanEvaMPJPE(options=options).select(sequences(NAMES))) == left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": "S4"}, "called 'S4'; there are S1, S2, S3"),
        ({"actions": "Box", "subjects": "S1"}, "called 'Box'; there are ThrowCatch, Walking"),
        (
            {"split": "videopose3d/train"},
            "has nothing to score: no sequence of the store is in videopose3d/train",
        ),
    ],
)
def test_select_names_what_is_not_there(options: dict[str, Any], message: str) -> None:
    with pytest.raises(HarBenchError, match=re.escape(message)):
        HumanEvaMPJPE(options=options).select(sequences(NAMES))


def test_one_way_of_scoring_has_one_name() -> None:
    assert HumanEvaMPJPE(options={"split": "videopose3d/test", "cameras": ""}).canonical == "humaneva/mpjpe:videopose3d"
    assert HumanEvaMPJPE(options={"cameras": ["C2", "C1"]}).canonical == "humaneva/mpjpe:videopose3d,cameras=C1,C2"


# --- files -----------------------------------------------------------------------------------------------------------


def flat(path: Path, arrays: Arrays) -> None:
    names = {name: "|".join(name.rsplit("/", 2)) for name in arrays}
    np.savez(path, **{names[name]: poses / 1000 for name, poses in arrays.items()})


def nested(path: Path, arrays: Arrays) -> None:
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for name in sorted(arrays):
        subject, action, _ = name.rsplit("/", 2)
        found.setdefault(subject, {}).setdefault(action, []).append(arrays[name] / 1000)
    np.savez(path, allow_pickle=True, positions_3d=np.array(found, object))


@pytest.mark.parametrize("write", [flat, nested])
def test_npz_in_metres(write: Any, tmp_path: Path) -> None:
    names = [f"Validate/S{subject}/Box 1 chunk2/{camera}" for subject in (1, 2) for camera in ("C1", "C2", "C3")]
    random = np.random.default_rng(0)
    arrays = {name: random.normal(0, 300, (3, 15, 3)).astype(np.float32) for name in names}
    write(tmp_path / "p.npz", arrays)
    found = HumanEvaMPJPE().read_foreign(tmp_path / "p.npz", None)  # type: ignore[arg-type]
    assert found is not None
    assert found.taken_for == "VideoPose3D-like .npz, metres"
    assert isinstance(found.values, dict)
    assert sorted(found.values) == names
    for name in names:
        np.testing.assert_allclose(found.values[name], arrays[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"S1|Box 1 chunk2|C1": np.zeros((1, 15, 3))}, "not named like 'Validate/S1|Walking 1 chunk0|C1'"),
        ({"Validate/S1|Box 1 chunk2|C1": np.zeros((1, 15, 2))}, "has the shape (1, 15, 2)"),
        ({"Validate/S1|Box 1 chunk2|C1": np.full((1, 15, 3), 900.0)}, "in metres; divide by 1000"),
        ({}, "holds no poses"),
    ],
)
def test_npz_that_is_none_is_named(arrays: Arrays, message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(HarBenchError, match=re.escape(message)):
        HumanEvaMPJPE().read_foreign(tmp_path / "p.npz", None)  # type: ignore[arg-type]


def test_other_files_are_left_to_others(tmp_path: Path) -> None:
    assert HumanEvaMPJPE().read_foreign(tmp_path / "p.parquet", None) is None  # type: ignore[arg-type]


# --- golden ----------------------------------------------------------------------------------------------------------


def closed_form(truth: np.ndarray) -> np.ndarray:
    """The golden file's prediction [mm] for the truth (T, 15, 3) of a chunk in one camera."""
    t, j, k = np.ogrid[: len(truth), :15, :3]
    waves = 30 * np.sin(0.9 * j + 1.7 * k + 0.05 * t) + 10 * np.cos(0.31 * t * (k + 1))
    return 1.05 * (truth - truth[:, :1]) + waves


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All 77 real chunks in three cameras."""
    out = tmp_path_factory.mktemp("humaneva") / "store"
    return har_bench.convert("humaneva", DATA / "humaneva15_flat.npz", out, jobs=1, quiet=True)


@pytest.fixture(scope="module")
def predicted(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The closed form for every chunk and camera, as VideoPose3D would keep it."""
    path = tmp_path_factory.mktemp("predicted") / "closed_form.npz"
    flat(
        path, {name: closed_form(store.sequence(name).keypoints_3d) for name in store.sequences["sequence"].to_pylist()}
    )
    return path


@pytest.fixture(scope="module")
def results(store: Store, predicted: Path) -> dict[str, har_bench.Result]:
    return {
        block: har_bench.score(HumanEvaMPJPE(options={"split": split}), store, predicted, resamples=0)
        for block, split in SPLITS.items()
    }


CASES = [(block, path, golden) for block in SPLITS for path, golden in leaves(CLOSED_FORM.get(block, {}))]


@pytest.mark.real
@pytest.mark.parametrize(("block", "path", "golden"), CASES)
def test_closed_form_predictions_score_as_videopose3d(
    results: dict[str, har_bench.Result], block: str, path: tuple[str, ...], golden: float
) -> None:
    tables = results[block].tables
    group, *labels, key = path
    row = {
        "by_subject": lambda: next(row for row in tables["cell"] if [row["subject"], row["action"]] == labels),
        "all_subjects": lambda: next(row for row in tables["action"] if [row["action"]] == labels),
        "action_mean_all": lambda: results[block].metrics,
        "walk_jog_box_cell_mean": lambda: tables["average"][-1],
    }[group]()
    assert row[METRIC.get(key, key)] == pytest.approx(golden, abs=1e-5, rel=0)


@pytest.mark.real
@pytest.mark.parametrize("key", sorted(CLOSED_FORM.get("per_chunk", [{}])[0].keys() & {*METRIC, "n"}))
def test_each_chunk_scores_as_videopose3d(results: dict[str, har_bench.Result], key: str) -> None:
    found = {row["sequence"]: row for result in results.values() for row in result.tables["sequence"]}
    assert len(found) == len(CLOSED_FORM["per_chunk"])
    for golden in CLOSED_FORM["per_chunk"]:
        row = found["{split}/{subject}/{chunk}/{camera}".format_map(golden)]
        assert row[METRIC.get(key, "frames")] == pytest.approx(golden[key], abs=1e-4, rel=0)


@pytest.mark.real
def test_workers_change_no_digit(store: Store, predicted: Path, results: dict[str, har_bench.Result]) -> None:
    spread = har_bench.score(HumanEvaMPJPE(), store, predicted, jobs=2, resamples=0)
    assert (spread.metrics, spread.tables) == (results["Validate"].metrics, results["Validate"].tables)


@pytest.mark.real
def test_an_archive_has_no_20_points(store: Store, predicted: Path) -> None:
    with pytest.raises(HarBenchError, match="no mapping from humaneva15 to humaneva20"):
        har_bench.score(HumanEvaMPJPE("official"), store, predicted)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The official raw layout with synthetic motion: 20 points from every camera."""
    out = tmp_path_factory.mktemp("humaneva-raw") / "store"
    return har_bench.convert("humaneva", DATA / "humaneva_synth_raw", out, jobs=1, quiet=True)


def truth_of(store: Store) -> Arrays:
    """The poses of every sequence that has some."""
    rows = zip(store.sequences["sequence"].to_pylist(), store.sequences["rows"].to_pylist(), strict=True)
    return {name: store.sequence(name).keypoints_3d for name, count in rows if count}


@pytest.mark.real
def test_official_errors_of_a_store(synthetic: Store) -> None:
    truth = truth_of(synthetic)
    away = har_bench.score(
        HumanEvaMPJPE("official"), synthetic, {name: each + np.array([2, 3, 6]) for name, each in truth.items()}
    )
    assert away.primary == "error"
    assert away.metrics == pytest.approx({"error": 7, "error_rel": 0}, abs=1e-9)
    late = {name: np.roll(each, 1, axis=0) for name, each in truth.items()}
    result = har_bench.score(HumanEvaMPJPE("official"), synthetic, late)
    names = [row["sequence"] for row in result.tables["sequence"]]
    assert len({name.rpartition("/")[2] for name in names}) == 7, "all cameras, which all see the same distances"
    expected = [error_rel(late[name], truth[name]) for name in names]
    assert [row["error_rel"] for row in result.tables["sequence"]] == pytest.approx(expected)


@pytest.mark.real
def test_predictions_of_the_20_points_are_taken_for_the_15_joints(synthetic: Store) -> None:
    relative = {name: each - each[:, J20.index("torso_distal")][:, None] for name, each in truth_of(synthetic).items()}
    result = har_bench.score(HumanEvaMPJPE(), synthetic, relative)
    assert result["MPJPE"] == pytest.approx(0, abs=1e-9)
    assert result.environment["layout"] == "humaneva20"
