"""Scores of whole videos from elsewhere: a classifier of another model, or of UntrimmedNet as several papers use it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import finite_number, read_json_object

WHAT = 'external video scores'
_SHOWN = 5


def read_video_scores(path: Path, *, video_ids: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Read the score of each class in each video.

    Args:
        path: A JSON file ``{video_id: {label: score}}``. It may hold more videos and labels than are asked for.
        video_ids: The videos, V.
        classes: The labels, C.

    Returns:
        Scores, float64, (V, C).

    Raises:
        UserError: If the file cannot be read, or a video, a label or a number is missing: all in one message.
    """
    content = read_json_object(path, what=WHAT)
    problems = []
    scores = np.zeros((len(video_ids), len(classes)))
    for row, video in enumerate(video_ids):
        by_label = content.get(video)
        if not isinstance(by_label, dict):
            problems.append(f'video {video} {"has no object of scores" if video in content else "is missing"}')
            continue
        found = [finite_number(by_label.get(label)) for label in classes]
        lacking = [label for label, score in zip(classes, found, strict=True) if score is None]
        if lacking:
            more = f' and {len(lacking) - 1} more' if len(lacking) > 1 else ''
            problems.append(f'video {video} has no number for {lacking[0]!r}{more}')
        else:
            scores[row] = found
    if problems:
        listed = '; '.join(problems[:_SHOWN]) + ('; ...' if len(problems) > _SHOWN else '')
        raise UserError(
            f'{WHAT} {path}: expected {{video_id: {{label: score}}}} for {len(classes)} labels in '
            f'each of {len(video_ids)} videos, found faults in {len(problems)} videos: {listed}'
        )
    return scores
