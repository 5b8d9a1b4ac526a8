from dataclasses import replace

import pytest

from mmwtal.evaluation import VIDEO_LISTS, evaluate, get_protocol, get_video_list, read_ground_truth
from mmwtal.evaluation.video_lists import VideoList
from mmwtal.utils.errors import UserError


def database(*videos, label='A', **stretches):
    return {
        'database': {
            video: {
                'subset': 'test',
                'annotations': [{'label': label if i else 'First', 'segment': [i, i + 8]}],
                'ambiguous': stretches.get(video, []),
            }
            for i, video in enumerate(videos)
        }
    }


def results(**videos):
    return {
        'results': {
            video: [{'label': c, 'segment': [s, s + 8], 'score': p} for c, s, p in rows]
            for video, rows in videos.items()
        }
    }


@pytest.fixture
def listed(tmp_path):
    def write(text):
        path = tmp_path / 'mine.txt'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_both_sides_of_the_videos_left_out_are_left_out(listed):
    ground_truth = database('u', 'v', 'w', w=[[2, 5]])
    detections = results(u=[('First', 0, 0.9)], v=[('A', 50, 0.8)], w=[('A', 2, 0.7)], x=[('A', 0, 0.6)])
    everything = evaluate(detections, ground_truth, protocol='wtal_grid', tious=[0.5])
    result = evaluate(detections, ground_truth, protocol='wtal_grid', tious=[0.5], videos=listed('\n w\r\n\nv\n'))
    assert (everything.video_list, result.video_list) == (None, 'mine.txt')
    assert everything.video_list_hash != result.video_list_hash
    assert list(result.per_class) == ['A']
    assert (result.num_videos, result.num_instances, result.num_dropped_ambiguous) == (2, 2, 1)
    # The class of `u` has lost its only instance; the prediction in `x`, which no annotation knows, stays.
    assert (result.num_dropped_class, result.num_dropped_video, result.num_outside_videos) == (1, 0, 1)
    without_v = evaluate(detections, ground_truth, protocol='wtal_grid', videos=listed('u\nw'))
    assert (without_v.num_dropped_video, without_v.num_dropped_ambiguous) == (1, 1)
    assert 'mine.txt' in result.table()
    assert result.video_list_hash in result.table()


def test_the_hash_is_that_of_a_file_with_these_videos_alone(listed):
    whole = evaluate(results(), database('u', 'v', 'w'), protocol='anet', videos=listed('w\nu'))
    alone = evaluate(results(), database('w', 'u'), protocol='anet')
    assert whole.video_list_hash == alone.video_list_hash


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', r'mine.txt: expected one video id a line, found none'),
        ('u\nv\nu\n', 'each video once, found u'),
        (b'\xff\xfe', 'is not UTF-8'),
        ('u\nelsewhere\n', r"mine.txt: 1 of its 2 videos are not in subset 'test' .* such as elsewhere"),
    ],
)
def test_faulty_files(listed, text, message):
    with pytest.raises(UserError, match=message):
        evaluate(results(), database('u', 'v'), protocol='anet', videos=listed(text))


def test_list_that_leaves_no_instance():
    ground_truth = database('u')
    ground_truth['database']['empty'] = {'subset': 'test', 'annotations': []}
    with pytest.raises(UserError, match='only_empty: none of its videos has an annotated instance'):
        evaluate(
            results(),
            ground_truth,
            protocol='anet',
            videos=VideoList(name='only_empty', included=frozenset({'empty'})),
        )


def test_no_such_list_or_file():
    with pytest.raises(
        UserError, match=r'one of thumos14-212, thumos14-211, thumos14-210\) thumos14-209 does not exist'
    ):
        get_video_list('thumos14-209')


def test_a_list_of_thumos14_stands_for_its_videos_only():
    with pytest.raises(UserError, match=r'thumos14-210: expected the videos of THUMOS14 .*found 1 videos'):
        evaluate(results(), database('u', 'video_test_0000270'), protocol='anet', videos='thumos14-210')


def test_lists_of_thumos14_are_those_of_the_released_files(shared_data):
    folder = shared_data / 'thumos14'
    complete = read_ground_truth(folder / 'thumos14_actionformer.json', 'test')
    sources = {
        'thumos14-212': (complete, 3358),
        'thumos14-211': (read_ground_truth(folder / 'thumos_14_anno_opentad.json', 'validation'), 3329),
        'thumos14-210': (read_ground_truth(folder / 'stpn_predictions/gt.json'), 3311),
    }
    assert sources.keys() == VIDEO_LISTS.keys()
    for name, (source, instances) in sources.items():
        kept = get_video_list(name).apply(complete)
        assert (str(len(kept.video_ids)), len(kept.segments)) == (name[-3:], instances)
        assert kept.video_list_hash == source.video_list_hash == VIDEO_LISTS[name].video_list_hash
        # A file that has these videos alone needs no list, and takes its own.
        assert get_video_list(name).apply(source).video_ids == source.video_ids
    with pytest.raises(UserError, match='thumos14-212'):
        get_video_list('thumos14-212').apply(sources['thumos14-210'][0])


@pytest.mark.parametrize(
    ('protocol', 'videos', 'expected'),
    [
        ('anet', 'thumos14-212', '17.34'),
        ('anet', 'thumos14-211', '17.70'),
        ('anet', 'thumos14-210', '17.70'),
        ('actionformer', 'thumos14-212', '17.34'),
        ('wtal_grid', 'thumos14-212', '19.58'),
        ('wtal_grid', 'thumos14-210', '19.96'),
        ('wtalc', 'thumos14-212', '18.95'),
        ('wtalc', 'thumos14-210', '19.33'),
        # W-TALC's matching and average precision in seconds.
        (replace(get_protocol('wtalc'), snippet_grid=None), 'thumos14-210', '17.12'),
        ('thumos_official', 'thumos14-212', '16.51'),
        ('thumos_official', 'thumos14-210', '16.87'),
    ],
)
def test_one_real_prediction_file_under_rules_and_lists(shared_data, protocol, videos, expected):
    # Without ambiguous stretches, which this annotation file does not have.
    folder = shared_data / 'thumos14'
    result = evaluate(
        folder / 'stpn_predictions/results.json',
        folder / 'thumos14_actionformer.json',
        protocol=protocol,
        videos=videos,
        tious=[0.5],
        subset='test',
    )
    assert f'{result.average:.2f}' == expected
