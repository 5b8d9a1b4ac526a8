"""The records of a dataset: what the pipeline gets of a video, and the audit of its features' values."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from mmwtal.formats.checks import CheckedVideo
from mmwtal.formats.findings import Finding
from mmwtal.formats.value_audit import ValueAudit


def make_record(video: CheckedVideo, class_index: Mapping[str, int], *, with_segments: bool) -> dict[str, Any]:
    """Return the record of a video.

    Args:
        video: The video.
        class_index: The dataset's classes; labels of others are dropped.
        with_segments: Whether the record holds ``segments`` and ``segment_label_ids``; never in training.
    """
    annotation = video.annotation
    labels = _class_ids(annotation.labels, class_index)
    record = {
        'video_id': annotation.video_id,
        'feature_path': str(video.path),
        'num_snippets': video.num_snippets,
        'label_ids': labels[labels >= 0],
        'timebase': video.timebase,
    }
    if with_segments and annotation.segments is not None:
        segment_labels = _class_ids(annotation.segment_labels, class_index)
        record['segments'] = annotation.segments[segment_labels >= 0]
        record['segment_label_ids'] = segment_labels[segment_labels >= 0]
    return record


def _class_ids(labels: Sequence[str], class_index: Mapping[str, int]) -> np.ndarray:
    """Return the class of each label, int64, -1 for one that is not among the dataset's."""
    return np.array([class_index.get(label, -1) for label in labels], dtype=np.int64)


def audit_values(folder: Path, video_ids: list[str]) -> list[Finding]:
    """Look for NaN and Inf in the feature files that were not looked at before; the verdicts are kept.

    With several processes the main one looks first, and what it keeps spares the others the reading.
    """
    if not is_main_process():
        barrier()
    audit = ValueAudit(folder=folder)
    pending = audit.pending(video_ids)
    if pending:
        print_log(f'{folder}: looking for NaN and Inf in {len(pending)} feature files', logger='current')
    problem = audit.run(pending)
    if problem:
        print_log(f'{folder}: the audit is not kept: {problem}', logger='current', level=logging.DEBUG)
    if is_main_process():
        barrier()
    return audit.findings(video_ids)
