"""The one row that a paper needs: groups in the field's order, the overall number once, names as LaTeX wants them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from har_bench import results
from har_bench.protocol.latex import row

HISTORIC = Path(__file__).parent / "historic_results"


def lines(name: str, model: str) -> list[str]:
    found = results.read(HISTORIC / name)
    return row(msgspec.structs.replace(found, model=model)).splitlines()


def test_groups_of_joints_stand_in_the_order_of_the_field() -> None:
    found = lines("0.1.0-mpii-pckh.json", "a_b & c")
    assert found[0].startswith("% mpii/pckh:")
    assert found[1] == r"\begin{tabular}{lrrrrrrrrr}"
    assert found[3] == r"Method & Head & Shoulder & Elbow & Wrist & Hip & Knee & Ankle & UBody & PCKh@0.5 \\"
    assert found[5].startswith(r"a\_b \& c & 100.0 & 100.0 & 95.8 &")
    assert found[5].endswith(r" & 86.5 \\")
    assert [found[at] for at in (2, 4, 6)] == [r"\toprule", r"\midrule", r"\bottomrule"]


def test_actions_stand_before_their_mean() -> None:
    found = lines("0.1.0-h36m-mpjpe.json", "m")
    heads = found[3].removesuffix(r" \\").split(" & ")
    assert heads[0] == "Method"
    assert heads[-1] == "MPJPE {[}mm]"
    assert len(found[5].split(" & ")) == len(heads) > 2
