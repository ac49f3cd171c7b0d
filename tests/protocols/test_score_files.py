"""The field's score files: every form of the same predictions scores the same, and damaged ones are named."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench.errors import HarBenchError
from har_bench.protocols.accuracy import NTU60XSub, NTU60XView, NTU120XSet, NTU120XSub, PennAccuracy
from har_bench.protocols.accuracy.protocol import Accuracy
from har_bench.schema import vector
from har_bench.store import Store
from tests.sampled import Samples

ALL = [PennAccuracy, NTU60XSub, NTU60XView, NTU120XSub, NTU120XSet]


@pytest.fixture(scope="module")
def stores(samples: Samples) -> dict[str, Store]:
    """The sample of every dataset, converted."""
    return {kind.dataset: samples(kind.dataset) for kind in ALL}


def right_answers(protocol: Accuracy, store: Store) -> tuple[list[str], np.ndarray]:
    """The scored sequences, and scores that are right for all but the first."""
    chosen = protocol.select(store.sequences)
    scores = np.full((len(chosen), protocol.classes), 0.001)
    scores[np.arange(len(chosen)), protocol.class_of(chosen)] = 0.9
    scores[0] = scores[0, ::-1]
    return chosen["sequence"].to_pylist(), scores


@pytest.mark.parametrize("kind", ALL, ids=lambda protocol: protocol.name)
def test_every_form_of_the_same_predictions_scores_the_same(
    stores: dict[str, Store], kind: type[Accuracy], tmp_path: Path
) -> None:
    store = stores[kind.dataset]
    names, scores = right_answers(kind(), store)
    expected = 100 * (len(names) - 1) / len(names)
    table = pa.table({"sequence": names, "scores": vector(scores)})
    for form in (
        table,
        table.to_pandas(),
        table.take(np.arange(len(names))[::-1]),
        dict(zip(names, scores, strict=True)),
    ):
        found = har_bench.score(kind(), store, form, resamples=0)
        assert found["top-1"] == pytest.approx(expected), type(form)
    spelled = kind()
    chosen = spelled.select(store.sequences)
    labels = chosen["action"].to_pylist()
    labels[0] = labels[1]
    files = {
        "scores.pkl": pickle.dumps(dict(zip(names, scores.astype(np.float32), strict=True)), protocol=4),
        "endings.pkl": pickle.dumps(
            {f"data/{name}.skeleton": row for name, row in zip(names, scores, strict=True)}, protocol=2
        ),
        "pairs.pkl": pickle.dumps(list(zip(names, scores, strict=True))),
        "records.pkl": pickle.dumps(
            [{"frame_dir": name, "pred_score": row, "gt_label": 0} for name, row in zip(names, scores, strict=True)]
        ),
        "wrapped.pkl": pickle.dumps(
            [{"img_key": f"{name}.npy", "pred_scores": {"item": row}} for name, row in zip(names, scores, strict=True)]
        ),
        "signs.pkl": pickle.dumps(
            {f"x\\{name[:2].lower()}-{name[2:]}.skeleton.npy": row for name, row in zip(names, scores, strict=True)}
        ),
        "clips.pkl": pickle.dumps({name: row[None] for name, row in zip(names, scores, strict=True)}),
        "listed.pkl": pickle.dumps(list(scores)),
        "ordered.pkl": pickle.dumps(list(scores)),
        "scores.json": json.dumps(dict(zip(names, scores.tolist(), strict=True))).encode(),
        "records.json.gz": gzip.compress(
            json.dumps(
                [{"name": name, "score": row} for name, row in zip(names, scores.tolist(), strict=True)]
            ).encode()
        ),
        "numbers.csv": csv_of("name", "pred", names, spelled_numbers(scores)),
        "bare.csv": csv_of(None, None, names, spelled_numbers(scores)),
        "words.csv": csv_of("video", "label", names, labels),
        "ours.csv": csv_of("sequence", "label", names, spelled_numbers(scores)),
        "spreadsheet.csv": csv_of("Name", "Label", names, spelled_numbers(scores)).decode().encode("utf-16"),
        "semicolons.csv": csv_of("name", "label", names, spelled_numbers(scores)).replace(b",", b";"),
        "points.csv": csv_of("name", "label", names, map(float, spelled_numbers(scores))),
        "labels.json": json.dumps(dict(zip(names, spelled_numbers(scores), strict=True))).encode(),
        "labels.pkl": pickle.dumps(dict(zip(names, map(str, spelled_numbers(scores)), strict=True))),
        "labelled.json": json.dumps(
            [{"video": name, "label": label} for name, label in zip(names, spelled_numbers(scores), strict=True)]
        ).encode(),
    }
    np.save(tmp_path / "array.npy", scores)
    (tmp_path / "array.txt").write_text("\n".join(names))
    (tmp_path / "listed_names.csv").write_bytes(csv_of("id", "name", range(len(names)), names))
    clips = [{"frame_dir": name} for name in ("trained on", *names)]
    splits = {"train": ["trained on"], "val": names[::-1]}  # their order is that of the annotations
    files["ordered_ann.pkl"] = pickle.dumps({"split": splits, "annotations": clips})
    np.savez(tmp_path / "each.npz", **dict(zip(names, scores, strict=True)))
    np.savez(tmp_path / "both.npz", names=np.array(names), scores=scores.astype(">f8"))
    np.savez(tmp_path / "bytes.npz", name=np.array(names, "S"), labels=spelled_numbers(scores))
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for name in [*(name for name in files if "_ann" not in name), "array.npy", "each.npz", "both.npz", "bytes.npz"]:
        found = har_bench.score(kind(), store, tmp_path / name, resamples=0)
        assert found["top-1"] == pytest.approx(expected), name


def csv_of(first: str | None, second: str | None, *columns: object) -> bytes:
    header = [f"{first},{second}"] if first else []
    return "\n".join([*header, *(f'{one},"{other}"' for one, other in zip(*columns, strict=True))]).encode()


def spelled_numbers(scores: np.ndarray) -> list[int]:
    return scores.argmax(axis=1).tolist()


def test_a_label_beside_a_prediction_is_the_truth_and_not_read(stores: dict[str, Store], tmp_path: Path) -> None:
    names, _ = right_answers(PennAccuracy(), stores["penn_action"])
    true = PennAccuracy().class_of(PennAccuracy().select(stores["penn_action"].sequences))
    rows = [f"{int(name)},{label},{(label + 1) % 15}" for name, label in zip(names, true, strict=True)]
    (tmp_path / "dump.csv").write_text("\n".join(["name,label,pred", *rows]))
    found = har_bench.score(PennAccuracy(), stores["penn_action"], tmp_path / "dump.csv", resamples=0)
    assert found["top-1"] == 0
    assert found.environment["predictions"] == "csv, columns name and pred"


def test_numbered_pickles_are_in_ctrgcns_order(stores: dict[str, Store], tmp_path: Path) -> None:
    protocol, store = NTU60XSub(), stores["ntu60"]
    order = protocol.order(store.sequences)
    assert [name[8:12] for name in order] == sorted(name[8:12] for name in order)
    names, scores = right_answers(protocol, store)
    by_name = dict(zip(names, scores, strict=True))
    path = tmp_path / "epoch1_test_score.pkl"
    path.write_bytes(pickle.dumps({f"test_{place}": by_name[name] for place, name in enumerate(order)}))
    found = har_bench.score(protocol, store, path, resamples=0)
    assert found["top-1"] == pytest.approx(100 * (len(names) - 1) / len(names))
    assert "CTR-GCN" in found.environment["predictions"]
    path.write_bytes(pickle.dumps({f"test_{place}": scores[0] for place in range(len(order) + 2)}))
    with pytest.raises(HarBenchError, match=f"numbers {len(order) + 2} sequences.*has {len(order)}"):
        har_bench.score(protocol, store, path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.pkl",
            pickle.dumps({"S001C001P001R001A001": {}}),
            r"a\.pkl: S001C001P001R001A001 has a dict .*; give its scores",
        ),
        ("a.pkl", pickle.dumps({"a": np.zeros(3), "b": np.zeros(4)}), "3 and of 4 classes"),
        ("a.pkl", pickle.dumps({}), "holds a dict and no scores"),
        ("a.pkl", pickle.dumps([np.zeros(60)]), "list them, one a line, in .*a.txt"),
        ("a.pkl", pickle.dumps(print), "print"),
        (
            "a.pkl",
            pickle.dumps({f"S002C001P003R001A013{ending}": np.zeros(60) for ending in ("", ".skeleton")}),
            "names S002C001P003R001A013 twice; keep one",
        ),
        ("a.pkl", pickle.dumps([("one", np.zeros(60)), np.zeros(60)]), "list them, one a line, in .*a.txt"),
        ("a.npy", b"nothing", r"\.npy.*; write it again with numpy\.save"),
        ("a.csv", b"name,label\n0001,3\n0002\n", "row 2 of the data has 1 cells"),
        ("a.csv.gz", gzip.compress(b"name,label\n0001,3\n", mtime=0)[:-9], "cut off"),
        ("a.csv", b"name,label\n\xff,1\n", "not readable as csv"),
        ("a.bin", b"?", "no predictions file that ntu60/xsub knows"),
    ],
)
def test_damaged_files_are_named(
    stores: dict[str, Store], tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarBenchError, match=message) as caught:
        har_bench.score(NTU60XSub(), stores["ntu60"], tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("forged", [(1 << 40, 60), (3, 60)])
def test_an_array_of_a_forged_shape_is_not_allocated(
    stores: dict[str, Store], tmp_path: Path, forged: tuple[int, int]
) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": forged, "fortran_order": False, "descr": "<f8"})
        file.write(b"\0" * 16)
    with pytest.raises(HarBenchError, match=r"a\.npy holds an array of shape .*; write it again with numpy\.save"):
        har_bench.score(NTU60XSub(), stores["ntu60"], path)


def test_a_list_of_names_has_one_for_every_row(stores: dict[str, Store], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 60)))
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    with pytest.raises(HarBenchError, match=r"a.txt has 2 names, and .*a.npy 3 rows"):
        har_bench.score(NTU60XSub(), stores["ntu60"], tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(HarBenchError, match=r"shape \(3,\)"):
        har_bench.score(NTU60XSub(), stores["ntu60"], tmp_path / "a.npy")


def test_missing_sequences_are_named_or_counted_as_errors(stores: dict[str, Store]) -> None:
    names, scores = right_answers(NTU60XView(), stores["ntu60"])
    rows = pa.table({"sequence": names[1:], "scores": vector(scores[1:])})
    with pytest.raises(HarBenchError, match=f"1 missing.*{names[0]}"):
        har_bench.score(NTU60XView(), stores["ntu60"], rows)
    found = har_bench.score(NTU60XView(), stores["ntu60"], rows, missing="count-as-error", resamples=0)
    assert found["top-1"] == pytest.approx(100 * (len(names) - 1) / len(names))
    assert found.counts["without_prediction"] == 1


def test_a_number_that_lost_its_zeros_is_told_which_the_store_has(stores: dict[str, Store]) -> None:
    names, scores = right_answers(PennAccuracy(), stores["penn_action"])
    rows = pa.table({"sequence": [str(int(name)) for name in names], "scores": vector(scores)})
    with pytest.raises(HarBenchError, match=r"sequence '(\d+)', where the store has '0*\1'"):
        har_bench.score(PennAccuracy(), stores["penn_action"], rows)
