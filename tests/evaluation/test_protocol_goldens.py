"""For each rule, cases worked out by hand for exactly what distinguishes it."""

import logging

import pytest

from mmwtal.evaluation import evaluate
from mmwtal.formats.thumos14 import CLASSES
from mmwtal.utils.errors import UserError

SNIPPET = 16 / 25  # seconds


def truth(*instances, ambiguous=(), others=()):
    """One video 'v' of (class, start, end), and the other 19 classes of THUMOS14 in a video of their own if wanted."""
    database = {
        'v': {'subset': 'test', 'annotations': [{'label': c, 'segment': [s, e]} for c, s, e in instances]},
        **{video: {'subset': 'test', 'annotations': []} for video in others},
    }
    database['v']['ambiguous'] = [list(stretch) for stretch in ambiguous]
    return {'database': database}


def found(*detections, **elsewhere):
    """Detections (class, start, end, score) in 'v', and in other videos."""
    videos = {'v': detections, **elsewhere}
    return {
        'results': {
            video: [{'label': c, 'segment': [s, e], 'score': p} for c, s, e, p in rows]
            for video, rows in videos.items()
        }
    }


def ap(predictions, ground_truth, protocol, tiou=0.5, label='Diving'):
    return evaluate(predictions, ground_truth, protocol=protocol, tious=[tiou]).per_class[label][0]


def on_grid(*rows):
    """The same in seconds for times in snippets."""
    return [(row[0], row[1] * SNIPPET, row[2] * SNIPPET, *row[3:]) for row in rows]


ALL_RULES = ('anet', 'actionformer', 'wtal_grid', 'wtal_grid_delu', 'wtal_grid_ddgnet', 'wtalc', 'thumos_official')


# --- Which ground truth a detection gets


@pytest.mark.parametrize(
    ('protocol', 'expected'),
    [
        # Best free one. d1 (0-10) has tIoU 10/12 with b (0-12) and 10/17 with a (0-17), so it takes b. d2 (0-12) finds
        # b taken and falls through to a: 12/17 = .71 >= .5. Two hits in two: 1/2 (1 + 1) = 100 %.
        ('anet', 100),
        ('wtal_grid', 100),
        # The first free one in the list. d1 takes a, the first with at least .5; d2 takes b, 12/12. Also 100 %.
        ('wtalc', 100),
        # Each ground truth takes its best free detection. a (first) takes d2: 12/17 > 10/17. b then gets d1: 10/12.
        ('thumos_official', 100),
    ],
)
def test_all_rules_fall_through_to_a_free_partner(protocol, expected):
    ground_truth = truth(*on_grid(('Diving', 0, 17), ('Diving', 0, 12)))
    detections = found(*on_grid(('Diving', 0, 10, 0.9), ('Diving', 0, 12, 0.8)))
    assert ap(detections, ground_truth, protocol) == pytest.approx(expected)


def test_first_match_takes_what_another_detection_needed():
    # a = 0-20, b = 0-10 in the list's order, threshold .5. d1 = 0-10 has .5 with a and 1 with b;
    # d2 = 5-20 has 15/20 = .75 with a, 5/20 with b.
    ground_truth = truth(*on_grid(('Diving', 0, 20), ('Diving', 0, 10)))
    detections = found(*on_grid(('Diving', 0, 10, 0.9), ('Diving', 5, 20, 0.8)))
    # Best: d1 -> b, d2 -> a: two hits, 1/2 (1/1 + 2/2) = 100 %.
    assert ap(detections, ground_truth, 'anet') == 100
    # First: d1 -> a, which is listed first; d2 finds only b, .25: 1/2 (1/1) = 50 %.
    assert ap(detections, ground_truth, 'wtalc') == 50


def test_each_instance_takes_its_best_detection_not_its_first():
    # One ground truth 0-10. d1 = 0-6 (.6, score .9), d2 = 0-9 (.9, score .1).
    ground_truth = truth(('Diving', 0, 10))
    detections = found(('Diving', 0, 6, 0.9), ('Diving', 0, 9, 0.1))
    # The higher score serves first: d1 hits, d2 is a false positive. Precision at the hit 1/1: 100 %.
    assert ap(detections, ground_truth, 'anet') == 100
    # The ground truth takes d2, its best; d1, ranked above it, is a false positive: precision 1/2, AP 50 %.
    assert ap(detections, ground_truth, 'thumos_official') == 50


def test_a_tiou_must_exceed_or_reach_the_threshold():
    # Ground truth 0-10, detection 0-5: tIoU exactly 5/10. On the grid: 0-16 and 0-8 snippets, 8/16.
    ground_truth, detections = truth(('Diving', 0, 10.24)), found(('Diving', 0, 5.12, 1))
    for protocol in ALL_RULES[:-1]:
        assert ap(detections, ground_truth, protocol) == 100, protocol
    assert ap(detections, ground_truth, 'thumos_official') == 0
    assert ap(detections, ground_truth, 'thumos_official', tiou=0.49) == 100


def test_the_official_tiou_is_taken_over_the_hull():
    # 0-1 and .4-1.2 share .6 of 1.2. The script divides (1 - .4) by the hull, 1.2 - 0: 0.5. ActivityNet's union is
    # 1 + (1.2 - .4) - (1 - .4) = 1.1999999999999997 in floats, and the tIoU 0.5000000000000001 would be above .5.
    assert (1 - 0.4) / (1.2 - 0) == 0.5 < (1 - 0.4) / (1 + (1.2 - 0.4) - (1 - 0.4))
    ground_truth, detections = truth(('Diving', 0, 1)), found(('Diving', 0.4, 1.2, 1))
    assert ap(detections, ground_truth, 'thumos_official') == 0


# --- Average precision


def test_interpolation_lifts_a_precision_that_later_ranks_exceed():
    # Four instances; ranks: miss, hit, hit, hit. Precision at the hits: 1/2, 2/3, 3/4.
    ground_truth = truth(*(('Diving', 20 * i, 20 * i + 16) for i in range(4)))
    hits = [('Diving', 20 * i, 20 * i + 16, 0.8 - 0.1 * i) for i in range(3)]
    detections = found(('Diving', 900, 910, 0.9), *hits)
    # Interpolated: the best precision from each rank on is 3/4: 3 x 3/4 / 4 = 56.25 %.
    for protocol in ('anet', 'actionformer', 'wtal_grid', 'wtal_grid_delu', 'wtal_grid_ddgnet'):
        assert ap(detections, ground_truth, protocol) == pytest.approx(56.25), protocol
    # At the hits: (1/2 + 2/3 + 3/4) / 4 = 23/48.
    for protocol in ('wtalc', 'thumos_official'):
        assert ap(detections, ground_truth, protocol) == pytest.approx(100 * 23 / 48), protocol


def test_equal_scores():
    # A miss and then a hit with one score, in the order of the file, and the same in the video that sorts before 'v'.
    ground_truth = truth(('Diving', 0, 16))
    miss, hit = ('Diving', 50, 60, 0.5), ('Diving', 0, 16, 0.5)
    # The later one ranks higher: precision 1/1. The earlier one does: 1/2.
    assert ap(found(miss, hit), ground_truth, 'anet') == 100
    assert ap(found(hit, miss), ground_truth, 'anet') == 50
    assert ap(found(miss, hit), ground_truth, 'wtalc') == 50
    assert ap(found(hit, miss), ground_truth, 'wtalc') == 100
    # By the video's name, whatever the order of the file: a miss in 'a' ranks above the hit in 'v', one in 'z' not.
    assert ap(found(hit, a=[miss]), ground_truth, 'thumos_official') == 50
    assert ap(found(hit, z=[miss]), ground_truth, 'thumos_official') == 100
    assert ap(found(miss, hit), ground_truth, 'thumos_official') == 50


# --- The grid


def test_rounding_to_integer_ranges():
    # 0.9-3.1 s is 1.41-4.84 snippets, rounded 1-5; the detection 0.64-3.2 s is 1-5: tIoU 4/4. In seconds 2.2 / 2.56.
    ground_truth, detections = truth(('Diving', 0.9, 3.1)), found(('Diving', 0.64, 3.2, 1))
    for protocol in ('wtal_grid', 'wtal_grid_delu', 'wtal_grid_ddgnet', 'wtalc'):
        assert ap(detections, ground_truth, protocol, tiou=1.0) == 100, protocol
    for protocol in ('anet', 'actionformer', 'thumos_official'):
        assert ap(detections, ground_truth, protocol, tiou=0.9) == 0, protocol
        assert ap(detections, ground_truth, protocol, tiou=0.85) == 100, protocol


@pytest.mark.parametrize('start', [0, 1, 6, 7, 13, 55, 56, 110, 219, 1753])
def test_one_snippet_is_one_snippet_in_floats(start):
    # (start + 1) x .64 x 25 / 16 is not always start + 1, so that the difference may come out above 1.
    one = found(('Diving', start * 0.64, (start + 1) * 0.64, 1))
    two = found(('Diving', start * 0.64, (start + 2) * 0.64, 1))
    ground_truth = truth(('Diving', start * 0.64, (start + 1) * 0.64))
    assert ap(one, ground_truth, 'wtal_grid') == 100
    result = evaluate(one, ground_truth, protocol='wtal_grid_delu', tious=[0.5])
    assert (result.num_dropped_short, result.average) == (1, 0)
    assert 'too short' in result.table()
    # Two snippets are kept: tIoU 1/2 reaches .5.
    assert evaluate(two, ground_truth, protocol='wtal_grid_delu', tious=[0.5]).average == 100


def test_the_trap_is_there():
    assert 7 * 0.64 * 25 / 16 == 7.000000000000001
    lengths = [(i + 1) * 0.64 * 25 / 16 - i * 0.64 * 25 / 16 for i in range(2998)]
    assert sum(length > 1 for length in lengths) > 200


# --- Ambiguous stretches, ground truth that is odd


def test_ambiguous_stretches():
    # Instances 0-16 and 32-48, of which the stretch 40-64 covers a part. In order of score: d1 = 33-48 touches the
    # stretch and hits; d2 = 50-60 lies in it; d3 = 70-80 is a miss elsewhere; d4 = 0-16 hits.
    ground_truth = truth(('Diving', 0, 16), ('Diving', 32, 48), ambiguous=[(40, 64)])
    rows = [('Diving', 33, 48, 0.9), ('Diving', 50, 60, 0.8), ('Diving', 70, 80, 0.7), ('Diving', 0, 16, 0.6)]
    # Ignored by ActivityNet's: hits at ranks 1 and 4: (1 + 2/4) / 2 = 75 %.
    for protocol in ('anet', 'actionformer'):
        assert ap(found(*rows), ground_truth, protocol) == 75, protocol
    # d1 and d2 dropped: ranks are d3, d4: 1/2 / 2 = 25 %.
    for protocol in ('wtal_grid', 'wtal_grid_delu', 'wtal_grid_ddgnet', 'wtalc'):
        assert ap(found(*rows), ground_truth, protocol) == 25, protocol
    # Only d2, which hits nothing, does not count: hits at ranks 1 and 3: (1 + 2/3) / 2 = 5/6.
    assert ap(found(*rows), ground_truth, 'thumos_official') == pytest.approx(100 * 5 / 6)
    result = evaluate(found(*rows), ground_truth, protocol='thumos_official')
    assert (result.num_excused_ambiguous, result.num_dropped_ambiguous) == (2, 0)
    assert '2 touch an ambiguous stretch' in result.table()


def test_duplicate_and_zero_length_ground_truth():
    # 0-16 twice (the second time .001 s later, within the tolerance), 30-40, and one without length at 50.
    ground_truth = truth(('Diving', 0, 16), ('Diving', 0.001, 16), ('Diving', 30, 40), ('Diving', 50, 50))
    detections = found(('Diving', 0, 16, 0.9), ('Diving', 30, 40, 0.8))
    # Kept: 2 of 4 found at precision 1: 50 %.
    for protocol in set(ALL_RULES) - {'actionformer'}:
        assert ap(detections, ground_truth, protocol) == 50, protocol
    # Removed: 2 of 2.
    result = evaluate(detections, ground_truth, protocol='actionformer', tious=[0.5])
    assert (result.average, result.num_instances, result.num_removed_instances) == (100, 2, 2)
    assert '2 instances of the ground truth removed' in result.table()


def test_what_repeats_an_instance():
    def instances(*rows):
        return evaluate(found(), truth(*rows), protocol='actionformer').num_instances

    # Beyond the tolerance at one end; of another class.
    assert instances(('Diving', 0, 16), ('Diving', 0.002, 16)) == 2
    assert instances(('Diving', 0, 16), ('Diving', 0, 16.002)) == 2
    assert instances(('Diving', 0, 16), ('CliffDiving', 0, 16)) == 2
    # A chain in steps below the tolerance: the second goes, and the third is compared with those that are kept.
    assert instances(('Diving', 0, 16), ('Diving', 0.0008, 16), ('Diving', 0.0016, 16)) == 2
    assert instances(('Diving', 0, 16), ('Diving', 0.0004, 16), ('Diving', 0.0008, 16)) == 1


def test_activitynet_holds_both(shared_data):
    file = shared_data / 'activitynet/activity_net.v1-3.rebuilt.json'
    # 3 without length, 19 exact repetitions, 2 within the tolerance; the other rules keep them.
    counts = {
        protocol: evaluate({'results': {}}, file, protocol=protocol, subset='validation').num_instances
        for protocol in ('anet', 'actionformer', 'wtal_grid')
    }
    assert counts == {'anet': 7654, 'actionformer': 7630, 'wtal_grid': 7654}


def test_ground_truth_of_no_length_alone():
    assert evaluate(found(), truth(('Diving', 5, 5)), protocol='anet').average == 0
    with pytest.raises(UserError, match="'actionformer' removes instances of no length"):
        evaluate(found(), truth(('Diving', 5, 5)), protocol='actionformer')


# --- Classes and videos


def test_unknown_predicted_class(caplog):
    ground_truth = truth(('Diving', 0, 16))
    detections = found(('Diving', 0, 16, 0.5), ('Dviing', 0, 16, 0.9))
    with pytest.raises(UserError, match="'Dviing'"):
        evaluate(detections, ground_truth, protocol='anet')
    for protocol in set(ALL_RULES) - {'anet'}:
        assert ap(detections, ground_truth, protocol) == 100, protocol
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("'thumos_official'" in text and "'Dviing'" in text and 'skipped' in text for text in warned)
    assert not any('actionformer' in text or 'wtal' in text for text in warned)


def test_a_class_without_predictions():
    # Two classes, one found in full: (100 + 0) / 2. W-TALC's evaluator returns 0 for all classes together.
    ground_truth = truth(('Diving', 0, 16), ('HighJump', 20, 36))
    detections = found(('Diving', 0, 16, 0.5))
    for protocol in ('anet', 'actionformer', 'wtal_grid', 'wtal_grid_delu', 'wtal_grid_ddgnet'):
        assert evaluate(detections, ground_truth, protocol=protocol).average == 50, protocol
    result = evaluate(detections, ground_truth, protocol='wtalc')
    assert (result.average, result.per_class['Diving'][0]) == (0, 100)
    assert result.classes_without_prediction == ('HighJump',)
    assert 'classes without a prediction (HighJump)' in result.table()


def test_a_class_whose_predictions_are_all_ambiguous_has_none():
    ground_truth = truth(('Diving', 0, 16), ('HighJump', 20, 36), ambiguous=[(40, 60)])
    detections = found(('Diving', 0, 16, 0.5), ('HighJump', 36, 50, 0.5))
    assert evaluate(detections, ground_truth, protocol='wtalc').average == 0
    assert evaluate(detections, ground_truth, protocol='wtal_grid').average == 50


def test_the_official_rule_averages_over_twenty_classes(caplog):
    # One class of twenty, found in full: 100 / 20.
    result = evaluate(
        found(('Diving', 0, 16, 1)), truth(('Diving', 0, 16), ('Juggling', 0, 5)), protocol='thumos_official'
    )
    assert result.average == pytest.approx(5)
    assert tuple(result.per_class) == CLASSES
    assert (result.num_instances, result.num_removed_instances) == (1, 1)
    assert 'Juggling' in caplog.text
    assert 'VolleyballSpiking' in caplog.text
    full = truth(*((label, 0, 16) for label in CLASSES))
    caplog.clear()
    assert evaluate(found(('Diving', 0, 16, 1)), full, protocol='thumos_official').average == pytest.approx(5)
    assert not caplog.records
    with pytest.raises(UserError, match=r"'thumos_official' evaluates the classes BaseballPitch, .*found Juggling"):
        evaluate(found(), truth(('Juggling', 0, 5)), protocol='thumos_official')


def test_videos_without_ground_truth():
    # A better scored detection in a video that has no instance: a false positive, precision 1/2, but not for W-TALC,
    # whose evaluator looks at annotated videos only.
    ground_truth = truth(('Diving', 0, 16), others=['w'])
    for video in ('w', 'elsewhere'):
        detections = found(('Diving', 0, 16, 0.5), **{video: [('Diving', 0, 16, 0.9)]})
        for protocol in set(ALL_RULES) - {'wtalc'}:
            assert ap(detections, ground_truth, protocol) == 50, protocol
        assert ap(detections, ground_truth, 'wtalc') == 100


def test_predictions_of_three_videos_are_dropped_but_not_their_ground_truth():
    video = 'video_test_0000270'
    ground_truth = truth(('Diving', 0, 16))
    ground_truth['database'][video] = {'subset': 'test', 'annotations': [{'label': 'Diving', 'segment': [0, 16]}]}
    detections = found(('Diving', 0, 16, 0.5), **{video: [('Diving', 0, 16, 0.9)]})
    # Two of two; without the prediction one of two.
    assert ap(detections, ground_truth, 'wtal_grid') == 100
    result = evaluate(detections, ground_truth, protocol='wtal_grid_ddgnet')
    assert (result.average, result.num_dropped_video, result.num_instances) == (50, 1, 2)
