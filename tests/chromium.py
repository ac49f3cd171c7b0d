"""A real browser without a window, for what only a browser can judge; tests skip, visibly, where there is none."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
GIVEN = os.environ.get("HAR_BENCH_CHROMIUM")
PROGRAM = GIVEN or next(filter(None, map(shutil.which, NAMES)), None)
HEIGHT = 900


def _absent() -> str:
    """Why no page can be opened; empty where one can be."""
    if PROGRAM is None:
        return "no Chromium: apt-get install chromium, or name it in HAR_BENCH_CHROMIUM"
    return "" if importlib.util.find_spec("playwright") else "no playwright: pip install 'har-bench[test]'"


needed = pytest.mark.skipif(bool(_absent()) and not os.environ.get("HAR_BENCH_REQUIRE_CHROMIUM"), reason=_absent())
"""For tests that open a page; where a browser is required they fail without one."""

VIEWS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]
"""How a page is looked at: on a desk and in a hand, by day and by night."""


@contextmanager
def started() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Opened(NamedTuple):
    """A page that is open.

    Attributes:
        page: playwright's.
        complaints: what the browser says of it, such as errors and refusals of its policy.
    """

    page: Any
    complaints: list[str]


@contextmanager
def opened(
    browser: Any, path: Path, address: str = "", *, width: int = 1440, scheme: str = "light", **context: Any
) -> Iterator[Opened]:
    """A page from a file, after its script has run."""
    made = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme, **context)
    page = made.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{path.absolute().as_uri()}{address}")
    yield Opened(page, complaints)
    made.close()


def violations(page: Any) -> list[str]:
    """What axe finds inaccessible in all that the page has, folded parts and far ones too.

    Of each table two rows are kept: the others are like them, and thousands would take minutes.
    """
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.evaluate("document.querySelectorAll('tbody tr:nth-child(n + 3)').forEach((each) => each.remove())")
    page.evaluate(
        "document.querySelectorAll('article').forEach((each) => { each.style.contentVisibility = 'visible'; })"
    )
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": tags, "resultTypes": ["violations"]}).response
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


def tab_stops(page: Any, before: str) -> int:
    """How often Tab is pressed from the start of a page to the first stop within an element."""
    return int(
        page.evaluate(
            """(before) => {
              const goal = document.querySelector(before);
              const stops = "a[href], button, input, select, textarea, summary, [tabindex]";
              const every = [...document.querySelectorAll(stops)];
              const reached = every.filter((each) => each.tabIndex >= 0 && each.checkVisibility());
              const first = reached.findIndex((each) => goal.contains(each));
              return first < 0 ? reached.length : first;
            }""",
            before,
        )
    )
