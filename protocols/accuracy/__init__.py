"""Accuracy of clip classification: NTU RGB+D's and Penn Action's protocols, and the metrics alone."""

from .multi_label import mean_average_precision as mean_average_precision
from .ntu import NTU60XSub as NTU60XSub
from .ntu import NTU60XView as NTU60XView
from .ntu import NTU120XSet as NTU120XSet
from .ntu import NTU120XSub as NTU120XSub
from .penn_action import PennAccuracy as PennAccuracy
from .scores import combine as combine
from .scores import mean_class_accuracy as mean_class_accuracy
from .scores import ranks as ranks
from .scores import top_k as top_k
