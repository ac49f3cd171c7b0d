"""NTU RGB+D: the tokenizer and the whole conversion beside a line-by-line reader, in the same run and one process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import har_bench
from har_bench.converters.ntu.metadata import published
from har_bench.converters.ntu.sample import recording, write_file
from har_bench.converters.ntu.skeleton_file import FLAGS, parse
from tests.golden import REAL
from tests.timing import processor_seconds

FILES = 128
"""In a plain test run, without ``--benchmark-enable``, there are eight."""

HEADER = (
    *("bodyID", "clipedEdges", "handLeftConfidence", "handLeftState", "handRightConfidence", "handRightState"),
    *("isResticted", "leanX", "leanY", "trackingState"),
)
JOINT = (
    *("x", "y", "z", "depthX", "depthY", "colorX", "colorY"),
    *("orientationW", "orientationX", "orientationY", "orientationZ", "trackingState"),
)


def line_by_line(text: bytes) -> list[list[dict[str, Any]]]:
    """Every field of a file, by name, as the readers in use do it; body ids are integers."""
    lines: Iterator[str] = iter(text.decode().splitlines())
    frames = []
    for _ in range(int(next(lines))):
        bodies = []
        for _ in range(int(next(lines))):
            values = next(lines).split()
            body: dict[str, Any] = {
                name: float(value) if name.startswith("lean") else int(value)
                for name, value in zip(HEADER, values, strict=True)
            }
            body["joints"] = []
            for _ in range(int(next(lines))):
                values = next(lines).split()
                body["joints"].append({name: float(value) for name, value in zip(JOINT, values, strict=True)})
            bodies.append(body)
        frames.append(bodies)
    return frames


@pytest.fixture(scope="module")
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with the names of the dataset: the real ones, or synthetic ones, over and over."""
    folder = tmp_path_factory.mktemp("ntu") / "raw"
    real = [path.read_bytes() for path in sorted((REAL / "ntu60/skeletons").glob("*")) if path.stat().st_size > 1000]
    if not real:
        people = [[(7, range(90))], [(7, range(90)), (8, range(90))]]
        for number, who in enumerate(people):
            write_file(folder / str(number), recording(np.random.default_rng(number), who, 90))
            real.append((folder / str(number)).read_bytes())
    folder.mkdir(exist_ok=True)
    files = FILES if request.config.getoption("benchmark_enable") else 8
    for of, content in zip(published(1)[:files], itertools.cycle(real), strict=False):
        (folder / f"{of.name}.skeleton").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def texts(raw: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(raw.glob("*.skeleton"))]


def tokenizer(text: bytes) -> Any:
    return parse(text, "text")


def test_both_read_the_same(texts: list[bytes]) -> None:
    for text in texts[:8]:
        found, expected = parse(text, "text").frames, line_by_line(text)
        assert found.bodies.tolist() == [len(bodies) for bodies in expected]
        bodies = list(itertools.chain(*expected))
        assert found.person.tolist() == [body["bodyID"] for body in bodies]
        joints = [[joint[name] for name in JOINT] for body in bodies for joint in body["joints"]]
        both = np.concatenate([found.numbers, found.tracking[..., None]], axis=-1).reshape(-1, len(JOINT))
        np.testing.assert_array_equal(both, joints)
    assert len(FLAGS) == len(HEADER) - 3


@pytest.mark.benchmark(group="NTU RGB+D, parsing")
@pytest.mark.parametrize("reader", [tokenizer, line_by_line], ids=["tokenizer", "line by line"])
def test_parsing(benchmark: BenchmarkFixture, texts: list[bytes], reader: Callable[[bytes], Any]) -> None:
    benchmark.pedantic(lambda: [reader(text) for text in texts], rounds=3, warmup_rounds=1)
    if benchmark.stats:
        (spent,) = processor_seconds(lambda: [reader(text) for text in texts], rounds=3)
        benchmark.extra_info["MB/s (processor)"] = round(sum(map(len, texts)) / 1e6 / spent)


@pytest.mark.benchmark(group="NTU RGB+D, conversion in one process")
def test_conversion(benchmark: BenchmarkFixture, tmp_path: Path, raw: Path, texts: list[bytes]) -> None:
    """From files to a finished store, hashed and checked, beside the line-by-line reader that writes nothing."""
    numbers = itertools.count()

    def convert() -> Any:
        out = tmp_path / str(next(numbers))
        return har_bench.convert("har_bench.converters.ntu:NTU60", raw, out, jobs=1, quiet=True)

    store = benchmark.pedantic(convert, rounds=3, warmup_rounds=1)
    if benchmark.stats:
        spent, reading = processor_seconds(convert, lambda: [line_by_line(text) for text in texts], rounds=3)
        benchmark.extra_info |= {
            "MB/s (processor)": round(sum(map(len, texts)) / 1e6 / spent),
            "rows/s (processor)": round(store.manifest.rows["poses"] / spent),
            "times the line-by-line reader alone": round(reading / spent, 1),
        }
