"""The one error type that a user meets, and what a reader says before the file's name and the remedy are known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class HarBenchError(Exception):
    """Something a user can mend; its text is one sentence, on one line, with the place and the remedy."""

    def __init__(self, sentence: str) -> None:
        # a damaged file's bytes may be in the sentence, quoted by the library that choked on them
        printable = (letter if letter.isprintable() else " " for letter in sentence)
        super().__init__(" ".join("".join(printable).split()))


class Malformed(Exception):  # noqa: N818 - it is what a file is, and :func:`completing` makes it an error
    """What is wrong with a file: the middle of a sentence that begins with its name and ends with the remedy.

    Attributes:
        remedy: what to do, where it is another thing than what helps with most files of the kind.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


@contextmanager
def completing(name: object, remedy: str) -> Iterator[None]:
    """Complete whatever is malformed inside the block: ``name`` is what messages call the file.

    Raises:
        HarBenchError: what was malformed, as ``<name> <what is wrong>; <remedy>``.
    """
    try:
        yield
    except Malformed as wrong:
        raise HarBenchError(f"{name} {wrong}; {wrong.remedy or remedy}") from wrong
