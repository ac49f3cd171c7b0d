"""Tables as pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from har_bench.schema import shape_of, to_numpy
from har_bench.skeletons import Skeleton

if TYPE_CHECKING:
    import pandas as pd

AXES = "xyz"
BOX = ("x", "y", "w", "h")


def pandas_of(table: pa.Table) -> pd.DataFrame:
    """A table as pandas, without a copy; columns stay Arrow's, as Dask would write NumPy's vectors out as texts."""
    import pandas as pd

    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def wide(table: pa.Table, joints: Skeleton | None) -> pd.DataFrame:
    """A column for every number: ``keypoints_left_hip_x``, ``visibility_left_hip``, ``bbox_w``, ``head_r_0_2``."""
    import pandas as pd

    columns = {}
    for field in table.schema:
        values, shape = to_numpy(table[field.name], field), shape_of(field)
        for place in np.ndindex(shape) if shape else ():
            columns[f"{field.name}_{'_'.join(_names(field.name, shape, place, joints))}"] = values[:, *place]
        if not shape:
            columns[field.name] = values
    return pd.DataFrame(columns)


def _names(column: str, shape: tuple[int, ...], place: tuple[int, ...], joints: Skeleton | None) -> list[str]:
    """What each index of a vector is called: a joint, an axis, a side of a box, or its number."""
    if column == "bbox":
        return [BOX[place[0]]]
    found = [str(index) for index in place]
    if joints is not None and shape[0] == len(joints):
        found[0] = joints.joints[place[0]]
        if len(shape) == 2 and shape[1] <= len(AXES):
            found[1] = AXES[place[1]]
    return found
