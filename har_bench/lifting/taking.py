"""Which joints weights take in, how that is known, and what is said or asked where it is not.

Human3.6M's skeleton and COCO's both have 17 joints: keypoints of one fit a model for the other, and give poses that
look right and are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from har_bench.errors import HarBenchError
from har_bench.skeletons import skeleton


class Joints(NamedTuple):
    """The joints of a file of weights.

    Attributes:
        file: the weights.
        layout: the skeleton they take in.
        told_by: what tells it, where it is not the file's own word or the user's.
        unknown: nothing does: ``ask`` the user, or ``say`` what is assumed.
        others: what they may take instead.
    """

    file: str = ""
    layout: str = ""
    told_by: str = ""
    unknown: str = ""
    others: Sequence[str] = ()

    def check(self, seen: str) -> None:
        """Refuse keypoints of a layout, where it would have to be known which joints the weights take.

        Raises:
            HarBenchError: what they may be, and how to say it.
        """
        if self.unknown == "ask" and seen != self.layout:
            choices = [self.layout, *self.others]
            raise HarBenchError(
                f"{self.file} may have been trained on the joints of {' or '.join(choices)}, and nothing in it tells; "
                f"give {' or '.join(f'--joints {name}' for name in choices)} (har-bench run: --set layout=...)"
            )

    def remarks(self, seen: str) -> list[str]:
        """What is to be said about the joints, for keypoints of a layout."""
        if self.told_by:
            return [f"the model takes the joints of {self.layout}, by {self.told_by}"]
        if not self.unknown or seen == self.layout:
            return []
        others = " or ".join(self.others)
        return [
            f"{self.file} does not say which joints it takes: {self.layout}'s are assumed; if the model was trained on "
            f"those of {others}, give --joints {others}"
        ]


def joints_of(file: str, given: str, options: Mapping[str, Any], *, certain: bool) -> Joints:
    """The joints of weights, by the user's word or by what is known of them.

    Args:
        file: the weights.
        given: the skeleton that the user says, or nothing.
        options: ``joints`` and ``sizes``; ``told_by``, or ``unknown`` and ``others``.
        certain: the file itself says so.

    Raises:
        HarBenchError: the user says another skeleton than the file, or one that has not as many joints.
    """
    layout = skeleton(given or options["joints"]).name
    if certain and given not in ("", options["joints"]):
        raise HarBenchError(
            f"{file} takes in {options['joints']}, not {given}; leave the joints out (--joints, --set layout=...)"
        )
    takes = options["sizes"][0]
    if len(skeleton(layout)) != takes:
        raise HarBenchError(
            f"{file} takes in {takes} joints, and {layout} has {len(skeleton(layout))}; give the joints that the model "
            "was trained on"
        )
    told = {} if given else options
    return Joints(file, layout, told.get("told_by", ""), told.get("unknown", ""), told.get("others", ()))


def left_by_training(identity: Mapping[str, Any], architecture: Sequence[str]) -> Mapping[str, Any]:
    """What saved weights say of themselves, for a checkpoint of a training with this identity; empty without one."""
    if not {"baseline", "joints", "target", "features"} <= identity.keys():
        return {}
    return {
        "baseline": identity["baseline"],
        "joints": identity["joints"],
        "target": identity["target"],
        "sizes": [len(skeleton(identity["joints"])), identity["features"], len(skeleton(identity["target"]))],
        "settings": {name: identity[name] for name in ("downsample", *architecture) if name in identity},
    }
