"""The inputs: the same numbers for both sides, made up from fixed seeds.

Lengths, labels and segments are those of THUMOS14, from the annotation files of an authors' checkout. The features are
made up: a few smooth, mixed scenes a video with noise, so that attentions rise and fall at the pace of real ones.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WIDTH = 2048
CLASSES = 20
BATCH = 10
ITERATION = 1  # of a run: what both sides are told, some losses depend on it
FPS, STRIDE = 25, 16
AUTHORS_ANNOTATIONS = 'Thumos14reduced-Annotations'
AUTHORS_FEATURES = 'Thumos14reduced-I3D-JOINTFeatures.npy'
DETECTIONS = 30_000
SEQUENCES = 20
PROPOSALS = 500


class Sequence(NamedTuple):
    """A localizer's output for one video: class activation (T, C + 1) and attention (T, 1), float32."""

    video_id: str
    cas: np.ndarray
    attn: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The two classes that are scored, int64, (2,)."""
        return np.sort(np.argsort(self.cas[:, :-1].max(axis=0))[-2:])


def smooth_noise(rng: np.random.Generator, length: int, channels: int, width: int) -> np.ndarray:
    """Return noise that varies over about ``width`` steps, of standard deviation 1, float32, (length, channels)."""
    steps = rng.standard_normal((length + width, channels), dtype=np.float32)
    running = np.cumsum(steps, axis=0, dtype=np.float64)
    return ((running[width:] - running[:-width]) / np.sqrt(width)).astype(np.float32)


def features(video_id: str, length: int) -> np.ndarray:
    """Return a video's features, not negative, float32, (T, 2048)."""
    rng = np.random.default_rng(zlib.crc32(video_id.encode()))
    scenes = np.random.default_rng(0).random((12, WIDTH), dtype=np.float32) ** 4
    mixture = np.exp(2 * smooth_noise(rng, length, len(scenes), 8))
    mixture /= mixture.sum(axis=1, keepdims=True)
    noise = rng.random((length, WIDTH), dtype=np.float32) ** 4
    return 1.5 * (0.8 * mixture @ scenes + 0.2 * noise)


def training_batch(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (10, T, 2048), float32, and multi-hot labels (10, 20); the first three pairs share a class."""
    return np.stack([features(f'training {place}', length) for place in range(BATCH)]), training_labels()


def training_labels() -> np.ndarray:
    """Return the multi-hot labels of :func:`training_batch`, (10, 20)."""
    labels = np.zeros((BATCH, CLASSES))
    labels[np.arange(BATCH), [3, 3, 8, 8, 15, 15, 1, 4, 12, 19]] = 1
    return labels


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a layer's weights under which the network's attentions and scores spread as those of a trained one."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) == 1:
        return 0.1 * rng.standard_normal(shape, dtype=np.float32)
    gain = 60 if shape[0] == 1 else 2
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(gain / np.prod(shape[1:])))


def sequences(lengths: Mapping[str, int]) -> list[Sequence]:
    """Return the output for ``SEQUENCES`` videos, from the shortest to the longest."""
    ordered = sorted(lengths, key=lambda video_id: lengths[video_id])
    chosen = [ordered[i] for i in np.linspace(0, len(ordered) - 1, SEQUENCES).round().astype(int)]
    return [_sequence(video_id, lengths[video_id]) for video_id in chosen]


def _sequence(video_id: str, length: int) -> Sequence:
    rng = np.random.default_rng(zlib.crc32(video_id.encode()) + 1)
    attn = 1 / (1 + np.exp(-2 * smooth_noise(rng, length, 1, 8)))
    cas = smooth_noise(rng, length, CLASSES + 1, 4)
    cas[:, rng.choice(CLASSES, 2, replace=False)] += 6 * attn
    return Sequence(video_id, cas, attn.astype(np.float32))


def proposals() -> tuple[np.ndarray, np.ndarray]:
    """Return 500 proposals on the snippet grid, float64, (500, 2), and their scores, (500,)."""
    rng = np.random.default_rng(3)
    start = rng.integers(0, 600, PROPOSALS)
    segments = np.stack([start, start + rng.integers(1, 40, PROPOSALS)], axis=1)
    return segments.astype(np.float64), rng.random(PROPOSALS)


def detections(database: Mapping[str, Any], classes: list[str], lengths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return detections for the test videos: a third are shifted instances, the others are anywhere.

    Args:
        database: ``database`` of the annotation file.
        classes: The class names.
        lengths: Snippets of each test video.

    Returns:
        ``names`` (V,), ``videos`` (N,), ``labels`` (N,), ``segments`` (N, 2) in whole snippets, ``scores`` (N,), and
        ``clear`` (N,): False where an ambiguous stretch is touched. ``DETECTIONS`` of them are clear.
    """
    rng = np.random.default_rng(4)
    rows = []
    for video, (video_id, length) in enumerate(lengths.items()):
        found = database[video_id].get('annotations', [])
        truth = np.array([instance['segment'] for instance in found]).reshape(-1, 2) * FPS / STRIDE
        names = [classes.index(instance['label']) for instance in found] or [0]
        count = int(np.ceil(1.15 * DETECTIONS / len(lengths)))
        start = rng.integers(0, length, count).astype(float)
        end = start + rng.integers(1, 30, count)
        label = rng.choice(names, count)
        score = rng.random(count)
        near = np.flatnonzero(rng.random(count) < (1 / 3 if len(truth) else 0))
        which = rng.integers(0, max(len(truth), 1), len(near))
        if len(near):
            start[near], end[near] = np.rint(truth[which] + rng.normal(0, 2, (len(near), 2))).T
            label[near] = np.array(names)[which]
            score[near] += 0.3
        start = np.maximum(start, 0)
        end = np.maximum(end, start + 1)
        stretches = np.rint(np.array(database[video_id].get('ambiguous', [])).reshape(-1, 2) * FPS / STRIDE)
        touches = ((start[:, None] < stretches[:, 1]) & (end[:, None] > stretches[:, 0])).any(axis=1)
        rows.append((np.full(count, video), label, start, end, score, ~touches))
    videos, labels, start, end, scores, clear = (np.concatenate(column) for column in zip(*rows, strict=True))
    kept = np.sort(rng.permutation(np.flatnonzero(clear))[:DETECTIONS])
    order = np.sort(np.concatenate([kept, np.flatnonzero(~clear)]))
    return {
        'names': np.array(list(lengths)),
        'videos': videos[order],
        'labels': labels[order],
        'segments': np.stack([start, end], axis=1)[order],
        'scores': scores[order],
        'clear': clear[order],
    }


def save_sequences(path: Path, items: list[Sequence]) -> None:
    """Write sequences for :func:`load_sequences`."""
    columns = {f'cas_{i}': item.cas for i, item in enumerate(items)}
    columns |= {f'attn_{i}': item.attn for i, item in enumerate(items)}
    np.savez(path, video_ids=np.array([item.video_id for item in items]), **columns)  # type: ignore[arg-type]


def load_sequences(path: Path) -> list[Sequence]:
    """Read what :func:`save_sequences` wrote."""
    with np.load(path) as file:
        return [
            Sequence(str(video_id), file[f'cas_{i}'], file[f'attn_{i}']) for i, video_id in enumerate(file['video_ids'])
        ]


def load_detections(path: Path) -> dict[str, np.ndarray]:
    """Read what :func:`detections` gave."""
    with np.load(path) as file:
        return dict(file)


def read_database(data_root: Path) -> dict[str, Any]:
    """Return the annotation file of a data root."""
    return json.loads((data_root / 'annotations.json').read_text(encoding='utf-8'))
