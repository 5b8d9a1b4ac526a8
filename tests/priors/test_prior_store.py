"""The prior store: jobs do not mix, lines survive crashes, faults are named."""

import json
import multiprocessing
from pathlib import Path

import pytest

from mmwtal.offline.manifest import MANIFEST_NAME
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.priors.store import PriorStore
from mmwtal.utils.errors import UserError

JOB = {'kind': 'test', 'model': 'm@1'}


def record(video: str, label: str = 'jump', state: str = 'ok', key: str = 'leaps') -> PriorRecord:
    text = PriorText(key=(key,)) if state == 'ok' else PriorText()
    return PriorRecord(video=video, label=label, text=text, source='test', state=state)


@pytest.fixture
def store(tmp_path: Path) -> PriorStore:
    store = PriorStore(tmp_path / 'store')
    store.begin(JOB)
    return store


def test_what_is_written_is_read(store: PriorStore) -> None:
    made = [record('a'), record('b', 'run'), record('a', 'run', state='refused')]
    with store.writer('one') as writer:
        writer.append(made[0])
        writer.append(made[1], sync=False)
    with store.writer('two') as writer:
        writer.append(made[2])
    assert store.read() == {(one.video, one.label): one for one in made}
    assert len((store.folder / 'one.jsonl').read_text().splitlines()) == 2
    assert store.manifest()['job'] == JOB


def test_which_of_several_records_counts(store: PriorStore) -> None:
    with store.writer('a') as writer:
        for one in (record('v', key='first'), record('v', state='failed'), record('w', state='failed')):
            writer.append(one)
    with store.writer('b') as writer:
        writer.append(record('w', state='refused'))
    read = store.read()
    assert read['v', 'jump'].text.key == ('first',), 'ok goes before a later failure'
    assert read['w', 'jump'].state == 'refused', 'the last of the others'
    with store.writer('b') as writer:
        writer.append(record('v', key='second'))
    assert store.read()['v', 'jump'].text.key == ('second',)


def test_another_job_is_refused(store: PriorStore) -> None:
    PriorStore(store.folder).begin(dict(reversed(JOB.items())))
    with pytest.raises(UserError, match=r'is of another job \(.*m@1.*m@2.*--overwrite'):
        PriorStore(store.folder).begin({**JOB, 'model': 'm@2'})
    with store.writer('one') as writer:
        writer.append(record('a'))
    (store.folder / 'vectors').mkdir()
    (store.folder / 'notes.txt').write_text('mine')
    store.clear()
    store.clear()
    assert sorted(path.name for path in store.folder.iterdir()) == ['notes.txt', 'vectors']
    with pytest.raises(UserError, match=r'holds notes\.txt and no manifest'):
        store.begin({**JOB, 'model': 'm@2'})
    (store.folder / 'notes.txt').unlink()
    store.begin({**JOB, 'model': 'm@2'})
    assert store.read() == {}


def test_records_without_a_manifest_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / 'x.jsonl').write_text('mine\n')
    for action in (PriorStore(tmp_path).clear, lambda: PriorStore(tmp_path).begin(JOB), PriorStore(tmp_path).read):
        with pytest.raises(UserError, match=r'manifest'):
            action()
    assert (tmp_path / 'x.jsonl').read_text() == 'mine\n'


def test_manifests_of_something_else_are_refused(store: PriorStore) -> None:
    path = store.folder / MANIFEST_NAME
    sound = json.loads(path.read_text())
    for change in ({'format': 'x'}, {'version': 2}, {'job': 3}, {'fingerprint': None}):
        path.write_text(json.dumps({**sound, **change}))
        with pytest.raises(UserError, match='no manifest of a prior store'):
            store.read()


@pytest.mark.parametrize('torn', [b'{"video": "b"', b'x' * 200_000, json.dumps(record('b').to_json()).encode()])
def test_a_torn_last_line_is_skipped_and_healed(store: PriorStore, torn: bytes) -> None:
    with store.writer('one') as writer:
        writer.append(record('a'))
    path = store.folder / 'one.jsonl'
    sound = path.read_bytes()
    path.write_bytes(sound + torn)
    assert set(store.read()) == {('a', 'jump')}
    with store.writer('one') as writer:
        assert path.read_bytes() == sound
        writer.append(record('c'))
    assert set(store.read()) == {('a', 'jump'), ('c', 'jump')}
    path.write_bytes(torn)
    with store.writer('one'):
        pass
    assert path.read_bytes() == b''


def test_all_faulty_lines_are_named(store: PriorStore) -> None:
    lines = [
        '{',
        '[1]',
        '\ud800',
        json.dumps({**record('a').to_json(), 'state': 'x'}),
        json.dumps(record('a').to_json()),
    ]
    (store.folder / 'one.jsonl').write_bytes('\n'.join(lines).encode(errors='surrogatepass') + b'\n')
    (store.folder / 'two.jsonl').write_text('{}\n' * 30)
    with pytest.raises(UserError) as error:
        store.read()
    message = str(error.value)
    for number in range(1, 5):
        assert f'one.jsonl, line {number}: ' in message
    assert 'one.jsonl, line 5' not in message
    assert message.endswith('more')
    assert len(message.splitlines()) == 22


@pytest.mark.parametrize('name', ['', '../x', 'a/b', 'a.b', '.x', 'x' * 65, 'a\n'])
def test_writers_stay_in_the_folder(store: PriorStore, name: str) -> None:
    with pytest.raises(UserError, match='a writer is named'), store.writer(name):
        pass
    assert sorted(path.name for path in store.folder.parent.rglob('*') if path.is_file()) == [MANIFEST_NAME]


def test_one_process_a_writer(store: PriorStore) -> None:
    with (
        store.writer('one'),
        pytest.raises(UserError, match=r'another process writes .*one\.jsonl'),
        PriorStore(store.folder).writer('one'),
    ):
        pass
    with store.writer('one') as writer:
        writer.append(record('a'))


def _write(folder: Path, name: str) -> None:
    store = PriorStore(folder)
    store.begin(JOB)
    with store.writer(name) as writer:
        for number in range(50):
            writer.append(record(f'{name}_{number}'), sync=False)


def test_several_processes_write_one_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=_write, args=(tmp_path / 'new', name)) for name in ('a', 'b', 'c')]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(PriorStore(tmp_path / 'new').read()) == 150


def test_a_full_disk_is_an_error(store: PriorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writer('one') as writer:
        monkeypatch.setattr('mmwtal.offline.ledger.os.write', lambda descriptor, line: len(line) - 1)
        with pytest.raises(OSError, match='disk full'):
            writer.append(record('a'))


def test_a_whole_text_never_goes_back_behind_a_half_of_it(tmp_path: Path) -> None:
    # Runs of other shards have writers of other names: the one that came later may be read first.
    store = PriorStore(tmp_path)
    store.begin(JOB)
    half = PriorRecord(video='v', label='run', text=PriorText(key=('sprints',)), source='m', faults={'complete': 'no'})
    whole = PriorRecord(video='v', label='run', text=PriorText(key=('leaps',), complete='She leaps.'), source='m')
    with store.writer('shard-1-of-2') as first, store.writer('shard-0-of-1') as later:
        first.append(half)
        later.append(whole)
    assert store.read() == {('v', 'run'): whole}
    with store.writer('shard-0-of-1') as again:
        again.append(half)
    assert store.read() == {('v', 'run'): whole}
