"""Evaluation: named rules, temporal detections in, mean average precision out.

The metric that the Runner uses is in ``mmwtal.evaluation.metrics``. It is not imported here, so that evaluating a file
needs no torch.
"""

from mmwtal.evaluation.detections import Detections, read_detections
from mmwtal.evaluation.evaluator import evaluate
from mmwtal.evaluation.ground_truth import GroundTruth, read_ground_truth
from mmwtal.evaluation.protocols import PROTOCOLS, Protocol, get_protocol
from mmwtal.evaluation.result import EvaluationResult
from mmwtal.evaluation.tious import parse_tious

__all__ = [
    'PROTOCOLS',
    'Detections',
    'EvaluationResult',
    'GroundTruth',
    'Protocol',
    'evaluate',
    'get_protocol',
    'parse_tious',
    'read_detections',
    'read_ground_truth',
]
