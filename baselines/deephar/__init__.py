"""deephar: poses and actions from pixels, learnt together (Luvizon, Picard and Tabia, CVPR 2018 and TPAMI 2020)."""

from .baseline import Deephar as Deephar
