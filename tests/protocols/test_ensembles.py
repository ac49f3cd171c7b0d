"""Score files are fused by name, in the way that is said, and a result says what was fused."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import results
from har_bench.cli import main
from har_bench.errors import HarBenchError
from har_bench.protocols.accuracy import NTU60XSub
from har_bench.scoring.ensembles import Ensemble
from har_bench.store import Store
from har_bench.studying import verify
from tests.sampled import Samples


@pytest.fixture(scope="module")
def store(samples: Samples) -> Store:
    return samples("ntu60")


def logits(store: Store, *, right: float, wrong: float, scale: float = 1.0) -> dict[str, Any]:
    """Scores by name: the true class has ``right``, the next one ``wrong``, and the others nothing."""
    protocol = NTU60XSub()
    chosen = protocol.select(store.sequences)
    found = {}
    for name, true in zip(chosen["sequence"].to_pylist(), protocol.class_of(chosen), strict=True):
        scores = np.zeros(protocol.classes)
        scores[[true, (true + 1) % protocol.classes]] = right, wrong
        found[name] = scores * scale
    return found


def softmax(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: np.exp(row) / np.exp(row).sum() for name, row in scores.items()}


def written(path: Path, scores: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(scores))
    return path


def fused(store: Store, *files: Path, **options: Any) -> Any:
    return har_bench.score("ntu60/xsub", store, Ensemble(files, **options), resamples=0)


@pytest.fixture
def pair(store: Store, tmp_path: Path) -> tuple[Path, Path]:
    """One that is right by little, and one that is wrong by more; their files have the same name."""
    one, other = logits(store, right=2.0, wrong=1.0), logits(store, right=1.0, wrong=4.0)
    return written(tmp_path / "joint/score.pkl", one), written(tmp_path / "bone/score.pkl", other)


def test_the_weights_decide(store: Store, pair: tuple[Path, Path]) -> None:
    """The sum of 2 a + 1 b is right by (2 - 1) a - (4 - 1) b: where a is more than three times b."""
    for weights, expected in (((0.8, 0.2), 100), ((0.7, 0.3), 0), ((0.5, 0.5), 0), ((), 0)):
        assert fused(store, *pair, weights=weights, fuse="sums")["top-1"] == expected


def test_logits_become_probabilities_first(store: Store, tmp_path: Path) -> None:
    """A hundred times larger numbers would outvote everybody as they are, and are no surer than 1 as probabilities."""
    loud = written(tmp_path / "a.pkl", logits(store, right=0.0, wrong=1.0, scale=9))
    sure = written(tmp_path / "b.pkl", logits(store, right=1.0, wrong=0.0, scale=90))
    large = written(tmp_path / "c.pkl", logits(store, right=0.9, wrong=1.0, scale=900))
    assert fused(store, loud, sure, fuse="logits")["top-1"] == 100
    assert fused(store, sure, large, fuse="sums")["top-1"] == 100
    assert fused(store, large, sure, weights=(1.0, 0.9), fuse="logits")["top-1"] == 0


def test_probabilities_and_the_logits_they_are_of_are_fused_to_the_same(store: Store, tmp_path: Path) -> None:
    one, other = logits(store, right=2.0, wrong=1.9), logits(store, right=0.5, wrong=0.7)
    files = [written(tmp_path / f"{name}.pkl", each) for name, each in (("a", one), ("b", other))]
    likely = [written(tmp_path / f"{name}.pkl", softmax(each)) for name, each in (("c", one), ("d", other))]
    for weights in ((0.9, 0.1), (0.1, 0.9)):
        found = [fused(store, *files, weights=weights, fuse="logits")]
        found.append(fused(store, *likely, weights=weights, fuse="probabilities"))
        assert found[0].metrics == found[1].metrics


def test_a_result_says_what_was_fused(store: Store, pair: tuple[Path, Path]) -> None:
    result = fused(store, *pair, weights=(0.6, 0.4), fuse="logits")
    assert result.canonical == "ntu60/xsub:single-clip,ensemble=0.6+0.4,fuse=logits"
    (note,) = [note for note in result.notes if note.startswith("fused")]
    for path, share in zip(pair, ("0.6", "0.4"), strict=True):
        assert f"{path} (weight {share}, blake3 " in note
    alone = [har_bench.score("ntu60/xsub", store, path, resamples=0).fingerprints["predictions"] for path in pair]
    assert [result.fingerprints[f"predictions {place}"] for place in (1, 2)] == alone
    assert alone[0][:12] in note
    assert result.fingerprints["predictions"] not in alone
    others = [fused(store, *pair, fuse="logits"), fused(store, *pair, weights=(0.4, 0.6), fuse="logits")]
    assert len({each.fingerprints["predictions"] for each in (result, *others)}) == 3


def test_the_order_of_rows_and_several_processes_change_nothing(store: Store, pair: tuple[Path, Path]) -> None:
    turned = pickle.loads(pair[1].read_bytes())
    written(pair[1].with_name("turned.pkl"), dict(reversed(turned.items())))
    one = fused(store, *pair, fuse="logits")
    assert fused(store, pair[0], pair[1].with_name("turned.pkl"), fuse="logits").metrics == one.metrics
    again = har_bench.score("ntu60/xsub", store, Ensemble(pair, fuse="logits"), resamples=0, jobs=2)
    assert again.metrics == one.metrics


def test_the_command_fuses_and_its_result_is_verified(
    store: Store, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["score", "ntu60/xsub", str(store.path), "--ensemble", *map(str, pair)]
    main([*words, "--weights", "0.8,0.2", "--fuse", "sums", "--out", str(tmp_path / "r/r.json"), "--quiet"])
    result = results.read(tmp_path / "r/r.json")
    assert (result["top-1"], result.options) == (100, {"ensemble": "0.8+0.2", "fuse": "sums"})
    assert "fused, as sums:" in capsys.readouterr().out
    (whole,) = verify(tmp_path / "r", stores=[store.path], predictions=[tmp_path / "joint", tmp_path / "bone"])
    assert whole.status == "equal"
    (part,) = verify(tmp_path / "r", stores=[store.path], predictions=[tmp_path / "joint"])
    assert part.status == "unverified"
    for more, words_ in (
        (["--weights", "0.8,0.2"], "whether .* has probabilities or logits is not guessed"),
        (["--weights", "0.6,,0.4", "--fuse", "sums"], "--weights is '0.6,,0.4'; give a number for each file"),
        (["--weights", "a,b", "--fuse", "sums"], "--weights is 'a,b'; give a number for each file"),
    ):
        with pytest.raises(SystemExit):
            main([*words, *more])
        assert re.search(words_, capsys.readouterr().err.replace("\n", " "))


def test_what_cannot_be_fused_is_said(store: Store, pair: tuple[Path, Path], tmp_path: Path) -> None:
    scores = pickle.loads(pair[0].read_bytes())
    first = next(iter(scores))
    few = written(tmp_path / "few.pkl", {name: row for name, row in scores.items() if name != first})
    narrow = written(tmp_path / "narrow.pkl", {name: row[:59] for name, row in scores.items()})
    clips = written(tmp_path / "clips.pkl", {name: np.stack([row, row]) for name, row in scores.items()})
    blank = written(tmp_path / "blank.pkl", scores | {first: np.full(60, np.nan)})
    labels = tmp_path / "labels.csv"
    labels.write_text("".join(f"{name},A001\n" for name in scores))
    cases: list[tuple[tuple[Path, ...], dict[str, Any], str]] = [
        (pair[:1], {"fuse": "sums"}, "an ensemble of 1 is none"),
        (pair, {}, r"give --fuse probabilities, logits \(softmax first\) or sums"),
        (pair, {"fuse": "softmax"}, "way to fuse scores is called 'softmax'"),
        (pair, {"fuse": "sums", "weights": (1.0,)}, "there are 1 weights for 2 files; give one each"),
        (pair, {"fuse": "sums", "weights": (2.0, -1.0)}, "the weights 2.0, -1.0 are not all 0 or more"),
        (pair, {"fuse": "sums", "weights": (0.0, 0.0)}, "the weights 0.0, 0.0 are not all 0 or more, with one above"),
        (
            (pair[0], blank),
            {"fuse": "sums"},
            r"blank\.pkl has 1 sequences whose scores are not finite\) cannot be scored",
        ),
        (pair, {"fuse": "probabilities"}, r"has no probabilities: those of .* give --fuse logits"),
        ((pair[0], few), {"fuse": "sums"}, rf"few\.pkl and .* are not of the same sequences \(1 are .* {first}\)"),
        ((pair[0], narrow), {"fuse": "sums"}, r"narrow\.pkl has 59 classes and .* has 60"),
        ((pair[0], clips), {"fuse": "sums"}, r"clips\.pkl has 2 clips of .*; average them to one row"),
        ((pair[0], labels), {"fuse": "sums"}, r"labels\.csv has no scores of .*, and labels cannot be fused"),
    ]
    for files, options, words in cases:
        with pytest.raises(HarBenchError, match=words):
            fused(store, *files, **options)


def test_only_classes_of_clips_are_fused(samples: Samples, tmp_path: Path) -> None:
    store = samples("h36m")
    har_bench.run("mean-pose", store, protocol="h36m/mpjpe", out=tmp_path / "p.parquet")
    twice = Ensemble((tmp_path / "p.parquet",) * 2, fuse="sums")
    with pytest.raises(HarBenchError, match="h36m/mpjpe scores no classes of clips, so nothing can be fused"):
        har_bench.score("h36m/mpjpe", store, twice)
