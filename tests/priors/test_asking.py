"""The dialogue about a video: what is asked, what is made of the answers, and what of each fault."""

import asyncio
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from mmwtal.offline.job import EngineDown, ItemFailed, VideoEntry
from mmwtal.priors.asking import ask_video, asked_as
from mmwtal.priors.dialogue import Dialogue
from mmwtal.priors.engines.base import Reply, RequestFailed, RequestTooLarge
from mmwtal.priors.schema import parse_record
from mmwtal.utils.errors import UserError

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
    entries = {one['label']: {name: value for name, value in one.items() if name != 'label'} for one in actions}
    return {'context': context, 'actions': entries}


def key_list(*actions: dict) -> dict:
    """The answer where all classes are asked about: a list of those that are seen."""
    entries = [{name: value for name, value in one.items() if name != 'visible'} for one in actions]
    return {'context': 'A stadium with a red track.', 'actions': entries}


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
    def run(script, labels=('HighJump',), *, duration=30.0, read=read_clip, all_labels=(), **settings):
        engine = scripted_engine(script)
        records = asyncio.run(
            ask_video(
                entry(duration),
                labels,
                engine=engine,
                read_clip=read,
                classes=CLASSES,
                settings=Dialogue(**settings),
                all_labels=all_labels,
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


def test_a_fault_of_one_part_leaves_the_other(ask):
    good = key(seen('high jump'))
    (record,), _ = ask(Script(key=[good], complete=[RequestFailed('the content filter struck')]))
    assert (record.state, record.text.complete) == ('ok', '')
    assert record.faults == {'complete': 'the content filter struck'}
    (record,), _ = ask(Script(key=['not JSON'], complete=[COMPLETE]))
    assert (record.state, record.text.key, record.text.complete) == ('ok', (), WHOLE)
    assert 'JSON' in record.faults['key']


def test_with_neither_part_a_record_says_why(ask):
    (record,), _ = ask(Script(key=[RequestFailed('no')], complete=[RequestFailed('no')]))
    assert (record.state, record.reason) == ('failed', 'no')
    (record,), _ = ask(Script(key=['?'], complete=[RequestFailed('no')]))
    assert record.state == 'failed'
    assert record.reason.startswith('key: ')
    assert record.reason.endswith('complete: no')
    (record,), _ = ask(Script(key=['?'], complete=['?']))
    assert record.state == 'refused'


def test_a_faulty_answer_is_asked_for_once_more_with_what_is_wrong(ask):
    bad = key(seen('high jump', motion='The man does a pole vault over the bar.'))
    (record,), requests = ask(Script(key=[bad, key(seen('high jump'))]), parts=('key',))
    assert len(requests) == 2
    assert requests[1].prompt.startswith(requests[0].prompt)
    assert 'names another action, "pole vault"' in requests[1].prompt
    assert '"motion": "The man does a pole vault over the bar."' in requests[1].prompt
    assert (record.state, record.text.key) == ('ok', (MOTIONS['high jump'],))
    assert record.details['key']['reasked'] == ['"high jump": names another action, "pole vault"']
    (record,), requests = ask(Script(key=[bad]), parts=('key',))
    assert len(requests) == 2
    assert (record.state, record.reason) == ('refused', '"high jump": names another action, "pole vault"')


def test_a_faulty_label_does_not_spoil_the_others(ask):
    bad = seen('long jump', motion='In this video a man leaps far.')
    script = Script(key=[key(seen('high jump'), bad)], complete=[COMPLETE])
    (high, long), _ = ask(script, ('HighJump', 'LongJump'))
    assert high.text.key == (MOTIONS['high jump'],)
    assert not high.faults
    # It is seen all the same, so its course is asked for.
    assert long.text.key == ()
    assert long.text.complete == WHOLE
    assert 'this video' in long.faults['key'].lower()


def test_the_sentence_on_the_place_costs_no_second_question(ask):
    (record,), requests = ask(Script(key=[key(seen('high jump'), context='People arch over a bar.')]), parts=('key',))
    assert len(requests) == 1
    assert record.state == 'ok'
    assert 'context' not in record.details


def test_an_answer_that_was_cut_off_is_never_parsed(ask):
    whole = json.dumps(key(seen('high jump')))
    cut = Reply(text=whole, complete=False)
    (record,), requests = ask(Script(key=[cut, key(seen('high jump'))]), parts=('key',))
    assert 'cut off at 1024 tokens' in requests[1].prompt
    assert whole not in requests[1].prompt
    assert record.state == 'ok'
    (record,), requests = ask(Script(key=[cut]), parts=('key',))
    assert (len(requests), record.state) == (2, 'refused')
    assert 'cut off' in record.reason


def test_frames_are_halved_twice_and_stay_halved(ask):
    large = RequestTooLarge('context too long')
    (record,), requests = ask(Script(key=[large, large, key(seen('high jump'))], complete=[COMPLETE]))
    assert [len(request.clip.frames) for request in requests] == [8, 4, 2, 2, 2]
    assert [request.reduced for request in requests] == [False, True, True, True, True]
    assert record.state == 'ok'
    assert len(record.details['key']['frames']) == 2
    (record,), requests = ask(Script(key=[large]), parts=('key',))
    assert [len(request.clip.frames) for request in requests] == [8, 4, 2]
    assert (record.state, record.reason) == ('failed', 'context too long (with 2 frames)')


def test_what_concerns_all_videos_passes_through(ask):
    for error in (EngineDown('gone'), UserError('no such model')):
        with pytest.raises(type(error)):
            ask(Script(key=[error]))
        with pytest.raises(type(error)):
            ask(Script(key=[key(seen('high jump'))], complete=[error]))


def test_a_video_that_cannot_be_read_fails_as_a_whole(ask):
    async def read(start, end, max_frames):
        raise ItemFailed('no key frame')

    for parts in (('key', 'complete'), ('key',), ('complete',)):
        with pytest.raises(ItemFailed, match='no key frame'):
            ask(Script(key=[key()], complete=[COMPLETE]), read=read, parts=parts)


def test_the_whole_class_list(ask):
    script = Script(key=[key_list(seen('high jump'), seen('long jump'))], complete=[COMPLETE])
    (high, vault), requests = ask(script, ('HighJump', 'PoleVault'), label_prior='classes')
    assert '- cliff diving\n' in requests[0].prompt
    assert (high.state, high.details['hallucinated']) == ('ok', ['LongJump'])
    assert (vault.state, vault.reason) == ('refused', 'not seen by the model')
    assert all('long jump' not in request.prompt for request in requests[1:])
    # Without a usable answer nothing is known to be seen, and nothing is described.
    (record,), requests = ask(Script(key=['?']), label_prior='classes')
    assert (record.state, len(requests)) == ('refused', 2)


def test_some_of_the_labels_are_asked_about(ask):
    motion = 'The athlete does a pole vault and then arches over the bar.'
    script = Script(key=[key_list(seen('high jump', motion=motion), seen('long jump'))])
    (record,), _ = ask(script, all_labels=('HighJump', 'PoleVault', 'LongJump'), parts=('key',), label_prior='classes')
    assert (record.state, record.text.key) == ('ok', (motion,))
    assert 'hallucinated' not in record.details


def test_one_part_alone(ask):
    (record,), requests = ask(Script(complete=[COMPLETE]), parts=('complete',))
    assert (record.state, record.text.key, record.faults) == ('ok', (), {})
    assert len(requests) == 2
    assert ask(Script(), ()) == ([], [])


def spans(*these: tuple[float, float]) -> dict:
    return {'occurrences': len(these), 'spans': [{'start': start, 'end': end} for start, end in these]}


LONG = {'one_pass_seconds': 60, 'window_seconds': 60, 'overlap_seconds': 20}
NOT_SEEN = key({'label': 'high jump', 'visible': False})


def test_a_long_video_is_seen_in_windows_and_joined(ask):
    # 0 to 60, 40 to 100 and 80 to 140 s; what lies in an overlap is seen twice.
    first = key(seen('high jump', **spans((5, 8), (45, 55))))
    second = key(seen('high jump', **spans((44, 54), (85, 90)), motion='Her back arches over the bar.'))
    joined = {**COMPLETE, 'result': ['She rolls off the mat.']}
    (record,), requests = ask(
        Script(key=[first, second, NOT_SEEN], complete=[COMPLETE], join=[joined]), duration=140, spans=True, **LONG
    )
    assert record.details['windows'] == [[0, 60], [40, 100], [80, 140]]
    assert record.details['spans'] == [[5, 8], [44, 55], [85, 90]]
    assert record.details['occurrences'] == 3
    assert record.text.key == (MOTIONS['high jump'], 'Her back arches over the bar.')
    assert record.details['complete']['described'] == [[0, 60], [40, 100]]
    assert requests[-1].clip is None
    assert f'From 40.0 s to 100.0 s: {WHOLE}' in requests[-1].prompt
    assert record.text.complete.endswith('She rolls off the mat.')
    assert record.details['complete']['frames'] == sorted(record.details['complete']['frames'])


def test_the_first_description_stands_where_joining_fails(ask):
    script = Script(key=[key(seen('high jump'))], complete=[COMPLETE], join=[RequestFailed('too busy')])
    (record,), _ = ask(script, duration=140, **LONG)
    assert record.text.complete == WHOLE
    assert record.details['complete']['not_joined'] == 'too busy'
    assert record.details['occurrences'] == 6


def test_few_windows_of_very_many_are_described(ask):
    script = Script(key=[key(seen('high jump'))], complete=[COMPLETE], join=[COMPLETE])
    (record,), requests = ask(script, duration=1000, max_windows_described=3, **LONG)
    described = [request for request in requests if request.clip and 'execution' in request.schema['properties']]
    assert len({request.clip.start for request in described}) == 3
    assert (described[0].clip.start, described[-1].clip.end) == (0, 1000)
    assert record.state == 'ok'


def test_a_window_that_fails_is_not_the_whole_video(ask):
    script = Script(key=[RequestFailed('no'), key(seen('high jump')), NOT_SEEN], complete=[COMPLETE])
    (record,), _ = ask(script, duration=140, **LONG)
    assert (record.state, record.text.key, record.faults) == ('ok', (MOTIONS['high jump'],), {})
    # Where no other window has it, it may have been in the one that failed.
    (record,), _ = ask(Script(key=[RequestFailed('no'), NOT_SEEN], complete=['?']), duration=140, **LONG)
    assert record.state == 'failed'


def test_classes_of_the_same_words_are_asked_about_as_they_are_spelt():
    assert asked_as(('HighJump', 'Diving')) == {'high jump': 'HighJump', 'diving': 'Diving'}
    assert asked_as(('HighJump', 'high_jump')) == {'HighJump': 'HighJump', 'high_jump': 'high_jump'}
    assert asked_as(('HighJump', 'high jump')) == {'HighJump': 'HighJump', 'high jump': 'high jump'}


@pytest.mark.parametrize(
    ('settings', 'match'),
    [
        ({'parts': ()}, 'parts'),
        ({'parts': ('key', 'key')}, 'parts'),
        ({'parts': ('complete',), 'label_prior': 'classes'}, 'parts must hold'),
        ({'label_prior': 'none'}, 'label_prior'),
        ({'overlap_seconds': 120}, 'overlap_seconds'),
        ({'max_frames': 0}, 'max_frames'),
        ({'temperature': -1}, 'temperature'),
        ({'prompts': {'keys': 'key_v1'}}, "did you mean 'key'"),
    ],
)
def test_settings_that_make_no_sense(settings, match):
    with pytest.raises(UserError, match=match):
        Dialogue(**settings)


def test_the_identity_is_of_what_is_asked():
    both, key_only = Dialogue().identity, Dialogue(parts=['key']).identity
    assert json.loads(json.dumps(both)) == both
    assert set(both['prompts']) == {'system', 'key', 'complete', 'join', 'reask'}
    assert set(key_only['prompts']) == {'system', 'key', 'reask'}
    named = {Dialogue(spans=s, label_prior=p).texts['key'].name for s in (True, False) for p in ('video', 'classes')}
    assert named == {'key_v1', 'key-spans_v1', 'key-classes_v1', 'key-classes-spans_v1'}


def test_what_is_made_up_costs_no_second_question(ask):
    made_up = seen('long jump', motion='In this video a man does a pole vault.')
    (record,), requests = ask(Script(key=[key_list(made_up)]), label_prior='classes', parts=('key',))
    assert len(requests) == 1
    assert (record.state, record.details['hallucinated']) == ('refused', ['LongJump'])


def test_the_configs_state_the_defaults(repo_root):
    """What is written in a config, and in the documentation, is what a config that says nothing of it gets."""
    stated = Config.fromfile(repo_root / 'configs' / '_base_' / 'jobs' / 'priors.py').job.dialogue
    assert {name: value for name, value in stated.items() if name != 'type'}.items() <= vars(Dialogue()).items()
