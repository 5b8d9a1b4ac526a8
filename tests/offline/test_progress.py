"""Progress: plain lines that are few, or one line that fits its terminal."""

import io

import pytest

from mmwtal.offline.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, states: str, *, step: float, total: int = 100) -> str:
    now = [0.0]
    progress = Progress(total, stream=stream, clock=lambda: now[0])
    for state in states.split():
        now[0] += step
        progress.done(state)
    progress.close()
    return stream.getvalue()


def test_plain_lines_every_ten_seconds_and_at_the_end() -> None:
    lines = shown(io.StringIO(), 'ok failed ok ok refused ok', step=4.0).splitlines()
    assert lines == [
        '3/100 videos, 2 ok, 1 failed, 15.0/min, 6 min 28 s left',
        '6/100 videos, 4 ok, 1 failed, 1 refused, 15.0/min, 6 min 16 s left',
        '6/100 videos, 4 ok, 1 failed, 1 refused, 15.0/min, 6 min 16 s left',
    ]


def test_a_terminal_has_one_line_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '20')
    text = shown(Terminal(), 'ok ok', step=0.5)
    assert text == '\r\x1b[K1/100 videos, 1 ok,\r\x1b[K2/100 videos, 2 ok,\r\x1b[K2/100 videos, 2 ok,\n'


@pytest.mark.parametrize(
    ('step', 'total', 'end'),
    [
        (0.25, 1, '1/1 videos, 1 ok, 4.0/s'),
        (0.0, 5, '1/5 videos, 1 ok'),
        (60.0, 100, ', 1.0/min, 1 h 39 min left'),
        (600.0, 1001, ', 0.1/min, 6 d 22 h left'),
    ],
)
def test_rate_and_remaining_time(step: float, total: int, end: str) -> None:
    assert shown(io.StringIO(), 'ok', step=step, total=total).splitlines()[-1].endswith(end)


def test_notes_and_nowhere() -> None:
    stream = io.StringIO()
    Progress(1, stream=stream).note('waiting')
    assert stream.getvalue() == 'waiting\n'
    silent = Progress(1)
    silent.note('waiting')
    silent.done('ok')
    silent.close()
    assert silent.counts == {'ok': 1}
    assert Progress(0).line() == '0/0 videos'


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, 'Broken pipe')


def test_nobody_who_listens_is_no_reason_to_stop() -> None:
    progress = Progress(2, stream=Closed())
    progress.note('waiting')
    progress.done('ok')
    progress.close()
    assert progress.counts == {'ok': 1}
