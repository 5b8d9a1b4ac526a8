"""Pure functions of arrays: temporal IoU, matching and average precision."""

from mmwtal.evaluation.functional.average_precision import average_precision
from mmwtal.evaluation.functional.matching import match_detections
from mmwtal.evaluation.functional.tiou import segment_tiou

__all__ = ['average_precision', 'match_detections', 'segment_tiou']
