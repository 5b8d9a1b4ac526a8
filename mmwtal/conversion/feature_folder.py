"""Opening a folder of feature files that is to be converted, with every unsuitable file reported at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmwtal.conversion.data_root import features_problem, storable
from mmwtal.formats.annotations import video_id_problem
from mmwtal.formats.feature_files import FeatureFileError, map_features
from mmwtal.formats.sidecar import SIDECAR_NAME, FeatureSidecar
from mmwtal.utils.errors import UserError


def open_features(
    folder: Path, videos: Sequence[str], sidecar: FeatureSidecar | None, problems: list[str]
) -> dict[str, np.ndarray]:
    """Open the feature files of videos, reading only their headers.

    Args:
        folder: Where they are, as ``<video>.npy``.
        videos: The videos that need one.
        sidecar: What the folder states of them; contradictions are problems.
        problems: Missing, unreadable and unsuitable files are appended.

    Returns:
        A memory-mapped array (T, D) for each video whose file is sound.

    Raises:
        UserError: If the folder is none.
    """
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder: expected a folder of <video>.npy')
    arrays = {}
    for video in videos:
        opened = _open(folder / f'{video}.npy', video)
        problem = opened if isinstance(opened, str) else None
        if problem is None and sidecar is not None:
            stated = sidecar.video(video).snippets
            if stated not in (None, len(opened)):
                problem = f'has {len(opened)} snippets, but {SIDECAR_NAME} says {stated}'
            problems += [f'{folder / video}.npy: {finding.detail}' for finding in sidecar.findings.get(video, ())]
        if problem:
            problems.append(f'{folder / video}.npy: {problem}')
        elif not isinstance(opened, str):
            arrays[video] = opened
    problems += width_problems(arrays, None if sidecar is None else sidecar.width, place=str(folder))
    return arrays


def needs_conversion(features: np.ndarray) -> bool:
    """Return whether a feature file cannot be taken over as it is: its dtype or its order is not the stored one.

    Args:
        features: (T, D), memory-mapped; not read.
    """
    # A slice without rows shows what would become of the dtype without converting anything.
    return storable(features[:0]).dtype != features.dtype or not features.flags['C_CONTIGUOUS']


def _open(path: Path, video: str) -> np.ndarray | str:
    """Return the array, or what is wrong with the file."""
    problem = video_id_problem(video)
    if problem:
        return problem
    if not path.exists():
        return 'no such feature file (a header row of a CSV file must hold its column names and nothing else)'
    try:
        features = map_features(path)
    except FeatureFileError as error:
        return str(error).removeprefix(f'{path} ')
    return features_problem(features) or features


def width_problems(
    arrays: Mapping[str, np.ndarray], stated: int | None, *, place: str, hint: str = 'store them transposed, as (T, D)'
) -> list[str]:
    """Return what is wrong with the widths of feature arrays.

    Args:
        arrays: (T, D) by video.
        stated: D as a ``features.json`` states it.
        place: The folder or store that they are from.
        hint: What to do where the arrays look like (D, T).
    """
    widths = {video: array.shape[1] for video, array in arrays.items()}
    expected = {stated} if stated is not None else set(widths.values())
    if set(widths.values()) <= expected and len(expected) <= 1:
        return []
    first = {array.shape[0] for array in arrays.values()}
    if len(first) == 1 and (stated is None or first == {stated}):
        return [f'{place}: the arrays look like (D, T) with D = {first.pop()}: {hint}']
    if stated is not None:
        common, origin = stated, f'as {SIDECAR_NAME} says'
    else:
        common, origin = max(expected, key=list(widths.values()).count), 'as most have'
    return [
        f'{place}, {video}: expected width {common}, {origin}, found {width}'
        + (f'; it looks like (D, T): {hint}' if len(arrays[video]) == common else '')
        for video, width in widths.items()
        if width != common
    ]
