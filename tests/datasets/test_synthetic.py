"""The embedded dataset: a function of its seed, with the difficulties that its settings state."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.datasets.synthetic import make_videos, write_synthetic
from mmwtal.datasets.synthetic_text import (
    APPROACHES,
    EXECUTIONS,
    FOLLOW_THROUGHS,
    TEMPLATE,
    class_words,
    naming_words,
    tokenize,
)
from mmwtal.datasets.synthetic_video import (
    POOL_SIZE,
    SyntheticConfig,
    SyntheticVideo,
    correlated_noise,
    make_video,
    make_world,
)
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.utils.errors import UserError

DEFAULT = SyntheticConfig()


@pytest.fixture(scope='module')
def default_videos() -> dict[str, list[tuple[SyntheticVideo, np.ndarray]]]:
    videos: dict[str, list] = {'training': [], 'test': []}
    for _, subset, video, features in make_videos(DEFAULT, make_world(DEFAULT)):
        videos[subset].append((video, features))
    return videos


@pytest.fixture(scope='module')
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('synthetic') / 'root'
    write_synthetic(root, num_train=24, num_test=8)
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in sorted(root.rglob('*')) if path.is_file() and not path.name.startswith('.')]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def action_mask(video: SyntheticVideo) -> np.ndarray:
    mask = np.zeros(len(video.phase), dtype=bool)
    for _, start, end in video.instances:
        mask[start:end] = True
    return mask


def test_default_size_and_form(default_videos: dict) -> None:
    assert (len(default_videos['training']), len(default_videos['test'])) == (200, 40)
    assert len(DEFAULT.classes) == 8
    assert list(DEFAULT.classes) == sorted(DEFAULT.classes)
    instances = [len(video.instances) for videos in default_videos.values() for video, _ in videos]
    assert set(instances) == {1, 2, 3, 4, 5}
    for videos in default_videos.values():
        assert {c for video, _ in videos for c in video.classes} == set(range(8))
        assert {len(video.classes) for video, _ in videos} == {1, 2}
        for video, features in videos:
            assert features.shape == (len(video.phase), 128)
            assert features.dtype == np.float32
            assert 60 <= len(features) <= 200


def test_two_writes_are_byte_identical_and_seeds_differ(small_root: Path, tmp_path: Path) -> None:
    first = contents(small_root)
    write_synthetic(tmp_path / 'again', num_train=24, num_test=8)
    assert contents(tmp_path / 'again') == first
    assert len(first) == 2 * (32 + 1) + 6
    assert {'priors/manifest.json', 'priors/import.jsonl'} < first.keys()
    write_synthetic(tmp_path / 'other', num_train=24, num_test=8, seed=1)
    other = contents(tmp_path / 'other')
    assert other.keys() == first.keys()
    assert [name for name in first if first[name] == other[name]] == []


def test_more_videos_leave_the_first_ones(small_root: Path, tmp_path: Path) -> None:
    write_synthetic(tmp_path / 'more', num_train=30, num_test=9)
    first, more = contents(small_root), contents(tmp_path / 'more')
    features = [name for name in first if name.endswith('.npy')]
    assert len(features) == 2 * 32
    assert all(first[name] == more[name] for name in features)
    assert first['vectors.txt'] == more['vectors.txt']
    texts, more_texts = (json.loads(content['texts.json']) for content in (first, more))
    assert all(more_texts[video] == text for video, text in texts.items())


def test_files_are_those_of_any_data_root(small_root: Path) -> None:
    annotations = json.loads((small_root / 'annotations.json').read_text())
    sidecar = json.loads((small_root / 'features' / 'features.json').read_text())
    assert sidecar['modalities'] == {'rgb': [0, 64], 'flow': [64, 128]}
    assert (sidecar['fps'], sidecar['stride'], sidecar['width']) == (25, 16, 128)
    assert set(annotations['database']) == set(sidecar['videos'])
    assert len(annotations['database']) == 32
    for video, entry in annotations['database'].items():
        features = np.load(small_root / 'features' / f'{video}.npy')
        assert entry['duration'] == pytest.approx(0.64 * len(features))
        assert sidecar['videos'][video]['snippets'] == len(features)
        assert entry['annotations']
        for instance in entry['annotations']:
            start, end = np.array(instance['segment']) / 0.64
            assert instance['label'] in annotations['classes']
            assert 0 <= start < end <= len(features)
            assert 8 <= round(end - start) <= 18
            assert abs(end - start - round(end - start)) < 1e-6


@pytest.mark.parametrize(('subset', 'count'), [('training', 24), ('test', 8)])
def test_the_dataset_class_accepts_it(small_root: Path, tmp_path: Path, subset: str, count: int) -> None:
    # A copy, because the dataset leaves the result of its audit beside the features.
    root = shutil.copytree(small_root, tmp_path / 'root')
    dataset = WTALDataset(data_root=root, subset=subset, test_mode=subset == 'test')
    assert len(dataset) == count
    assert dataset.metainfo['classes'] == DEFAULT.classes
    assert dataset.feature_width == 128


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, 10**6), cover=st.floats(0, 1), longest=st.integers(60, 300), most=st.integers(1, 8))
def test_structure_of_a_video(number: int, cover: float, longest: int, most: int) -> None:
    config = SyntheticConfig(scenery_cover=cover, max_snippets=longest, max_instances=most)
    world = make_world(config)
    video = make_video(config, world, np.random.default_rng(number), number % 8)
    action = action_mask(video)
    assert number % 8 in video.classes
    assert {c for c, *_ in video.instances} == set(video.classes)
    assert 1 <= len(video.instances) <= max(most, len(video.classes))
    assert action.mean() <= config.max_action_share
    end_of_previous = 0
    for c, start, end in video.instances:
        assert start - end_of_previous >= 2
        end_of_previous = end
        phases, lengths = run_lengths(video.phase[start:end])
        assert phases == [video.own[c][0], c, video.own[c][1]]
        assert 2 <= lengths[1] <= 4
        assert all(3 <= length <= 7 for length in lengths[::2])
        assert video.own[c][0] in world.variants[c, 0]
        assert video.own[c][1] in world.variants[c, 1]
    assert len(video.phase) - end_of_previous >= 2
    # only actions show executions, every action shows scenery, and the rest as much of it as was asked for
    assert (video.phase[~action] >= 8).sum() + (video.phase[~action] == -1).sum() == (~action).sum()
    assert (video.scenery[action] >= 0).all()
    assert cover - 1e-9 <= (video.scenery[~action] >= 0).mean() <= cover + 1 / (~action).sum() + 1e-9


def run_lengths(values: np.ndarray) -> tuple[list[int], list[int]]:
    starts = np.flatnonzero(np.diff(values, prepend=-2))
    return values[starts].tolist(), np.diff(np.append(starts, len(values))).tolist()


def test_variants_are_shared_between_classes_and_drawn_per_video(default_videos: dict) -> None:
    world = make_world(DEFAULT)
    assert world.variants.shape == (8, 2, 3)
    for side, first in ((0, 8), (1, 8 + POOL_SIZE)):
        assert set(world.variants[:, side].ravel()) <= set(range(first, first + POOL_SIZE))
        assert all(len(set(variants)) == 3 for variants in world.variants[:, side])
    drawn: dict[int, set[int]] = {c: set() for c in range(8)}
    for video, _ in default_videos['training']:
        for c, (approach, _follow) in video.own.items():
            drawn[c].add(approach)
    assert all(variants == set(world.variants[c, 0]) for c, variants in drawn.items())


def test_background_shows_phases_of_the_pools_as_often_as_stated(default_videos: dict) -> None:
    shown, own = [], []
    for video, _ in default_videos['training']:
        background = video.phase[~action_mask(video)]
        shown.append(background >= 0)
        owned = [row for rows in video.own.values() for row in rows]
        own.append(np.isin(background[background >= 0], owned))
    assert np.concatenate(shown).mean() == pytest.approx(DEFAULT.background_phase_share, abs=0.03)
    assert np.concatenate(own).mean() == pytest.approx(DEFAULT.own_phase_share, abs=0.05)


def test_scenery_mostly_tells_the_class(default_videos: dict) -> None:
    matches = [
        (video.scenery[action_mask(video)] == video.classes[0]).all()
        for video, _ in default_videos['training']
        if len(video.classes) == 1
    ]
    # the other videos have the scenery of any class, which is the right one in 1 of 8
    share = DEFAULT.scenery_match
    assert np.mean(matches) == pytest.approx(share + (1 - share) / 8, abs=0.1)
    bare = replace(DEFAULT, scenery_match=1.0)
    world = make_world(bare)
    for number in range(20):
        video = make_video(bare, world, np.random.default_rng(number), 3)
        assert set(video.scenery[video.scenery >= 0]) <= set(video.classes)


@pytest.mark.parametrize('rho', [0.0, 0.5, 0.95])
def test_noise_is_stationary_and_correlated(rho: float) -> None:
    noise = correlated_noise(np.random.default_rng(0), (400, 4000), rho)
    assert noise.std(axis=1) == pytest.approx(1, abs=0.06)
    for lag in (1, 2, 5):
        assert (noise[lag:] * noise[:-lag]).mean() == pytest.approx(rho**lag, abs=0.01)


def test_noise_of_the_features(default_videos: dict) -> None:
    quiet = replace(DEFAULT, noise_sd=0.0)
    clean = [features for *_, features in make_videos(quiet, make_world(quiet))]
    noisy = [features for videos in default_videos.values() for _, features in videos]
    noise = [(a - b) / DEFAULT.scale for a, b in zip(noisy, clean, strict=True)]
    assert np.concatenate(noise).std() == pytest.approx(DEFAULT.noise_sd, rel=0.01)
    neighbours = np.concatenate([x[1:] * x[:-1] for x in noise]).mean() / DEFAULT.noise_sd**2
    assert neighbours == pytest.approx(DEFAULT.noise_rho, abs=0.01)


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    hits = positive[np.argsort(-scores)]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def test_video_labels_teach_a_linear_probe_something_but_far_from_all(default_videos: dict) -> None:
    """Ridge regression from snippets to the labels of their videos, asked where the test videos' executions are."""
    features, labels = [], []
    for video, values in default_videos['training']:
        features.append(np.c_[values, np.ones(len(values))].astype(np.float64))
        labels.append(np.tile(np.isin(np.arange(8), video.classes), (len(values), 1)))
    x, y = np.concatenate(features), np.concatenate(labels).astype(np.float64)
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
    test = default_videos['test']
    scores = np.concatenate([np.c_[values, np.ones(len(values))] @ weights for _, values in test])
    phase = np.concatenate([video.phase for video, _ in test])
    found = np.mean([average_precision(scores[:, c], phase == c) for c in range(8)])
    chance = np.mean([(phase == c).mean() for c in range(8)])
    assert 3 * chance < found < 0.6


def test_texts_name_what_happens(small_root: Path) -> None:
    texts = json.loads((small_root / 'texts.json').read_text())
    database = json.loads((small_root / 'annotations.json').read_text())['database']
    training = {video: entry for video, entry in database.items() if entry['subset'] == 'training'}
    assert texts.keys() == training.keys()
    for video, entry in training.items():
        assert texts[video].keys() == {instance['label'] for instance in entry['annotations']}
        for text in texts[video].values():
            assert text.keys() == {'key', 'complete', 'key_words'}
            assert any(phrase in text['complete'] for phrase in text['key'])
            assert set(text['key_words']) <= set(tokenize(text['complete']))
            assert re.fullmatch(r'[A-Z].*\.', text['complete'])
    assert len({text['complete'] for video in texts.values() for text in video.values()}) > 20


def test_texts_follow_the_variants_in_order(tmp_path: Path) -> None:
    config = SyntheticConfig(num_train=40, num_test=1)
    write_synthetic(tmp_path / 'root', num_train=40, num_test=1)
    texts = json.loads((tmp_path / 'root' / 'texts.json').read_text())
    checked = 0
    for video_id, subset, video, _ in make_videos(config, make_world(config)):
        if subset != 'training':
            continue
        for c, (approach, follow) in video.own.items():
            name = config.classes[c]
            complete = texts[video_id][name]['complete']
            wordings = (APPROACHES[approach - 8], EXECUTIONS[name], FOLLOW_THROUGHS[follow - 8 - POOL_SIZE])
            places = [max(complete.find(wording) for wording in two) for two in wordings]
            assert -1 not in places
            assert places == sorted(places)
            checked += 1
    assert checked >= 40


def test_vectors_cover_the_texts_and_image_the_phases(small_root: Path) -> None:
    lines = (small_root / 'vectors.txt').read_text().splitlines()
    vectors = {line.split(' ')[0]: np.array(line.split(' ')[1:], dtype=float) for line in lines}
    assert len(vectors) == len(lines)
    assert {vector.shape for vector in vectors.values()} == {(50,)}
    texts = json.loads((small_root / 'texts.json').read_text())
    all_texts = [TEMPLATE, *map(class_words, DEFAULT.classes)]
    for video in texts.values():
        for text in video.values():
            all_texts += [*text['key'], text['complete'], *text['key_words']]
    assert set(tokenize(' '.join(all_texts))) <= vectors.keys()

    def similarity(first: str, second: str) -> float:
        a, b = vectors[first], vectors[second]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    # words of one phase are images of one prototype; others are unrelated
    alike = [similarity(naming_words(a)[0], naming_words(b)[-1]) for a, b in APPROACHES]
    unlike = [similarity(naming_words(APPROACHES[i][0])[0], naming_words(APPROACHES[i - 1][0])[0]) for i in range(6)]
    assert min(alike) > 0.6
    assert max(unlike) < 0.6


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'num_classes': 9}, 'num_classes: expected a value from 2 to 8, found 9'),
        ({'noise_rho': 1.5}, 'noise_rho'),
        ({'scenery_cover': -0.1}, 'scenery_cover'),
        ({'noise_sd': float('nan')}, 'noise_sd'),
        ({'min_side': 8}, 'min_side is above max_side'),
        ({'min_snippets': 40}, 'do not fit'),
        ({'max_instances': 40}, 'leave no gaps'),
        ({'num_train': 0}, 'num_train'),
    ],
)
def test_impossible_settings(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        write_synthetic(tmp_path / 'root', **settings)
    assert not (tmp_path / 'root').exists()


def test_fewer_classes_and_other_sizes(tmp_path: Path) -> None:
    audit = write_synthetic(tmp_path / 'root', num_classes=3, num_train=6, num_test=3, width=16, vector_width=20)
    assert audit['classes'] == list(DEFAULT.classes[:3])
    assert audit['features'] == {'files': 9, 'width': 32, 'dtypes': {'float32': 9}}
    assert len((tmp_path / 'root' / 'vectors.txt').read_text().splitlines()[0].split(' ')) == 21


def test_an_existing_root_is_kept_unless_asked(small_root: Path) -> None:
    before = contents(small_root)
    with pytest.raises(UserError, match='--overwrite'):
        write_synthetic(small_root, num_train=2, num_test=1)
    assert contents(small_root) == before
