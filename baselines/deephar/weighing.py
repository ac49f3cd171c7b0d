"""Weights of deephar's networks: Keras files and our own, what networks they are of, and whether these see anybody."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from har_bench.arrays import Bytes
from har_bench.errors import HarBenchError, HarBenchWarning, completing
from har_bench.published import recognised
from har_bench.samples import walking_person
from har_bench.skeletons import skeleton
from har_bench.training import weights

from .architecture import Architecture, told_by
from .data.layouts import layout_of
from .keras_file import KerasFile, is_keras
from .layers import Network
from .seeing import Seeing
from .soft_argmax import Variant

LABELS = {15: "penn_action/accuracy", 60: "ntu60/xsub"}
"""The protocols whose classes the actions of a Keras file are, by their number: those that were published."""

APART = 0.04
"""Of the picture's side: the standard deviation of the joints' places below which they are all in one place."""

NAME = "network"


class Loaded(NamedTuple):
    """A network with weights.

    Attributes:
        model: the network.
        architecture: what defines it.
        layout: the joints that it gives.
        about: which published file it is, or the file's name.
        labels_of: the protocol whose classes its actions are; empty where nobody says.
    """

    model: Network
    architecture: Architecture
    layout: str
    about: str
    labels_of: str = ""


def load(path: Path, *, variant: Variant = "cvpr18", layout: str = "", expected: Architecture | None = None) -> Loaded:
    """Read weights, of whichever kind.

    Args:
        path: a Keras ``.h5`` file, what :func:`save` wrote, or a checkpoint of a training.
        variant: the branch whose formula says how visible a joint is, where a file does not; see docs/deephar.md.
        layout: the joints that the network gives; by default what the file, or its number of joints, tells.
        expected: the network that the weights have to be of; by default the one that the file tells.

    Raises:
        HarBenchError: the file is damaged, or of another network: what differs.
    """
    with completing(path, "give weights of deephar"):
        keras = is_keras(path)
    return _of_keras(path, variant, layout, expected) if keras else _own(path, layout, expected)


def _of_keras(path: Path, variant: Variant, layout: str, expected: Architecture | None) -> Loaded:
    file = KerasFile(path)
    with completing(path, "give weights of deephar, as Keras wrote them"):
        architecture = expected or told_by(file.groups, variant)
    model = architecture.build()
    weights.fill(model, file.state(model), str(path))
    known, labels = recognised(path, named=True), LABELS.get((architecture.actions or (0,))[0], "")
    if known is None or known.model != "deephar":
        return Loaded(model, architecture, layout or layout_of(architecture.shape.joints).name, path.name, labels)
    return Loaded(model, architecture, layout or known.target, f"{known.file}, as published", labels)


def _own(path: Path, layout: str, expected: Architecture | None) -> Loaded:
    found = weights.read(path)
    options = found.options or found.training
    if options.get("baseline") != "Deephar" or NAME not in found.models:
        raise HarBenchError(f"{path} holds no weights of deephar; give a Keras .h5 file, or what deephar saved")
    try:
        architecture = expected or msgspec.convert(options["architecture"], Architecture)
        given = layout or str(options["layout"])
    except (msgspec.ValidationError, KeyError) as error:
        raise HarBenchError(f"{path} does not say what network it is of ({error}); save it again") from error
    model = architecture.build()
    weights.fill(model, found.models[NAME], str(path))
    return Loaded(model, architecture, given, path.name, str(options.get("labels_of", "")))


def save(path: Path, loaded: Loaded) -> None:
    """Write a network as ``.safetensors``, with what defines it."""
    weights.write(path, {NAME: loaded.model}, {"baseline": "Deephar"} | told(loaded))


def told(loaded: Loaded) -> dict[str, Any]:
    """What defines a network, as plain data: what files and checkpoints say of it."""
    architecture = msgspec.to_builtins(loaded.architecture)
    return {"architecture": architecture, "layout": loaded.layout, "labels_of": loaded.labels_of}


def check(seeing: Seeing, size: int, path: Path) -> None:
    """Warn where all joints of somebody drawn are in one place: the weights are then of another network or formula."""
    places = seeing.poses([somebody(size)])[-1, 0, :, :2]
    if float(places.std(axis=0).max()) < APART:
        warnings.warn(
            HarBenchWarning(
                f"{path}: all joints of a person drawn to try it lie in one place, as they do where weights are of "
                "another network, or were never learnt; give other weights, or another variant"
            ),
            stacklevel=2,
        )


def somebody(size: int) -> Bytes:
    """(size, size, 3) a drawn person in the middle of a picture."""
    bones = skeleton("h36m17")
    order = [skeleton("h36m32").joints.index(joint) for joint in bones.joints]
    body = walking_person(1)[0, order]
    across = body[:, 0] - body[0, 0], body[:, 1] - body[0, 1]
    wide = across[0] if np.ptp(across[0]) > np.ptp(across[1]) else across[1]
    flat = np.stack([wide, -body[:, 2]], axis=-1)
    middle = (flat.min(axis=0) + flat.max(axis=0)) / 2
    points = (flat - middle) / np.ptp(flat[:, 1]) * 0.7 * size + size / 2
    picture = Image.new("RGB", (size, size), (96, 120, 104))
    pen, width = ImageDraw.Draw(picture), max(2, size // 18)
    for one, other in bones.lines:
        pen.line((*points[one], *points[other]), fill=(190, 150, 120), width=width)
    x, y = points[bones.joints.index("head")]
    pen.ellipse((x - width, y - width, x + width, y + width), fill=(200, 160, 130))
    return np.asarray(picture)
