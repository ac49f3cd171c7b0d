"""The torch paths beside NumPy's and numba's: poses of every kind, whole results, and what cannot be computed."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import har_bench
from har_bench import cli
from har_bench.errors import HarBenchError
from har_bench.geometry import similarity
from har_bench.protocol import Batch, Protocol
from har_bench.protocols.mpii.pckh import PCKh
from har_bench.protocols.mpjpe import MPJPE
from har_bench.protocols.mpjpe.errors import sequence_sums
from har_bench.protocols.mpjpe.humaneva import HumanEvaMPJPE
from har_bench.protocols.oks import files as coco_files
from har_bench.protocols.oks.matching import best
from har_bench.protocols.oks.protocol import OKS
from har_bench.protocols.oks.similarity import Detections, Persons, similarities
from har_bench.skeletons import skeleton
from tests import h36m_data
from tests.oks_cases import COCO
from tests.protocols.test_oks_tools import PAIRS
from tests.sampled import sampled

torch = pytest.importorskip("torch")
errors_torch = pytest.importorskip("har_bench.protocols.mpjpe.errors_torch")
oks_torch = pytest.importorskip("har_bench.protocols.oks.similarity_torch")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
on_every_device = pytest.mark.parametrize("device", DEVICES)


def assert_close(found: Any, expected: Any, where: str = "result") -> None:
    """Whether two nested results are equal, numbers to 1e-6 relative; rounding of nought is below 1e-9."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name, value in expected.items():
            assert_close(found[name], value, f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for row, value in enumerate(expected):
            assert_close(found[row], value, f"{where}[{row}]")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9), (where, found, expected)
    else:
        assert found == expected, where


def assert_same_scores(found: Protocol, expected: Protocol) -> None:
    mine, theirs = found.compute(), expected.compute()
    for part in ("metrics", "tables", "counts"):
        assert_close(getattr(mine, part), getattr(theirs, part), part)


# --- poses -----------------------------------------------------------------------------------------------------------

KINDS = {
    "near": lambda p, t: 1.1 * t + 0.1 * p,
    "unlike": lambda p, t: p,
    "perfect": lambda p, t: t,
    "far away": lambda p, t: t + 0.1 * p + 5000,
    "opposite": lambda p, t: -t,
    "mirrored": lambda p, t: t * [-1, 1, 1],
    "mirrored, and a little off": lambda p, t: t * [-1, 1, 1] + 1e-3 * p,
    "flat": lambda p, t: p * [1, 1, 0],
    "on a line": lambda p, t: p[:, :1] * [1, 2, 3],
    "nearly on a line": lambda p, t: p[:, :1] * [1, 2, 3] + 1e-4 * p,
    "one point": lambda p, t: p * 0 + [100, 200, 4000],
    "null": lambda p, t: p * 0,
}


def poses(kinds: list[str], joints: int, seed: int, *, truth_kind: str = "unlike") -> tuple[np.ndarray, np.ndarray]:
    """A prediction of each kind, and its truth [mm]."""
    random = np.random.default_rng(seed)
    predicted, truth = random.normal(0, 1, (2, len(kinds), joints, 3)) * [150, 400, 100]
    truth = np.stack([KINDS[truth_kind](pose, pose) for pose in truth])
    return np.stack([KINDS[kind](p, t) for kind, p, t in zip(kinds, predicted, truth, strict=True)]), truth


@on_every_device
@given(
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=8),
    truth_kind=st.sampled_from(["unlike", "flat", "on a line", "one point", "null"]),
    joints=st.integers(1, 17),
    seed=st.integers(0, 2**32 - 1),
    recentre=st.booleans(),
    single=st.booleans(),
)
def test_the_sums_of_a_sequence(
    device: str, kinds: list[str], truth_kind: str, joints: int, seed: int, recentre: bool, single: bool
) -> None:
    predicted, truth = poses(kinds, joints, seed, truth_kind=truth_kind)
    if single:
        predicted, truth = predicted.astype(np.float32), truth.astype(np.float32)
    found = errors_torch.sequence_sums(predicted, truth, recentre=recentre, device=device)
    expected = sequence_sums(predicted, truth, recentre=recentre)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@on_every_device
def test_an_error_on_a_threshold_is_not_below_it(device: str) -> None:
    truth = np.zeros((31, 2, 3))
    predicted = truth.copy()
    predicted[:, 1, 0] = np.arange(31) * 5
    found = errors_torch.sequence_sums(predicted, truth, recentre=False, device=device)
    np.testing.assert_array_equal(found[8 : 8 + 31], 31 * (np.arange(31) > 0) + np.arange(31))


@on_every_device
def test_certain_rotations_are_exact_and_equally_good_ones_are_left_to_the_kernel(device: str) -> None:
    predicted, truth = poses(["near", "unlike", "opposite"] * 500, 17, 0)
    octahedron = np.concatenate((np.eye(3), -np.eye(3)))
    for source, target in ((predicted, truth), (octahedron[None] * [-1, 1, 1], octahedron[None])):
        centred = (torch.tensor(each - each.mean(axis=1, keepdims=True), device=device) for each in (source, target))
        turned, certain = (each.cpu().numpy() for each in errors_torch.scaled_rotations(*centred))
        expected = similarity(source, target)
        scaled = expected.s[:, None, None] * expected.R
        np.testing.assert_allclose(turned[certain], scaled[certain], rtol=0, atol=1e-11)
        assert certain.mean() > 0.9 if len(source) > 1 else not certain.any()


@on_every_device
@given(
    lengths=st.lists(st.integers(0, 6), max_size=6),
    seed=st.integers(0, 99),
    limit=st.integers(1, 20),
    recentre=st.booleans(),
)
def test_many_sequences_at_a_time_are_each_alone(
    device: str, lengths: list[int], seed: int, limit: int, recentre: bool
) -> None:
    predicted, truth = poses(["near"] * sum(lengths) or ["near"], 5, seed)
    predicted, truth = predicted[: sum(lengths)], truth[: sum(lengths)]
    starts = np.cumsum([0, *lengths])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(errors_torch, "FRAMES", limit)
        found = errors_torch.batch_sums(predicted, truth, starts, recentre=recentre, device=device)
    assert len(found) == len(lengths)
    for row, begin, end in zip(found, starts[:-1], starts[1:], strict=True):
        expected = sequence_sums(predicted[begin:end], truth[begin:end], recentre=recentre)
        np.testing.assert_allclose(row, expected, rtol=1e-6, atol=1e-9)


def batches(joints: int) -> tuple[Batch, Batch]:
    """Sequences of all kinds of poses: of several frames, of one, and of none."""
    starts = np.cumsum([0, 7, 0, 1, 30, 1, 12])
    predicted, truth = poses([list(KINDS)[frame % len(KINDS)] for frame in range(starts[-1])], joints, 3)
    names = [f"Validate/S{1 + row % 2}/Box {row}/a" for row in range(len(starts) - 1)]
    labels = {"action": ["Box", "Jog"] * 3, "subject": ["S1", "S2"] * 3, "camera": ["a"] * 6}
    rows = pa.table({"sequence": names, **labels})
    return Batch(rows, starts, {"keypoints_3d": truth}), Batch(rows, starts, {"keypoints_3d": predicted})


@on_every_device
@pytest.mark.parametrize(
    ("protocol", "recipe"), [*((MPJPE, recipe) for recipe in MPJPE.recipes), (HumanEvaMPJPE, "videopose3d")]
)
def test_every_number_and_table_of_poses(device: str, protocol: type[Protocol], recipe: str) -> None:
    plain, there = protocol(recipe), protocol(recipe)
    there.use(device)
    pair = batches(len(skeleton(plain.skeletons[0])))
    for each in (plain, there):
        each.update(*pair)
    assert_same_scores(there, plain)
    assert len(there.units()) == 5


@on_every_device
def test_a_pose_that_is_not_finite_is_named(device: str) -> None:
    truth, predictions = batches(17)
    predictions["keypoints_3d"][9, 5, 1] = np.nan
    protocol = MPJPE()
    protocol.use(device)
    with pytest.raises(HarBenchError, match="'Validate/S2/Box 3/a' has a pose that is not finite"):
        protocol.update(truth, predictions)


# --- keypoints -------------------------------------------------------------------------------------------------------


def scene(seed: int, joints: int) -> tuple[Persons, Detections]:
    """Images with any number of persons and detections, some without labelled joints, some nowhere."""
    random = np.random.default_rng(seed)
    starts = [np.append(0, random.integers(0, 4, 6).cumsum()) for _ in range(2)]
    people, found = int(starts[0][-1]), int(starts[1][-1])
    truth = random.integers(0, 90, (people, joints, 2)).astype(float)
    box = np.concatenate((truth.min(axis=1), np.ptp(truth, axis=1)), axis=1) if people else np.zeros((0, 4))
    area = random.choice([0.0, 100.0, 2000.0, 9000.0], people)
    flags = random.random((3, people)) < 0.2
    labelled = (random.random((people, joints)) < 0.7) & (random.random((people, 1)) < 0.8)
    keypoints = random.integers(0, 90, (found, joints, 2)).astype(float)
    if found:
        keypoints[-1, 0] = np.nan
    persons = Persons(starts[0], truth, labelled, box, area, flags[0], flags[1], ~flags[2])
    return persons, Detections(starts[1], keypoints, random.random(found).round(1), np.full(found, 500.0))


@on_every_device
@given(seed=st.integers(0, 2**32 - 1), joints=st.integers(1, 20), terms=st.sampled_from([1, 30, 1 << 20]))
def test_similarities_of_all_pairs(device: str, seed: int, joints: int, terms: int) -> None:
    persons, detections = scene(seed, joints)
    sigmas = np.random.default_rng(seed).uniform(0.02, 0.1, joints)
    starts, rows = best(detections.starts, detections.score, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oks_torch, "TERMS", terms)
        found = oks_torch.pair_similarities(persons, detections, starts, rows, sigmas, device)
    expected = []
    for image in range(len(starts) - 1):
        people = slice(persons.starts[image], persons.starts[image + 1])
        chosen = detections.keypoints[rows[starts[image] : starts[image + 1]]]
        one = (each[people] for each in (persons.keypoints, persons.labelled, persons.bbox, persons.area))
        expected.append(similarities(chosen, *one, sigmas).ravel())
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-9, atol=1e-300)


def keypoints_on(device: str, truth: Path, results: Path, recipe: str = "official") -> None:
    """Score the files on the device and by NumPy, and compare all numbers."""
    plain, there = OKS(recipe), OKS(recipe)
    there.use(device)
    found = coco_files.read_results(results)
    annotated = coco_files.read_annotations(truth, joints=found.keypoints.shape[1])
    for each in (plain, there):
        each.update(annotated, coco_files.results_batch(results, found, annotated.sequences))
    assert_same_scores(there, plain)


# --- stores ----------------------------------------------------------------------------------------------------------


def sample(dataset: str, folder: Path) -> har_bench.Store:
    return sampled(dataset, folder)


def answers(store: har_bench.Store, protocol: Protocol) -> dict[str, np.ndarray]:
    """Poses some centimetres off the root-relative truth [mm], by sequence."""
    random, found = np.random.default_rng(0), {}
    for name in protocol.select(store.sequences)["sequence"].to_pylist():
        truth = store.sequence(name).keypoints_3d
        found[name] = truth - truth[:, :1] + random.normal(0, 30, truth.shape)
    return found


@on_every_device
@pytest.mark.parametrize("protocol", [MPJPE, HumanEvaMPJPE])
def test_a_store_scored_on_a_device(device: str, protocol: type[Protocol], tmp_path: Path) -> None:
    store = sample(protocol.dataset, tmp_path)
    given_ = answers(store, protocol())
    plain = har_bench.score(protocol(), store, given_, resamples=20)
    there = har_bench.score(protocol(), store, given_, resamples=20, device=device)
    for part in ("metrics", "tables", "counts", "options", "fingerprints"):
        assert_close(getattr(there, part), getattr(plain, part), part)
    for name, interval in plain.intervals.items():
        assert (there.intervals[name].low, there.intervals[name].high) == pytest.approx((interval.low, interval.high))
    assert there.environment["device"].startswith(device)
    assert there.versions["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert "device" not in plain.environment
    assert "torch" not in plain.versions


def test_workers_use_the_device_too(tmp_path: Path) -> None:
    store = sample("h36m", tmp_path)
    given_ = answers(store, MPJPE())
    alone, spread = (har_bench.score(MPJPE(), store, given_, resamples=0, device="cpu", jobs=jobs) for jobs in (1, 2))
    assert spread.metrics == alone.metrics
    assert spread.environment["device"] == "cpu"
    fresh = MPJPE()
    fresh.use("cpu")
    assert fresh.fresh().device == "cpu"


@on_every_device
def test_coco_on_a_device_by_command_line(device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample("coco", tmp_path)
    annotations = tmp_path / "raw/annotations/person_keypoints_val2017.json"
    random, results = np.random.default_rng(0), []
    for one in json.loads(annotations.read_text())["annotations"]:
        joints = np.reshape(one["keypoints"], (17, 3)) + random.normal(0, 6, (17, 3))
        kept = {name: one[name] for name in ("image_id", "category_id")}
        results.append({**kept, "keypoints": joints.ravel().tolist(), "score": random.random()})
    (tmp_path / "results.json").write_text(json.dumps(results))
    keypoints_on(device, annotations, tmp_path / "results.json")
    files = (str(tmp_path / name) for name in ("store", "results.json"))
    words = ["score", "har_bench.protocols.oks.protocol:OKS", *files, "--resamples", "0", "--quiet"]
    for name, more in (("plain", []), ("there", ["--device", device])):
        cli.main([*words, "--out", str(tmp_path / f"{name}.json"), *more])
    capsys.readouterr()
    plain, there = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "there"))
    assert_close(there["metrics"], plain["metrics"])
    assert there["environment"].pop("device").startswith(device)
    assert there["environment"] == plain["environment"]


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "device", "message"),
    [
        (PCKh(), "cpu", "mpii/pckh:official has no torch path; score it without a device"),
        (HumanEvaMPJPE("official"), "cpu", "humaneva/mpjpe:official has no torch path"),
        (MPJPE(), "gpu", r"on the device 'gpu' \(Expected one of.*\); use cpu, or cuda where torch sees a GPU"),
        (MPJPE(), "meta", "cannot compute in double precision on the device 'meta'"),
        (OKS(), "cuda:99", r"on the device 'cuda:99' \(.*\); use cpu"),
    ],
)
def test_a_device_that_cannot_be_used_is_one_sentence(protocol: Protocol, device: str, message: str) -> None:
    with pytest.raises(HarBenchError, match=message) as raised:
        har_bench.score(protocol, "no store is opened before", {}, device=device)
    assert "\n" not in str(raised.value)


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(HarBenchError, match=re.escape("needs torch: pip install 'har-bench[baselines]'")):
        MPJPE().use("cuda")


# --- the research data -----------------------------------------------------------------------------------------------


@pytest.mark.real
@on_every_device
@pytest.mark.parametrize("made", ["closed form", "lifted"])
def test_real_poses(device: str, made: str) -> None:
    """Every 64th frame of every sequence, or every fourth of one camera's."""
    h36m = h36m_data.read()
    lifted = h36m_data.lifted() if made == "lifted" else {}
    options, step = ({}, 64) if lifted else ({"cameras": "60457274"}, 4)
    pairs = [(MPJPE(recipe, options), MPJPE(recipe, options)) for recipe in MPJPE.recipes]
    for plain, there in pairs:
        there.use(device)
        chosen = plain.select(h36m.sequences)
        assert there.select(h36m.sequences) == chosen
    for name in chosen["sequence"].to_pylist():
        truth = h36m.truth(name)
        predicted = lifted[name] if lifted else h36m_data.closed_form(truth)[::step]
        given_ = h36m.batch(name, truth[::step]), h36m.batch(name, predicted)
        for pair in pairs:
            for each in pair:
                each.update(*given_)
    for plain, there in pairs:
        assert_same_scores(there, plain)
        assert there.compute().counts["frames"] > 5000


@pytest.mark.real
@on_every_device
@pytest.mark.parametrize("name", PAIRS)
def test_real_keypoints(device: str, name: str) -> None:
    truth, results = PAIRS[name]
    recipe = next((recipe for recipe in OKS.recipes if recipe in name), "official")
    keypoints_on(device, COCO / truth, COCO / results, recipe)
