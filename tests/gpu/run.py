"""``python -m tests.gpu.run OUT [--data FOLDER] [--device cpu --tiny]``: every check, one JSON and one log in OUT.

Both are written anew after every finding, so that what a run found stays when it is cut off. The exit status is 1 where
two ways disagree or a check broke.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import har_bench
from har_bench.devices import chosen, label
from tests.gpu.families import FAMILIES
from tests.gpu.setting import Finding, Setting

MINUTES = 8.0
REPORT, LOG = "gpu.json", "gpu.log"


class Report:
    """What was found so far, in a file and in words."""

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.facts, self.began = out, facts, time.monotonic()
        self.findings: list[dict[str, Any]] = []
        (out / LOG).write_text("", "utf-8")
        self.say(", ".join(f"{name} {value}" for name, value in facts.items()))

    def say(self, line: str) -> None:
        line = f"{time.monotonic() - self.began:7.1f} s  {line}"
        print(line, flush=True)
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def add(self, family: str, name: str, **values: Any) -> None:
        self.findings.append({"family": family, "name": name, **values})
        shown = ", ".join(f"{key} {_word(value)}" for key, value in values.items() if key != "traceback")
        self.say(f"{family}: {name}: {shown}")
        content = {**self.facts, "seconds": time.monotonic() - self.began, "findings": self.findings}
        temporary = self.out / f"{REPORT}.unfinished"
        temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        temporary.replace(self.out / REPORT)

    @property
    def good(self) -> bool:
        """Whether nothing disagreed and nothing broke."""
        return all(each.get("equal", True) and "broke" not in each for each in self.findings)


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def guarded(found: Iterator[Finding], report: Report, family: str) -> None:
    """Every finding of a family; one that breaks is one, too."""
    try:
        for name, values in found:
            report.add(family, name, **values)
    except Exception as error:
        report.add(family, "broke", broke=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def main(words: Sequence[str] | None = None) -> int:
    """Run every family, or some; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.run", description=__doc__)
    parser.add_argument("out", type=Path, help="the folder of the JSON and the log")
    parser.add_argument("--data", type=Path, help="the folder of the packed Human3.6M")
    parser.add_argument("--device", default="", help="as torch names it; a GPU if there is one")
    parser.add_argument("--tiny", action="store_true", help="sizes for a CPU, to see that it runs")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="at most")
    parser.add_argument("--only", nargs="*", choices=list(FAMILIES), help="these families")
    given = parser.parse_args(words)
    device = chosen(given.device)
    versions = {"har_bench": har_bench.__version__, "torch": torch.__version__, "python": platform.python_version()}
    report = Report(given.out, {"device": label(device), **versions, "tiny": given.tiny})
    with tempfile.TemporaryDirectory() as folder:
        ends = time.monotonic() + 60 * given.minutes
        at = Setting(str(device), given.tiny, Path(folder), given.data, ends)
        for name, family in FAMILIES.items():
            if given.only and name not in given.only:
                continue
            if at.left() < 0:
                report.add(name, "not run", skipped=f"the {given.minutes:g} minutes are over")
                continue
            guarded(family(at), report, name)
    report.say("everything agrees" if report.good else "something disagrees or broke")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
