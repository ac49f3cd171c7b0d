"""What the command says arrives on any terminal, and a reader who leaves is no error."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from har_bench import cli, open_store, registry, results

COMMAND = (sys.executable, "-c", "from har_bench.cli import main; main()")
ASCII = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and predictions for it."""
    home = tmp_path_factory.mktemp("terminals")
    run = ("run", "oracle-noise", "store", "--protocol", "mpii/pckh", "--predictions", "p.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        for words in (("sample", "mpii", "raw"), ("convert", "mpii", "raw", "store", "--jobs", "1", "--quiet"), run):
            try:
                cli.main(words)
            except SystemExit as stop:
                assert not stop.code  # noqa: PT017 - a command that went well may exit too
    return home


def test_every_description_can_be_shown_on_any_terminal() -> None:
    names = [name for kind in ("converters", "protocols", "baselines", "views") for name in registry.available(kind)]  # type: ignore[arg-type]
    program = (
        "import sys; from har_bench.cli import main\n"
        "for encoding in ('ascii', 'cp1252'):\n"
        "    sys.stdout.reconfigure(encoding=encoding, errors='strict'); print('\\0')\n"
        "    for words in (['list'], ['--help'], ['score', '--help'], *(['info', name] for name in sys.argv[1:])):\n"
        "        try: main(words)\n"
        "        except SystemExit as stop: assert not stop.code, words\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, env=ASCII)
    assert done.stderr.decode() == ""
    shown = done.stdout.split(b"\0")[1:]
    for text in (shown[0].decode("ascii"), shown[1].decode("cp1252")):
        assert all(f"\n{name}" in text for name in names)
        assert "\\u" not in text, "a letter in our own words has no look-alike"


def test_other_people_s_letters_are_shown_by_their_numbers(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    words = ("score", "mpii/pckh", "store", "p.parquet", "--model", "größer × 北", "--out", out)
    done = subprocess.run([*COMMAND, *words], capture_output=True, env=ASCII | {"PYTHONUTF8": "1"}, cwd=home)
    assert (done.returncode, done.stderr) == (0, b"")
    assert results.read(out).model == "größer × 北"
    shown = subprocess.run([*COMMAND, "info", out], capture_output=True, env=ASCII, check=True).stdout.decode("ascii")
    assert shown.startswith("gr\\xf6\\xdfer x \\u5317 on mpii/pckh")


@pytest.fixture
def closed() -> Iterator[int]:
    """A pipe that nobody reads from any more."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["list protocols", "info store"])
def test_a_reader_who_leaves_ends_the_command_in_silence(words: str, unbuffered: str, closed: int, home: Path) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run([*COMMAND, *words.split()], stdout=closed, stderr=subprocess.PIPE, env=environment, cwd=home)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
def test_a_result_is_written_though_nobody_reads_what_is_said(closed: int, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    words = ("score", "mpii/pckh", "store", "p.parquet", "--out", out)
    done = subprocess.run([*COMMAND, *words], stdout=closed, stderr=subprocess.PIPE, cwd=home)
    assert (done.returncode, done.stderr) == (141, b"")
    assert results.read(out).primary == "PCKh@0.5"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([*COMMAND, "info", "h36m17"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("har-bench: its output cannot be written (No space left on device); ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", ["--help", "--version", "score --help"])
def test_help_for_a_full_disk_is_one_line(words: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([*COMMAND, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("columns", ["0", "²", "9" * 5000, "-3"])
def test_a_width_that_no_screen_has_is_not_believed(columns: str) -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, env=os.environ | {"COLUMNS": columns})
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="no such redirection")
def test_a_time_that_is_no_number_is_left_out_of_account(home: Path) -> None:
    """NumPy's f2py, which SciPy imports, would fail over it."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": "yesterday"}
    done = subprocess.run([*COMMAND, "list", "protocols"], capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_conversion_needs_nobody_who_listens(closed: str, home: Path, tmp_path: Path) -> None:
    words = ("convert", "mpii", "raw", tmp_path / "store", "--jobs", "1")
    done = subprocess.run(["sh", "-c", f'"$0" "$@" >/dev/null {closed}', *COMMAND, *words], cwd=home)
    assert done.returncode == 0
    open_store(tmp_path / "store").validate()


@pytest.mark.skipif(sys.platform == "win32", reason="no groups of processes")
@pytest.mark.parametrize("seconds", [0.8, 1.3, 2.0])
def test_ctrl_c_is_one_line_whatever_the_workers_are_at(seconds: float, home: Path, tmp_path: Path) -> None:
    """A terminal sends it to every process of the command.

    Where it comes while LLVM calls Python back, Python says that it is ignored, and goes on; then it is pressed anew.
    """
    words = ("convert", "mpii", "raw", tmp_path / "store", "--jobs", "2", "--quiet")
    said = b"Exception ignored"
    while b"Exception ignored" in said:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        begun = subprocess.Popen(
            [*COMMAND, *words], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            said = begun.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            os.killpg(begun.pid, signal.SIGINT)
            said = begun.communicate()[1]
    over = not said and begun.returncode in (0, -signal.SIGINT)  # all was done, and Python was ending
    assert over or said.startswith(b"har-bench: stopped; ")
    assert len(said.splitlines()) <= 1, said.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="no such redirection")
def test_a_program_without_output_works(home: Path) -> None:
    done = subprocess.run(["sh", "-c", '"$0" "$@" >&-', *COMMAND, "validate", "store"], cwd=home, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
