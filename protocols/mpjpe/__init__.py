"""3D pose errors: the protocols of Human3.6M and HumanEva, and the metrics on arrays alone."""

from .errors import auc3d as auc3d
from .errors import mpjpe as mpjpe
from .errors import mpjpe_errors as mpjpe_errors
from .errors import mpjve as mpjve
from .errors import mpjve_errors as mpjve_errors
from .errors import n_mpjpe as n_mpjpe
from .errors import n_mpjpe_errors as n_mpjpe_errors
from .errors import p_mpjpe as p_mpjpe
from .errors import p_mpjpe_errors as p_mpjpe_errors
from .errors import pck3d as pck3d
from .h36m import MPJPE as MPJPE
from .humaneva import HumanEvaMPJPE as HumanEvaMPJPE
