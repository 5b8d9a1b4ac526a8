"""How far a store is: what is counted, and what is left to do."""

from pathlib import Path

from mmwtal.formats.annotations import read_annotations
from mmwtal.offline.job import VideoEntry
from mmwtal.offline.plan import Plan
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.priors.status import format_status
from mmwtal.priors.store import PriorStore


def test_what_is_done_and_what_is_left(data_root, tmp_path: Path) -> None:
    data_root.write()
    annotations = read_annotations(data_root.path / 'annotations.json')
    pairs = [(one.video_id, label) for one in annotations.in_subset('training') for label in one.labels]
    (first, label), *_, (last, _) = pairs
    store = PriorStore(tmp_path)
    store.begin({'kind': 'mllm'})
    entries = tuple(VideoEntry(video=video, path=Path(video)) for video, _ in dict(pairs).items() if video != last)
    plan = Plan(root=Path('/videos'), entries=entries, missing=(last,))
    fields = {'video': first, 'label': label, 'source': 'm'}
    with store.writer('shard-0-of-1') as writer:
        writer.append(PriorRecord(text=PriorText(), state='failed', reason='no frame at 3.5 s', **fields))
        lines = format_status(store, plan, annotations).splitlines()
    gone = sum(video == last for video, _ in pairs)
    assert lines[0].startswith(f'{tmp_path}: mllm, fingerprint ')
    assert lines[1] == f'videos    {len(entries)} planned, 0 unreadable, 1 missing'
    assert lines[2].startswith(f'pairs     1 failed, {len(pairs) - 1 - gone} to do, {gone} without a file (')
    assert lines[3:] == [
        'running   shard-0-of-1',
        '1 reasons why something is missing:',
        '  1 x failed: no frame at N s',
    ]
    with store.writer('shard-0-of-1') as writer:
        writer.append(PriorRecord(text=PriorText(key=('leaps',)), faults={'complete': 'cut off'}, **fields))
    lines = format_status(store, None, None).splitlines()
    assert lines[1].startswith('pairs     1 ok (')
    assert lines[2:] == [
        '          1 of those that are ok lack key or complete semantics',
        'source    m: 1',
        '1 reasons why something is missing:',
        '  1 x cut off',
    ]
