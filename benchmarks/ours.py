"""What is timed of mmwtal: the same work as in :mod:`benchmarks.published`, with the shipped config."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import material
from benchmarks.guided import guided_step
from benchmarks.operation import Operation, Spec
from benchmarks.ours_training import iteration, load_batch, train_step
from benchmarks.settings import converted_checkpoint, shipped_config
from mmwtal.decoders.grouping import group_runs
from mmwtal.decoders.nms import soft_nms as suppress
from mmwtal.decoders.outer_inner import outer_inner_contrast
from mmwtal.evaluation import evaluate as evaluate_detections
from mmwtal.evaluation.counted import overlapping
from mmwtal.evaluation.detections import Detections
from mmwtal.evaluation.ground_truth import read_ground_truth
from mmwtal.evaluation.protocols import get_protocol
from mmwtal.registry import DECODERS
from mmwtal.structures import LocalizerOutput, Timebase

TIOUS = '0.1:0.9:0.1'
PROTOCOL = 'wtal_grid'
GRID = Timebase(fps=material.FPS, stride=material.STRIDE)


def score(spec: Spec) -> Operation:
    """Group the snippets above all thresholds into proposals and score them."""
    cfg = shipped_config(spec, work_dir=Path('score'))
    thresholds = np.linspace(*cfg.model.decoder.attn_thresholds)[:, None]
    videos = [
        (item.attn[:, 0], (item.cas * item.attn)[:, item.labels])
        for item in material.load_sequences(spec.scratch / 'sequences.npz')
    ]
    found: list[np.ndarray] = []

    def run() -> None:
        found.clear()
        for attn, activation in videos:
            _, segments = group_runs(attn > thresholds)
            found.append(outer_inner_contrast(activation, segments, margin=0.25) + 0.2 * 0.3)

    return Operation(run=run, outcome=lambda: summary(np.concatenate(found).ravel()), units=len(videos))


def soft_nms(spec: Spec) -> Operation:
    """Suppress 500 proposals of one class."""
    segments, scores = material.proposals()
    found: list[np.ndarray] = []

    def run() -> None:
        found[:] = suppress(segments, scores[None], sigma=0.3, length_offset=1.0)

    return Operation(run=run, outcome=lambda: summary(found[1].ravel()))


def ambiguous(spec: Spec) -> Operation:
    """Find the detections of all test videos that touch an ambiguous stretch."""
    table = material.load_detections(spec.scratch / 'detections.npz')
    truth, rule = read_ground_truth(spec.data_root / 'annotations.json', 'test'), get_protocol(PROTOCOL)
    place = {video_id: i for i, video_id in enumerate(truth.video_ids)}
    videos = np.array([place[name] for name in table['names']])[table['videos']]
    seconds = GRID.to_seconds(table['segments'])
    kept = [0]

    def run() -> None:
        stretches = rule.in_unit(truth.ambiguous_segments)
        touches = overlapping(videos, rule.in_unit(seconds), truth.ambiguous_videos, stretches)
        kept[0] = int((~touches).sum())

    return Operation(run=run, outcome=lambda: kept, units=len(table['names']))


def decode(spec: Spec) -> Operation:
    """From the network's output to segments in seconds."""
    decoder = DECODERS.build(shipped_config(spec, work_dir=Path('decode')).model.decoder)
    videos = [_output(item, spec.device) for item in material.load_sequences(spec.scratch / 'sequences.npz')]
    found: list[Any] = []

    def run() -> None:
        found[:] = [decoder.decode(output, GRID) for output in videos]

    def outcome() -> Sequence[float]:
        return summary(torch.cat([instances.scores for (instances,) in found]).numpy())

    return Operation(run=run, outcome=outcome, units=len(videos))


def _output(item: material.Sequence, device: str) -> LocalizerOutput:
    cas, attn = (torch.from_numpy(values).to(device)[None] for values in (item.cas, item.attn))
    mask = torch.ones(cas.shape[:2], dtype=torch.bool, device=device)
    return LocalizerOutput(feat=attn, attn=attn, cas=cas, has_background=True, mask=mask)


def evaluate(spec: Spec) -> Operation:
    """Compute the mAP of 30,000 detections."""
    table = material.load_detections(spec.scratch / 'detections.npz')
    clear = table['clear']
    content = material.read_database(spec.data_root)
    detections = Detections(
        video_ids=tuple(table['names'].tolist()),
        classes=tuple(content['classes']),
        videos=table['videos'][clear],
        labels=table['labels'][clear],
        segments=GRID.to_seconds(table['segments'][clear]),
        scores=table['scores'][clear],
    )
    truth = read_ground_truth(content, 'test')
    run = partial(evaluate_detections, detections, truth, protocol=PROTOCOL, tious=TIOUS)
    return Operation(run=run, outcome=lambda: run().mAP)


def test_job(spec: Spec) -> Operation:
    """What ``tools/test.py`` does when started: read the data and weights, go through the test videos, evaluate."""
    from mmwtal.apis.test import test_localizer

    checkpoint = converted_checkpoint(spec)
    scores: list[float] = []
    os.chdir(spec.scratch)

    def run() -> None:
        cfg = shipped_config(spec, work_dir=Path('test'))
        cfg.test_evaluator.tious = TIOUS
        report = test_localizer(cfg, checkpoint)
        assert report is not None
        scores[:] = report.result.mAP

    return Operation(run=run, outcome=lambda: scores)


def summary(values: np.ndarray) -> Sequence[float]:
    """Return number, mean and mean square of values."""
    return len(values), float(values.mean()), float((values**2).mean())


OPERATIONS: dict[str, Callable[[Spec], Operation]] = {
    'train_step': train_step,
    'guided_step': guided_step,
    'load_batch': load_batch,
    'iteration': iteration,
    'score': score,
    'soft_nms': soft_nms,
    'ambiguous': ambiguous,
    'decode': decode,
    'evaluate': evaluate,
    'test_job': test_job,
}
