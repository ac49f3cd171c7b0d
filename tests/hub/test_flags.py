"""Every command runs once with each of its own flags; a flag that is declared and has no case here fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import har_bench
from har_bench import cli, registry, results
from har_bench.protocol import make_protocol
from tests.enlarged import predicted

HOW = {
    "--recipe": "--recipe videopose3d",
    "--option": "-o every=2",
    "--missing": "--missing count-as-error",
    "--skeleton": "--skeleton h36m17",
    "--unit": "--unit cm",
    "--axes": "--axes x,-y,-z",
    "--one-based": ":pixels --one-based",
    "--approximate": "--approximate",
}
SHOWN = {"--by": "--by joint --by action", "--by-subject": "--by-subject"}
QUIET = {"--quiet": "--quiet"}
ON_H36M, ON_MPII = "h36m/mpjpe {h36m} {p3d}", "mpii/pckh {mpii} {p2d}"
COMMANDS: dict[str, tuple[str, dict[str, str]]] = {
    "list": ("", {"--kind": "--kind skeletons"}),
    "info": ("{h36m}", {}),
    "leaderboard build": (
        "{results} {out}/site",
        {"--dataset": "--dataset mpii", "--protocol": "--protocol mpii/pckh", "--only": "--only scored"},
    ),
    "leaderboard verify": (
        "{results}",
        {
            "--stores": "--stores {mpii}",
            "--predictions": "--stores {mpii} --predictions {home}",
            "--jobs": "--jobs 1",
            "--json": "--json",
            **QUIET,
        },
    ),
    "leaderboard add": (
        "{results}/h36m.json --predictions {p3d} --stores {h36m}",
        {
            "--to": "--to {out}/entries",
            "--name": "--name mine",
            "--setting": "--setting two",
            "--who": "--who me",
            "--paper": "--paper ours",
            "--year": "--year 2026",
            "--input": "--input CPN",
            "--frames": "--frames 27",
            "--extra-data": "--extra-data none",
            "--causal": "--no-causal",
            "--code": "--code https://example.org",
            "--licence": "--licence MIT",
            "--command": "--command predict",
            "--url": "--url https://example.org/p.parquet",
            "--jobs": "--jobs 1",
            **QUIET,
        },
    ),
    "sample": ("mpii {out}/raw", {"--seed": "--seed 3", "--pictures": "--pictures"}),
    "validate": ("{mpii}", {"--media": "--media {raw}", "--jobs": "--jobs 1", **QUIET}),
    "convert": (
        "mpii {raw} {out}/store",
        {
            "--jobs": "--jobs 1",
            "--strict": ":store --strict",
            "--resume": "--no-resume",
            "--format": "--format both",
            "--check-media": "--check-media",
            "--option": ":coco -o category=1",
            **QUIET,
        },
    ),
    "export": ("{mpii} coco {out}/files", {"--option": "-o splits=tompson/valid", **QUIET}),
    "score": (
        ON_H36M,
        {
            **HOW,
            **SHOWN,
            **QUIET,
            "--out": "--out {out}/r.json",
            "--jobs": "--jobs 2",
            "--device": "--device cpu",
            "--resamples": "--resamples 3",
            "--model": "--model mine",
        },
    ),
    "targets": (
        "h36m/mpjpe {h36m} {out}/keys.parquet",
        {"--recipe": "--recipe recentred", "--option": "-o every=2"},
    ),
    "run": (
        "oracle-noise {h36m} --protocol h36m/mpjpe",
        {
            **SHOWN,
            **QUIET,
            "--protocol": "--recipe videopose3d",
            "--recipe": "--recipe recentred",
            "--option": "-o every=2",
            "--set": "--set sigma=2",
            "--save": ":martinez --save {out}/m.safetensors",
            "--weights": ":weights --weights {out}/m.safetensors",
            "--init": ":martinez --init {out}/m.safetensors",
            "--seeds": ":martinez --seeds 2",
            "--device": ":martinez --device cpu",
            "--bf16": ":martinez --bf16",
            "--predictions": "--predictions {out}/p.parquet",
            "--out": "--out {out}/r.json",
            "--model": "--model mine",
        },
    ),
    "train": (
        "martinez {h36m} --protocol h36m/mpjpe --set epochs=1 --save {out}/m.safetensors",
        {
            **QUIET,
            "--save": "--save {out}/other.safetensors",
            "--protocol": "--recipe videopose3d",
            "--recipe": "--recipe recentred",
            "--option": "-o every=2",
            "--set": "--set batch=512",
            "--init": ":learnt --init {out}/m.safetensors",
            "--device": "--device cpu",
            "--bf16": "--bf16",
        },
    ),
    "compare": (f"{ON_H36M} {{p3d}}", {**HOW, **QUIET, "--resamples": "--resamples 20"}),
    "explain": (ON_H36M, {**HOW, **QUIET, "--worst": "--worst 2"}),
    "rescore": (
        "{results} --stores {h36m} --predictions {home}",
        {"--stores": "--stores {mpii}", "--predictions": "--predictions {results}", "--jobs": "--jobs 1", **QUIET},
    ),
}
"""The words of a right call of every command, and for each flag what is put behind them; ``:name`` is other words."""

OTHER_WORDS = {
    "score :pixels": ON_MPII,
    "explain :pixels": ON_MPII,
    "compare :pixels": f"{ON_MPII} {{p2d}}",
    "convert :store": "mpii {mpii} {out}/store",
    "convert :coco": "coco {coco} {out}/store",
    "run :martinez": "martinez {h36m} --protocol h36m/mpjpe --set epochs=1",
    "run :weights": "martinez {h36m} --protocol h36m/mpjpe",
}
ELSEWHERE = {"--scheduler"}
"""Needs a cluster: test_clusters.py."""

OF_MODELS = {"demo", "lift", "pose", "weights list", "weights fetch", "weights verify", "classify"}
"""Commands with tests of their own: test_demo.py, test_lifting_video.py, test_media_posing.py and others."""


def commands(app: Any = cli.app, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is declared, by its words."""
    for name in app:
        if not name.startswith("-"):
            inner, words = app[name], f"{before}{name}"
            if inner.default_command is None:
                yield from commands(inner, f"{words} ")
            elif words not in OF_MODELS:
                yield words, inner


def flags(command: Any) -> Iterator[str]:
    """The names of a command's flags: what must not, or need not, be given by its place."""
    for argument in command.assemble_argument_collection():
        if argument.name != "*" and not argument.required and argument.name not in ELSEWHERE:
            yield argument.name


DECLARED = [(words, flag) for words, command in commands() for flag in [*flags(command), ""]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Samples, stores, predictions and a result."""
    home = tmp_path_factory.mktemp("flags")
    found = {"home": home, "raw": home / "mpii-raw", "coco": home / "coco-raw", "results": home / "results"}
    for dataset in ("mpii", "coco", "h36m"):
        registry.load("converters", dataset).sample(home / f"{dataset}-raw")
    for dataset, name, file in (("mpii", "mpii/pckh", "p2d"), ("h36m", "h36m/mpjpe", "p3d")):
        store = har_bench.convert(dataset, home / f"{dataset}-raw", home / dataset, jobs=1, quiet=True)
        found |= {dataset: home / dataset, file: home / f"{file}.parquet"}
        pq.write_table(predicted(make_protocol(name), store), found[file])
        results.write(har_bench.score(name, store, found[file], resamples=0), home / "results" / f"{dataset}.json")
    return found


@pytest.mark.parametrize(("words", "flag"), DECLARED)
def test_a_command_runs_with_each_of_its_flags(
    words: str, flag: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.chdir(tmp_path)
    assert words in COMMANDS, f"{words} has no case here"
    base, cases = COMMANDS[words]
    assert not flag or flag in cases or flag in base, f"{flag} of {words} has no case here"
    given = cases.get(flag, "")
    if given.startswith(":"):
        other, _, given = given.partition(" ")
        base = OTHER_WORDS[f"{words} {other}"]
    steps = [(base, given)]
    if flag in ("--weights", "--init"):
        steps.insert(0, (OTHER_WORDS["run :martinez"], "--save {out}/m.safetensors"))
    for each in steps:
        line = f"{words} {' '.join(each)}".format(out=tmp_path, **files)
        try:
            cli.main(line.split())
        except SystemExit as stop:
            pytest.fail(f"{line}: exit {stop.code}: {capsys.readouterr().err}")
