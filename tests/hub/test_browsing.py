"""A store as a small site: every number is the store's, every class and defect has a picture that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench import cli
from har_bench.browsing import browse
from har_bench.browsing.counting import classes_of, defects_of, histogram, lengths_of, poses_of
from har_bench.store import Store, open_store
from tests import chromium
from tests.sampled import sampled


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("browsing")
    sampled("penn_action", home)
    return open_store(home / "store")


@pytest.fixture(scope="module")
def site(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return browse(store, tmp_path_factory.mktemp("site") / "out").parent


def test_counts_are_those_of_the_store(store: Store) -> None:
    found, visibility = poses_of(store), store.poses(columns=["visibility"])["visibility"].combine_chunks()
    said = np.asarray(visibility.values).reshape(len(visibility), -1)
    assert found.joints == store.skeleton().joints
    assert found.levels.tolist() == [[(column == level).sum() for level in range(3)] for column in said.T]
    assert found.sizes.counts.sum() == (said > 0).any(axis=1).sum()
    by, classes = classes_of(store)
    assert by == "action"
    assert sum(each.sequences for each in classes) == store.sequences.num_rows
    assert sum(each.frames for each in classes) == sum(store.sequences["n_frames"].to_pylist())
    assert lengths_of(store).counts.sum() == store.sequences.num_rows
    defects = store.sequences["defects"].to_pylist() if "defects" in store.sequences.column_names else []
    assert {each.name: each.count for each in defects_of(store)} == {
        name: sum(name in (row or ()) for row in defects) for name in {name for row in defects for name in row or ()}
    }


def test_a_histogram_holds_every_number_and_its_tail() -> None:
    found = histogram(np.array([1.0] * 999 + [1e9] + [np.nan]))
    assert found.counts.sum() == 1000
    assert found.edges[-1] < 1e9
    assert histogram(np.array([np.nan])) is None


def test_every_class_has_a_picture_and_a_viewer_that_are_there(store: Store, site: Path) -> None:
    page = (site / "index.html").read_text()
    pictures, viewers = re.findall(r'src="(pictures/.*?)"', page), re.findall(r'href="(samples/.*?)"', page)
    defects = {each.name for each in defects_of(store)}
    assert len(defects) > 2
    assert len(pictures) == len(viewers) == len(classes_of(store)[1]) + len(defects - {"no-joints"})
    assert all((site / name).is_file() for name in (*pictures, *viewers))
    assert page.count('loading="lazy"') == len(pictures)
    assert "<script" not in page
    for count in store.manifest.published:
        assert f"{count.found:,}" in page


def test_no_picture_of_the_dataset_is_in_it_unless_it_is_asked_for(site: Path) -> None:
    assert {path.suffix for path in site.rglob("*") if path.is_file()} == {".html", ".png"}
    assert not any("data:image" in path.read_text() for path in site.rglob("*.html"))


@pytest.mark.parametrize(("dataset", "joints"), [("ava", False), ("ntu60", True)])
def test_stores_of_other_kinds_are_browsed_too(dataset: str, joints: bool, tmp_path: Path) -> None:
    sampled(dataset, tmp_path)
    cli.main(["browse", str(tmp_path / "store"), str(tmp_path / "site")])
    page = (tmp_path / "site" / "index.html").read_text()
    assert f"<h1>{dataset}</h1>" in page
    assert ("samples/" in page) == joints


@chromium.needed
@pytest.mark.parametrize(("width", "scheme"), chromium.VIEWS)
def test_everybody_can_read_it(browser: Any, site: Path, width: int, scheme: str) -> None:
    with chromium.opened(browser, site / "index.html", width=width, scheme=scheme) as (page, complaints):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert chromium.violations(page) == []
        assert complaints == []
