"""Files read in another process, which may be killed: what came of each, how long it took and how much it needed.

``python -m tests.hub.readings`` is the other process; it is given readers and paths, a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
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

from tests.hub.model_readings import MODEL_READERS
from tests.hub.own_readings import OWN_READERS

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
        seconds: of the processor, which a busy machine does not make more; of one that was ended, of the clock.
        megabytes: the most that was resident, beyond what was before.
    """

    reader: str
    path: str
    outcome: str
    text: str
    seconds: float
    megabytes: float


def readers() -> dict[str, Callable[[Path], Any]]:
    """Every reader of files, each reading all that a file holds; some look for a store beside the file."""
    import har_bench
    from har_bench.converter import Shard
    from har_bench.converters.coco import COCO
    from har_bench.converters.h36m.cdf import read_pose
    from har_bench.converters.mpii.hourglass import read_hourglass
    from har_bench.converters.mpii.hrnet import read_hrnet
    from har_bench.converting import journal
    from har_bench.foreign import compressed, hdf5, joblib, json_file, mat, npy, npz, pickles, torch_file
    from har_bench.keypoints.tracks import open_track
    from har_bench.protocols.oks import files as oks
    from har_bench.results import read
    from har_bench.scoring.column_files import read_columns
    from har_bench.storing import manifest
    from har_bench.training import weights

    def columns(path: Path) -> None:
        predictions = read_columns(path)
        assert predictions is not None
        for name in predictions.names():
            predictions.of(name)

    def resumed(path: Path) -> object:
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder)
            (partial / journal.JOURNAL).write_bytes(path.read_bytes())
            begun = journal.Header(har_bench="1", converter="toy", version="1", options={}, shards="x")
            return journal.resume(partial, begun, partial, [Shard("s000", ()), Shard("s001", ())])

    def converted(path: Path) -> None:
        converter = COCO()
        for shard in converter.discover(path):
            converter.read(shard)

    return (
        dict(MODEL_READERS)
        | dict(OWN_READERS)
        | {
            "columns": columns,
            "scored": lambda path: har_bench.score("tests.toy:ToyError", path.parent / "store", path, resamples=0),
            "track": lambda path: open_track(path, layout="coco17", size=(100, 100), fps=50),
            "result": read,
            "manifest": lambda path: manifest.decode(path.read_bytes(), path),
            "journal": resumed,
            "coco results": oks.read_results,
            "coco": converted,
            "hourglass": lambda path: read_hourglass(path, path.name),
            "hrnet": lambda path: read_hrnet([path], [path.name]),
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
    )


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
    began, outcome, text = time.process_time(), "read", ""
    try:
        reader(path)
    except HarBenchError as error:
        outcome, text = "refused", str(error)
    except Exception as error:
        outcome, text = "escaped", f"{type(error).__name__}: {error}"[:500]
    took = time.process_time() - began
    return Reading(name, str(path), outcome, text, took, max(0.0, _resident("VmHWM") - before))


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1000 for line in lines if line.startswith(field))


if __name__ == "__main__":
    _main(*sys.argv[1:])
