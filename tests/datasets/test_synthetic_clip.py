"""The aligned stream of the embedded dataset: near the words for what a snippet shows, noisily, behind a gap."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmwtal.datasets.synthetic import make_videos, write_synthetic
from mmwtal.datasets.synthetic_clip import ClipConfig, make_clip_world, render_clip
from mmwtal.datasets.synthetic_text import EXECUTIONS, naming_words, word_vectors
from mmwtal.datasets.synthetic_video import SyntheticConfig, SyntheticVideo, make_world
from mmwtal.utils.errors import UserError

CONFIG, CLIP = SyntheticConfig(num_train=60, num_test=1), ClipConfig()


@pytest.fixture(scope='module')
def vectors() -> dict[str, np.ndarray]:
    return word_vectors(CONFIG, make_world(CONFIG))


@pytest.fixture(scope='module')
def videos() -> dict[str, SyntheticVideo]:
    return {video_id: video for video_id, _, video, _ in make_videos(CONFIG, make_world(CONFIG))}


def rendered(vectors: dict, videos: dict, clip: ClipConfig = CLIP) -> dict[str, np.ndarray]:
    world = make_clip_world(CONFIG, vectors)
    return {video_id: render_clip(CONFIG, clip, world, video_id, video) for video_id, video in videos.items()}


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    hits = positive[np.argsort(-scores)]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def key_scores(vectors: dict, videos: dict, streams: dict, *, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine of each snippet with the key phrases of its video's classes, and which snippets are those."""
    keys = np.array(
        [
            np.mean(
                [np.mean([vectors[word] for word in naming_words(phrase)], axis=0) for phrase in EXECUTIONS[name]], 0
            )
            for name in CONFIG.classes
        ]
    )
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    scores, shown = [], []
    for video_id, video in videos.items():
        values = streams[video_id] - (streams[video_id].mean(axis=0) if centred else 0)
        cosines = values @ keys[list(video.classes)].T / np.linalg.norm(values, axis=1, keepdims=True)
        scores.append(cosines.max(axis=1))
        shown.append(np.isin(video.phase, video.classes))
    return np.concatenate(scores), np.concatenate(shown)


def test_matching_with_the_key_phrases_says_something_but_far_from_all(vectors: dict, videos: dict) -> None:
    streams = rendered(vectors, videos)
    scores, shown = key_scores(vectors, videos, streams)
    found = average_precision(scores, shown)
    assert 5 * shown.mean() < found < 0.65
    # The gap hides part of it: what it does to the cosine has nothing to do with the snippet.
    assert average_precision(*key_scores(vectors, videos, streams, centred=False)) < found - 0.05
    rng = np.random.default_rng(0)
    meaningless = {word: rng.standard_normal(CONFIG.vector_width) for word in vectors}
    assert average_precision(*key_scores(meaningless, videos, streams)) < 2 * shown.mean()


def test_without_noise_each_snippet_is_what_it_shows(vectors: dict, videos: dict) -> None:
    clean = replace(CLIP, noise_sd=0.0, style=0.0, gap=0.0, scenery_amplitude=0.0)
    world = make_clip_world(CONFIG, vectors)
    for video_id, values in rendered(vectors, videos, clean).items():
        video = videos[video_id]
        acting = video.phase >= 0
        assert np.abs(values[~acting]).max() == 0
        cosines = values[acting] @ world.phases.T
        assert (cosines.argmax(axis=1) == video.phase[acting]).all()
    apart = rendered(vectors, videos, replace(clean, gap=3.0))
    whole = rendered(vectors, videos, clean)
    for video_id, values in apart.items():
        np.testing.assert_allclose(values - whole[video_id], np.tile(3 * world.gap, (len(values), 1)), atol=1e-5)


def test_the_stream_of_a_data_root(tmp_path: Path) -> None:
    write_synthetic(tmp_path / 'one', num_train=4, num_test=2)
    write_synthetic(tmp_path / 'more', num_train=6, num_test=3)
    write_synthetic(tmp_path / 'other', num_train=4, num_test=2, clip=replace(CLIP, noise_sd=1.0))
    files = {path.relative_to(tmp_path / 'one') for path in (tmp_path / 'one').rglob('*') if path.is_file()}
    streams = {path for path in files if path.parts[0] == 'features-clip'}
    assert len(streams) == 7
    for path in files:
        one, more, other = ((tmp_path / root / path).read_bytes() for root in ('one', 'more', 'other'))
        assert (one == other) == (path not in streams)
        assert path.suffix != '.npy' or one == more
    sidecar = json.loads((tmp_path / 'one' / 'features-clip' / 'features.json').read_text())
    assert (sidecar['width'], sidecar['fps'], sidecar['stride']) == (50, 25, 16)
    for video_id, stated in sidecar['videos'].items():
        stream = np.load(tmp_path / 'one' / 'features-clip' / f'{video_id}.npy')
        features = np.load(tmp_path / 'one' / 'features' / f'{video_id}.npy')
        assert stream.dtype == np.float32
        assert stream.shape == (len(features), 50) == (stated['snippets'], 50)


@pytest.mark.parametrize('setting', [{'noise_rho': 1.5}, {'gap': -1.0}, {'noise_sd': float('inf')}])
def test_impossible_settings(setting: dict) -> None:
    with pytest.raises(UserError, match=f'{next(iter(setting))} of the aligned stream'):
        ClipConfig(**setting)
