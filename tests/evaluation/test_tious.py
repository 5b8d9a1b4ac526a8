import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.evaluation import parse_tious
from mmwtal.utils.errors import UserError


@pytest.mark.parametrize(
    ('given_tious', 'expected'),
    [
        ('0.1:0.9:0.1', (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
        ('0.5:0.95:0.05', (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)),
        ('0.1:0.9:0.3', (0.1, 0.4, 0.7)),
        ('0.5:0.5:0.1', (0.5,)),
        ('0.5', (0.5,)),
        ('0.3, 0.5,1', (0.3, 0.5, 1.0)),
        ([0.1 + 0.2, 0.5], (0.3, 0.5)),
        ((0.7, 0.1), (0.7, 0.1)),
    ],
)
def test_parse(given_tious, expected):
    assert parse_tious(given_tious) == expected


@given(st.integers(1, 99), st.integers(0, 99), st.integers(1, 99))
def test_ranges_in_hundredths_have_no_drift(start, more, step):
    stop = min(start + more, 100)
    expected = tuple(i / 100 for i in range(start, stop + 1, step))
    assert parse_tious(f'{start / 100}:{stop / 100}:{step / 100}') == expected


@pytest.mark.parametrize(
    'bad',
    [
        *('', 'a', '50', 'nan', '0.1,0.1', '0.1:0.9', '0.1:0.9:0', '0.1:0.9:-0.1', '0.9:0.1:0.1', '0:0.5:0.1'),
        *('0.5:1.5:0.5', '0.1:nan:0.1', '0.1:inf:0.1', '0.1:0.9:1e-12'),
        *([], [0.0], [float('nan')], ['x'], [None], [0.5, 0.5 + 1e-12], 0.5),
    ],
)
def test_bad_lists_name_what_was_found(bad):
    with pytest.raises(UserError, match='tIoU thresholds'):
        parse_tious(bad)
