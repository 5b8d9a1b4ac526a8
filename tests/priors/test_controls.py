"""Experimental controls: wrong texts are wrong in the way that they say, and in no other."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.priors.controls import exchange_texts, random_vectors
from mmwtal.priors.embed import TextVectors
from mmwtal.priors.worded import WordedText
from mmwtal.utils.errors import UserError
from mmwtal.utils.words import content_words, split_words

LABELS = ['run', 'jump', 'run', 'throw', 'run', 'jump', 'throw', 'hop']
SPOKEN = ['the', 'dog', 'runs', 'quickly', 'over', 'a', 'bridge', ',', 'then', 'jumps', 'high', '.']


def texts_of(labels: list[str]) -> list[WordedText]:
    return [
        WordedText(phrases=(f'{label}{number} fast', 'the bar'), words=(label, str(number), 'bar'), weights=(2, 1, 1))
        for number, label in enumerate(labels)
    ]


def control(
    kind: str, texts: list[WordedText], labels: list[str], seed: int = 0, share: float = 0.3
) -> list[WordedText]:
    return exchange_texts(texts, labels, control=kind, seed=seed, wrong_share=share)


@given(st.lists(st.sampled_from(['a', 'b', 'c', 'd']), min_size=1, max_size=30), st.integers(0, 5))
def test_other_videos_are_of_the_same_class(labels: list[str], seed: int) -> None:
    texts = texts_of(labels)
    other = control('other_videos', texts, labels, seed)
    assert [text.words[0] for text in other] == labels
    assert Counter(other) == Counter(texts)
    counts = Counter(labels)
    for label, before, after in zip(labels, texts, other, strict=True):
        assert (before == after) == (counts[label] == 1)


@given(st.lists(st.sampled_from(['a', 'b', 'c', 'd']), min_size=2, max_size=30), st.integers(0, 5))
def test_wrong_classes_are_wrong_and_the_same_for_a_class(labels: list[str], seed: int) -> None:
    if len(set(labels)) == 1:
        with pytest.raises(UserError, match='two classes'):
            control('wrong_classes', texts_of(labels), labels, seed)
        return
    wrong = control('wrong_classes', texts_of(labels), labels, seed)
    meant = {(label, text.words[0]) for label, text in zip(labels, wrong, strict=True)}
    assert len(meant) == len(set(labels)) == len({other for _, other in meant})
    assert all(label != other for label, other in meant)
    for label, text in zip(labels, wrong, strict=True):
        # as many different texts as both classes have
        same = {one.words for one, other in zip(wrong, labels, strict=True) if other == label}
        assert len(same) == min(labels.count(label), labels.count(text.words[0]))


@given(st.floats(0, 1), st.integers(0, 20))
def test_wrong_words_are_a_share_of_the_content_words(share: float, seed: int) -> None:
    text = WordedText(phrases=('the dog runs',), words=tuple(SPOKEN), weights=tuple(range(len(SPOKEN))))
    (wrong,) = control('wrong_words', [text], ['x'], seed, share)
    changed = [(old, new) for old, new in zip(SPOKEN, wrong.words, strict=True) if old != new]
    content = content_words(SPOKEN)
    assert len(changed) == round(share * len(content))
    assert all(old in content and new in content for old, new in changed)
    assert wrong.weights == text.weights
    assert len(split_words(wrong.phrases[0])) == 3
    assert wrong.phrases[0].startswith('the ')


def test_controls_follow_their_seed() -> None:
    texts = texts_of(LABELS * 4)
    for kind in ('other_videos', 'wrong_classes', 'wrong_words'):
        first = control(kind, texts, LABELS * 4)
        assert first == control(kind, texts, LABELS * 4)
        assert any(first != control(kind, texts, LABELS * 4, seed) for seed in (1, 2, 3))
        assert first != texts
    assert control('none', texts, LABELS * 4) == control('random_vectors', texts, LABELS * 4) == texts


def test_a_single_word_has_nothing_to_be_replaced_by() -> None:
    text = WordedText(phrases=('bar',), words=('bar', 'the'), weights=(1, 0))
    assert control('wrong_words', [text], ['x'], share=1.0) == [text]


def test_random_vectors_are_a_word_each_and_as_long() -> None:
    words = [f'w{n}' for n in range(200)]
    like = TextVectors(phrases=torch.zeros(1, 16), words=torch.full((3, 16), 4.0), starts=torch.zeros(1).long())
    found = random_vectors(['the w1 W2.', 'w1'], [['w1', 'w2'], words], like=like, seed=0)
    assert found.starts.tolist() == [0, 2]
    assert found.words.shape == (202, 16)
    assert torch.equal(found.words[0], found.words[3])
    torch.testing.assert_close(found.phrases, torch.stack([(found.words[0] + found.words[1]) / 2, found.words[0]]))
    assert found.words.square().mean().sqrt() == pytest.approx(4, rel=0.1)
    assert not torch.equal(random_vectors(['w1'], [['w1']], like=like, seed=1).words, found.words[:1])
