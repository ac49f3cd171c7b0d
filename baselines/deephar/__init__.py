"""deephar: poses and actions from pixels with one network (Luvizon, Picard and Tabia, CVPR 2018 and TPAMI 2020)."""
