"""Where ``har-bench`` begins and ends: what it says arrives on any terminal, errors are one line, pipes may close."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from har_bench.cli.app import app
from har_bench.cli.terminal import UnheardError, complain, heard, warnings_as_sentences
from har_bench.errors import HarBenchError

UNDERSTOOD = {"COLUMNS": r"[1-9]\d{0,3}", "SOURCE_DATE_EPOCH": r"\d{1,12}"}
"""Of the environment: the width of a screen, and the time that NumPy's f2py, which SciPy imports, would fail over."""

FAILED, INTERRUPTED, UNHEARD = 1, 130, 141
"""Exit statuses; the last two are those of a program that SIGINT or SIGPIPE ended."""

LOOK_ALIKES = {
    "–": "-", "—": "-", "−": "-", "×": "x", "·": "-", "…": "...", "→": "->", "←": "<-", "≤": "<=", "≥": ">=",
    "²": "^2", "°": " deg", "±": "+-", "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " ",
}  # fmt: skip
"""What stands for a letter where a terminal does not have it."""


def main(words: Sequence[str] | None = None) -> None:
    """The entry point of the ``har-bench`` command: errors are one line on standard error, exit status 1.

    Args:
        words: the command line; what the program was called with by default.
    """
    _open_streams()
    for name, sound in UNDERSTOOD.items():
        if not re.fullmatch(sound, os.environ.get(name, ""), re.ASCII):
            os.environ.pop(name, None)
    for stream in (sys.stdout, sys.stderr):
        _make_plain(stream)
    try:
        status = _run(words)
        with heard():
            sys.stdout.flush()
    except UnheardError as error:
        _let_go(sys.stdout)
        if error.closed:
            sys.exit(UNHEARD)
        complain(str(error))
        status = FAILED
    if status:
        sys.exit(status)


def _run(words: Sequence[str] | None) -> int | str | None:
    """Run a command; its exit status."""
    try:
        with warnings_as_sentences():
            app(sys.argv[1:] if words is None else words)
    except HarBenchError as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        complain("stopped; given again, a conversion or a training with checkpoints goes on")
        return INTERRUPTED
    except SystemExit as stop:
        return stop.code
    except BrokenPipeError as error:  # while cyclopts printed its help
        raise UnheardError(error) from error
    except OSError as error:  # what a disk does may be met anywhere
        place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "its output or a file"
        complain(f"{place} cannot be read or written ({error.strerror or error}); make room, or name another")
        return FAILED
    except MemoryError:
        complain("there is not enough memory for this; use a machine with more, or fewer --jobs")
        return FAILED
    return 0


def _open_streams() -> None:
    """Give standard streams that were closed to nobody.

    Else the first file that is opened gets the number of one, and what a library in C prints goes into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _make_plain(stream: TextIO | None) -> None:
    """Let letters that the encoding of a stream lacks become others that look like them, instead of an exception."""
    if isinstance(stream, io.TextIOWrapper):
        every = codecs.lookup(stream.encoding).name.startswith("utf")  # but for bytes in names of files
        stream.reconfigure(errors="backslashreplace" if every else "har-bench-look-alikes")


def _look_alikes(error: UnicodeError) -> tuple[str, int]:
    """A handler of codecs: look-alikes of the letters that cannot be encoded, else their numbers."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    plain = (LOOK_ALIKES.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in letters)
    return "".join(plain), error.end


codecs.register_error("har-bench-look-alikes", _look_alikes)


def _let_go(stream: TextIO) -> None:
    """Send the rest of a stream nowhere, so that Python does not complain about it in the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
