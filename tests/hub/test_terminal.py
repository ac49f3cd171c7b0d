"""What the command line says after a conversion: how much was dropped, how much repaired, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from har_bench import cli, results
from har_bench.cli.terminal import say, show_result, show_table
from tests.coco_data import content, person, write


def said(capsys: pytest.CaptureFixture[str], raw: Path, store: Path, *more: str) -> list[str]:
    cli.main(["convert", "coco", str(raw), str(store), "--jobs", "1", "--quiet", *more])
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_dropped_and_repaired_are_counted_apart_by_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four persons of no image, one without joints, two with a flag and a box that are odd."""
    people = [person(at) for at in range(8)]
    for at in range(4):
        people[at]["image_id"] = 70 + at
    people[4]["keypoints"] = [1, 2, 2]
    people[5]["iscrowd"] = people[6]["iscrowd"] = False
    people[7]["bbox"] = []
    lines = said(capsys, write(tmp_path / "raw", content(people)), tmp_path / "store")
    assert lines[0].startswith(f"{tmp_path / 'store'}: 3 poses, 1 sequences, 7 rejects")
    assert lines[1:7] == [
        "dropped: 5 records",
        "4: no image of the file has this id (first: people.json, annotations[0].image_id)",
        "1: 3 values for its joints; 17 joints have 51 (first: people.json, annotations[4].keypoints)",
        "repaired: 3 places",
        "2: it is not written as 0 or 1 (false); read as such (first: people.json, annotations[5].iscrowd and 1 more)",
        "1: it is not four finite numbers ([]); null in the store (first: people.json, annotations[7].bbox)",
    ]
    assert str(tmp_path / "store") in lines[7]


@pytest.mark.parametrize("layout", ["parquet", "hdf5"])
def test_reasons_that_differ_in_numbers_are_one_and_many_are_summed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    people = [person(at, keypoints=[1, 2, 2] * (at + 1)) for at in range(5)] + [person(9)]
    odd = {"area": "x", "iscrowd": 7, "ignore": 7, "num_keypoints": -1, "bbox": 7, "category_id": "x"}
    lines = said(
        capsys, write(tmp_path / "raw", content([*people, person(10, **odd)])), tmp_path / "s", "--format", layout
    )
    assert lines[1] == "dropped: 5 records"
    assert lines[2].startswith("5: 3 values for its joints; 17 joints have 51 (first")
    assert lines[3] == "repaired: 6 places"
    assert len(lines) == 4 + 5 + 1
    assert lines[4].startswith("2: it is not 0 or 1 (7)")


def test_nothing_is_said_of_a_conversion_without_rejects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(said(capsys, write(tmp_path / "raw", content([person(1)])), tmp_path / "store")) == 1


def test_numbers_and_intervals_are_whole_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    row = ("PCKh@0.5 [%]", "86.4516", "+3.2258", "-4.819 to +11.59", "1e-05", "a sentence that may be broken")
    show_table("title", ("metric", "a", "difference", "95 % interval", "p", "note"), [row])
    shown = capsys.readouterr().out
    assert all(cell in shown for cell in row[:5])
    assert row[5] not in shown


def test_names_of_strangers_move_no_cursor_and_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("a \x1b[2Jtitle", ("na\u202eme", "n"), [("[/bold]m\x1b[31model", "1"), ("[red]x", "2")])
    said = capsys.readouterr().out
    assert "[/bold]m[31model" in said
    assert "[red]x" in said
    assert not {letter for letter in said if not letter.isprintable() and letter != "\n"}


def test_a_table_that_is_too_wide_comes_in_pieces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    show_table("title", ("action", "MPJPE", "P-MPJPE", "N-MPJPE"), [("Walking", "41.1234", "32.5678", "39.9999")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["title"],
        ["action", "MPJPE", "P-MPJPE"],
        ["Walking", "41.1234", "32.5678"],
        ["action", "N-MPJPE"],
        ["Walking", "39.9999"],
    ]


def test_sentences_break_between_words_on_a_screen_and_nowhere_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "  the file results/mpii/a-very-long-name-of-a-file.json does not say which joints it holds"
    say(long)
    assert capsys.readouterr().out == f"{long}\n"
    monkeypatch.setenv("COLUMNS", "30")
    say(long)
    assert capsys.readouterr().out == f"{long}\n"
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    say(long)
    assert capsys.readouterr().out.splitlines() == [
        "  the file",
        "    results/mpii/a-very-long-name-of-a-file.json",
        "    does not say which joints",
        "    it holds",
    ]


def test_what_a_recipe_leaves_out_is_named_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    result = results.read(Path(__file__).parent / "historic_results" / "0.1.0-h36m-mpjpe.json")
    left = [{"sequence": f"S11/Directions/{camera}", "defects": "camera-missing"} for camera in (1, 2)]
    show_result(replace(result, tables={**result.tables, "left_out": left}))
    expected = "left out: S11/Directions/1 (camera-missing), S11/Directions/2 (camera-missing)"
    assert expected in capsys.readouterr().out.splitlines()
