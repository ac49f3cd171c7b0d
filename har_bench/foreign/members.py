"""What a file of a stranger holds, by name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

from har_bench.arrays import Anything


class Members(Mapping[str, Anything]):
    """A file's arrays by their names; each access reads its own anew, so nothing is kept in memory or open."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """``names[name]`` is what the file calls it."""
        self._names = names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @abstractmethod
    def __getitem__(self, name: str) -> Anything:
        """Read one."""
