"""The dialogue about a video: what is asked, what is made of the answers, and what of each fault."""

import asyncio
import json
from pathlib import Path

import pytest

from mmwtal.offline.job import VideoEntry
from mmwtal.priors.asking import ask_video
from mmwtal.priors.dialogue import Dialogue
from mmwtal.priors.schema import parse_record

CLASSES = ('HighJump', 'LongJump', 'PoleVault', 'Diving', 'CliffDiving')
MOTIONS = {
    'high jump': 'The athlete arches backwards over the bar and falls on the mat.',
    'long jump': 'The athlete leaps from a board and lands in the sand with both feet.',
}


def entry(duration: float = 30.0) -> VideoEntry:
    return VideoEntry(video='v', path=Path('v.mp4'), duration=duration)


def seen(label: str, **more: object) -> dict:
    found = {'label': label, 'visible': True, 'occurrences': 2, 'motion': MOTIONS[label]}
    return {**found, 'verbs': ['arch', 'fall'], 'objects': ['bar'], **more}


def key(*actions: dict, context: str = 'A stadium with a red track.') -> dict:
    return {'context': context, 'actions': list(actions)}


COMPLETE = {
    'preparation': ['The athlete sprints along a curve.'],
    'execution': ['She takes off from one foot.', 'Her back arches over the bar.'],
    'result': ['She falls on the soft mat.'],
    'key_words': ['sprints', 'arches', 'bar', 'vaults'],
}
WHOLE = ' '.join([*COMPLETE['preparation'], *COMPLETE['execution'], *COMPLETE['result']])


class Script:
    """Answers by the purpose of the question, in order; the last answer of a purpose stands for all that follow."""

    def __init__(self, **answers: list) -> None:
        self.answers = {purpose: [*these] for purpose, these in answers.items()}

    def __call__(self, request):
        purpose = 'key' if 'actions' in request.schema['properties'] else 'complete' if request.clip else 'join'
        left = self.answers[purpose]
        return left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def ask(scripted_engine, read_clip):
    def run(script, labels=('HighJump',), *, duration=30.0, read=read_clip, **settings):
        engine = scripted_engine(script)
        records = asyncio.run(
            ask_video(
                entry(duration),
                labels,
                engine=engine,
                read_clip=read,
                classes=CLASSES,
                settings=Dialogue(**settings),
            )
        )
        for record in records:
            value = json.loads(json.dumps(record.to_json(), allow_nan=False))
            assert parse_record(value) == (record, []), 'a store must be able to read the record'
        return records, engine.requests

    return run


def test_a_video_with_two_labels(ask):
    script = Script(key=[key(seen('high jump'), {'label': 'long jump', 'visible': False})], complete=[COMPLETE])
    (high, long), requests = ask(script, ('HighJump', 'LongJump'))
    assert len(requests) == 3
    assert '- high jump\n- long jump\n' in requests[0].prompt
    assert 'The action: high jump' in requests[1].prompt
    assert [len(request.clip.frames) for request in requests] == [8, 8, 8]
    assert (high.state, high.source, high.reason, high.faults) == ('ok', 'scripted', '', {})
    assert high.text.key == (MOTIONS['high jump'],)
    assert high.text.complete == WHOLE
    assert high.text.key_words == ('sprints', 'arches', 'bar')
    assert (long.state, long.reason, long.details['visible']) == ('refused', 'the model does not see it', False)
    details = high.details
    assert (details['visible'], details['occurrences'], details['verbs']) == (True, 2, ['arch', 'fall'])
    assert details['context'] == 'A stadium with a red track.'
    assert details['phases'][0] == ['preparation', 'The athlete sprints along a curve.']
    assert details['prompts'] == {'key': 'key_v1', 'complete': 'complete_v1'}
    assert details['dropped_key_words'] == ['vaults']
    assert len(details['key']['frames']) == 8
    # The absent key word cost one more try, whose answer was the same.
    assert details['complete']['prompt_tokens'] == 200
