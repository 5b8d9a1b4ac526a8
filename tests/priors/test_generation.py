"""The job that asks about training videos: which it asks about, what it writes of each, what it takes up again."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mmwtal.apis.prior_jobs import begin_plan, draw_video, need_plan
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.datasets.synthetic_film import FILMS_NAME, make_films
from mmwtal.datasets.synthetic_video import SyntheticConfig
from mmwtal.formats.annotations import read_annotations
from mmwtal.offline.folder import run_folder
from mmwtal.offline.manifest import PLAN_NAME
from mmwtal.offline.plan import find_plan, plan_videos
from mmwtal.priors.dialogue import Dialogue
from mmwtal.priors.engines.base import RequestFailed
from mmwtal.priors.generation import PriorGeneration
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.priors.store import PriorStore
from mmwtal.utils.errors import UserError
from mmwtal.utils.words import words_of_name

CONFIG = {'num_train': 4, 'num_test': 2, 'two_class_share': 1.0}
DESCRIBED = {
    'preparation': ['The person steps forward slowly.'],
    'execution': ['The arms swing upwards.', 'The body turns around.'],
    'result': ['The person stands still.'],
    'key_words': ['swing', 'turns'],
}


def usual(request):
    """Answers whatever is asked about, as it should be answered."""
    if 'actions' not in request.schema['properties']:
        return DESCRIBED
    names = [line[2:] for line in request.prompt.splitlines() if line.startswith('- ') and '"' not in line]
    seen = {'visible': True, 'occurrences': 1, 'motion': 'The arms swing upwards.', 'verbs': ['swing'], 'objects': []}
    return {'context': 'The place is a green field.', 'actions': dict.fromkeys(names, seen)}


@pytest.fixture(scope='module')
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('films') / 'root'
    write_synthetic(root, **CONFIG)
    make_films(root, SyntheticConfig(**CONFIG))
    return root


@pytest.fixture
def make(films, tmp_path, scripted_engine):
    """Returns a function that makes a job, which answers as told, and its store."""

    def job(answer, root: Path = films):
        dialogue = Dialogue(max_frames=2, short_side=48, one_pass_seconds=180)
        store = tmp_path / 'store'
        return PriorGeneration(
            engine=scripted_engine(answer), dialogue=dialogue, data_root=root, store=store, decoders=1
        ), store

    return job


def run(job, store, films, **options):
    plan = begin_plan(job, store, films / FILMS_NAME, workers=1)
    return run_folder(job, plan, store, **options)


def training(root: Path) -> dict[str, list[str]]:
    videos = read_annotations(root / 'annotations.json').in_subset('training')
    return {video.video_id: list(video.labels) for video in videos}


def test_every_label_of_every_training_video_gets_a_text(make, films):
    job, store = make(usual)
    done = run(job, store, films)
    records = PriorStore(store).read()
    pairs = {(video, label) for video, labels in training(films).items() for label in labels}
    assert records.keys() == pairs
    assert len(pairs) > CONFIG['num_train']
    assert done.counts == {'ok': 4}
    for record in records.values():
        assert record.text.key == ('The arms swing upwards.',)
        assert record.text.complete.startswith('The person steps forward slowly. The arms')
        assert record.source == 'scripted'
        assert len(record.details['key']['frames']) == 2
    shown = [request.clip for request in job.engine.requests]
    assert all(frame.jpeg.startswith(b'\xff\xd8') for clip in shown for frame in clip.frames)
    assert not any('test' in clip.path.name for clip in shown)
    # Once more: nothing is left.
    asked = len(shown)
    assert run(job, store, films).before == 4
    assert len(job.engine.requests) == asked


def test_only_what_was_refused_is_asked_about_again(make, films):
    bad = next(label for labels in training(films).values() for label in labels)

    def refuse(request):
        if 'actions' in request.schema['properties']:
            answer = usual(request)
            spoilt = {'motion': 'In this video somebody moves.'}
            name, actions = words_of_name(bad), answer['actions']
            return {**answer, 'actions': {**actions, name: {**actions[name], **spoilt}} if name in actions else actions}
        return 'not JSON' if f'The action: {words_of_name(bad)}' in request.prompt else DESCRIBED

    job, store = make(refuse)
    run(job, store, films)
    before = PriorStore(store).read()
    assert {label for (_, label), record in before.items() if record.state == 'refused'} == {bad}
    assert {label for (_, label), record in before.items() if record.state == 'ok'} >= {'GolfSwing'} - {bad}
    job, _ = make(usual)
    assert run(job, store, films).counts == {}
    done = run(job, store, films, again=frozenset({'refused'}))
    assert done.counts == {'ok': sum(bad in labels for labels in training(films).values())}
    assert {record.state for record in PriorStore(store).read().values()} == {'ok'}
    asked = [request.prompt for request in job.engine.requests]
    assert asked
    others = {words_of_name(label) for _, label in before if label != bad}
    assert not any(f'- {name}\n' in prompt or f'The action: {name}\n' in prompt for name in others for prompt in asked)


def test_half_a_text_is_taken_up_again_with_the_refused(make, films):
    job, store = make(lambda request: usual(request) if 'actions' in request.schema['properties'] else 'not JSON')
    assert run(job, store, films).counts == {'ok': 4}
    assert all('complete' in record.faults for record in PriorStore(store).read().values())
    job, _ = make(usual)
    assert run(job, store, films, again=frozenset({'failed'})).counts == {}
    assert run(job, store, films, again=frozenset({'refused'})).counts == {'ok': 4}
    assert all(record.text.complete for record in PriorStore(store).read().values())


def test_a_file_that_breaks_after_the_plan_fails_alone(make, films, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(films, root)
    job, store = make(usual, root=root)
    plan = begin_plan(job, store, root / FILMS_NAME, workers=1)
    broken = plan.entries[1]
    broken.path.write_bytes(broken.path.read_bytes()[:200])
    done = run_folder(job, plan, store, stream=io.StringIO())
    assert done.counts == {'ok': 3, 'failed': 1}
    records = PriorStore(store).read()
    states = {video: {r.state for (name, _), r in records.items() if name == video} for video in training(root)}
    assert states.pop(broken.video) == {'failed'}
    assert set.union(*states.values()) == {'ok'}
    reason = next(r.reason for (name, _), r in records.items() if name == broken.video)
    assert broken.path.name in reason


def test_a_request_that_fails_says_why(make, films):
    job, store = make(lambda request: RequestFailed('the content filter struck'))
    done = run(job, store, films)
    assert done.counts == {'failed': 4}
    assert {record.reason for record in PriorStore(store).read().values()} == {'the content filter struck'}


def test_another_dialogue_never_mixes_into_a_store(make, films):
    job, store = make(usual)
    run(job, store, films)
    other, _ = make(usual)
    other.dialogue = Dialogue(max_frames=3, short_side=48, one_pass_seconds=180)
    with pytest.raises(UserError, match=r'of another job \(dialogue\.max_frames: 2 there, 3 here\)'):
        begin_plan(other, store, films / FILMS_NAME, workers=1)


def test_a_root_without_training_labels_is_refused(make, films, tmp_path):
    root = tmp_path / 'bare'
    root.mkdir()
    content = json.loads((films / 'annotations.json').read_text())
    for entry in content['database'].values():
        entry['subset'] = 'test'
    (root / 'annotations.json').write_text(json.dumps(content))
    with pytest.raises(UserError, match='no training video with a label'):
        make(usual, root=root)


@pytest.mark.parametrize(('name', 'value'), [('decoders', 0), ('decode_timeout', 0.0)])
def test_settings_out_of_range_are_refused(films, tmp_path, scripted_engine, name, value):
    options = {'engine': scripted_engine(str), 'dialogue': Dialogue(), 'data_root': films, 'store': tmp_path}
    with pytest.raises(UserError, match=name):
        PriorGeneration(**options, **{name: value})


def test_a_file_that_was_replaced_after_the_plan_is_not_asked_about(make, films, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(films, root)
    job, store = make(usual, root=root)
    plan = begin_plan(job, store, root / FILMS_NAME, workers=1)
    changed, other = plan.entries[:2]
    shutil.copyfile(other.path, changed.path)
    assert run_folder(job, plan, store).counts == {'ok': 3, 'failed': 1}
    [reason] = {r.reason for (name, _), r in PriorStore(store).read().items() if name == changed.video}
    assert 'when it was planned: plan again, then retry' in reason
    # What it says helps.
    job, _ = make(usual, root=root)
    assert run(job, store, root, again=frozenset({'failed'})).counts == {'ok': 1}


def test_a_disk_of_videos_that_is_gone_charges_none(make, films, tmp_path):
    root, gone = tmp_path / 'copy', tmp_path / 'gone'
    shutil.copytree(films, root)
    videos = root / FILMS_NAME

    def unplug(request):
        if videos.exists():
            videos.rename(gone)
        return usual(request)

    job, store = make(unplug, root=root)
    plan = begin_plan(job, store, videos, workers=1)
    job.concurrency = 1
    with pytest.raises(UserError, match=r'the folder of videos .* is not there; 3 videos are left, none was charged'):
        run_folder(job, plan, store, patience=0.1)
    assert {record.state for record in PriorStore(store).read().values()} == {'ok'}
    with pytest.raises(UserError, match=r'is not there: name it, as this machine knows it, by --videos'):
        need_plan(store)
    with pytest.raises(UserError, match='is not there'):
        need_plan(store, tmp_path / 'nowhere')
    job, _ = make(usual, root=root)
    assert run_folder(job, need_plan(store, gone), store).counts == {'ok': 3}


def test_no_mistake_in_a_plan_costs_the_texts_that_are_there(make, films, tmp_path):
    job, store = make(usual)
    run(job, store, films)
    texts = PriorStore(store).read()
    other, _ = make(usual)
    other.dialogue = Dialogue(max_frames=3, short_side=48)
    with pytest.raises(UserError, match='none of the 4 videos found'):
        begin_plan(other, store, films / 'features', workers=1, overwrite=True)
    assert PriorStore(store).read() == texts
    # A store of the same job is none of another one.
    begin_plan(job, store, films / FILMS_NAME, workers=1, overwrite=True)
    assert PriorStore(store).read() == texts
    begin_plan(other, store, films / FILMS_NAME, workers=1, overwrite=True)
    assert PriorStore(store).read() == {}
    # Nor does one that fails begin a store.
    empty = tmp_path / 'empty'
    with pytest.raises(UserError, match='none of the 4 videos found'):
        begin_plan(job, empty, films / 'features', workers=1)
    assert not empty.exists()
    with pytest.raises(UserError, match='is no folder'):
        begin_plan(job, films / 'annotations.json', films / FILMS_NAME, workers=1)


def test_a_damaged_plan_can_be_made_again_as_it_says(make, films):
    job, store = make(usual)
    run(job, store, films)
    (store / PLAN_NAME).write_text('{}')
    with pytest.raises(UserError, match='remove it and make it again'):
        begin_plan(job, store, films / FILMS_NAME, workers=1)
    (store / PLAN_NAME).unlink()
    assert run(job, store, films).before == 4


def test_labels_that_change_between_runs(make, films, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(films, root)
    path = root / 'annotations.json'
    job, store = make(usual, root=root)
    run(job, store, root)
    content = json.loads(path.read_text())
    first, second = list(training(root))[:2]
    # Of one a label more, of the other one less: the first is asked about what is new, the second not at all.
    for video, labels in ((first, ['HighJump', 'GolfSwing', 'TennisSwing']), (second, training(root)[second][:1])):
        content['database'][video].update(annotations=[], labels=labels)
    content.setdefault('classes', list(job.classes))
    path.write_text(json.dumps(content))
    job, _ = make(usual, root=root)
    new = set(training(root)[first]) - {label for video, label in PriorStore(store).read() if video == first}
    assert new
    assert run(job, store, root).counts == {'ok': 1}
    asked = [request.prompt for request in job.engine.requests if 'actions' in request.schema['properties']]
    assert len(asked) == 1
    assert all(f'- {words_of_name(label)}\n' in asked[0] for label in new)
    # A class more is another job, and said to be.
    content['classes'].append('Zorbing')
    path.write_text(json.dumps(content))
    job, _ = make(usual, root=root)
    with pytest.raises(UserError, match=r'classes: .*there.*"Zorbing"\] here'):
        run(job, store, root)


def test_of_a_long_video_as_many_frames_are_drawn_as_one_looks_at(make, films, tmp_path, monkeypatch):
    job, store = make(usual)
    plan = begin_plan(job, store, films / FILMS_NAME, workers=1)
    asked = [number / 100 for number in range(4000)]
    details = {'key': {'frames': [*asked, 'x', None, -1.0]}, 'complete': {'frames': 3}}
    video = plan.entries[0].video
    text = PriorText(key=('The arms swing.',))
    with PriorStore(store).writer('one') as writer:
        writer.append(PriorRecord(video=video, label='Run', text=text, source='m', details=details))
    drawn = {}
    monkeypatch.setattr('mmwtal.visualization.prior_picture.draw_prior', lambda path, **options: drawn.update(options))
    draw_video(store, video, tmp_path / 'shown.png')
    assert drawn['asked'] == asked
    assert len(drawn['frames']) == len(drawn['times']) == 96
    assert drawn['times'][0] < 0.5
    assert drawn['times'][-1] > 39.5
    assert drawn['times'] == sorted(drawn['times'])


def test_a_plan_that_was_interrupted_goes_on(make, films, monkeypatch):
    job, store = make(usual)
    known = []

    def interrupted(root, wanted, probe, *, known, keep, **options):
        plan = plan_videos(root, wanted, probe, **options)
        keep(replace(plan, entries=plan.entries[:2]))
        raise KeyboardInterrupt

    def watched(root, wanted, probe, **options):
        known.append(options['known'])
        return plan_videos(root, wanted, probe, **options)

    monkeypatch.setattr('mmwtal.apis.plans.plan_videos', interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin_plan(job, store, films / FILMS_NAME, workers=1)
    assert find_plan(store) is None
    monkeypatch.setattr('mmwtal.apis.plans.plan_videos', watched)
    assert len(begin_plan(job, store, films / FILMS_NAME, workers=1).entries) == 4
    assert [len(plan.entries) for plan in known] == [2]
    assert sorted(path.name for path in store.iterdir()) == ['manifest.json', PLAN_NAME]
