"""Files read in another process, which may be killed: what came of each, how long it took and how much it needed.

``python -m tests.hub.readings`` is the other process; it is given readers and paths, a line each.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = 8 << 30
"""Bytes of addresses that the other process may have: a reader that asks for terabytes gets a MemoryError."""


@dataclass(frozen=True)
class Reading:
    """What came of a file.

    Attributes:
        reader: which reader it was given to.
        path: the file.
        outcome: ``read``; ``refused`` with the one error of ours; ``escaped`` with another; ``ended``: the process did.
        text: of the error.
        seconds: how long it took.
        megabytes: the most that was resident, beyond what was before.
    """

    reader: str
    path: str
    outcome: str
    text: str
    seconds: float
    megabytes: float


def readers() -> dict[str, Callable[[Path], Any]]:
    """Every reader of foreign files, each reading all that a file holds."""
    from har_bench.converters.h36m.cdf import read_pose
    from har_bench.foreign import compressed, hdf5, joblib, json_file, mat, npy, npz, pickles, torch_file
    from har_bench.training import weights

    return {
        "pickle": pickles.load,
        "joblib": joblib.load,
        "npz": lambda path: dict(npz.open_npz(path)),
        "npy": lambda path: npy.load(path).sum(dtype=object) if npy.load(path).dtype.kind in "iuf" else None,
        "mat": lambda path: (mat.variable_names(path), mat.load_mat(path)),
        "torch": torch_file.load,
        "weights": weights.read,
        "hdf5": lambda path: hdf5.open_hdf5(path).read(),
        "json": lambda path: json_file.read(path, not_finite=dict),
        "records": json_file.records,
        "packed": compressed.read,
        "cdf": read_pose,
    }


def read_elsewhere(files: Sequence[tuple[str, Path]], *, folder: Path, seconds: float) -> Iterator[Reading]:
    """Read every file with its reader in another process, whose working folder is ``folder``.

    A file that takes longer than ``seconds``, or that the process does not survive, is ``ended``.
    """
    left = list(files)
    while left:
        done = 0
        command = [sys.executable, "-m", "tests.hub.readings", str(folder), str(seconds)]
        with tempfile.TemporaryFile("w+") as list_of_files:
            list_of_files.write("".join(f"{reader}\t{path}\n" for reader, path in left))
            list_of_files.seek(0)
            child = subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=list_of_files, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        with child:
            assert child.stdout is not None
            for line in child.stdout:
                yield Reading(**json.loads(line))
                done += 1
        if done < len(left):
            reader, path = left[done]
            yield Reading(reader, str(path), "ended", f"by {_name_of(child.returncode)}", seconds, 0.0)
            done += 1
        left = left[done:]


def _name_of(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _main(folder: str, seconds: str) -> None:
    import os

    by_name = readers()
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    os.chdir(folder)
    for line in sys.stdin:
        reader, _, path = line.rstrip("\n").partition("\t")
        signal.alarm(int(float(seconds)) + 1)  # ends the process, whatever C code it is in
        print(json.dumps(asdict(_reading(reader, by_name[reader], Path(path)))), flush=True)
    signal.alarm(0)


def _reading(name: str, reader: Callable[[Path], Any], path: Path) -> Reading:
    from har_bench.errors import HarBenchError

    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began, outcome, text = time.perf_counter(), "read", ""
    try:
        reader(path)
    except HarBenchError as error:
        outcome, text = "refused", str(error)
    except Exception as error:
        outcome, text = "escaped", f"{type(error).__name__}: {error}"[:500]
    took = time.perf_counter() - began
    return Reading(name, str(path), outcome, text, took, max(0.0, _resident("VmHWM") - before))


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1000 for line in lines if line.startswith(field))


if __name__ == "__main__":
    _main(*sys.argv[1:])
