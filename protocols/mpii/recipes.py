"""What the tools that compute PCKh on MPII do differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from har_bench.protocol import Recipe
from har_bench.skeletons import skeleton

JOINTS = skeleton("mpii16").joints


@dataclass(frozen=True)
class PCKhRecipe(Recipe):
    """One tool's way of computing PCKh.

    Attributes:
        compare: whether a distance equal to the threshold is a hit.
        truth: ``raw``, the annotations of MPII's own file, or ``tompson``, those of
            :func:`har_bench.protocols.mpii.truth.tompson_truth`.
        average: ``pooled``, hits of all joints over their number, or ``joints``, the unweighted mean of the joints.
        head: the joints that the table's Head averages.
        upper_body: whether the table has UBody, the pooled wrists, elbows and shoulders.
        total: what the tool calls the mean over joints.
        fine: the threshold behind the number that the tool prints as PCKh@0.1.
        precision: ``float32`` rounds the points, in MPII's 1-based pixels, and their distance to single precision.
        crop: whether joints outside :func:`har_bench.protocols.mpii.truth.inside_crop` are left out of the truth.
        joints: the joints that the mean is over.
        headless: whether a person whose head size is 0 counts, with every joint missed.
    """

    compare: Literal["<=", "<"] = "<="
    truth: Literal["raw", "tompson"] = "raw"
    average: Literal["pooled", "joints"] = "pooled"
    head: tuple[str, ...] = ("head_top",)
    upper_body: bool = False
    total: str = "Mean"
    fine: float = 0.10
    precision: Literal["float64", "float32"] = "float64"
    crop: bool = False
    joints: tuple[str, ...] = tuple(joint for joint in JOINTS if joint not in ("pelvis", "thorax"))
    headless: bool = True


RECIPES = (
    PCKhRecipe(
        name="official",
        about="MPII's evaluation toolkit: hits (<=) pooled over 14 joints, Head is the mean of neck and head top",
        oracle="evalMPII.zip, evaluatePCKh.m",
        cite="Andriluka et al., CVPR 2014",
        head=("neck", "head_top"),
        upper_body=True,
        total="Total",
    ),
    PCKhRecipe(
        name="hrnet",
        about="Tompson's truth, <=, pooled, Head is the head top; its Mean@0.1 reads the curve at 0.11",
        oracle="leoxiaobin/deep-high-resolution-net.pytorch 6f69e46; microsoft/human-pose-estimation.pytorch",
        cite="Sun et al., CVPR 2019; Xiao et al., ECCV 2018",
        inflates="its PCKh@0.1 is read at the threshold 0.11; PCKh@0.5 is as it should be",
        truth="tompson",
        fine=0.11,
    ),
    PCKhRecipe(
        name="mmpose0",
        about="as hrnet, but PCKh@0.1 is at 0.10",
        oracle="open-mmlab/mmpose 0.x 939c49d, TopDownMpiiDataset",
        cite="MMPose contributors, 2020",
        truth="tompson",
        total="PCKh",
    ),
    PCKhRecipe(
        name="mmpose1",
        about="raw truth, strict <, pooled, in single precision; a person with a head size of 0 is left out",
        oracle="open-mmlab/mmpose 1.x 759b39c, MpiiPCKAccuracy",
        cite="MMPose contributors, 2020",
        compare="<",
        total="PCK",
        precision="float32",
        headless=False,
    ),
    PCKhRecipe(
        name="bearpaw",
        about="Tompson's truth, strict <, unweighted mean of 14 joints (also Tompson's own script)",
        oracle="bearpaw/pytorch-pose edc7ace, eval_PCKh.py",
        cite="Newell et al., ECCV 2016, as re-implemented by Yang",
        compare="<",
        truth="tompson",
        average="joints",
    ),
    PCKhRecipe(
        name="deephar",
        about="raw truth, <=, pooled, without the joints that fall outside the network's crop",
        oracle="dluvizon/deephar fbebb14, exp/common/mpii_tools.py",
        cite="Luvizon et al., CVPR 2018",
        inflates="joints outside the network's crop, which it cannot find, are left out, which lifts PCKh by some 0.15",
        crop=True,
    ),
)
