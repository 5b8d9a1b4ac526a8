"""The picture of a video and its texts: complete, legible, whatever is in the records."""

import re
import threading
import warnings
from itertools import pairwise
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.priors.asked_records import costs
from mmwtal.priors.conversation import Outcome
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.visualization.page import INNER
from mmwtal.visualization.prior_picture import draw_prior
from mmwtal.visualization.sheet import Sheet
from mmwtal.visualization.text_flow import Style, flow, text_width

COMPLETE = 'The athlete sprints in, arches backwards over the crossbar and lands softly.'


# As the dialogue makes them.
KEY_COSTS = costs([Outcome(answer=None, times=(1.0,), reasked=('a span was outside',))])


def record(label: str = 'HighJump', **fields: object) -> PriorRecord:
    text = PriorText(
        key=('arches backwards over the crossbar',), complete=COMPLETE, key_words=('sprint', 'landing softly', 'absent')
    )
    return PriorRecord(**{'video': 'v', 'label': label, 'text': text, 'source': 'tiny', **fields})


def frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), 3 * number, dtype=np.uint8) for number in range(count)]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, float, Style]]:
    """Collects what is written: text, x, y and style."""
    found: list[tuple[str, float, float, Style]] = []
    original = Sheet.write

    def write(self, text, x, y, style, **options):
        found.append((text, self._left + x, self._top + y, style))
        original(self, text, x, y, style, **options)

    monkeypatch.setattr(Sheet, 'write', write)
    return found


def draw(path: Path, count: int = 6, records: list[PriorRecord] | None = None, **fields: object) -> np.ndarray:
    times = ((np.arange(count) + 0.5) * 10 / count).tolist()
    given_fields = {'video': 'v', 'duration': 10.0, 'times': times, 'frames': frames(count), **fields}
    draw_prior(path, records=[record()] if records is None else records, **given_fields)
    return cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)


def test_all_that_is_said_is_written(tmp_path, written):
    refused = record('LongJump', text=PriorText(), state='refused', reason='no motion is named')
    half = record(
        'PoleVault',
        text=PriorText(key=('vaults',)),
        faults={'complete': 'cut off at 512 tokens'},
        details={'visible': False, 'occurrences': 1, 'spans': [[1.0, 2.5]], 'key': KEY_COSTS},
    )
    whole = record(details={'spans': [[2.0, 4.0], [6.5, 8.0]], 'occurrences': 2, 'context': 'A red track.'})
    picture = draw(tmp_path / 'p.png', records=[whole, refused, half])
    assert picture.shape[1] == 1200
    text = ' '.join(piece for piece, *_ in written)
    for part in ('v', '10.0 s, 6 frames shown; HighJump, LongJump, PoleVault', 'arches backwards over the crossbar'):
        assert part in text
    assert COMPLETE.split()[0] in text
    for part in ('refused', 'no motion is named', 'No complete:', 'cut off at 512 tokens', 'by tiny'):
        assert part in text
    for part in ('occurs 2 times, 2.0 to 4.0 s, 6.5 to 8.0 s', 'the model does not see this action', 'A red track.'):
        assert part in text
    for part in ('key asked again: a span was outside',):
        assert part in text
    for time in ('0.8 s', '2.5 s', '9.2 s'):
        assert time in text


def test_key_words_are_marked_in_any_inflection(tmp_path, written):
    draw(tmp_path / 'p.png')
    assert [text for text, _, _, style in written if style.background] == ['sprints', 'lands softly.']


def test_spans_are_where_their_times_are(tmp_path):
    picture = draw(tmp_path / 'p.png', records=[record(details={'spans': [[2.0, 4.0], [7.5, 30.0]]})])
    colour = np.abs(picture.astype(int) - [0x1F, 0x5F, 0xA8]).max(axis=-1) < 3
    row = colour[colour.sum(axis=1).argmax()]
    edges = np.flatnonzero(np.diff(row.astype(int))) + 1
    # The time line is 25 to 1175 pixels; what is beyond the end of the video is cut.
    assert edges == pytest.approx([25 + 230, 25 + 460, 25 + 862.5, 1175], abs=2)


@pytest.mark.parametrize(
    ('count', 'shape'), [(1, (48, 64)), (3, (64, 36)), (8, (48, 64)), (25, (48, 64)), (64, (64, 36))]
)
def test_each_frame_is_there_once_and_in_order(tmp_path, count, shape, written):
    made = [
        np.full((*shape, 3), (250, 8 * (number // 8), 30 * (number % 8)), dtype=np.uint8) for number in range(count)
    ]
    picture = draw(tmp_path / 'p.png', count, records=[], frames=made).astype(np.int32) @ [65536, 256, 1]
    corners = []
    for frame in made:
        rows, columns = np.nonzero(picture == frame[0, 0].astype(np.int32) @ [65536, 256, 1])
        # The stamp covers a part.
        assert len(rows) > 60 * 60
        corners.append((rows.min(), columns.min()))
    assert corners == sorted(corners)
    assert len(set(corners)) == count
    stamps = [text for text, _, _, style in written if style.colour == '#ffffff']
    assert len(stamps) == count


def boxes(written: list[tuple[str, float, float, Style]]) -> list[tuple[float, float, float, float]]:
    return [
        (x, y - 0.8 * style.size, x + text_width(text, style), y + 0.25 * style.size)
        for text, x, y, style in written
        if style.colour != '#ffffff' and not re.fullmatch(r'[\d.e+]+ s', text)
    ]


WORDS = st.text(st.characters(categories=('L', 'N', 'P', 'S')), min_size=1, max_size=300)


@given(st.lists(WORDS, min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_words_stay_in_their_lines_and_apart(words):
    styles = [Style(size=10.5), Style(size=10.5, bold=True, background='#ffe7a3'), Style(size=15)]
    placed = flow([(word, styles[number % 3]) for number, word in enumerate(words)], 300.0)
    assert ''.join(piece.text for piece in placed).replace(' ', '') == ''.join(words)
    for before, after in pairwise(placed):
        assert (after.line, after.left) > (before.line, before.left)
        assert after.line > before.line or after.left > before.left + before.width
    for piece in placed:
        assert piece.left + piece.width <= 300.0 or len(piece.text) == 1


def test_nothing_overlaps_and_nothing_leaves_the_page(tmp_path, written):
    long = PriorText(key=('x' * 400, 'y z ' * 60), complete=f'{COMPLETE} ' * 20, key_words=('crossbar', 'sprints in'))
    others = [record(f'Label{n} $\\frac', text=long, details={'spans': [[1, 2]]}) for n in range(2)]
    picture = draw(tmp_path / 'p.png', records=others, video='v ' * 90)
    found = boxes(written)
    assert len(found) > 100
    height = picture.shape[0] * 0.72
    for number, (left, top, right, bottom) in enumerate(found):
        assert left >= 18
        assert right <= 18 + INNER + 0.5
        assert top >= 0
        assert bottom <= height
        for other in found[:number]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] - 0.5 or bottom <= other[1] + 0.5
            assert apart, (written[number], other)


@pytest.mark.parametrize(
    'details',
    [
        {'spans': 'all'},
        {'spans': [[1], 'ab', [None, 2], [3, 4]]},
        {'key': {'reasked': 'x'}, 'complete': 'y', 'context': {'a': 1}},
        {'spans': None},
    ],
)
def test_details_of_another_form_do_no_harm(tmp_path, details):
    draw(tmp_path / 'p.png', records=[record(details=details)])


def test_foreign_writing_and_formulas_are_texts(tmp_path, written):
    odd = '高跳び прыжок ‏قفز $x_1$ 100% \\alpha {a} 🤸 <b>'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw(tmp_path / 'ü 図.png', records=[record(odd, reason=odd, state='failed')], video=odd)
    assert '$x_1$' in ' '.join(text for text, *_ in written)


def test_the_file_appears_complete_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / 'p.png'
    draw(path)
    content = path.read_bytes()
    draw(path)
    assert path.read_bytes() == content

    def full(self: object, file: object) -> None:
        file.write(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr('matplotlib.backends.backend_agg.FigureCanvasAgg.print_png', full)
    with pytest.raises(OSError, match='No space'):
        draw(path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ['p.png']


def test_nothing_of_matplotlib_s_state_is_touched(tmp_path):
    before = (dict(matplotlib.rcParams), matplotlib.get_backend())
    threads = [threading.Thread(target=draw, args=(tmp_path / f'{n}.png', 2)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(tmp_path / f'{n}.png').read_bytes() for n in range(3)}) == 1
    assert (dict(matplotlib.rcParams), matplotlib.get_backend()) == before


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ValueError, match='at least one, found 0 for 0'):
        draw(tmp_path / 'p.png', 0)
    with pytest.raises(ValueError, match='found 2 for 6'):
        draw(tmp_path / 'p.png', 6, frames=frames(2))
    with pytest.raises(ValueError, match='of 0 s'):
        draw(tmp_path / 'p.png', duration=0.0)


def test_some_of_many_frames_are_said_to_be_some(tmp_path, written):
    draw(tmp_path / 'p.png', asked=[number / 10 for number in range(100)])
    assert '10.0 s, 6 of 100 frames shown; HighJump' in ' '.join(piece for piece, *_ in written)
