"""A result becomes an entry when it is scored again equal; what is changed afterwards is named, by verify and build."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import har_bench
from har_bench import HarBenchError, cli, results
from har_bench.entries import card as cards
from har_bench.entries import separations
from har_bench.entries.card import CARD, Card
from har_bench.entries.folder import RESULT
from har_bench.entries.outcomes import Outcome, ResultError
from har_bench.entries.record import RECORD
from har_bench.leaderboard import build
from har_bench.leaderboard.entries import Problem, scored
from har_bench.leaderboard.grouping import boards
from har_bench.results import Interval, Result
from har_bench.scoring.keeping import keep
from har_bench.studying.adding import add
from har_bench.studying.separating import separate
from har_bench.studying.verifying import verify
from tests.sampled import noise, two_stores

WAY = "mpii/pckh:hrnet"
KEYS = ("sequence", "frame", "person")
CARD_OF_NOISE = Card(name="Noise", who="nobody", year=2020, input="truth", frames=1, extra_data="none", causal=True)


class Home(NamedTuple):
    """Two stores, a result with the file it was scored from, and a folder with its entry."""

    stores: Path
    result: Path
    predictions: Path
    entries: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("entering")
    found = Home(two_stores("mpii", root), root / "noise.json", root / "noise.parquet", root / "entries")
    results.write(noise(WAY, found.stores / "mpii", found.predictions), found.result)
    enter(found, found.entries)
    return found


def enter(home: Home, folder: Path, card: Card = CARD_OF_NOISE, **how: Any) -> Path:
    given = {"predictions": home.predictions, "stores": [home.stores], "card": card}
    return add(home.result, folder, **(given | how))


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> Path:
    """A copy of the entries, to be changed."""
    return shutil.copytree(home.entries, tmp_path / "entries")


def the_entry(folder: Path) -> Path:
    (path,) = folder.rglob(RESULT)
    return path.parent


def test_an_entry_is_a_folder_of_four_files_and_is_verified(home: Home) -> None:
    entry = the_entry(home.entries)
    assert entry.relative_to(home.entries).parts[:2] == ("mpii", "pckh")
    assert {path.name for path in entry.iterdir()} == {RESULT, CARD, RECORD, "predictions.parquet"}
    (verdict,) = verify(home.entries, stores=[home.stores])
    assert (verdict.status, verdict.outcome) == ("equal", "re-scored equal")
    ((row,), problems) = scored(home.entries)
    assert (row.verified, row.method, row.card, problems) == (True, "Noise", CARD_OF_NOISE, [])
    given = results.read(home.result)
    assert row.result.metrics == given.metrics
    assert row.result.fingerprints["given"] == given.fingerprints["predictions"]
    assert row.result.versions["har_bench"] == har_bench.__version__


def test_kept_predictions_hold_every_value_and_are_no_larger(home: Home, tmp_path: Path) -> None:
    kept = keep(home.predictions, tmp_path)
    given, copy = (
        pq.read_table(path).sort_by([(key, "ascending") for key in KEYS]) for path in (home.predictions, kept)
    )
    assert copy.select(given.column_names).to_pydict() == given.to_pydict()
    assert copy.schema.field("keypoints").type.value_type == given.schema.field("keypoints").type.value_type
    assert kept.stat().st_size <= home.predictions.stat().st_size


def test_a_file_of_the_field_is_kept_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pred.mat"
    path.write_bytes(b"of another program")
    (tmp_path / "kept").mkdir()
    assert keep(path, tmp_path / "kept").read_bytes() == b"of another program"


def test_nothing_is_overwritten(home: Home, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name in ("Noise", "noise"):
        with pytest.raises(ResultError, match="is there already, and is never overwritten; say with --setting"):
            enter(home, folder, Card(name=name))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    enter(home, folder, Card(name="Noise", setting="again"))
    assert {row.setting for row in scored(folder)[0]} == {"", "again"}


def test_a_difference_is_refused_and_leaves_nothing(home: Home, tmp_path: Path) -> None:
    found = results.read(home.result)
    better = msgspec.structs.replace(found, metrics=found.metrics | {"PCKh@0.1": found["PCKh@0.1"] + 0.01})
    path = results.write(better, tmp_path / "better.json")
    with pytest.raises(ResultError, match=r"better\.json was scored again, and metrics PCKh@0\.1 is"):
        enter(home._replace(result=path), tmp_path / "entries")
    other = home.predictions.with_name("other.parquet")
    pq.write_table(pq.read_table(home.predictions), other, compression="none")
    with pytest.raises(ResultError, match="was scored from other predictions"):
        enter(home, tmp_path / "entries", predictions=other)
    with pytest.raises(HarBenchError, match=r"its store .* cannot be found"):
        enter(home, tmp_path / "entries", stores=[home.stores / "other"])
    assert not any(path.is_file() for path in (tmp_path / "entries").rglob("*"))


def test_predictions_may_be_elsewhere(home: Home, tmp_path: Path) -> None:
    entry = enter(home, tmp_path, url="https://example.org/noise.parquet")
    assert {path.name for path in entry.iterdir()} == {RESULT, CARD, RECORD}
    ((row,), _) = scored(tmp_path)
    assert row.verified
    assert row.card.predictions.url == "https://example.org/noise.parquet"
    assert row.card.predictions.blake3 == row.result.fingerprints["predictions"]
    (verdict,) = verify(tmp_path, stores=[home.stores])
    assert verdict.outcome == "predictions absent"
    (verdict,) = verify(tmp_path, stores=[home.stores], predictions=[home.predictions])
    assert verdict.outcome == "re-scored equal"


def test_verified_is_a_recorded_re_score_and_nothing_else(folder: Path) -> None:
    entry = the_entry(folder)
    moved = (entry / "predictions.parquet").rename(folder / "gone.parquet")
    assert [row.verified for row in scored(folder)[0]] == [False]
    moved.rename(entry / "predictions.parquet")
    assert [row.verified for row in scored(folder)[0]] == [True]
    (entry / RECORD).unlink()
    assert [row.verified for row in scored(folder)[0]] == [False]


def rewritten(**fields: Any) -> Callable[[Path], None]:
    """Replaces fields of the result, and seals it again."""

    def tamper(entry: Path) -> None:
        found = results.read(entry / RESULT)
        changes = {name: value(found) if callable(value) else value for name, value in fields.items()}
        results.write(msgspec.structs.replace(found, **changes), entry / RESULT)

    return tamper


def moved(found: Result) -> dict[str, Interval]:
    value = found["PCKh@0.5"]
    return found.intervals | {"PCKh@0.5": Interval(low=value + 2, high=value + 3)}


def edited_predictions(entry: Path) -> None:
    path = entry / "predictions.parquet"
    table = pq.read_table(path)
    numbers = pa.array([[value + 1 for value in row] for row in table["keypoints"].to_pylist()])
    place = table.column_names.index("keypoints")
    pq.write_table(table.set_column(place, table.schema.field(place), numbers.cast(table["keypoints"].type)), path)


def cut(entry: Path) -> None:
    path = entry / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-500])


def doubled(entry: Path) -> None:
    shutil.copytree(entry, entry.with_name("zzz"))


def edited_card(entry: Path) -> None:
    path = entry / CARD
    path.write_text(path.read_text().replace('"none"', '"COCO"'))


TAMPERED: dict[str, tuple[Callable[[Path], None], Outcome]] = {
    "140 %": (rewritten(metrics=lambda found: found.metrics | {"PCKh@0.5": 140.0}), "value impossible"),
    "a moved interval": (rewritten(intervals=moved), "outside its interval"),
    "a swapped fingerprint": (
        rewritten(fingerprints=lambda found: found.fingerprints | {"predictions": "9b" * 32}),
        "fingerprint differs",
    ),
    "a version that never was": (rewritten(version="0"), "version unknown"),
    "an edited table": (
        rewritten(
            tables=lambda found: found.tables | {"joint": [row | {"PCKh@0.5": 100.0} for row in found.tables["joint"]]}
        ),
        "disagrees with its tables",
    ),
    "edited predictions": (edited_predictions, "fingerprint differs"),
    "truncated Parquet": (cut, "fingerprint differs"),
    "a duplicate name": (doubled, "duplicate name"),
    "another store": (rewritten(fingerprints=lambda found: found.fingerprints | {"store": "5a" * 32}), "other store"),
    "another recipe": (rewritten(recipe="bearpaw"), "edited after scoring"),
    "a recipe that is none": (rewritten(recipe="easy"), "way unknown"),
    "a number that is a little better": (
        rewritten(metrics=lambda found: found.metrics | {"PCKh@0.1": found["PCKh@0.1"] + 0.01}),
        "edited after scoring",
    ),
    "an edited card": (edited_card, "edited after scoring"),
    "an edited file": (
        lambda entry: (entry / RESULT).write_text((entry / RESULT).read_text().replace('"model": "', '"model": "x')),
        "edited after scoring",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_each_tampering_is_named_by_verify_and_by_build(folder: Path, home: Home, tmp_path: Path, what: str) -> None:
    tamper, outcome = TAMPERED[what]
    tamper(the_entry(folder))
    wrong = [verdict for verdict in verify(folder, stores=[home.stores]) if verdict.status == "wrong"]
    assert [verdict.outcome for verdict in wrong] == [outcome]
    told: list[Problem] = []
    index, *_ = build(folder, tmp_path / "site", datasets=["mpii"], on_problem=told.append)
    assert [(problem.outcome, problem.refused) for problem in told] == [(outcome, True)]
    page = index.read_text("utf-8")
    assert "could not be published" in page
    published = 1 if outcome == "duplicate name" else 0
    assert page.count('<tr data-status="verified"') == published


def test_entries_that_chance_may_order_share_their_ranks(home: Home, folder: Path) -> None:
    rng = np.random.default_rng(0)
    table = pq.read_table(home.predictions)
    column = table.column_names.index("keypoints")
    for name, spread in (("same", 1e-3), ("worse", 60.0)):
        values = np.array(table["keypoints"].to_pylist())
        moved = pa.array(list(values + rng.normal(0, spread, values.shape)), table.schema.field(column).type)
        path = home.result.with_name(f"{name}.parquet")
        pq.write_table(table.set_column(column, table.schema.field(column), moved), path)
        made = har_bench.score(WAY, home.stores / "mpii", path, resamples=50, missing="count-as-error")
        other = home._replace(result=results.write(made, path.with_suffix(".json")), predictions=path)
        enter(other, folder, Card(name=name))
    first = separate(folder, [home.stores], resamples=200)
    assert len(first) == 3
    assert separate(folder, []) == first  # what is kept needs no store
    (board,) = boards(scored(folder)[0], tests=separations.read(folder))
    shown = {line.entry.method: board.standing(line).text for line in board.lines}
    assert shown == {"Noise": "1–2", "same": "1–2", "worse": "3"}
    assert "by a paired permutation test, Holm-corrected at 0.05 share them" in board.how_ranked
    lines = {line.entry.method: line for line in board.lines}
    assert board.p_value(lines["Noise"], lines["worse"]) < 0.05 < board.p_value(lines["Noise"], lines["same"])


def test_the_commands(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = ["--who", "A. Nobody", "--year", "2020", "--frames", "27", "--causal", "--extra-data", "none"]
    command = ["leaderboard", "add", str(home.result), "--predictions", str(home.predictions), "--quiet"]
    where = ["--stores", str(home.stores), "--to", str(tmp_path / "entries")]
    cli.main([*command, *where, *said])
    entry = Path(capsys.readouterr().out.strip())
    assert entry == the_entry(tmp_path / "entries")
    assert (entry / CARD).read_text() == (
        'name = "noise"\nwho = "A. Nobody"\nyear = 2020\nframes = 27\nextra_data = "none"\ncausal = true\n'
    )
    with pytest.raises(SystemExit):
        cli.main([*command, *where])
    cli.main(["leaderboard", "verify", str(tmp_path / "entries"), "--stores", str(home.stores), "--quiet"])
    assert "re-scored equal: scored again" in capsys.readouterr().out
    build(tmp_path / "entries", tmp_path / "site", only="verified")
    (page,) = (tmp_path / "site" / "entries").iterdir()
    assert "A. Nobody" in page.read_text()


@pytest.mark.parametrize("text", ["name", "nme = 'x'", "name = 3", "", "name = 'x'\nyear = 'y'", "\x00"])
def test_a_card_that_cannot_be_read_is_named(folder: Path, text: str) -> None:
    (the_entry(folder) / CARD).write_text(text)
    (verdict,) = verify(folder)
    assert (verdict.outcome, CARD in verdict.reason) == ("unreadable", True)


@pytest.mark.parametrize("text", ['a "b" \\ c', "é\u202e\x7f\n\t", "[x]\nname = 1", "'''"])
def test_what_a_card_says_comes_back(tmp_path: Path, text: str) -> None:
    said = Card(name=text, who=text, causal=False, predictions=None)
    (tmp_path / CARD).write_text(said.to_toml(), "utf-8")
    assert cards.read(tmp_path / CARD) == said
