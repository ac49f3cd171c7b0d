"""Every command runs once with each of its own flags; a flag that is declared and has no case here fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

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
SHOWN = {"--by": "--by joint --by action", "--by-subject": "--by-subject", "--latex": "--latex"}
QUIET = {"--quiet": "--quiet"}
TAUGHT = "martinez {h36m} --protocol h36m/mpjpe --set epochs=1 --set channels=16"
ON_H36M, ON_MPII = "h36m/mpjpe {h36m} {p3d}", "mpii/pckh {mpii} {p2d}"
COMMANDS: dict[str, tuple[str, dict[str, str]]] = {
    "list": ("", {"--kind": "--kind skeletons"}),
    "info": ("{results}/h36m.json", {"--latex": "--latex"}),
    "leaderboard build": (
        "{results} {out}/site",
        {
            "--dataset": "--dataset mpii",
            "--protocol": "--protocol mpii/pckh",
            "--only": "--only scored",
            "--strict": "--strict",
            "--reports": "--reports",
            "--stores": "--stores {h36m} --reports",
        },
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
    "leaderboard compare": ("{results} --stores {h36m}", {"--resamples": "--resamples 20", **QUIET}),
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
    "export": (
        "{mpii} coco {out}/files",
        {
            "--option": "-o splits=tompson/valid",
            "--layout": ":people --layout coco17",
            "--width": ":people --width 1920 --height 1080",
            "--height": ":people --width 1920 --height 1080",
            "--video": ":videos --video b",
            **QUIET,
        },
    ),
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
            "--predictions": "",
            "--ensemble": ":clips --ensemble {clips} {clips} --fuse sums",
            "--weights": ":clips --ensemble {clips} {clips} --fuse sums --weights 0.6,0.4",
            "--fuse": ":clips --ensemble {clips} {clips} --fuse logits",
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
        f"{TAUGHT} --save {{out}}/m.safetensors",
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
    "compare": (f"{ON_H36M} {{p3d}} --resamples 20", {**HOW, **QUIET}),
    "explain": (ON_H36M, {**HOW, **QUIET, "--worst": "--worst 2"}),
    "report": (
        "{results}/h36m.json --out {out}/r.html",
        {
            "--store": "--store {h36m} --predictions {p3d}",
            "--predictions": "--store {h36m} --predictions {p3d}",
            "--worst": "--store {h36m} --predictions {p3d} --worst 1",
            "--command": "--command predict",
        },
    ),
    "browse": ("{mpii} {out}/site", {"--media": "--media {shown}"}),
    "show": (
        "{mpii} 004645041.jpg --out {out}/a.png",
        {
            "--sequence": "--frames 0:1",
            "--predictions": "--predictions mine={p2d}",
            "--protocol": "--protocol mpii/pckh:official --predictions mine={p2d}",
            "--frames": "--frames 0:2",
            "--media": "--media {shown}",
            "--layout": ":file --layout h36m17",
            "--camera": "--camera",
            "--beside": "--beside",
            "--worst": ":worst --worst 1",
        },
    ),
    "lift": (
        "videopose3d {walk} {out}/j.npy --weights {lifter} --layout coco17 --width 1920 --height 1080 --fps 25",
        {
            "--joints": "--joints h36m17",
            "--layout": "--device cpu",
            "--width": "--device cpu",
            "--height": "--device cpu",
            "--fps": "--device cpu",
            "--person": ":tracked --person 2",
            "--video": ":videos --video b",
            "--first-frame": ":tracked --first-frame 1",
            "--world": "--world",
            "--fit-fps": "--fit-fps 50",
            "--smooth": "--smooth",
            "--pose-model": ":film --pose-model tests.pictures:Finder",
            "--overlay": ":film --pose-model tests.pictures:Finder --overlay {out}/seen.png",
            "--device": "--device cpu",
            "--set": "--set flip=false",
            "--quiet": ":film --pose-model tests.pictures:Finder --quiet",
        },
    ),
    "pose": (
        "{film} {out}/p.parquet --model tests.pictures:Finder",
        {
            "--model": "--quiet",
            "--layout": "--layout h36m17 --quiet",
            "--people": "--people 1",
            "--overlay": "--overlay {out}/seen.gif",
            "--smooth": ":looking --smooth",
            "--every": "--every 2",
            "--max-frames": "--max-frames 3",
            "--fps": ":folder --fps 5",
            "--weights": ":looking --weights {lifter}",
            "--device": "--device cpu",
            "--set": "--set batch=2",
            **QUIET,
        },
    ),
    "weights list": ("", {}),
    "weights verify": ("", {}),
    "rescore": (
        "{results}",
        {"--stores": "--stores {mpii}", "--predictions": "--predictions {home}", "--jobs": "--jobs 1", **QUIET},
    ),
}
"""The words of a right call of every command, and for each flag what is put behind them; ``:name`` is other words."""

OTHER_WORDS = {
    "show :file": "{p3d} --out {out}/a.png",
    "show :worst": "{h36m} --out {out}/a.png --protocol h36m/mpjpe --predictions mine={p3d}",
    "score :pixels": ON_MPII,
    "score :clips": "penn_action/accuracy {penn_action}",
    "explain :pixels": ON_MPII,
    "compare :pixels": f"{ON_MPII} {{p2d}}",
    "convert :store": "mpii {mpii} {out}/store",
    "convert :coco": "coco {coco} {out}/store",
    "export :people": "{tracked} lart {out}/tracklets",
    "export :videos": "{videos} phalp {out}/tracks",
    "run :martinez": TAUGHT,
    "train :learnt": f"{TAUGHT} --save {{out}}/n.safetensors",
    "run :weights": "martinez {h36m} --protocol h36m/mpjpe",
    "lift :tracked": "videopose3d {tracked} {out}/j.npy --weights {lifter} --width 1920 --height 1080",
    "lift :videos": "videopose3d {videos} {out}/j.npy --weights {lifter} --width 1920 --height 1080",
    "lift :film": "videopose3d {film} {out}/j.npy --weights {lifter}",
    "pose :looking": "{film} {out}/p.parquet --model tests.pictures:Steady",
    "pose :folder": "{folder} {out}/p.json --model tests.pictures:Finder",
}
ELSEWHERE = {"--scheduler"}
"""Needs a cluster: test_clusters.py."""

APART = {"demo", "weights fetch", "check", "classify"}
"""Commands with tests of their own, for they take long, need a network or a model: test_demo.py, test_published.py,
test_checking.py of LART, and test_telling.py."""

PICTURES = {"lift", "pose", "export"}
"""Need torch and PyAV."""


def commands(app: Any = cli.app, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is declared, by its words."""
    for name in app:
        if not name.startswith("-"):
            inner, words = app[name], f"{before}{name}"
            if inner.default_command is None:
                yield from commands(inner, f"{words} ")
            elif words not in APART:
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
    found["shown"] = home / "shown"
    (found["shown"] / "images").mkdir(parents=True)
    Image.new("RGB", (1280, 720)).save(found["shown"] / "images" / "004645041.jpg")
    for dataset in ("mpii", "coco", "h36m", "penn_action"):
        registry.load("converters", dataset).sample(home / f"{dataset}-raw")
    for dataset, name, file in (
        ("mpii", "mpii/pckh", "p2d"),
        ("h36m", "h36m/mpjpe", "p3d"),
        ("penn_action", "penn_action/accuracy", "clips"),
    ):
        store = har_bench.convert(dataset, home / f"{dataset}-raw", home / dataset, jobs=1, quiet=True)
        found |= {dataset: home / dataset, file: home / f"{file}.parquet"}
        pq.write_table(predicted(make_protocol(name), store), found[file])
        if file != "clips":
            results.write(har_bench.score(name, store, found[file], resamples=0), home / "results" / f"{dataset}.json")
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films and images of people, keypoints of them, and weights of a lifting model that knows nothing."""
    torch, home = pytest.importorskip("torch"), tmp_path_factory.mktemp("pictures")
    pytest.importorskip("av")
    from har_bench.baselines.videopose3d import VideoPose3D
    from har_bench.lifting.lifter import Sizes
    from tests.pictures import film, save
    from tests.walkers import flat, walk

    model = VideoPose3D(channels=8, device="cpu")
    model.sizes, model.joints, model.target = Sizes(17, 2, 17), "h36m17", "h36m17"
    model.models = torch.nn.ModuleDict(model.networks(model.sizes))
    model.save(home / "lifter.safetensors")
    one, two = walk(12), walk(12, at=700, seed=1)
    np.save(home / "walk.npy", one)
    people = {name: {"custom": [one]} for name in ("a", "b")}
    np.savez(home / "videos.npz", positions_2d=np.array(people), metadata=np.array({"layout_name": "coco"}))
    rows = [
        {"image_id": frame, "category_id": 1, "keypoints": flat(points[frame]), "score": 0.9, "track_id": number}
        for number, points in ((1, one), (2, two))
        for frame in range(12)
    ]
    (home / "tracked.json").write_text(json.dumps(rows))
    people_in = [[(10 + 3 * frame, 20, 16, 60)] for frame in range(6)]
    for number, persons in enumerate(people_in):
        save(home / "folder" / f"{number}.png", persons)
    return {
        "lifter": home / "lifter.safetensors",
        "walk": home / "walk.npy",
        "videos": home / "videos.npz",
        "tracked": home / "tracked.json",
        "film": film(home / "film.mp4", people_in),
        "folder": home / "folder",
    }


@pytest.mark.parametrize(("words", "flag"), DECLARED)
def test_a_command_runs_with_each_of_its_flags(
    words: str,
    flag: str,
    files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """And what it says fits 80 columns, but for names, paths and what programs read."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("TTY_COMPATIBLE", "1"), ("COLUMNS", "80"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    found = files | request.getfixturevalue("pictures") if words in PICTURES else files
    assert words in COMMANDS, f"{words} has no case here"
    base, cases = COMMANDS[words]
    assert not flag or flag in cases or flag in base, f"{flag} of {words} has no case here"
    given = cases.get(flag, "")
    if given.startswith(":"):
        other, _, given = given.partition(" ")
        base = OTHER_WORDS[f"{words} {other}"]
    steps = [(base, given)]
    if words in ("run", "train") and flag in ("--weights", "--init"):
        steps.insert(0, (OTHER_WORDS["run :martinez"], "--save {out}/m.safetensors"))
    for each in steps:
        line = f"{words} {' '.join(each)}".format(out=tmp_path, **found)
        try:
            cli.main(line.split())
        except SystemExit as stop:
            pytest.fail(f"{line}: exit {stop.code}: {capsys.readouterr().err}")
    if flag != "--json":
        said = capsys.readouterr()
        shown = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.out + said.err)
        assert [wide for wide in shown.splitlines() if len(wide) > 80 and " " in wide.strip()] == []
