"""Motion as BVH: a tree of bones of constant length, and every joint's rotation in every frame.

Lifted bones change their lengths from frame to frame, and those of BVH do not: each bone is as long as in the median
frame, along the direction that it has in each. A joint with several children (the hips, the thorax) turns as they do
together; what each of them turns beside that stands in a joint of its own at the same place, called ``to_CHILD``. So
the file's forward kinematics give every direction exactly. Rotations about a bone's own axis are not known and are 0.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from har_bench.arrays import Floats
from har_bench.skeletons import Skeleton

ORDER: Final = "ZXY"
DECIMALS = 6
SIDES = ("shoulder", "elbow", "wrist", "hand", "thumb", "finger", "collar", "hip", "eye", "ear")
"""Bones that go to the side in the pose in which nothing is turned; legs go down, and the others up."""

LEGS = ("knee", "ankle", "foot", "toe", "heel")


@dataclass(frozen=True)
class _Node:
    """A joint of the file.

    Attributes:
        name: in the file.
        parent: the node above, -1 at the root.
        offset: (3,) from there, where nothing is turned.
        depth: how far down the tree.
        turned: (T, 3, 3) its orientation in space.
    """

    name: str
    parent: int
    offset: Floats
    depth: int
    turned: Floats


def with_constant_bones(joints: Floats, skeleton: Skeleton) -> Floats:
    """(T, J, 3) joints whose bones have their median lengths, and the directions that they have."""
    held = joints.astype(np.float64)
    lengths = _lengths(joints, skeleton)
    for joint in _downwards(skeleton):
        parent = skeleton.parents[joint]
        if parent >= 0:
            held[:, joint] = held[:, parent] + lengths[joint] * _directions(joints, parent, joint)
    return held


def bvh(joints: Floats, skeleton: Skeleton, fps: float) -> str:
    """The text of a file.

    Args:
        joints: (T, J, 3) finite, y up, the person's left at positive x if they look along z.
        skeleton: their tree.
        fps: frames per second.
    """
    joints = joints.astype(np.float64)
    nodes = _nodes(joints, skeleton)
    text = io.StringIO()
    text.write("HIERARCHY\n")
    for line in _hierarchy(nodes, 0):
        text.write(line + "\n")
    text.write(f"MOTION\nFrames: {len(joints)}\nFrame Time: {1 / fps:.8f}\n")
    root = next(joint for joint, parent in enumerate(skeleton.parents) if parent < 0)
    order = list(_depth_first(nodes, 0))
    channels = np.concatenate([joints[:, root], *(_angles(nodes, index) for index in order)], axis=1)
    np.savetxt(text, channels, fmt=f"%.{DECIMALS}f")
    return text.getvalue()


def _nodes(joints: Floats, skeleton: Skeleton) -> list[_Node]:
    """Every joint, and one more for each child of a joint that has several."""
    nodes: list[_Node] = []
    place: dict[int, int] = {}  # the node that a joint hangs on
    lengths = _lengths(joints, skeleton)
    rest = {joint: _rest(skeleton.joints[joint]) for joint in range(len(skeleton))}
    for joint in _downwards(skeleton):
        parent = skeleton.parents[joint]
        above = place.get(joint, -1)
        frame = nodes[above].turned if above >= 0 else np.broadcast_to(np.eye(3), (len(joints), 3, 3))
        depth = nodes[above].depth + 1 if above >= 0 else 0
        children = [child for child, own in enumerate(skeleton.parents) if own == joint]
        to = {child: _directions(joints, joint, child) for child in children}
        offset = lengths[joint] * rest[joint] if parent >= 0 else np.zeros(3)
        if len(children) > 1:
            turned = _fitted(np.stack([rest[child] for child in children]), np.stack(list(to.values()), axis=1))
        else:
            turned = _least(frame, rest[children[0]], to[children[0]]) if children else frame
        nodes.append(_Node(skeleton.joints[joint], above, offset, depth, turned))
        own = len(nodes) - 1
        for child in children:
            place[child] = own
            if len(children) > 1:
                name = f"to_{skeleton.joints[child]}"
                nodes.append(_Node(name, own, np.zeros(3), depth + 1, _least(turned, rest[child], to[child])))
                place[child] = len(nodes) - 1
    return nodes


def _downwards(skeleton: Skeleton) -> list[int]:
    """The joints, each after its parent."""
    depth = {}
    for joint in range(len(skeleton)):
        above, steps = joint, 0
        while (above := skeleton.parents[above]) >= 0:
            steps += 1
        depth[joint] = steps
    return sorted(depth, key=lambda joint: (depth[joint], joint))


def _lengths(joints: Floats, skeleton: Skeleton) -> Floats:
    """(J,) the median length of the bone to each joint; 0 for the root."""
    parents = [max(parent, 0) for parent in skeleton.parents]
    lengths = np.median(np.linalg.norm(joints.astype(np.float64) - joints[:, parents], axis=-1), axis=0)
    return np.where(np.array(skeleton.parents) < 0, 0.0, lengths)


def _directions(joints: Floats, parent: int, child: int) -> Floats:
    """(T, 3) unit vectors along a bone; 0 where it has no length."""
    bone = joints[:, child].astype(np.float64) - joints[:, parent]
    length = np.linalg.norm(bone, axis=-1, keepdims=True)
    return np.asarray(np.divide(bone, length, out=np.zeros_like(bone), where=length > 0))


def _rest(joint: str) -> Floats:
    """(3,) where the bone to a joint points when nothing is turned: arms to the side, legs down, a spine upwards."""
    side, _, part = joint.partition("_")
    if side in ("left", "right"):
        if part.startswith(LEGS):
            return np.array([0.0, -1.0, 0.0])
        if part.startswith(SIDES):
            return np.array([1.0 if side == "left" else -1.0, 0.0, 0.0])
    return np.array([0.0, 1.0, 0.0])


def _fitted(rest: Floats, directions: Floats) -> Floats:
    """(T, 3, 3) the rotations that turn (C, 3) directions into (T, C, 3) as nearly as one rotation can."""
    left, _, right = np.linalg.svd(np.einsum("tci,cj->tij", directions, rest))
    signs = np.ones((len(directions), 3))
    signs[:, 2] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    return np.asarray(np.einsum("tij,tj,tjk->tik", left, signs, right))


def _least(frame: Floats, rest: Floats, directions: Floats) -> Floats:
    """(T, 3, 3) orientations: ``frame`` turned on by the least rotation that takes the bone where it goes."""
    start = np.einsum("tij,j->ti", frame, rest)
    axis = np.cross(start, directions)
    sine = np.linalg.norm(axis, axis=-1)
    cosine = np.einsum("ti,ti->t", start, directions)
    aside = np.cross(start, np.eye(3)[np.abs(start).argmin(axis=-1)])  # for a bone that turns right round
    about = np.where((sine > 1e-12)[:, None], axis, aside)
    about /= np.linalg.norm(about, axis=-1, keepdims=True)
    angle = np.where(np.any(directions != 0, axis=-1), np.arctan2(sine, cosine), 0.0)
    return np.asarray(Rotation.from_rotvec(about * angle[:, None]).as_matrix() @ frame)


def _angles(nodes: list[_Node], index: int) -> Floats:
    """(T, 3) degrees about z, x and y, one after the other, that turn a node from its parent; without leaps in time."""
    node = nodes[index]
    local = node.turned if node.parent < 0 else np.swapaxes(nodes[node.parent].turned, 1, 2) @ node.turned
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where two axes are one, any of the solutions will do
        angles = Rotation.from_matrix(local).as_euler(ORDER, degrees=True)
    return np.asarray(np.unwrap(angles, period=360.0, axis=0))


def _depth_first(nodes: list[_Node], index: int) -> Iterator[int]:
    """The nodes in the order in which a file names them."""
    yield index
    for child, node in enumerate(nodes):
        if node.parent == index:
            yield from _depth_first(nodes, child)


def _hierarchy(nodes: list[_Node], index: int) -> Iterator[str]:
    node = nodes[index]
    indent = "  " * node.depth
    rotations = " ".join(f"{axis}rotation" for axis in ORDER)
    yield f"{indent}{'ROOT' if node.parent < 0 else 'JOINT'} {node.name}"
    yield f"{indent}{{"
    yield f"{indent}  OFFSET {' '.join(f'{value:.{DECIMALS}f}' for value in node.offset)}"
    moved = "6 Xposition Yposition Zposition" if node.parent < 0 else "3"
    yield f"{indent}  CHANNELS {moved} {rotations}"
    children = [child for child, other in enumerate(nodes) if other.parent == index]
    for child in children:
        yield from _hierarchy(nodes, child)
    if not children:
        yield f"{indent}  End Site"
        yield f"{indent}  {{"
        yield f"{indent}    OFFSET 0.000000 0.000000 0.000000"
        yield f"{indent}  }}"
    yield f"{indent}}}"
