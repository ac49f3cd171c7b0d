"""A sentence that many places need is made in one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import MODULES, shown, tree

LISTING = re.compile(
    r"\bno [a-z]+ [^;(]*[;(] ?(it has|it holds|they have|there are|name one of|one of) \{\}|is called \{\}"
)
"""What there is, behind a name that is not there; ``{}`` is what is filled in."""
HOME = "har_bench/errors.py"


def sentences(code: ast.Module) -> Iterator[str]:
    """Every text with something filled in, which is ``{}``."""
    for node in ast.walk(code):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]


@pytest.mark.parametrize("path", [path for path in MODULES if shown(path) != HOME], ids=shown)
def test_what_there_is_instead_of_a_name_is_listed_in_one_place(path: Path) -> None:
    """By :func:`har_bench.errors.unknown`, which also says what comes closest."""
    assert [text for text in sentences(tree(path)) if LISTING.search(text)] == []


@pytest.mark.parametrize(
    "code",
    [
        '''f"no skeleton is called {name!r}; there are {', '.join(names)}"''',
        '''f"{path} has no joint {joint!r}; it has {', '.join(joints)}"''',
        '''f"{path} holds no dataset poses (it has {', '.join(content)}); download it again"''',
        '''f"{path} has no split {split!r}; name one of {listed(known)}"''',
    ],
)
def test_such_a_sentence_is_seen(code: str) -> None:
    assert [bool(LISTING.search(text)) for text in sentences(ast.parse(code))] == [True]
