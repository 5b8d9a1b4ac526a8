"""The ledger: whatever ends a writer, whole records stay and half ones go."""

import errno
import json
import os
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.offline.ledger import Ledger, latest, supersedes
from mmwtal.utils.errors import UserError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
RECORDS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=4)


def read(ledger: Ledger) -> list[object]:
    problems: list[str] = []
    found = [line for _, _, line in ledger.lines(problems)]
    assert problems == []
    return found


@settings(max_examples=12, deadline=None)
@given(groups=st.lists(RECORDS, min_size=1, max_size=3), after=RECORDS)
def test_a_crash_at_any_byte_loses_only_what_was_not_whole(
    groups: list, after: list, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp('ledger')
    ledger, path = Ledger(folder), folder / 'one.jsonl'
    with ledger.writer('one') as writer:
        for records in groups:
            writer.append(records, sync=False)
    whole = path.read_bytes()
    records = [record for group in groups for record in group]
    assert read(ledger) == records
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord('\n')]
    # What is written together counts together.
    sizes = list(accumulate(map(len, groups)))
    for cut in {*range(0, len(whole), max(1, len(whole) // 5)), *ends, *(end - 1 for end in ends)}:
        path.write_bytes(whole[:cut])
        lines = sum(end <= cut for end in ends)
        kept = records[: max([size for size in sizes if size <= lines], default=0)]
        assert read(ledger) == kept
        with ledger.writer('one') as writer:
            writer.append(after, sync=False)
        assert read(ledger) == [*kept, *after]


def test_a_long_group_is_healed_from_its_beginning(tmp_path: Path) -> None:
    ledger, path = Ledger(tmp_path), tmp_path / 'one.jsonl'
    with ledger.writer('one') as writer:
        writer.append([{'first': 1}])
        sound = path.read_bytes()
        writer.append([{'n': number, 'text': 'x' * 700} for number in range(300)])
    whole = path.read_bytes()
    assert len(read(ledger)) == 301
    path.write_bytes(whole[: whole.rfind(b'\n', 0, -1) + 1])
    assert read(ledger) == [{'first': 1}]
    with ledger.writer('one'):
        assert path.read_bytes() == sound


@pytest.mark.parametrize('fault', ['short', 'error', 'sync'])
def test_nothing_is_left_of_what_does_not_fit(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, 'No space left on device')

    faults: dict[str, tuple[str, Callable]] = {
        'short': ('write', lambda descriptor, content: real(descriptor, content[:-1])),
        'error': ('write', fail),
        'sync': ('fsync', fail),
    }
    ledger = Ledger(tmp_path)
    with ledger.writer('one') as writer:
        writer.append([{'a': 1}])
        with monkeypatch.context() as patch:
            patch.setattr(f'mmwtal.offline.ledger.os.{faults[fault][0]}', faults[fault][1])
            with pytest.raises(
                OSError, match=r'2 records could not be written \(.*disk full.*kept.*one\.jsonl'
            ) as error:
                writer.append([{'b': 2}, {'c': 3}])
        assert error.value.errno == errno.ENOSPC
        assert (tmp_path / 'one.jsonl').read_text() == '{"a": 1}\n'
        writer.append([{'d': 4}])
        writer.append([])
    assert read(ledger) == [{'a': 1}, {'d': 4}]


def test_what_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with Ledger(tmp_path).writer('one') as writer:
        with pytest.raises(ValueError, match='JSON compliant'):
            writer.append([{'a': 1}, {'b': float('nan')}])
        writer.append([{'odd': 'line\nend \u2028 \ud800'}])
    assert read(Ledger(tmp_path)) == [{'odd': 'line\nend \u2028 \ud800'}]


def test_who_is_writing_and_who_may_join(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / 'new')
    assert ledger.busy() == []
    seen: list[list[str]] = []

    def refuse(others: list[str]) -> None:
        seen.append(list(others))
        if others:
            raise UserError('not now')

    with ledger.writer('one', admit=refuse):
        assert ledger.busy() == ['one']
        with pytest.raises(UserError, match='not now'), ledger.writer('two', admit=refuse):
            pass
        with pytest.raises(UserError, match='another process writes'), ledger.writer('one'):
            pass
        with ledger.writer('three'):
            assert ledger.busy() == ['one', 'three']
        with pytest.raises(UserError, match=r'cannot be cleared: one\.jsonl is being written'):
            ledger.clear()
    assert seen == [[], ['one']]
    assert ledger.busy() == []
    ledger.clear()
    assert list(ledger.folder.iterdir()) == []


def test_which_lines_count(tmp_path: Path) -> None:
    assert [supersedes(state, earlier) for state in ('ok', 'failed') for earlier in (None, 'ok', 'failed')] == [
        *(True, True, True),
        *(True, False, True),
    ]
    ledger = Ledger(tmp_path)
    lines = [('a', 'ok', 1), ('a', 'failed', 2), ('b', 'failed', 3), ('b', 'refused', 4)]
    with ledger.writer('one') as writer:
        writer.append([{'video': video, 'state': state, 'n': n} for video, state, n in lines])
    assert [line['n'] for line in latest(ledger, 'video')] == [1, 4]
    (tmp_path / 'two.jsonl').write_text(f'{{\n[]\n{json.dumps({"video": 3, "state": "ok"})}\n')
    with pytest.raises(UserError) as error:
        latest(ledger, 'video')
    assert [f'two.jsonl, line {number}' in str(error.value) for number in (1, 2, 3)] == [True] * 3


def test_a_folder_that_is_only_to_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)
    with ledger.writer('one') as writer:
        writer.append([{'a': 1}])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, 'Read-only file system')

    monkeypatch.setattr('mmwtal.offline.ledger.file_lock', refuse)
    assert ledger.busy() == []
    assert read(ledger) == [{'a': 1}]
