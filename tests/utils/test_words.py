"""Words of texts and of class names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.datasets.synthetic_text import class_words, tokenize
from mmwtal.datasets.synthetic_video import CLASSES
from mmwtal.utils.words import STOP_WORDS, content_words, is_mark, split_words, words_of_name


def test_words_marks_and_what_joins_words() -> None:
    text = 'The athlete\'s well-timed jump, 2.5 m high; isn\'t it "great"?'
    assert split_words(text) == [
        *('The', "athlete's", 'well-timed', 'jump', ',', '2', '.', '5', 'm', 'high', ';', "isn't", 'it', '"', 'great'),
        *('"', '?'),
    ]
    assert content_words(split_words('The athlete, then: a JUMP!')) == ['athlete', 'JUMP']
    assert split_words('') == split_words(' \n') == []


@given(st.text())
def test_no_visible_sign_is_lost(text: str) -> None:
    words = split_words(text)
    assert ''.join(words) == ''.join(text.split())
    assert all(words)
    for word in words:
        assert is_mark(word) == (not any(sign.isalnum() or sign == '_' for sign in word))


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('HighJump', 'high jump'),
        ('high_jump', 'high jump'),
        ('Clean and jerk', 'clean and jerk'),
        ('BMX', 'bmx'),
        ('RidingBMXBike', 'riding bmx bike'),
        ('Route66', 'route 66'),
        ('Écriture', 'écriture'),
        ('跳高', '跳高'),
        ('?', '?'),
    ],
)
def test_words_of_a_class_name(name: str, words: str) -> None:
    assert words_of_name(name) == words


def test_names_of_the_embedded_dataset_are_split_as_it_does() -> None:
    assert [words_of_name(name) for name in CLASSES] == [class_words(name) for name in CLASSES]
    text = 'Spins fast and flings the steel hammer, well-timed. In the end, halts'
    assert [word.lower() for word in split_words(text)] == tokenize(text)


def test_stop_words_are_words_in_lower_case() -> None:
    assert all(split_words(word) == [word] and word == word.lower() for word in STOP_WORDS)
    assert {'the', 'a', 'of', 'then', 'finally'} <= STOP_WORDS
    assert not STOP_WORDS & {'jump', 'throw', 'ball', 'man', 'woman', 'run'}
