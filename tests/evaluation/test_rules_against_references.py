"""The vectorised rules against plain ones that go through one detection, instance and class after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.evaluation import evaluate
from mmwtal.formats.thumos14 import CLASSES

VIDEOS = ('v', 'b', 'w')
LABELS = ('Diving', 'HighJump')
TIOUS = (0.1, 0.5, 0.75)


def length(start, end):
    return max(end - start, 0)


def plain_wtalc(detections, instances, ambiguous, threshold):
    """All classes' APs and their mean, as W-TALC's evaluator makes them from sets of snippets."""

    def snippets(start, end):
        return set(range(round(start * 25 / 16), round(end * 25 / 16)))

    annotated = {video for video, *_ in instances}
    aps, empty = {}, False
    for label in sorted({label for _, label, *_ in instances}):
        own = []
        for video, name, start, end, score in detections:
            touches = any(video == v and snippets(start, end) & snippets(s, e) for v, s, e in ambiguous)
            if name == label and video in annotated and not touches:
                own.append((video, snippets(start, end), score))
        empty |= not own
        wanted = [(video, snippets(s, e)) for video, name, s, e in instances if name == label]
        count, hits, precisions = len(wanted), 0, []
        for rank, (video, covered, _) in enumerate(sorted(own, key=lambda row: -row[2]), start=1):
            for position, (other, target) in enumerate(wanted):
                union = covered | target
                if other == video and union and len(covered & target) / len(union) >= threshold:
                    del wanted[position]
                    hits += 1
                    precisions.append(hits / rank)
                    break
        aps[label] = sum(precisions) / count
    return aps, 0 if empty else np.mean(list(aps.values()))


def plain_official(detections, instances, ambiguous, threshold):
    """All classes' APs and their mean, as the MATLAB script makes them, video by video."""

    def overlap(a, b):
        shared = min(a[1], b[1]) - max(a[0], b[0])
        return shared / (max(a[1], b[1]) - min(a[0], b[0])) if shared > 0 else 0

    aps = {}
    for label in CLASSES:
        positives = sum(name == label for _, name, *_ in instances)
        listed = []  # score, whether it is a hit
        for video in sorted({row[0] for row in (*detections, *instances)}):
            own = sorted((d for d in detections if d[:2] == (video, label)), key=lambda d: -d[4])
            free = list(range(len(own)))
            for target in (i[2:] for i in instances if i[:2] == (video, label)):
                best = max(free, key=lambda j: overlap(target, own[j][2:4]), default=None)
                if best is not None and overlap(target, own[best][2:4]) > threshold:
                    free.remove(best)
            for j, detection in enumerate(own):
                excused = any(v == video and overlap((s, e), detection[2:4]) > 0 for v, s, e in ambiguous)
                if j not in free or not excused:
                    listed.append((detection[4], j not in free))
        hits = [hit for _, hit in sorted(listed, key=lambda row: -row[0])]
        at_hits = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]
        aps[label] = sum(at_hits) / positives if positives else 0
    return aps, np.mean(list(aps.values()))


def plain_actionformer(detections, instances, ambiguous, threshold):
    """The rule ``anet``, which has a reference of its own, on ground truth that was cleaned plainly."""
    kept = []
    for video, label, start, end in instances:
        repeats = any(
            (video, label) == (v, c) and abs(start - s) <= 1e-3 and abs(end - e) <= 1e-3 for v, c, s, e in kept
        )
        if end - start > 0 and not repeats:
            kept.append((video, label, start, end))
    known = {label for _, label, *_ in kept}
    contents = files([row for row in detections if row[1] in known], kept, ambiguous)
    result = evaluate(*contents, protocol='anet', tious=[threshold])
    return {label: values[0] / 100 for label, values in result.per_class.items()}, result.average / 100


def files(detections, instances, ambiguous):
    results = {video: [] for video in ('x', *VIDEOS)}
    for video, label, start, end, score in detections:
        results[video].append({'label': label, 'segment': [start, end], 'score': score})
    database = {video: {'subset': 'test', 'annotations': [], 'ambiguous': []} for video in VIDEOS}
    for video, label, start, end in instances:
        database[video]['annotations'].append({'label': label, 'segment': [start, end]})
    for video, start, end in ambiguous:
        database[video]['ambiguous'].append([start, end])
    return {'results': results}, {'database': database}


# Tenths make equal tIoUs and tIoUs on a threshold frequent, thousandths near-duplicates.
TIMES = st.one_of(st.integers(0, 40).map(lambda n: n / 10), st.sampled_from([1.0, 1.001, 1.0005, 3.0, 3.001]))
SEGMENTS = st.tuples(TIMES, TIMES).map(lambda pair: (min(pair), max(pair)))
INSTANCES = st.lists(st.tuples(st.sampled_from(VIDEOS), st.sampled_from(LABELS), SEGMENTS), min_size=1, max_size=10)
DETECTIONS = st.lists(
    st.tuples(
        st.sampled_from(('x', *VIDEOS)), st.sampled_from(LABELS), SEGMENTS, st.sampled_from([-1.0, 0.25, 0.5, 0.75])
    ),
    max_size=25,
)
AMBIGUOUS = st.lists(st.tuples(st.sampled_from(VIDEOS), SEGMENTS), max_size=2)


@pytest.mark.parametrize(
    ('protocol', 'reference'),
    [('wtalc', plain_wtalc), ('thumos_official', plain_official), ('actionformer', plain_actionformer)],
)
@settings(max_examples=150, deadline=None)
@given(detections=DETECTIONS, instances=INSTANCES, ambiguous=AMBIGUOUS)
def test_agrees_with_the_plain_rule(protocol, reference, detections, instances, ambiguous):
    # In the order of the file: video by video.
    order = ('x', *VIDEOS).index
    detections = sorted(((v, c, *s, p) for v, c, s, p in detections), key=lambda row: order(row[0]))
    instances = sorted(((v, c, *s) for v, c, s in instances), key=lambda row: order(row[0]))
    ambiguous = [(v, *s) for v, s in ambiguous]
    if protocol == 'actionformer' and not any(end > start for *_, start, end in instances):
        return
    result = evaluate(*files(detections, instances, ambiguous), protocol=protocol, tious=TIOUS)
    for k, threshold in enumerate(TIOUS):
        aps, mean = reference(detections, instances, ambiguous, threshold)
        assert {label: values[k] / 100 for label, values in result.per_class.items()} == pytest.approx(aps)
        assert result.mAP[k] / 100 == pytest.approx(mean)


def test_agrees_where_much_competes():
    rng = np.random.default_rng(0)

    def segments(count):
        start, extent = rng.integers(0, 300, count) / 10, rng.integers(1, 90, count) / 10
        return np.round(np.stack([start, start + extent], axis=1), 1).tolist()

    detections = sorted(
        (
            (VIDEOS[v], LABELS[c], *s, p)
            for v, c, s, p in zip(
                rng.integers(0, 3, 900), rng.integers(0, 2, 900), segments(900), rng.random(900), strict=True
            )
        ),
        key=lambda row: VIDEOS.index(row[0]),
    )
    instances = [(VIDEOS[i % 3], LABELS[i % 2], *s) for i, s in enumerate(segments(60))]
    ambiguous = [('v', 3.0, 5.0), ('w', 20.0, 21.0)]
    for protocol, reference in (('wtalc', plain_wtalc), ('thumos_official', plain_official)):
        result = evaluate(*files(detections, instances, ambiguous), protocol=protocol, tious=TIOUS)
        for k, threshold in enumerate(TIOUS):
            aps, mean = reference(detections, instances, ambiguous, threshold)
            assert {label: values[k] / 100 for label, values in result.per_class.items()} == pytest.approx(aps)
            assert result.mAP[k] / 100 == pytest.approx(mean)
        assert result.mAP[0] > result.mAP[-1] > 0
