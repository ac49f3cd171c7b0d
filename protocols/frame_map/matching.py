"""Frame-level average precision on arrays: matching within keyframes, precision over scores, averages over frames.

The rules are those of ActivityNet's ``get_ava_performance.py`` (Pascal VOC at IoU 0.5), which LART ships too, and of
PySlowFast's and mmaction2's copies of it; each way in which these differ is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Anything, Floats, Ints, kernel

IOU = 0.5

Order = Literal["heap", "score", "file"]
"""How a keyframe's detections are put in order.

``heap``: pushed on a heap of (score, class, y1, x1, y2, x2) in the order of the file, then sorted by score, equal ones
staying in the order of the heap's array; ``score``: sorted by score, equal ones in the order of the file; ``file``.
"""
_ORDERS: tuple[Order, ...] = ("heap", "score", "file")


class Candidates(NamedTuple):
    """N detections, and which of them are on each of F keyframes.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2.
        scores: (N,).
        classes: (N,) from 0 to 254; the detections with -1 do not exist.
        rows: (R,) numbers of the detections on keyframes, keyframe after keyframe.
        starts: (F + 1,) where each keyframe's rows begin.
    """

    boxes: Anything
    scores: Anything
    classes: npt.NDArray[np.int16]
    rows: Ints
    starts: Ints


class Truth(NamedTuple):
    """The objects on F keyframes, keyframe after keyframe, and by class in a keyframe.

    Attributes:
        boxes: (G, 4) x1, y1, x2, y2.
        classes: (G,) from 0.
        starts: (F + 1,) where each keyframe's begin.
    """

    boxes: Anything
    classes: npt.NDArray[np.int16]
    starts: Ints


class Detections(NamedTuple):
    """Detections that count, keyframe after keyframe, each keyframe's in the order in which they were matched.

    Attributes:
        classes: (M,) from 0.
        scores: (M,) as given.
        hits: (M,) whether it found an object; a detection that did not is a false positive.
    """

    classes: npt.NDArray[np.uint8]
    scores: Anything
    hits: npt.NDArray[np.bool_]

    def part(self, rows: slice) -> Detections:
        """Some of them."""
        return Detections(self.classes[rows], self.scores[rows], self.hits[rows])


def places(classes: Sequence[int], labels: Anything) -> npt.NDArray[np.int16]:
    """(N,) where each label is in an ascending list of classes; -1 where it is not."""
    table = np.full(classes[-1] + 2, -1, np.int16)
    table[list(classes)] = np.arange(len(classes))
    return table[np.clip(labels, 0, classes[-1] + 1).astype(np.int64)]


def match(
    given: Candidates, truth: Truth, *, order: Order = "heap", cap: int = 50, keep_invalid: bool = False
) -> tuple[Ints, Detections]:
    """Match each keyframe's detections with its objects of the same class, one after the other.

    A detection looks only at the object that it overlaps most (the first one of several); it is a hit if their IoU is
    0.5 or more and no earlier detection has hit that object. Arithmetic is that of the boxes' type.

    Args:
        given: the detections on F keyframes.
        truth: the objects on the same keyframes.
        order: in which the detections of a keyframe come.
        cap: with ``order="heap"``, how many of a keyframe are kept; a later one replaces the least only if its score
            is higher. 0 keeps all.
        keep_invalid: whether a detection with x1 >= x2 or y1 >= y2 is matched like others instead of being nothing.

    Returns:
        (F + 1,) where each keyframe's detections begin, and the detections.
    """
    size = int(given.starts[-1])
    found = Detections(np.empty(size, np.uint8), np.empty(size, given.scores.dtype), np.empty(size, np.bool_))
    widest = int(np.diff(given.starts).max(initial=0))
    kinds = int(max(given.classes.max(initial=-1), truth.classes.max(initial=-1))) + 1
    chosen, spans = np.empty(max(widest, 1), np.int64), np.zeros((2, kinds), np.int64)
    edges = _match(given, truth, _ORDERS.index(order), cap or widest, keep_invalid, chosen, spans, found)
    # copies: the trimmed arrays are kept, the rest is not
    kept = found.part(slice(0, edges[-1]))
    return edges, Detections(kept.classes.copy(), kept.scores.copy(), kept.hits.copy())


@kernel
def _match(
    given: Candidates,
    truth: Truth,
    order: int,
    cap: int,
    keep_invalid: bool,
    chosen: Ints,
    spans: Ints,
    found: Detections,
) -> Ints:
    """Fill ``found``, and give where each keyframe's detections begin in it.

    There is room for a keyframe's rows in ``chosen``, and for where its objects of each class are in ``spans`` (2, C).
    """
    frames = len(given.starts) - 1
    edges = np.zeros(frames + 1, np.int64)
    taken = np.zeros(len(truth.boxes), np.bool_)
    first, last = spans[0], spans[1]
    count = 0
    for frame in range(frames):
        size = _choose(given, frame, order, cap, chosen)
        if order != 2 and size > 1:
            ranks = np.argsort(-given.scores[chosen[:size]], kind="mergesort")
            chosen[:size] = chosen[:size][ranks]
        for place in range(truth.starts[frame], truth.starts[frame + 1]):
            kind = truth.classes[place]
            if first[kind] == last[kind]:
                first[kind] = place
            last[kind] = place + 1
        for place in range(size):
            row = chosen[place]
            box = given.boxes[row]
            if not keep_invalid and (box[0] >= box[2] or box[1] >= box[3]):
                continue
            kind = given.classes[row]
            hit = False
            if first[kind] < last[kind]:
                best, overlap = _best(box, truth.boxes, first[kind], last[kind])
                if overlap >= IOU and not taken[best]:
                    taken[best] = hit = True
            found.classes[count], found.scores[count], found.hits[count] = kind, given.scores[row], hit
            count += 1
        for place in range(truth.starts[frame], truth.starts[frame + 1]):
            first[truth.classes[place]] = last[truth.classes[place]] = 0
        edges[frame + 1] = count
    return edges


@kernel
def _choose(given: Candidates, frame: int, order: int, cap: int, chosen: Ints) -> int:
    """Write the rows of a keyframe's detections that exist, or the heap of the best of them; returns how many."""
    size = 0
    for place in range(given.starts[frame], given.starts[frame + 1]):
        row = given.rows[place]
        if given.classes[row] < 0:
            continue
        if order != 0:
            chosen[size] = row
            size += 1
        elif size < cap:
            _rise(chosen, size, row, given)
            size += 1
        elif given.scores[row] > given.scores[chosen[0]]:
            _replace_least(chosen, size, row, given)
    return size


@kernel
def _best(box: Anything, truth: Anything, first: int, last: int) -> tuple[int, Any]:
    """The object with the largest IoU, and that IoU; no IoU (0 / 0) is the largest, as for ``numpy.argmax``."""
    nothing = box[0] - box[0]
    best, overlap = first, nothing - 1
    area = (box[3] - box[1]) * (box[2] - box[0])
    for place in range(first, last):
        other = truth[place]
        height = max(nothing, min(box[3], other[3]) - max(box[1], other[1]))
        width = max(nothing, min(box[2], other[2]) - max(box[0], other[0]))
        shared = height * width
        iou = shared / (area + (other[3] - other[1]) * (other[2] - other[0]) - shared)
        if np.isnan(iou):
            return place, iou
        if iou > overlap:
            best, overlap = place, iou
    return best, overlap


@kernel
def _less(one: int, other: int, given: Candidates) -> bool:
    """Whether (score, class, y1, x1, y2, x2) of one detection is less than that of another."""
    if given.scores[one] != given.scores[other]:
        return bool(given.scores[one] < given.scores[other])
    if given.classes[one] != given.classes[other]:
        return bool(given.classes[one] < given.classes[other])
    for side in (1, 0, 3, 2):
        if given.boxes[one, side] != given.boxes[other, side]:
            return bool(given.boxes[one, side] < given.boxes[other, side])
    return False


@kernel
def _rise(heap: Ints, place: int, row: int, given: Candidates) -> None:
    """Put a row at a leaf of the heap and let it rise, as ``heapq.heappush`` does."""
    while place > 0:
        parent = (place - 1) // 2
        if not _less(row, heap[parent], given):
            break
        heap[place] = heap[parent]
        place = parent
    heap[place] = row


@kernel
def _replace_least(heap: Ints, size: int, row: int, given: Candidates) -> None:
    """Let the hole at the top sink to a leaf, and a row rise from there, as ``heapq.heapreplace`` does.

    Where the row ends among its equals is visible, so the path matters and not only the heap's invariant.
    """
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and not _less(heap[child], heap[child + 1], given):
            child += 1
        heap[place] = heap[child]
        place = child
    _rise(heap, place, row, given)


@dataclass(frozen=True)
class Ranking:
    """All detections, by class and then from the highest score to the lowest, as far as precision needs them.

    Between two hits only the number of false positives in each video matters, and after the last hit nothing does:
    these are entries with a count, so that a bootstrap over videos passes over a fraction of the detections.

    Attributes:
        codes: (E,) twice the number of the video, plus 1 for a hit.
        counts: (E,) how many detections an entry stands for.
        starts: (C + 1,) where each class's entries begin.
    """

    codes: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    starts: Ints


def rank(videos: Sequence[Detections], kinds: int) -> Ranking:
    """Put the detections of V videos in the order in which precision is measured.

    Equal scores stay in the order of the videos, and in their order in each; ``kinds`` is C.
    """
    if not videos:
        return Ranking(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(kinds + 1, np.int64))
    classes, scores, hits = (np.concatenate(column) for column in zip(*videos, strict=True))
    codes = np.repeat(np.arange(len(videos), dtype=np.int32) * 2, [len(video.hits) for video in videos]) + hits
    starts = np.concatenate([[0], np.cumsum(np.bincount(classes, minlength=kinds))])
    by_class = np.argsort(classes, kind="stable")
    scores, codes = scores[by_class], codes[by_class]
    for first, last in pairwise(starts.tolist()):
        codes[first:last] = codes[first:last][np.argsort(-scores[first:last], kind="stable")]
    counts = np.ones(len(codes), np.int32)
    edges = _condense(codes, counts, starts, len(videos))
    return Ranking(codes[: edges[-1]].copy(), counts[: edges[-1]].copy(), edges)


@kernel
def _condense(codes: Anything, counts: Anything, starts: Ints, videos: int) -> Ints:
    """Write the entries of a ranking over the detections; returns where each class's begin."""
    edges = np.zeros(len(starts), np.int64)
    wrong, seen = np.zeros(videos, np.int32), np.empty(videos, np.int32)
    size = 0
    for kind in range(len(starts) - 1):
        touched = 0
        for place in range(starts[kind], starts[kind + 1]):
            code = codes[place]
            if code & 1:
                for video in seen[:touched]:
                    codes[size], counts[size] = 2 * video, wrong[video]
                    wrong[video] = 0
                    size += 1
                touched = 0
                codes[size], counts[size] = code, 1
                size += 1
            else:
                if wrong[code >> 1] == 0:
                    seen[touched] = code >> 1
                    touched += 1
                wrong[code >> 1] += 1
        wrong[seen[:touched]] = 0
        edges[kind + 1] = size
    return edges


def average_precision(ranking: Ranking, positives: npt.ArrayLike, weights: npt.ArrayLike) -> Floats:
    """Area under the envelope of precision over recall, at all points (VOC 2010 and later).

    Args:
        ranking: of V videos and C classes.
        positives: (V, C) objects in each video.
        weights: (V,) how often each video counts, whole numbers.

    Returns:
        (C,) from 0 to 1; NaN for a class without objects.
    """
    times = np.rint(np.asarray(weights, np.float64)).astype(np.int64)
    totals = times @ np.asarray(positives, np.int64)
    return _area(ranking.codes, ranking.counts, ranking.starts, times, totals)


@kernel
def _area(codes: Anything, counts: Anything, starts: Ints, times: Ints, totals: Ints) -> Floats:
    areas = np.full(len(totals), np.nan)
    widest = 1
    for kind in range(len(totals)):
        widest = max(widest, starts[kind + 1] - starts[kind] + 1)
    rights, found = np.empty(widest, np.int64), np.empty(widest, np.int64)
    for kind in range(len(totals)):
        if totals[kind] == 0:
            continue
        right = wrong = steps = 0
        for place in range(starts[kind], starts[kind + 1]):
            # without a branch, which no processor would foresee: what a false positive writes is overwritten
            hit = codes[place] & 1
            weight = times[codes[place] >> 1]
            right += weight * hit
            wrong += weight * counts[place] * (1 - hit)
            rights[steps], found[steps] = right, right + wrong
            steps += hit
        area, envelope = 0.0, 0.0
        for step in range(steps - 1, -1, -1):
            envelope = max(envelope, rights[step] / max(found[step], 1))
            area += envelope * (rights[step] - (rights[step - 1] if step else 0))
        areas[kind] = area / totals[kind]
    return areas


def window_means(scores: Anything, groups: Ints, frames: Ints, wanted: Ints, half: int) -> Floats:
    """Mean scores over windows of frames: LART's ``avg.N``, frames k - N to k + N - 1 as far as a track goes.

    Args:
        scores: (N,) of one class of one track in one frame each.
        groups: (N,) which track and class; equal numbers belong together.
        frames: (N,).
        wanted: (K,) rows whose windows are averaged.
        half: N, 1 or more.

    Returns:
        (K,) means over the rows of the same group in [frame - half, frame + half).
    """
    order = np.lexsort((frames, groups))
    low = int(frames.min(initial=0))
    # groups lie further apart than a window reaches
    span = int(frames.max(initial=0)) - low + 2 * half + 1
    places = np.unique(groups, return_inverse=True)[1] * span + (frames - low)
    ordered = places[order]
    first = np.searchsorted(ordered, places[wanted] - half)
    last = np.searchsorted(ordered, places[wanted] + half)
    sums = np.add.reduceat(np.append(scores[order], 0.0), np.stack([first, last], axis=1).reshape(-1))[::2]
    return np.asarray(sums / (last - first), np.float64)
