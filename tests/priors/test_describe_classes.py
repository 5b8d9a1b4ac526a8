"""Class descriptions by a model: resumed where it stopped, checked like all answers, never of two models."""

import asyncio
import json

import pytest

from mmwtal.offline.job import EngineDown
from mmwtal.priors.describe_classes import ClassQuestion, describe_classes
from mmwtal.priors.engines.base import RequestFailed
from mmwtal.priors.sources import read_class_texts
from mmwtal.utils.errors import UserError

CLASSES = ('HighJump', 'LongJump', 'PoleVault')


def answer(**change):
    return {
        'preparation': ['The athlete sprints towards the pit.'],
        'execution': ['One foot pushes off the ground.', 'The body flies with both arms up.'],
        'result': ['Both feet land in soft ground.'],
        'key_words': ['sprints', 'pushes', 'rocket'],
        'motion': 'The body flies high through the air.',
        **change,
    }


def describe(engine, out, classes=CLASSES, **settings):
    return asyncio.run(describe_classes(classes, out, engine=engine, question=ClassQuestion(**settings)))


def asked(engine):
    return [request.prompt.split('\n')[0].removeprefix('The action: ') for request in engine.requests]


def test_all_classes(scripted_engine, tmp_path):
    out = tmp_path / 'new' / 'classes.json'
    engine = scripted_engine(lambda request: answer(key_words=['sprints', 'pushes']))
    done = describe(engine, out)
    assert (done.written, done.kept, done.missing) == (3, 0, {})
    assert asked(engine) == ['high jump', 'long jump', 'pole vault']
    assert all(request.clip is None for request in engine.requests)
    texts = read_class_texts(out, CLASSES)
    assert list(texts) == list(CLASSES)
    assert texts['HighJump'].key == ('The body flies high through the air.',)
    assert texts['HighJump'].complete.startswith('The athlete sprints towards the pit. One foot')
    assert texts['HighJump'].key_words == ('sprints', 'pushes')
    again = scripted_engine(lambda request: answer())
    done = describe(again, out)
    assert (done.written, done.kept, again.requests) == (0, 3, [])


def test_faults_of_single_classes(scripted_engine, tmp_path):
    def script(request):
        if 'action: high' in request.prompt:
            return RequestFailed('the content filter struck')
        return answer(motion='The body flies as in a high jump.') if 'action: long' in request.prompt else answer()

    out = tmp_path / 'classes.json'
    done = describe(scripted_engine(script), out)
    assert done.written == 1
    assert done.missing['HighJump'] == ('failed', 'the content filter struck')
    assert done.missing['LongJump'][0] == 'refused'
    assert 'names another action, "high jump"' in done.missing['LongJump'][1]
    assert read_class_texts(out, CLASSES)['PoleVault'].key_words == ('sprints', 'pushes')


def test_it_goes_on_where_the_engine_went_down(scripted_engine, tmp_path):
    out, left = tmp_path / 'classes.json', [answer(key_words=['sprints', 'pushes'])] * 2
    with pytest.raises(EngineDown):
        describe(scripted_engine(lambda request: left.pop() if left else EngineDown('gone')), out)
    there = read_class_texts(out, CLASSES)
    assert 0 < len(there) < 3
    engine = scripted_engine(lambda request: answer())
    assert describe(engine, out).kept == len(there)
    assert read_class_texts(out, CLASSES).keys() == set(CLASSES)


def test_other_classes_are_added(scripted_engine, tmp_path):
    engine = scripted_engine(lambda request: answer())
    describe(engine, tmp_path / 'c.json', classes=CLASSES[:1])
    done = describe(engine, tmp_path / 'c.json', classes=CLASSES[1:])
    assert (done.written, done.kept) == (2, 0)
    assert set(read_class_texts(tmp_path / 'c.json', CLASSES)) == set(CLASSES)


def test_descriptions_of_two_models_never_mix(scripted_engine, tmp_path):
    out = tmp_path / 'classes.json'
    engine = scripted_engine(lambda request: answer())
    describe(engine, out, classes=CLASSES[:1])
    with pytest.raises(UserError, match='another model or prompt'):
        describe(engine, out, seed=1)
    engine.name = 'another'
    with pytest.raises(UserError, match='another model or prompt'):
        describe(engine, out)
    (tmp_path / 'mine.json').write_text(json.dumps({'HighJump': {'key': ['leaps']}}))
    with pytest.raises(UserError, match='was not begun by this command'):
        describe(engine, tmp_path / 'mine.json')
    with pytest.raises(UserError, match="did you mean 'class'"):
        ClassQuestion(prompts={'clas': 'class_v1'})
