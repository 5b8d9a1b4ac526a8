"""Pure functions of arrays: temporal IoU, matching, average precision of detections and of snippets."""

from mmwtal.evaluation.functional.average_precision import average_precision
from mmwtal.evaluation.functional.matching import match_detections
from mmwtal.evaluation.functional.snippets import snippet_average_precision, snippets_inside
from mmwtal.evaluation.functional.tiou import segment_tiou

__all__ = [
    'average_precision',
    'match_detections',
    'segment_tiou',
    'snippet_average_precision',
    'snippets_inside',
]
