"""A Dask cluster of separate processes, as on many machines: the file system is all that its workers share."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.golden import ROOT


class Machines:
    """A scheduler and its workers, each a process with a folder of its own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.home = home
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, workers: int) -> None:
        """Start the scheduler and so many workers, and wait until it listens."""
        self.scheduler = self._process("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        for _ in range(workers):
            self.start_worker()

    def start_worker(self) -> None:
        """Start one worker."""
        self.workers.append(self._process("dask_worker", self.address, "--nthreads", "1", "--no-nanny"))

    def kill_worker(self, number: int) -> None:
        """Pull a worker's plug."""
        self._kill(self.workers.pop(number))

    def kill(self) -> None:
        """Pull every plug."""
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            self._kill(process)
        self.workers, self.scheduler = [], None

    def _process(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        folder = self.home / f"machine{time.monotonic_ns()}"
        folder.mkdir(parents=True)
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *words, "--no-dashboard"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def machines(home: Path, workers: int) -> Iterator[Machines]:
    """Machines that are gone when the block ends."""
    found = Machines(home)
    try:
        found.start(workers)
        yield found
    finally:
        found.kill()
