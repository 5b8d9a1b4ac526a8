"""Evaluation: named rules, temporal detections in, mean average precision out.

The metric that the Runner uses is in ``mmwtal.evaluation.metrics``. It is not imported here, so that evaluating a file
needs no torch.
"""

from mmwtal.evaluation.detections import Detections, read_detections
from mmwtal.evaluation.evaluator import evaluate
from mmwtal.evaluation.ground_truth import GroundTruth, read_ground_truth
from mmwtal.evaluation.protocols import PROTOCOLS, get_protocol, get_protocols
from mmwtal.evaluation.result import EvaluationResult
from mmwtal.evaluation.rule import Protocol
from mmwtal.evaluation.tious import parse_tious
from mmwtal.evaluation.video_lists import VIDEO_LISTS, VideoList, get_video_list

__all__ = [
    'PROTOCOLS',
    'VIDEO_LISTS',
    'Detections',
    'EvaluationResult',
    'GroundTruth',
    'Protocol',
    'VideoList',
    'evaluate',
    'get_protocol',
    'get_protocols',
    'get_video_list',
    'parse_tious',
    'read_detections',
    'read_ground_truth',
]
