"""Checking feature files by their headers alone, which takes well under a millisecond a file."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from mmwtal.formats.findings import Finding, Kind

# What numpy raises for a spoilt header, which it parses as a Python literal.
_HEADER_ERRORS = (ValueError, TypeError, SyntaxError, TokenError)
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class FeatureFileError(ValueError):
    """A feature file that cannot be read.

    Args:
        kind: What is wrong with it.
        detail: The same in words.
    """

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class FeatureCheck:
    """What the headers of a set of feature files say.

    Args:
        width: D that all files should have; None if no file could be read and nothing else states it.
        lengths: T of each sound file, by video id.
        findings: The others' faults, one a file.
    """

    width: int | None
    lengths: dict[str, int]
    findings: list[Finding]


def feature_path(folder: Path, video_id: str) -> Path:
    """Return where the features of a video lie; the id must have passed ``video_id_problem``."""
    return folder / f'{video_id}.npy'


def read_shape(path: Path) -> tuple[int, ...]:
    """Return the shape (T, D) of a feature file after checking what its header and its size tell.

    Args:
        path: A ``.npy`` file.

    Raises:
        FeatureFileError: If the file is missing, empty, not a ``.npy`` file, truncated, pickled, not two-dimensional,
            or neither float16 nor float32.
    """
    shape, dtype, start, size = _read_header(path)
    if dtype.hasobject:
        raise FeatureFileError(Kind.UNREADABLE, f'{path} holds pickled objects, which are never loaded')
    if dtype.kind != 'f' or dtype.itemsize not in (2, 4):
        raise FeatureFileError(Kind.DTYPE, f'expected float16 or float32, found {dtype} in {path}')
    if len(shape) != 2 or min(shape) < 0:
        raise FeatureFileError(Kind.SHAPE, f'expected (T, D), found {shape} in {path}')
    if 0 in shape:
        raise FeatureFileError(Kind.EMPTY, f'{path} holds no values: shape {shape}')
    expected = start + math.prod(shape) * dtype.itemsize
    if size < expected:
        raise FeatureFileError(Kind.UNREADABLE, f'{path} is truncated: {size} bytes of {expected}')
    return shape


def _read_header(path: Path) -> tuple[tuple[int, ...], np.dtype, int, int]:
    """Return shape, dtype, where the values start and the size of the file, the last two in bytes."""
    try:
        with path.open('rb') as file:
            size = file.seek(0, 2)
            if size == 0:
                raise FeatureFileError(Kind.EMPTY, f'{path} holds 0 bytes')
            file.seek(0)
            shape, dtype = read_npy_header(file, path)
            return shape, dtype, file.tell(), size
    except FileNotFoundError:
        raise FeatureFileError(Kind.MISSING, f'{path} does not exist') from None
    except OSError as error:
        raise FeatureFileError(Kind.UNREADABLE, f'{path}: {error.strerror or error}') from None


def read_npy_header(file: IO[bytes], place: object) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and dtype of an array in the ``.npy`` format, and leave the file where its values start.

    Args:
        file: The file, or a member of an archive, at its start.
        place: What it is, for messages.

    Raises:
        FeatureFileError: If it does not start with the header of such an array.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise FeatureFileError(Kind.UNREADABLE, f'{place} is in version {version} of the .npy format')
        shape, _, dtype = _HEADER_READERS[version](file)
    except FeatureFileError:
        raise
    except _HEADER_ERRORS as error:
        raise FeatureFileError(Kind.UNREADABLE, f'{place} is not a .npy file: {error!s:.120}') from None
    return shape, dtype


def map_features(path: Path) -> np.ndarray:
    """Map the features of a video into memory, read-only; nothing is read until it is used.

    Args:
        path: A ``.npy`` file.

    Returns:
        (T, D), float16 or float32 if the file passes :func:`read_shape`.

    Raises:
        FeatureFileError: If the file cannot be read.
    """
    try:
        return np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, EOFError, *_HEADER_ERRORS) as error:
        raise FeatureFileError(Kind.UNREADABLE, f'{path} cannot be read as a .npy array of numbers: {error}') from None


def check_feature_files(folder: Path, video_ids: Iterable[str], *, width: int | None) -> FeatureCheck:
    """Check the headers of the feature files of the given videos.

    Args:
        folder: The folder that holds them.
        video_ids: Ids that have passed ``video_id_problem``.
        width: D where it is known; else the width that most files agree on.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    findings = []
    for video_id in video_ids:
        try:
            shapes[video_id] = read_shape(feature_path(folder, video_id))
        except FeatureFileError as error:
            findings.append(Finding(kind=error.kind, video_id=video_id, detail=str(error)))
    width = _common_width(shapes.values()) if width is None else width
    lengths = {}
    for video_id, shape in shapes.items():
        if shape[1] == width:
            lengths[video_id] = shape[0]
            continue
        kind = Kind.TRANSPOSED if shape[0] == width else Kind.WIDTH
        detail = f'expected (T, {width}), found {shape} in {feature_path(folder, video_id)}'
        findings.append(Finding(kind=kind, video_id=video_id, detail=detail))
    return FeatureCheck(width=width, lengths=lengths, findings=findings)


def _common_width(shapes: Iterable[tuple[int, ...]]) -> int | None:
    """Return the most frequent width; where all files are (D, T), lengths differ and axis 0 is what they agree on."""
    counts = [Counter(sizes).most_common(1)[0] for sizes in zip(*shapes, strict=True)]
    if not counts:
        return None
    (first, first_count), (second, second_count) = counts
    return first if first_count > second_count else second
