"""The films of the embedded dataset: as long as its videos, different by class, the same each time."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mmwtal.datasets.synthetic import make_videos
from mmwtal.datasets.synthetic_film import APPROACH_MOTIONS, FOLLOW_MOTIONS, draw_film, make_films
from mmwtal.datasets.synthetic_film_things import THINGS
from mmwtal.datasets.synthetic_text import APPROACHES, FOLLOW_THROUGHS
from mmwtal.datasets.synthetic_video import CLASSES, SyntheticConfig, SyntheticVideo, make_world
from mmwtal.utils.errors import UserError

CONFIG = SyntheticConfig(num_train=4, num_test=1, min_snippets=60, max_snippets=66)


def acted(phase: int, *, scenery: int = -1) -> np.ndarray:
    """Return the film of a phase of ten snippets."""
    rows = np.full(10, phase)
    video = SyntheticVideo(classes=(0,), own={}, instances=(), phase=rows, scenery=np.full(10, scenery))
    return draw_film(SyntheticConfig(), video)


def test_every_class_and_every_way_to_move_is_drawn():
    assert set(THINGS) == set(CLASSES)
    assert (len(APPROACH_MOTIONS), len(FOLLOW_MOTIONS)) == (len(APPROACHES), len(FOLLOW_THROUGHS))
    films = [acted(phase) for phase in range(-1, len(CLASSES) + len(APPROACHES) + len(FOLLOW_THROUGHS))]
    for number, film in enumerate(films):
        assert film.shape == (32, 96, 128, 3)
        assert film.dtype == np.uint8
        assert all((film != other).any() for other in films[:number])


def test_only_an_execution_is_bright():
    def bright(film: np.ndarray) -> bool:
        return bool(((film[..., 0] > 200) & (film[..., 1] > 190) & (film[..., 2] < 90)).sum(axis=(1, 2)).min() > 10)

    assert [bright(acted(phase)) for phase in range(-1, 20)] == [False] + [True] * 8 + [False] * 12


def test_scenery_is_behind():
    corners = {tuple(acted(-1, scenery=scenery)[0, 0, 0]) for scenery in range(-1, len(CLASSES))}
    assert len(corners) == len(CLASSES) + 1


def test_films_are_as_long_as_the_videos_and_repeat(tmp_path):
    pytest.importorskip('av')
    from mmwtal.video.probe import probe_video
    from mmwtal.video.reader import read_frames

    first, second = tmp_path / 'first', tmp_path / 'second'
    for folder in (first, second):
        folder.mkdir()
        assert make_films(folder, CONFIG) == 4
    videos = {
        video_id: video
        for video_id, subset, video, _ in make_videos(CONFIG, make_world(CONFIG))
        if subset == 'training'
    }
    files = sorted((first / 'videos').iterdir())
    assert [file.stem for file in files] == sorted(videos)
    for file in files:
        assert file.read_bytes() == (second / 'videos' / file.name).read_bytes()
        found, video = probe_video(file), videos[file.stem]
        assert found.duration == pytest.approx(len(video.phase) * 0.64)
        assert (found.fps, found.width, found.height) == (pytest.approx(5), 128, 96)
        assert (found.variable_rate, found.truncated) == (False, False)
    # What is in the file is what was drawn, at its time.
    drawn = draw_film(CONFIG, video)
    frames = read_frames(file, [0.1, 10.3, 20.1]).frames.astype(int)
    assert np.abs(frames - drawn[[0, 51, 100]]).mean() < 6


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> object:
    path = repo_root / 'tools' / 'dataset_converters' / 'synthetic.py'
    spec = importlib.util.spec_from_file_location('synthetic_films_converter', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tool_writes_films_only_when_asked(tool, tmp_path, capsys):
    pytest.importorskip('av')
    options = ['--num-train', '2', '--num-test', '1', '--width', '4']
    tool.main(tool.build_parser().parse_args([str(tmp_path / 'bare'), *options]))
    assert not (tmp_path / 'bare' / 'videos').exists()
    tool.main(tool.build_parser().parse_args([str(tmp_path / 'both'), *options, '--films']))
    assert f'films: 2 in {tmp_path / "both" / "videos"}' in capsys.readouterr().out
    database = json.loads((tmp_path / 'both' / 'annotations.json').read_text())['database']
    names = {video for video, entry in database.items() if entry['subset'] == 'training'}
    assert {file.stem for file in (tmp_path / 'both' / 'videos').iterdir()} == names
    rest = [
        {
            file.relative_to(root): file.read_bytes()
            for file in root.rglob('*')
            if file.is_file() and file.suffix != '.mp4'
        }
        for root in (tmp_path / 'bare', tmp_path / 'both')
    ]
    assert rest[0] == rest[1]


def test_without_pyav_nothing_is_written(tool, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'av', None)
    with pytest.raises(UserError, match='mmwtal\\[priors\\]'):
        tool.main(tool.build_parser().parse_args([str(tmp_path / 'root'), '--films']))
    assert not (tmp_path / 'root').exists()
