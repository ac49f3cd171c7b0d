"""The command line: it teaches, it does what the functions do, and errors are one line."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

import har_bench
from har_bench import cli, registry, results
from har_bench.cli.terminal import show_report, show_table
from tests.toy import write_raw

COMMANDS = (
    *("compare", "convert", "demo", "explain", "info", "leaderboard", "lift"),
    *("list", "rescore", "run", "sample", "score", "validate"),
)


def call(*words: str | Path) -> int:
    """Run the command in this process; returns its exit status."""
    try:
        cli.main([str(word) for word in words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_help_names_every_command_and_loads_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    text = capsys.readouterr().out
    assert all(f" {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_arguments(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert "Usage: har-bench" in text
    assert len(text.splitlines()) > 5


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the commands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_whole_walk(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ("sample", "mpii", "raw"),
        ("convert", "mpii", "raw", "store", "--jobs", "1", "--quiet"),
        ("convert", "mpii", "store", "hdf5", "--format", "hdf5"),
        ("validate", "store"),
        ("validate", "hdf5"),
        ("info", "store"),
        ("run", "oracle-noise", "store", "--protocol", "mpii/pckh", "--predictions", "p.parquet", "--set", "sigma=1.5"),
        (
            "score",
            "mpii/pckh",
            "store",
            "p.parquet",
            "--recipe",
            "bearpaw",
            "--out",
            "results/r.json",
            "--model",
            "mine",
        ),
        ("info", "results/r.json"),
        ("leaderboard", "build", "results", "site"),
    ):
        assert call(*words) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "differs from what was published: images" in printed
    assert "as converted" in printed
    found = results.read(here / "results" / "r.json")
    assert (found.recipe, found.model, found.primary) == ("bearpaw", "mine", "PCKh@0.5")
    assert found["PCKh@0.5"] > 85
    assert {path.name for path in (here / "site").iterdir()} >= {"index.html", "leaderboard.md"}


def test_options_reach_the_protocol_and_the_converter(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", [8])
    convert = ("convert", "tests.toy:Toy", raw, tmp_path / "store", "--jobs", "1", "-o", "scale=2.5")
    assert call(*convert) == 0
    assert har_bench.open_store(tmp_path / "store").manifest.options == {"scale": 2.5}
    run = ("run", "tests.toy:Zero", tmp_path / "store", "--protocol", "tests.toy:ToyError", "-o", "every=2")
    assert call(*run, "--out", tmp_path / "r.json") == 0
    assert results.read(tmp_path / "r.json").options == {"every": 2}


@pytest.mark.parametrize("kind", ["converters", "protocols", "baselines"])
def test_list_and_info_know_everything_installed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", kind) == 0
    printed = capsys.readouterr().out
    for name in registry.available(kind):  # type: ignore[arg-type]
        assert name in printed
        assert call("info", name) == 0
        said = capsys.readouterr().out
        assert name in said
        assert "``" not in said
    assert call("info", "h36m17") == 0
    assert "0 hip (root)" in capsys.readouterr().out


GARBAGE = {
    "empty": b"",
    "text": b"this is not a dataset\n",
    "random": bytes(range(256)) * 40,
    "pickle": b"cos\nsystem\n(S'touch owned'\ntR.",
    "archive": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize(
    ("dataset", "file"),
    [
        ("mpii", "mpii_human_pose_v1_u12_1.mat"),
        ("mpii", "detections.mat"),
        ("mpii", "mpii_annotations.json"),
        ("h36m", "S9/MyPoseFeatures/D3_Positions/Walking 1.cdf"),
        ("h36m", "S9/MyPoses/3D_positions/Walking 1.h5"),
        ("h36m", "data_3d_h36m.npz"),
    ],
)
def test_a_wrong_raw_file_is_one_line_and_leaves_nothing(
    dataset: str,
    file: str,
    content: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = here / "raw" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(GARBAGE[content])
    assert call("convert", dataset, "raw", "store", "--jobs", "1") == 1
    error = capsys.readouterr().err
    assert error.startswith("har-bench: ")
    assert len(error.strip().splitlines()) == 1
    assert Path(file).name in error
    assert [each.name for each in here.iterdir()] == ["raw"]


def test_half_a_raw_file_is_one_line_and_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sample", "mpii", "raw") == 0
    (path,) = (here / "raw").rglob("*.mat")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert call("convert", "mpii", "raw", "store") == 1
    error = capsys.readouterr().err
    assert path.name in error
    assert [each.name for each in here.iterdir()] == ["raw"]


@pytest.mark.parametrize("content", GARBAGE)
@pytest.mark.parametrize("name", ["p.mat", "p.h5", "p.parquet", "p.csv"])
def test_wrong_predictions_are_one_line(
    name: str,
    content: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call("sample", "mpii", "raw")
    call("convert", "mpii", "raw", "store", "--jobs", "1")
    capsys.readouterr()
    (here / name).write_bytes(GARBAGE[content])
    words = ("score", "mpii/pckh", "store", name, "--out", "r.json")
    assert call(*words) == 1
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert not (here / "r.json").exists()
    assert not (here / "owned").exists()


def test_mistakes_are_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (("convert", "mpi", "x", "y"), "does not exist"),
        (("info", "nothing"), "no path, plug-in or skeleton is called 'nothing'"),
        (("score", "mpii/pckh", "nowhere", "p.h5"), "is not a store"),
        (("leaderboard", "build", here / "nowhere", "site"), "is not a folder"),
        (("demo", Path(__file__).parent), "is no demo of har-bench"),
        (("convert", "mpii", here, "y", "-o", "colour"), "is not name=value"),
    ):
        assert call(*words) == 1
        assert message in capsys.readouterr().err


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).parent / "har-bench"
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == har_bench.__version__


def test_media_beside_the_raw_files_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    call("sample", "mpii", "raw")
    assert call("convert", "mpii", "raw", "store", "--jobs", "1", "--check-media") == 0
    path = tmp_path / "raw" / har_bench.open_store("store").sequences["media"][0].as_py()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(path)
    capsys.readouterr()
    assert call("validate", "store", "--media", "raw", "--jobs", "1") == 0
    assert "1 " in capsys.readouterr().out


def test_info_explains_a_baseline_s_options(capsys: pytest.CaptureFixture[str]) -> None:
    """From the docstrings of its class and of those it derives from."""
    assert call("info", "oracle-noise") == 0
    assert "option: sigma=10.0  standard deviation of the noise [mm in 3D, px in 2D]" in capsys.readouterr().out
    pytest.importorskip("torch")
    assert call("info", "videopose3d") == 0
    printed = capsys.readouterr().out
    assert "option: causal=False  see no future frames" in printed
    assert "option: inputs=  a file of 2D keypoints (see har_bench.keypoints)" in printed
    assert all("  " in line for line in printed.splitlines() if line.startswith("option: "))


def test_a_sample_never_overwrites_a_download(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metadata.xml").write_text("the real one")
    assert call("sample", "h36m", tmp_path) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "metadata.xml").read_text() == "the real one"


@pytest.mark.parametrize("word", ["--out", "--save", "--predictions"])
def test_where_nothing_can_be_written_is_said_before_the_work(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("sample", "mpii", tmp_path / "raw")
    call("convert", "mpii", tmp_path / "raw", tmp_path / "store", "--quiet")
    monkeypatch.setattr("har_bench.baselines.mean_pose.MeanPose.fit", lambda *_: pytest.fail("it began"))
    for place in (tmp_path, tmp_path / "store" / "manifest.json" / "here.json"):
        assert call("run", "mean-pose", tmp_path / "store", "--protocol", "mpii/pckh", word, place) == 1
        assert f"har-bench: {place} " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "name", "suffix"),
    [
        *product(["--out"], ["mine.txt", "mine.JSON", "mine"], [".json"]),
        *product(["--predictions"], ["preds.h5", "preds.csv"], [".parquet"]),
    ],
)
def test_a_name_that_nothing_would_read_back_is_said_before_the_work(
    word: str,
    name: str,
    suffix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call("sample", "mpii", tmp_path / "raw")
    call("convert", "mpii", tmp_path / "raw", tmp_path / "store", "--quiet")
    monkeypatch.setattr("har_bench.baselines.mean_pose.MeanPose.fit", lambda *_: pytest.fail("it began"))
    assert call("run", "mean-pose", tmp_path / "store", "--protocol", "mpii/pckh", word, tmp_path / name) == 1
    assert f"name a file that ends in {suffix}" in capsys.readouterr().err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_offers_no_way_to_empty_a_list(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    assert "--empty-" not in capsys.readouterr().out


def test_weights_go_to_a_folder_that_is_made(tmp_path: Path) -> None:
    call("sample", "mpii", tmp_path / "raw")
    call("convert", "mpii", tmp_path / "raw", tmp_path / "store", "--quiet")
    saved = tmp_path / "new" / "deep" / "w.npy"
    assert call("run", "mean-pose", tmp_path / "store", "--protocol", "mpii/pckh", "--save", saved) == 0
    assert saved.is_file()


def test_an_unknown_option_of_a_baseline_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("sample", "mpii", tmp_path / "raw")
    call("convert", "mpii", tmp_path / "raw", tmp_path / "store", "--quiet")
    assert call("run", "oracle-noise", tmp_path / "store", "--protocol", "mpii/pckh", "--set", "sigm=1") == 1
    assert "no option of oracle-noise is called 'sigm'; did you mean 'sigma'" in capsys.readouterr().err


def test_a_class_in_the_working_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_a_student.py").write_text("class Mine: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert registry.load("baselines", "of_a_student:Mine").__name__ == "Mine"


def test_a_wide_table_keeps_its_digits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    numbers = tuple(f"{value}.{value}" for value in range(1000, 1012))
    show_table("wide", ("name", *(f"metric {place}" for place in range(12))), [("S9", *numbers)])
    shown = capsys.readouterr().out
    assert all(number in shown for number in numbers)


@pytest.mark.parametrize("words", [("score", "h36m/mpjpe", "nowhere", "p.h5"), ("run", "mean-pose", "nowhere")])
def test_a_misspelt_breakdown_is_said_before_the_work(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = ("--protocol", "h36m/mpjpe") if words[0] == "run" else ()
    assert call(*words, *protocol, "--by", "acton") == 1
    said = capsys.readouterr().err
    assert "no breakdown of h36m/mpjpe:videopose3d is called 'acton'; did you mean 'action'?" in said


def test_a_report_begins_with_what_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    show_report([("by joint", ("slice", "of"), [("hip", "7 joints")])], ["it is 3 mm", "seed 1"])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["it is 3 mm", "by joint", "slice  of", "hip    7 joints", "seed 1"]


def test_control_c_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("har_bench.cli.describing.describe", interrupted)
    assert call("info", "h36m") == 130
    assert capsys.readouterr().err.startswith("har-bench: stopped; ")
