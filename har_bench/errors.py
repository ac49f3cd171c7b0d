"""What a user meets, an error or a warning: a sentence that names the file, the record and the remedy."""

from __future__ import annotations

import difflib
from bisect import bisect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

NAMED = 12
"""How many names a message lists; more are counted."""

COMPARED = 1000
"""How many names on either side of one that is not there are compared with it."""


class HarBenchError(Exception):
    """Something a user can mend; its text is one sentence, on one line, with the place and the remedy.

    The command line prints it without a traceback and exits with status 1.
    """

    def __init__(self, sentence: str) -> None:
        # a damaged file's bytes may be in the sentence, quoted by the library that choked on them
        printable = (letter if letter.isprintable() else " " for letter in sentence)
        super().__init__(" ".join("".join(printable).split()))


class HarBenchWarning(UserWarning):
    """Something a user should know, though the work goes on; its text is one sentence."""


def unknown(what: str, name: object, known: Iterable[str], *, hint: str = "") -> HarBenchError:
    """The error for a name that is not there: what comes closest, whatever its case, and what there is.

    >>> str(unknown("recipe of mpii/pckh", "HRNett", ["official", "hrnet"]))
    "no recipe of mpii/pckh is called 'HRNett'; did you mean 'hrnet'? There are official, hrnet"

    Args:
        what: the kind of thing, with whose it is.
        name: what was asked for.
        known: the names that there are, in the order to list them.
        hint: where else to look; follows the list.
    """
    names = [str(each) for each in known]
    close = closest(str(name), names)
    guess = f"did you mean {close!r}? There are" if close else "there are"
    there = f"{guess} {listed(names)}" if names else "there is none"
    return HarBenchError(f"no {what} is called {name!r}; {there}{hint and f'; {hint}'}")


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that comes closest, whatever its case; None where none is close.

    Of very many names, only those near it in alphabetical order are compared.
    """
    folded: dict[str, str] = {}
    for each in names:
        folded.setdefault(each.casefold(), each)
    wanted, near = name.casefold(), sorted(folded)
    at = bisect(near, wanted)
    found = difflib.get_close_matches(wanted, near[max(at - COMPARED, 0) : at + COMPARED], n=1)
    return folded[found[0]] if found else None


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """Names with commas between; of many, the first ones and how many more there are; ``none`` of none."""
    every = list(names)
    shown = ", ".join(every[:most]) or "none"
    return shown if len(every) <= most else f"{shown} and {len(every) - most:,} more"


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
