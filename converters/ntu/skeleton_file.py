"""NTU RGB+D's ``.skeleton`` files: the grammar, and a tokenizer that reads every field exactly.

A file is ASCII text, lines end in CRLF (LF after a passage through git)::

    file   := frames EOL  frame{frames}
    frame  := bodies EOL  body{bodies}
    body   := id clippedEdges handLeftConfidence handLeftState handRightConfidence handRightState
              isRestricted leanX leanY trackingState EOL  25 EOL  joint{25}
    joint  := x y z depthX depthY colorX colorY orientationW orientationX orientationY orientationZ
              trackingState EOL

Body ids lie near 2**56, where neighbouring doubles are 16 apart: they are read as integers. Every real number becomes
the double that Python's ``float`` makes of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bytes, Floats, Ints, kernel
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.texts import utf8

JOINTS = 25
NUMBERS = 11
"""Real numbers of a joint: x, y, z, depth x and y, color x and y, orientation w, x, y, z."""
FLAGS = (
    "clipped_edges",
    "hand_left_confidence",
    "hand_left_state",
    "hand_right_confidence",
    "hand_right_state",
    "is_restricted",
    "body_tracking_state",
)
"""Small integers of a body, in the order of the file."""

_SHORTEST_FRAME, _SHORTEST_BODY = 2, 600  # characters: a digit and LF; 25 lines of 12 digits and what separates them
_LEAN = JOINTS * NUMBERS  # in the list of rare spellings, the lean numbers follow those of the joints
_LARGEST = float(np.finfo(np.float32).max)
_SEVEN_DIGITS = np.uint64(9_999_999)
_LONGEST = np.uint64(15)  # characters of a number that the kernel reads, so its digits make less than 2**53
_EXACT = 10.0 ** np.arange(15)
_TAB, _LF, _CR, _SPACE, _MINUS, _POINT = (np.uint8(code) for code in b"\t\n\r -.")

# Places in the text are unsigned throughout: a signed index would have to be tested for counting from the end, which
# costs a third of the speed. Unsigned and signed integers must not meet, Numba would make doubles of them.
_NONE, _ONE, _NINE, _TEN, _ZERO = (np.uint64(number) for number in (0, 1, 9, 10, ord("0")))


class Frames(NamedTuple):
    """F frames with N bodies in all, in the order of the file.

    Attributes:
        bodies: (F,) bodies of each frame, 0 where nobody is seen.
        frame: (N,) the 0-based frame of each body.
        slot: (N,) its place in that frame.
        person: (N,) body id.
        flags: (N, 7) :data:`FLAGS`.
        lean: (N, 2) lean to the side and forward, -1 to 1.
        numbers: (N, 25, 11) :data:`NUMBERS` of each joint: metres (x to the sensor's left, y up, z forward), pixels
            of the depth image, pixels of the color image, unit quaternion.
        tracking: (N, 25) 0 not tracked, 1 inferred, 2 tracked.
    """

    bodies: npt.NDArray[np.int32]
    frame: npt.NDArray[np.int32]
    slot: Bytes
    person: Ints
    flags: Bytes
    lean: Floats
    numbers: Floats
    tracking: Bytes

    def first(self, frames: int) -> Frames:
        """The first frames alone."""
        bodies = self.bodies[:frames]
        return Frames._make([bodies, *(column[: int(bodies.sum())] for column in self[1:])])


class SkeletonFile(NamedTuple):
    """What a file holds.

    Attributes:
        frames: those that could be read.
        declared: frames that the first line announces.
        long: how many numbers have more than the seven significant digits that the sensor's float32 is printed with.
        finite: whether every number is finite as float32.
        problem: what ended the reading too early, in words; empty when the file is whole.
        line: the 1-based line of the problem.
    """

    frames: Frames
    declared: int
    long: int = 0
    finite: bool = True
    problem: str = ""
    line: int = 0


class _Odd(NamedTuple):
    """Numbers whose spelling is odd.

    Attributes:
        places: (P, 4) row, which number of it, start and stop of the rare spellings, as many as there is room for.
        counts: (2,) how many are rare, and how many have more than seven digits.
    """

    places: Ints
    counts: Ints


def read(path: Path) -> SkeletonFile:
    """Read a file, which may be compressed; see :func:`parse`."""
    text = utf8(compressed.read(path), str(path))
    return parse(text if b"\n" in text else text.replace(b"\r", b"\n"), str(path))


def parse(text: bytes, name: str) -> SkeletonFile:
    """Parse the text of a file as far as it follows the grammar; an incomplete frame is left out.

    Raises:
        HarBenchError: the first line is not a number of frames.
    """
    buffer = np.frombuffer(text + b"\n\n", np.uint8)  # so that reading past the end stops at an empty line
    found, rare, ended, at = _tokenized(buffer)
    if found.declared < 0:
        raise HarBenchError(f"{name} does not begin with a number of frames; it is no .skeleton file")
    frames, problem = found.frames, ""
    if not ended:
        problem = "the line is malformed" if at < len(text.rstrip()) else "the file ends here"
    elif text[at:].strip():
        problem = "text follows the last frame"
    for row, which, start, stop in rare.tolist():
        token = text[start:stop]
        value = _python_float(token)
        if value is None:
            found = found._replace(frames=frames.first(int(frames.frame[row])))
            at, problem = start, "a number is malformed"
            break
        target = frames.numbers[row].reshape(-1) if which < _LEAN else frames.lean[row]
        target[which % _LEAN] = value
        finite = abs(value) <= _LARGEST
        found = found._replace(finite=found.finite and finite, long=found.long + (finite and _digits(token) > 7))
    return found._replace(problem=problem, line=text.count(b"\n", 0, at) + 1 if problem else 0)


def _tokenized(buffer: Bytes) -> tuple[SkeletonFile, Ints, bool, int]:
    """The whole frames, the places of numbers whose spelling is rare ((row, which, start, stop) each), and the end."""
    frames, bodies = len(buffer) // _SHORTEST_FRAME, len(buffer) // _SHORTEST_BODY + 1
    columns = Frames(  # with room for all that a text can hold
        np.empty(frames, np.int32),
        np.empty(bodies, np.int32),
        np.empty(bodies, np.uint8),
        np.empty(bodies, np.int64),
        np.empty((bodies, len(FLAGS)), np.uint8),
        np.empty((bodies, 2)),
        np.empty((bodies, JOINTS, NUMBERS)),
        np.empty((bodies, JOINTS), np.uint8),
    )
    room = 64
    while True:
        odd = _Odd(np.empty((room, 4), np.int64), np.zeros(2, np.int64))
        whole, rows, ended, at, declared = _scan(buffer, columns, odd)
        count, long = odd.counts.tolist()
        if count <= room:
            break
        room = count
    rare = odd.places[:count]
    return SkeletonFile(columns.first(whole), declared, long), rare[rare[:, 0] < rows], ended, at


def _python_float(token: bytes) -> float | None:
    """What is beyond the kernel: exponents, long numbers, NaN and Infinity; None if it is no number."""
    try:
        return None if b"_" in token else float(token)  # 1_000 is a number to Python alone
    except ValueError:
        return None


def _digits(token: bytes) -> int:
    """The significant digits of a number."""
    return len(token.lower().partition(b"e")[0].replace(b".", b"").lstrip(b"+-0"))


@kernel
def _blank(text: Bytes, at: Any) -> Any:
    """Skip blanks."""
    while text[at] == _SPACE or text[at] == _TAB:
        at += _ONE
    return at


@kernel
def _integer(text: Bytes, at: Any) -> Any:
    """A number without sign and where it ends; -1 where there is none, or one of more than 18 digits."""
    at = _blank(text, at)
    start = at
    value = _NONE
    while True:
        digit = np.uint64(text[at]) - _ZERO
        if digit > _NINE:
            break
        value = value * _TEN + digit
        at += _ONE
    digits = np.int64(at - start)
    return (np.int64(value) if 0 < digits <= 18 else -1), at


@kernel
def _number(text: Bytes, at: Any) -> Any:
    """A real number, where it ends, and what it is: 0 not read, 1 read, 2 read and longer than seven digits.

    Integers below 2**53 and powers of ten up to 10**22 are doubles, so their quotient is rounded once, and correctly
    (Clinger, 1990). Spellings that are longer than 15 characters or no plain decimals are rare, and left to Python.
    """
    start = at
    negative = text[at] == _MINUS
    if negative:
        at += _ONE
    first = at
    mantissa = _NONE
    point = _NONE  # the place after it
    while True:
        digit = np.uint64(text[at]) - _ZERO
        if digit <= _NINE:
            mantissa = mantissa * _TEN + digit
            at += _ONE
        elif text[at] == _POINT and point == _NONE:
            at += _ONE
            point = at
        else:
            break
    scale = at - point if point != _NONE else _NONE
    value = np.float64(np.int64(mantissa))
    if text[at] <= _SPACE and at - first - _ONE < _LONGEST and point != at:
        value = value / _EXACT[scale]
        return (-value if negative else value), at, 2 if mantissa > _SEVEN_DIGITS else 1
    at = start
    while text[at] > _SPACE:
        at += _ONE
    return 0.0, at, 0


@kernel
def _end_of_line(text: Bytes, at: Any) -> Any:
    """Where the next line begins; 0 when something else stands before the end of this one."""
    at = _blank(text, at)
    if text[at] == _CR:
        at += _ONE
    return at + _ONE if text[at] == _LF else _NONE


@kernel
def _scan(text: Bytes, frames: Frames, odd: _Odd) -> tuple[int, int, bool, Any, int]:
    """Fill the arrays; gives frames, rows, whether all frames are there, the place, and how many are announced."""
    rows = 0
    declared, at = _integer(text, _NONE)
    after = _end_of_line(text, at)
    if declared < 0 or after == _NONE:
        return 0, 0, False, at, -1
    at = after
    for number in range(declared):
        start = rows
        count, at = _integer(text, at)
        after = _end_of_line(text, at)
        if count < 0 or count > 255 or after == _NONE or number == len(frames.bodies):
            return number, start, False, at, declared
        at = after
        for place in range(count):
            if rows == len(frames.frame):  # there is room for as many bodies as the text has lines for
                return number, start, False, np.uint64(len(text) - 2), declared
            at, whole = _body(text, at, rows, frames, odd)
            if not whole:
                return number, start, False, at, declared
            frames.frame[rows] = number
            frames.slot[rows] = place
            rows += 1
        frames.bodies[number] = count
    return declared, rows, True, at, declared


@kernel
def _body(text: Bytes, at: Any, row: int, frames: Frames, odd: _Odd) -> tuple[Any, bool]:  # noqa: C901
    """One body's 27 lines into row ``row``; gives the place, and whether it is whole.

    One function, for every number must be refused where it stands, and a kernel has no exceptions to do it with.
    """
    frames.person[row], at = _integer(text, at)
    if frames.person[row] < 0:
        return at, False
    for flag in range(7):
        if flag == 6:
            for side in range(2):
                start = _blank(text, at)
                frames.lean[row, side], at, kind = _number(text, start)
                if at == start:
                    return at, False
                if kind != 1:
                    _remember(odd, kind, row, _LEAN + side, start, at)
        value, at = _integer(text, at)
        if value < 0 or value > 255:
            return at, False
        frames.flags[row, flag] = value
    after = _end_of_line(text, at)
    if after == _NONE:
        return at, False
    joints, at = _integer(text, after)
    after = _end_of_line(text, at)
    if joints != JOINTS or after == _NONE:
        return at, False
    at = after
    for joint in range(JOINTS):
        for which in range(NUMBERS):
            start = _blank(text, at)
            frames.numbers[row, joint, which], at, kind = _number(text, start)
            if at == start:
                return at, False
            if kind != 1:
                _remember(odd, kind, row, joint * NUMBERS + which, start, at)
        state, at = _integer(text, at)
        after = _end_of_line(text, at)
        if state < 0 or state > 255 or after == _NONE:
            return at, False
        frames.tracking[row, joint] = state
        at = after
    return at, True


@kernel
def _remember(odd: _Odd, kind: int, row: int, which: int, start: Any, stop: Any) -> None:
    """Count a long number, or count a rare one and note its place as long as there is room."""
    if kind == 2:
        odd.counts[1] += 1
        return
    if odd.counts[0] < len(odd.places):
        place = odd.places[odd.counts[0]]
        place[0], place[1], place[2], place[3] = row, which, start, stop
    odd.counts[0] += 1
