"""Places at URLs, for tests of what is read and written there, and files of strangers."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from har_bench import HarBenchError, Store
from har_bench.foreign import torch_file
from tests.hub.strange_files import Load, Strange
from tests.hub.systems import toy_store
from tests.hub.torch_writing import FORMATS


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies of what lies at URLs are kept: a folder of the test's own."""
    monkeypatch.setenv("HAR_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """An S3 server of our own, with a bucket."""
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("poses")
        yield "s3://poses"
    server.stop()


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store that the systems of :mod:`tests.hub.systems` are off by so much on."""
    return toy_store(tmp_path_factory.mktemp("toys"))


@pytest.fixture(params=["memory", "s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place of each kind that is empty."""
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        yield "memory://somewhere"
    elif request.param == "file":
        yield f"file://{tmp_path}/far"
    else:
        yield f"{request.getfixturevalue('bucket')}/{tmp_path.name}"


@pytest.fixture
def strange(tmp_path_factory: pytest.TempPathFactory) -> Strange:
    """What reads paths, as what reads bytes in a file called ``strange.pkl``."""
    path = tmp_path_factory.mktemp("strange") / "strange.pkl"

    def of(read: Callable[[Path], Any]) -> Load:
        def loaded(data: bytes) -> Any:
            path.write_bytes(data)
            return read(path)

        return loaded

    return of


@pytest.fixture
def refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, str], None]:
    """Sees that a file of torch of these bytes is refused for a reason, at a small cost, and nothing else happens."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pt"

    def of(data: bytes, reason: str) -> None:
        path.write_bytes(data)
        tracemalloc.start()
        try:
            with pytest.raises(HarBenchError, match=reason) as caught:
                torch_file.load(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500 + len(str(path))
        assert peak < 32 << 20
        assert [found.name for found in tmp_path.iterdir()] == ["hostile.pt"]

    return of


@pytest.fixture(params=FORMATS)
def save(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    """Both ways in which torch has written files."""
    return FORMATS[request.param]
