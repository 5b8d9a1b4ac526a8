"""The picture of a time line: what is drawn is where its time is, and nothing hides anything."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.formats.action_texts import Action
from mmwtal.visualization.page import INNER, MARGIN, WIDTH
from mmwtal.visualization.sheet import Sheet
from mmwtal.visualization.text_flow import Style, text_width
from mmwtal.visualization.time_axis import clock, time_ticks
from mmwtal.visualization.timeline import draw_timeline, timeline_page
from mmwtal.visualization.timeline_data import MOST_CLASSES, Timeline, TimelineCurve, TimelineRow

BLUE = '#1f5fa8'


def act(start: float, end: float, score: float = 1.0, label: str = 'run') -> Action:
    return Action(label=label, start=start, end=end, score=score)


def row(*actions: Action, name: str = 'model', known: bool = False) -> TimelineRow:
    return TimelineRow(name=name, actions=actions, known=known)


def curve(count: int = 20, duration: float = 100.0, **fields: object) -> TimelineCurve:
    times = (np.arange(count) + 0.5) * duration / count
    given_fields = {'name': 'attention', 'times': times, 'values': np.linspace(0, 1, count), **fields}
    return TimelineCurve(**given_fields)


def timeline(*rows: TimelineRow, **fields: object) -> Timeline:
    return Timeline(**{'video': 'v', 'duration': 100.0, 'rows': rows, **fields})


class Drawn:
    """What was drawn on a sheet, in points of the page."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, float, float, Style, str]] = []
        self.boxes: list[tuple[float, float, float, float, str]] = []
        self.lines: list[tuple[list[float], list[float], str]] = []
        self.images: list[tuple[np.ndarray, float, float]] = []

    def text_boxes(self) -> list[tuple[str, float, float, float, float]]:
        found = []
        for text, x, y, style, align in self.texts:
            wide = text_width(text, style)
            left = x - wide / 2 if align == 'center' else x
            found.append((text, left, y - 0.75 * style.size, left + wide, y + 0.1 * style.size))
        return found


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    seen = Drawn()
    originals = {name: getattr(Sheet, name) for name in ('write', 'box', 'line', 'image')}

    def write(self, text, x, y, style, *, box='', align='left'):
        seen.texts.append((text, self._left + x, self._top + y, style, align))
        originals['write'](self, text, x, y, style, box=box, align=align)

    def box(self, left, top, width, height, *, colour, **options):
        seen.boxes.append((self._left + left, self._top + top, width, height, colour))
        originals['box'](self, left, top, width, height, colour=colour, **options)

    def line(self, x, y, *, colour, **options):
        seen.lines.append(([self._left + one for one in x], [self._top + one for one in y], colour))
        originals['line'](self, x, y, colour=colour, **options)

    def image(self, picture, left, top):
        seen.images.append((picture, self._left + left, self._top + top))
        originals['image'](self, picture, left, top)

    for name, replacement in (('write', write), ('box', box), ('line', line), ('image', image)):
        monkeypatch.setattr(Sheet, name, replacement)
    return seen


def axis(drawn: Drawn) -> tuple[float, float]:
    """Left end and width of the time axis: the longest horizontal line."""
    left, right = max(((min(x), max(x)) for x, _, _ in drawn.lines), key=lambda ends: ends[1] - ends[0])
    return left, right - left


def test_bars_are_where_their_times_are_and_as_high_as_their_scores(tmp_path, drawn):
    truth = row(act(10, 30), name='ground truth', known=True)
    model = row(act(20, 40, 4.0), act(60, 61, 1.0), act(70, 80, -1.0), act(90, 190, 2.0))
    draw_timeline(tmp_path / 'p.png', timeline(truth, model))
    left, width = axis(drawn)
    places = [((x - left) / width * 100, wide / width * 100) for x, _, wide, _, _ in drawn.boxes]
    assert places == [pytest.approx(one) for one in [(10, 20), (20, 20), (90, 10), (60, 1), (70, 10)]]
    heights = [height for _, _, _, height, _ in drawn.boxes[1:]]
    assert np.array(heights) / heights[0] == pytest.approx([1, 0.5, 0.25, 0])
    bottoms = {round(top + height, 6) for _, top, _, height, _ in drawn.boxes[1:]}
    assert len(bottoms) == 1
    # The pixels of the known action.
    picture = cv2.imread(str(tmp_path / 'p.png'), cv2.IMREAD_COLOR_RGB)
    assert picture.shape[1] == 1200
    strong = np.abs(picture.astype(int) - [0x1F, 0x5F, 0xA8]).max(axis=-1) < 45
    columns = np.flatnonzero(strong[int((drawn.boxes[0][1] + 3) * 1200 / WIDTH)])
    expected = np.array([left + 0.1 * width, left + 0.3 * width]) * 1200 / WIDTH
    assert [columns[0], columns[-1]] == pytest.approx(expected, abs=2)


def test_scores_are_written_above_their_bars(drawn):
    timeline_page(timeline(row(act(20, 40, 4.25), act(60, 70, 2.0), act(61, 63, 1.9), act(80, 90, 0.5)))).render()
    scores = {text: (x, y) for text, x, y, style, _ in drawn.texts if style.size == 6.5}
    # One that lies in another and one of low score have none.
    assert set(scores) == {'4.2', '2'}
    left, width = axis(drawn)
    assert scores['4.2'][0] == pytest.approx(left + 0.3 * width)
    tops = sorted(top for _, top, _, _, _ in drawn.boxes)
    assert scores['4.2'][1] < tops[0]
    assert scores['2'][1] < tops[1]


def test_every_class_has_its_rows_in_its_colour(drawn):
    truth = row(act(50, 60, label='late'), act(10, 20, label='early'), name='ground truth', known=True)
    one = row(act(1, 2, 5.0, 'other'), act(51, 59, 3.0, 'late'), name='base')
    two = row(act(11, 19, 9.0, 'early'), act(30, 40, 0.01, 'dim'), name='guided')
    shown = timeline(truth, one, two)
    # What is known comes first in the order of time; what is below a twentieth of the best is left out.
    assert shown.classes == ['early', 'late', 'other']
    assert shown.left_out == ['dim']
    timeline_page(shown).render()
    names = [text for text, *_ in drawn.texts]
    assert [name for name in names if name in shown.classes] == shown.classes
    assert [names.count(name) for name in ('ground truth', 'base', 'guided')] == [3, 3, 3]
    assert '1 class of low scores not shown: dim' in ' '.join(names)
    colours = {colour for *_, colour in drawn.boxes}
    assert len(colours) == 3


def test_curves_keep_their_extremes_and_their_place(drawn):
    values = np.zeros(50_000)
    values[[25_000, 30_000]] = 1.0, -1.0
    long = curve(50_000, values=values, name='CAS', label='run', bounds=(-1.0, 1.0))
    page = timeline_page(timeline(row(act(1, 2)), curves=[long, curve(1)]))
    page.render()
    left, width = axis(drawn)
    cas, attention = [line for line in drawn.lines if len(line[0]) > 2]
    assert len(cas[0]) < 2000
    peak, trough = np.argmin(cas[1]), np.argmax(cas[1])
    assert cas[0][peak] == pytest.approx(left + width / 2, abs=1)
    assert cas[0][trough] == pytest.approx(left + 0.6 * width, abs=1)
    # A single snippet stands for the whole video.
    assert [min(attention[0]), max(attention[0])] == pytest.approx([left, left + width])
    assert '-1 to 1' in [text for text, *_ in drawn.texts]


def test_thumbnails_stand_along_the_time(tmp_path, drawn):
    frames = [np.full((48, 64, 3), (10 * number, 200, 30), dtype=np.uint8) for number in range(10)]
    draw_timeline(tmp_path / 'p.png', timeline(row(act(1, 2)), thumbnails=frames))
    left, width = axis(drawn)
    middles = [x + picture.shape[1] * 0.36 for picture, x, _ in drawn.images]
    assert middles == pytest.approx([left + (number + 0.5) * width / 10 for number in range(10)], abs=1)
    picture = cv2.imread(str(tmp_path / 'p.png'), cv2.IMREAD_COLOR_RGB)
    for number, middle in enumerate(middles):
        found = picture[int((drawn.images[0][2] + 20) / 0.72), int(middle / 0.72)]
        assert found.tolist() == [10 * number, 200, 30]


def test_nothing_found_is_a_picture_too(tmp_path, drawn):
    draw_timeline(tmp_path / 'p.png', timeline(row(), curves=[curve()]))
    assert 'no action' in ' '.join(text for text, *_ in drawn.texts)
    assert not drawn.boxes
    with pytest.raises(ValueError, match='a video of 0 s'):
        timeline(row(), duration=0)


def separate(boxes: list[tuple[str, float, float, float, float]]) -> None:
    for number, (text, left, top, right, bottom) in enumerate(boxes):
        assert left >= MARGIN - 0.6, text
        assert right <= MARGIN + INNER + 0.6, text
        for other, other_left, other_top, other_right, other_bottom in boxes[:number]:
            apart = right <= other_left or left >= other_right or bottom <= other_top or top >= other_bottom
            assert apart, f'{text!r} lies on {other!r}'


@pytest.mark.parametrize(
    ('classes', 'count', 'duration'), [(1, 1, 0.5), (2, 40, 9.0), (12, 300, 600.0), (3, 2000, 7200.0), (1, 50, 9e5)]
)
def test_no_words_lie_on_others(drawn, classes, count, duration):
    rng = np.random.default_rng(count)
    starts, lengths = rng.uniform(0, duration, count), rng.exponential(duration / 30, count)
    actions = [
        act(float(start), float(min(start + length, duration)), float(score), f'Class {number % classes} $\\frac')
        for number, (start, length, score) in enumerate(zip(starts, lengths, rng.normal(size=count), strict=True))
    ]
    rows = [row(*actions[:9], name='ground truth', known=True), row(*actions, name='a model of a very long name ' * 3)]
    labels = ['Class 0 $\\frac', None]
    curves = [curve(30, duration, name='CAS, of a model of a long name', label=label) for label in labels]
    curves.append(curve(30, duration, bounds=(-12345.678, 0.00012345)))
    shown = timeline(*rows, curves=curves, duration=duration, video='x' * 200, note='words ' * 40)
    picture = timeline_page(shown).render()
    assert len(shown.classes) == min(classes, MOST_CLASSES)
    separate(drawn.text_boxes())
    height = picture.shape[0] * 0.72
    assert all(top >= 0 and bottom <= height for _, _, top, _, bottom in drawn.text_boxes())
    assert all(wide >= 1 for _, _, wide, _, _ in drawn.boxes)


@given(st.floats(0.05, 3e6))
@settings(max_examples=100, deadline=None)
def test_ticks_are_few_round_and_in_the_video(duration):
    ticks = time_ticks(duration)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 11
    assert ticks[-1] <= duration * (1 + 1e-9)
    assert len({clock(tick, duration) for tick in ticks}) == len(ticks)


def test_times_are_written_as_people_do():
    assert [clock(0.5, 4), clock(90, 119), clock(90, 600), clock(3725, 7200)] == ['0.5 s', '90 s', '1:30', '1:02:05']


def test_a_picture_appears_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / 'p.png'
    path.write_bytes(b'old')
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def fail(self, file, **options):
        file.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(FigureCanvasAgg, 'print_png', fail)
    with pytest.raises(OSError, match='disk full'):
        draw_timeline(path, timeline(row(act(1, 2))))
    assert path.read_bytes() == b'old'
    assert [one.name for one in tmp_path.iterdir()] == ['p.png']
