"""Which frame an image is: the number in its name that tells the images of a video apart.

``cam2_000012_v3.jpg`` has three numbers; beside ``cam2_000013_v3.jpg`` only one of them varies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from har_bench.errors import HarBenchError

LARGEST = 1 << 62
"""Numbers of frames are int64."""

Image = int | float | str


def numbers_of(path: Path, images: Iterable[Image]) -> Mapping[Image, int]:
    """The number of each image.

    Args:
        path: the file that names the images, for errors.
        images: ids, which are numbers themselves, or names of files.

    Raises:
        HarBenchError: a name without a number, a number that no frame has, or two images of one number.
    """
    distinct = list(dict.fromkeys(images))
    names = [image for image in distinct if isinstance(image, str)]
    numbers: dict[Image, int] = {image: _whole(path, image) for image in distinct if not isinstance(image, str)}
    numbers |= dict(zip(names, _of_names(path, names), strict=True))
    owner: dict[int, Image] = {}
    for image, number in numbers.items():
        if number >= LARGEST or number < 0:
            raise HarBenchError(f"{path} has a frame {image!r}; frames of a video count from 0 to below 2^62")
        if owner.setdefault(number, image) != image:
            raise _shared(path, owner[number], image, number)
    return numbers


def _whole(path: Path, image: float) -> int:
    try:
        number = int(image)
    except (ValueError, OverflowError) as error:
        raise HarBenchError(f"{path} has a frame {image!r}; number the frames from 0") from error
    if number != image:
        raise HarBenchError(f"{path} has a frame {image!r}, which is no whole number; number the frames from 0")
    return number


def _of_names(path: Path, names: Sequence[str]) -> list[int]:
    """The number in each name: of those that are different in every name, the one with the smallest range."""
    found = [re.findall(r"\d+", _stem(name)) for name in names]
    for name, digits in zip(names, found, strict=True):
        if not digits:
            raise HarBenchError(f"{path}: the image {name!r} has no number in its name; call images like 000012.jpg")
    if len(names) < 2:
        return [int(max(reversed(digits), key=len)) for digits in found]
    places = range(min(map(len, found)))
    columns = [[int(digits[-1 - place]) for digits in found] for place in places]
    if len({len(digits) for digits in found}) > 1:  # then counted from the front, too
        columns += [[int(digits[place]) for digits in found] for place in places]
    telling = [column for column in columns if len(set(column)) == len(names)]
    if not telling:
        last = next((column for column in columns if len(set(column)) > 1), columns[0])
        first: dict[int, str] = {}
        for name, number in zip(names, last, strict=True):
            if first.setdefault(number, name) != name:
                raise _shared(path, first[number], name, number)
    return min(telling, key=lambda column: max(column) - min(column))


def _stem(name: str) -> str:
    """A name without what follows its last dot, if that is a word: ``jpg``, and not the 12 of ``img.12``."""
    return re.sub(r"\.[A-Za-z]\w{0,4}$", "", name)


def _shared(path: Path, one: Image, other: Image, number: int) -> HarBenchError:
    return HarBenchError(
        f"{path}: the images {one!r} and {other!r} have the same number {number}; give the images of one video, "
        "numbered one by one"
    )
