"""The names of images' files: paths under the folder of images, whichever system and folder wrote them."""

from __future__ import annotations

import re
from typing import NamedTuple

_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/]|$)")


class FileName(NamedTuple):
    r"""The name of an image's file.

    Attributes:
        path: under the folder of images; empty if there is none in the name.
        known: whether it is there; of an absolute path only the end may be right.
        moved: whether it was written otherwise, such as ``..\images\1.jpg``.
    """

    path: str
    known: bool = True
    moved: bool = False


def file_name(given: str) -> FileName:
    r"""A file's name as a path that stays in the folder of images.

    >>> file_name("a/b.jpg")
    FileName(path='a/b.jpg', known=True, moved=False)
    >>> file_name(r"..\images\1.jpg")
    FileName(path='images/1.jpg', known=True, moved=True)
    >>> file_name(r"C:\data\1.jpg")
    FileName(path='data/1.jpg', known=False, moved=True)
    """
    odd = given[0] == "/" or "\\" in given or "\0" in given or given[1:3] in (":/", ":")
    if not odd and ".." not in given.split("/"):
        return FileName(given)
    if "\0" in given:
        return FileName("", known=False, moved=True)
    text = _DRIVE.sub("", given, count=1) if _DRIVE.match(given) else given
    steps: list[str] = []
    for step in text.replace("\\", "/").split("/"):
        if step == ".." and steps:
            steps.pop()
        elif step not in ("", ".", ".."):
            steps.append(step)
    return FileName("/".join(steps), known=text == given and text[0] not in "/\\", moved=True)
