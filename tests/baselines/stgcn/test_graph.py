"""The matrices of skeletons: by hand, and pyskl's to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from har_bench import skeletons
from har_bench.skeletons import Skeleton, skeleton
from tests.golden import REAL

pytest.importorskip("torch")
pytest.importorskip("lightning")

from har_bench.baselines.stgcn.graph import Partition, adjacency, graph_parents

PATHS = [REAL / f"models/skeleton/{name}.npz" for name in ("adjacency", "penn_pipeline")]
ADJACENCY, PENN = (dict(np.load(path)) if path.is_file() else {} for path in PATHS)
LAYOUTS = {"nturgb+d": "ntu25", "coco": "coco17"}
PARTITIONS: dict[str, Partition] = {"spatial": "spatial", "stgcn_spatial": "one-hop"}
CHAIN = Skeleton(name="chain", family="toy", about="", joints=("a", "b", "c", "d"), parents=(-1, 0, 0, 1))


def test_a_child_has_its_parent_s_feature_and_a_parent_its_children_s_mean() -> None:
    """A[k, v, w] takes from v to w: turned around, networks still run, and are wrong."""
    itself, inward, outward = adjacency(CHAIN, "spatial")
    features = np.array([1.0, 10, 100, 1000])
    assert (features @ itself).tolist() == features.tolist()
    assert (features @ inward).tolist() == [0, 1, 1, 10]
    assert (features @ outward).tolist() == [55, 1000, 0, 0]


def test_one_hop_knows_no_distance_beyond_the_first_step() -> None:
    """d is two steps from a, b one: but c and d, beside b, count as any neighbours do."""
    itself, level, nearer = adjacency(CHAIN, "one-hop")
    np.testing.assert_allclose((itself + level + nearer).sum(axis=0), 1)
    assert np.argwhere(level).tolist() == [[1, 0], [2, 0], [3, 1]]
    assert np.argwhere(nearer).tolist() == [[0, 1], [0, 2], [1, 3]]
    far = Skeleton(name="far", family="toy", about="", joints=("a", "b", "c", "d"), parents=(-1, 0, 1, 2))
    assert [2, 3] in np.argwhere(adjacency(far, "one-hop")[1]).tolist()  # two and three steps away: equally far


@pytest.mark.parametrize("name", skeletons.names())
def test_every_skeleton_of_ours_has_a_graph(name: str) -> None:
    layout = skeleton(name)
    parents = graph_parents(layout)
    roots = int((parents < 0).sum())
    spatial, hop = adjacency(layout, "spatial"), adjacency(layout, "one-hop")
    assert spatial.shape == hop.shape == (3, len(layout), len(layout))
    assert spatial[1].sum() == len(layout) - roots
    np.testing.assert_allclose(hop.sum(axis=(0, 1)), 1)


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key in ADJACENCY if key.partition("/")[2] in PARTITIONS])
def test_the_matrices_are_pyskls(key: str) -> None:
    layout, _, mode = key.partition("/")
    found = adjacency(skeleton(LAYOUTS[layout]), PARTITIONS[mode])
    np.testing.assert_allclose(found, ADJACENCY[key], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(found.astype(np.float32), ADJACENCY[key].astype(np.float32))


@pytest.mark.real
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_edges_are_pyskls(layout: str) -> None:
    parents = graph_parents(skeleton(LAYOUTS[layout]))
    edges = sorted((joint, parent) for joint, parent in enumerate(parents.tolist()) if parent >= 0)
    assert edges == sorted(map(tuple, ADJACENCY[f"{layout}/inward_edges_child_parent"].tolist()))


@pytest.mark.real
def test_penn_actions_matrices_are_the_reference_s() -> None:
    np.testing.assert_array_equal(adjacency(skeleton("penn13"), "spatial"), PENN["adjacency_spatial"])
