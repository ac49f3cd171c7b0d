"""NTU RGB+D 60 and 120: actions before three Kinect v2 (Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2020)."""

from .converter import NTU60 as NTU60
from .converter import NTU120 as NTU120
