"""ST-GCN++ and ST-GCN: actions from skeletons, by graph convolutions over joints and convolutions over time."""

from .baseline import STGCN as STGCN
