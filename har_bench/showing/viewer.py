"""A viewer in one HTML file: our own Canvas 2D, with keys, offline.

Joints travel as whole millimetres (or quarters of a pixel), each frame as what it differs by from those before,
deflated: a thousand frames of two skeletons are a few dozen kilobytes. The page decodes them with the browser's own
inflate.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from har_bench.arrays import Floats
from har_bench.drawing.poses import LEFT, RIGHT
from har_bench.showing.painting import DARK_MIDDLE
from har_bench.showing.space import up_of, view_of
from har_bench.showing.stage import OCCLUDED, Points, Stage, placed

ABSENT = -32768
"""What stands for a joint that is not there."""

NIGHT_MIDDLE = (190, 150, 235)
"""For joints of no side, on a dark page."""

QUARTERS = 4
"""Of a pixel."""

MOST_HOLLOW = 20_000
"""Occluded joints that are told one by one."""


def page(stage: Stage, *, as_recorded: bool = False) -> str:
    """The viewer of a stage, without its pictures."""
    content = json.dumps(_content(stage, as_recorded), separators=(",", ":")).replace("<", "\\u003c")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    style, script = _text("viewer.css"), _text("viewer.js")
    template = environment.from_string(_text("viewer.html.jinja"))
    return template.render(
        title=stage.title,
        content=Markup(content),  # noqa: S704 -- JSON without a <
        style=Markup(style),  # noqa: S704 -- our own file
        script=Markup(script),  # noqa: S704 -- our own file
        style_hash=_digest(style),
        script_hash=_digest(script),
    )


def _content(stage: Stage, as_recorded: bool) -> dict[str, Any]:
    view = view_of(stage.camera, 2, as_recorded=as_recorded)
    casts = []
    for cast in stage.casts:
        told: dict[str, Any] = {"name": cast.name, "unit": cast.unit, "truth": cast.error is None}
        if cast.error is not None and len(cast.error):
            told["error"] = [None if not np.isfinite(far) else round(float(far), 1) for far in cast.error]
        if cast.image is not None:
            told["image"] = _packed(cast.image, cast.image.places * QUARTERS)
        if cast.space is not None:
            told["space"] = _packed(cast.space, placed(cast.space, truth=told["truth"]) @ view.turn.T)
        casts.append(told)
    return {
        "frames": stage.frames.tolist(),
        "fps": stage.fps or 25,
        "size": stage.canvas,
        "up": (view.turn @ up_of(stage.camera)).round(4).tolist(),
        "colours": {"left": LEFT, "right": RIGHT, "middle": DARK_MIDDLE, "night": NIGHT_MIDDLE},
        "casts": casts,
    }


def _packed(points: Points, places: Floats) -> dict[str, Any]:
    """Numbers of a cast, as small as they become."""
    whole = np.where(np.isfinite(places), np.clip(np.round(np.nan_to_num(places)), ABSENT + 1, -ABSENT - 1), ABSENT)
    order, data = min(((order, _deflated(whole, order)) for order in (1, 2)), key=lambda each: len(each[1]))
    hollow = np.argwhere(points.visibility == OCCLUDED).tolist() if points.visibility is not None else []
    return {
        "shape": list(places.shape),
        "order": order,
        "data": base64.b64encode(data).decode(),
        "lines": points.bones.lines,
        "sides": "".join({"left": "l", "right": "r"}.get(name.partition("_")[0], "m") for name in points.bones.joints),
        "joints": points.bones.joints,
        "hollow": hollow if len(hollow) < MOST_HOLLOW else [],
    }


def _deflated(whole: Floats, order: int) -> bytes:
    """The differences from frame to frame (or of these, ``order`` 2, for what moves smoothly), deflated.

    They are int16 and wrap around; signs stand in the lowest bit, so that high bytes of small steps are all 0, and low
    bytes stand before high ones.
    """
    steps = whole.astype(np.int16)
    for _ in range(order):
        steps = np.diff(steps, axis=0, prepend=np.zeros((1, *whole.shape[1:]), np.int16))
    by_track = np.moveaxis(steps, 0, -1)  # a joint's own steps side by side are alike
    unsigned = ((by_track << 1) ^ (by_track >> 15)).astype("<u2")
    planes = np.ascontiguousarray(unsigned).view(np.uint8).reshape(-1, 2).T.tobytes()
    press = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    return press.compress(planes) + press.flush()


def _text(name: str) -> str:
    return files("har_bench.showing").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
