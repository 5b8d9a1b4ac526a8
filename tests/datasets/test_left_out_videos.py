"""Videos that are too short or blocked leave the dataset, and it says so."""

import pytest

from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.utils.errors import UserError


def test_short_videos(data_root, logged) -> None:
    root = data_root.write()
    everything = WTALDataset(data_root=root, subset='training').video_ids
    assert everything == ['run_a', 'run_b', 'jump_a', 'jump_b', 'both', 'none']
    # 20, 31, 25, 40, 28 and 22 snippets: a video of exactly the number stays.
    dataset = WTALDataset(data_root=root, subset='training', min_snippets=25)
    assert dataset.video_ids == ['run_b', 'jump_a', 'jump_b', 'both']
    assert '2 of 6 videos of' in logged()
    assert 'left out: fewer than min_snippets=25 snippets (run_a, none)' in logged()
    with pytest.raises(UserError, match=r'no video of .* can be used'):
        WTALDataset(data_root=root, subset='training', min_snippets=41)


def test_blocked_videos(data_root, logged, tmp_path) -> None:
    root = data_root.write()
    (data_root.path / 'blocked.txt').write_text('# gone\nrun_a\nnowhere\n')
    (tmp_path / 'all.json').write_text('["test_run", "test_jump"]')
    dataset = WTALDataset(data_root=root, subset='training', blocked='blocked.txt')
    assert dataset.video_ids == ['run_b', 'jump_a', 'jump_b', 'both', 'none']
    assert "1 of 6 videos of subset 'training' left out: in" in logged()
    with pytest.raises(UserError, match="blocks all 2 videos of subset 'test'"):
        WTALDataset(data_root=root, subset='test', blocked=tmp_path / 'all.json')
    with pytest.raises(UserError, match=r'video list .*none\.txt does not exist'):
        WTALDataset(data_root=root, subset='test', blocked='none.txt')


def test_a_blocked_video_need_not_be_sound(data_root) -> None:
    root = data_root.write()
    data_root.feature('run_a').unlink()
    with pytest.raises(UserError, match='run_a'):
        WTALDataset(data_root=root, subset='training')
    (data_root.path / 'blocked.txt').write_text('run_a')
    assert len(WTALDataset(data_root=root, subset='training', blocked='blocked.txt')) == 5
