"""What ``make gpu`` runs goes to its end on a CPU, in tiny sizes, and says what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from tests.gpu.families import FAMILIES
from tests.gpu.run import LOG, REPORT, main
from tests.gpu.setting import Finding, Setting


def test_every_family_runs_to_its_end_on_a_cpu(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--device", "cpu", "--tiny"]) == 0, (tmp_path / LOG).read_text()
    report = json.loads((tmp_path / REPORT).read_text())
    assert list(dict.fromkeys(each["family"] for each in report["findings"])) == list(FAMILIES)
    assert not [each for each in report["findings"] if "broke" in each or not each.get("equal", True)]
    assert sum("equal" in each for each in report["findings"]) >= 10
    assert report["tiny"]
    log = (tmp_path / LOG).read_text()
    assert all(f"{each['family']}: {each['name']}" in log for each in report["findings"])


def test_what_breaks_or_differs_is_told_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(at: Setting) -> Iterator[Finding]:
        yield "one", {"equal": True}
        raise ValueError("a wire is loose")

    def different(at: Setting) -> Iterator[Finding]:
        yield "two", {"equal": False, "largest_difference": 0.5}

    def late(at: Setting) -> Iterator[Finding]:
        at.ends = 0
        yield "three", {}

    for name in list(FAMILIES):
        monkeypatch.delitem(FAMILIES, name)
    for name, family in (("a", broken), ("b", different), ("c", late), ("d", late)):
        monkeypatch.setitem(FAMILIES, name, family)
    assert main([str(tmp_path), "--device", "cpu"]) == 1
    report = json.loads((tmp_path / REPORT).read_text())
    assert [each["name"] for each in report["findings"]] == ["one", "broke", "two", "three", "not run"]
    assert "a wire is loose" in report["findings"][1]["traceback"]
    assert capsys.readouterr().out == (tmp_path / LOG).read_text()
