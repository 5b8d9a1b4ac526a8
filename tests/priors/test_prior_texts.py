"""The texts of a batch: what each tensor holds, sources, coverage, the draw of a description, bad input."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.formats.word_vectors import read_word_vectors
from mmwtal.priors.embed import VectorCache
from mmwtal.priors.encoded import encode_class_words
from mmwtal.priors.prior_texts import PriorTexts
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.priors.sources import PairText, join_templates, template_text
from mmwtal.priors.store import PriorStore
from mmwtal.registry import GUIDANCE_TEXTS
from mmwtal.structures.text_batch import TextBatch
from mmwtal.text_encoders.base import BaseTextEncoder
from mmwtal.utils.errors import UserError
from mmwtal.utils.words import words_of_name

WORDS = 'a at athlete bar by doing end fast he high jump kicks leaps of person run runs she sprints the track video . ,'
TEXTS = {
    ('run_a', 'run'): (['sprints fast', 'runs'], 'He runs at the track, fast.', ['runs']),
    ('run_b', 'run'): (['sprints'], 'The athlete sprints.', ['sprints']),
    ('jump_a', 'jump'): (['leaps high'], 'She leaps the bar.', ['leaps']),
    ('both', 'run'): (['kicks'], 'He kicks.', []),
    ('both', 'jump'): (['leaps'], 'He jumps by the end of the track.', ['end']),
}


def put_texts(root: Path, texts: dict = TEXTS, state: str = 'ok') -> None:
    store = PriorStore(root / 'priors')
    store.clear()
    store.begin({'kind': 'test'})
    with store.writer('test') as writer:
        for (video, label), (key, complete, key_words) in texts.items():
            text = (
                PriorText(key=tuple(key), complete=complete, key_words=tuple(key_words))
                if state == 'ok'
                else PriorText()
            )
            writer.append(PriorRecord(video=video, label=label, text=text, source='mllm', state=state))


@pytest.fixture
def root(data_root) -> Path:
    data_root.write()
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(WORDS.split()) + 1, 4, generator=generator).tolist()
    lines = [
        f'{w} {" ".join(f"{x:.3f}" for x in row)}' for w, row in zip([*WORDS.split(), 'jumps'], values, strict=True)
    ]
    (data_root.path / 'vectors.txt').write_text('\n'.join(lines))
    put_texts(data_root.path)
    return data_root.path


@pytest.fixture
def build(root: Path) -> Callable[..., PriorTexts]:
    encoder = dict(type='StaticVectors', path='vectors.txt', unknown='error', skip_stop_words=False)
    return lambda **settings: GUIDANCE_TEXTS.build(
        {**dict(type='PriorTexts', data_root=str(root), encoder=encoder), **settings}
    )


@pytest.fixture
def vectors(root: Path) -> dict[str, torch.Tensor]:
    found = read_word_vectors(root / 'vectors.txt', [*WORDS.split(), 'jumps']).vectors
    return {word: torch.from_numpy(vector) for word, vector in found.items()}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    lines: list[str] = []
    monkeypatch.setattr('mmwtal.priors.prior_texts.print_log', lambda text, logger: lines.append(text))
    return lambda: '\n'.join(lines)


def mean(vectors: dict[str, torch.Tensor], words: str) -> torch.Tensor:
    return torch.stack([vectors[word] for word in words.split()]).mean(dim=0)


def test_what_a_batch_holds(build, vectors, said) -> None:
    texts = build()
    assert isinstance(texts, PriorTexts)
    assert texts.width == 4
    assert 'key semantics 5 from mllm, 1 from template' in said()
    labels = torch.tensor([[1, 0], [0, 1], [0, 0]])
    batch = texts.batch(['run_a', 'jump_a', 'none'], labels, seed=0, iteration=0)
    assert isinstance(batch, TextBatch)
    run_a = (mean(vectors, 'sprints fast') + vectors['runs']) / 2
    bank = torch.stack(
        [
            (run_a + vectors['sprints'] + vectors['kicks']) / 3,
            # jump_b has no text, so that the template stands in
            (mean(vectors, 'leaps high') + vectors['leaps'] + mean(vectors, 'a video of a person doing jump')) / 3,
        ]
    )
    torch.testing.assert_close(batch.class_bank, bank)
    jump_a = mean(vectors, 'leaps high')
    torch.testing.assert_close(
        batch.key, torch.stack([torch.stack([run_a, bank[1]]), torch.stack([bank[0], jump_a]), bank])
    )
    assert batch.described.tolist() == [True, True, False]
    assert batch.word_mask.sum(dim=1).tolist() == [8, 5, 0]
    assert batch.word_mask.shape == (3, 8)
    torch.testing.assert_close(
        batch.words[0], torch.stack([vectors[word] for word in ['he', 'runs', 'at', 'the', 'track', ',', 'fast', '.']])
    )
    assert not batch.words[~batch.word_mask].any()
    assert batch.word_weights[0].tolist() == [0, 2, 0, 0, 1, 0, 1, 0]
    assert batch.word_weights[1].tolist() == [0, 2, 0, 1, 0, 0, 0, 0]
    assert not batch.word_weights[2].any()
    assert batch.vocabulary_size == texts.vocabulary_size == 24


# What the released code of TSM/VLC makes of one, two and three classes, as it is and mended.
SENTENCES = [
    (['HighJump'], 'one video of the high jump.', 'one video of the high jump.'),
    (['LongJump', 'HighJump'], 'one video of the long jumpandhigh jump.', 'one video of the long jump and high jump.'),
    (
        ['Diving', 'CliffDiving', 'PoleVault'],
        'one video of the diving,cliff divingandpole vault.',
        'one video of the diving, cliff diving and pole vault.',
    ),
]


@pytest.mark.parametrize(('labels', 'released', 'mended'), SENTENCES)
def test_the_template_names_all_classes_of_a_video(labels: list[str], released: str, mended: str) -> None:
    template = 'one video of the {}.'
    texts = [
        PairText(
            video='v',
            label=label,
            text=template_text(template, label),
            key_source='template',
            complete_source='template',
        )
        for label in labels
    ]
    told = replace(texts[0], label='Other', text=replace(texts[0].text, complete='Own.'), complete_source='mllm')
    for vlc_compat, expected in ((True, released), (False, mended)):
        *joined, other = join_templates([*texts, told], template, joint=True, vlc_compat=vlc_compat)
        assert [one.text.complete for one in joined] == [expected] * len(labels)
        assert all(one.text.key == own.text.key for one, own in zip(joined, texts, strict=True))
        words = [word for label in labels for word in words_of_name(label).split()]
        assert [one.text.key_words for one in joined] == [tuple(words)] * len(labels)
        assert other == told
    assert join_templates(texts, template, joint=False) == texts


def test_a_joint_template_describes_all_classes_of_a_video(build) -> None:
    settings = dict(sources=('template',), template='the video of the {}.', joint_template=True)
    settings['encoder'] = dict(type='StaticVectors', path='vectors.txt')
    labels = torch.tensor([[1, 1], [1, 0]])
    batch = build(**settings).batch(['both', 'run_a'], labels, seed=0, iteration=0)
    assert batch.word_mask.sum(dim=1).tolist() == [8, 6]  # the video of the run and jump .
    assert batch.word_weights.tolist() == [[0, 1, 0, 0, 2, 0, 2, 0], [0, 1, 0, 0, 2, 0, 0, 0]]
    slip = build(**settings, vlc_compat=True).batch(['both'], labels[:1], seed=0, iteration=0)
    assert slip.word_mask.sum() == 6  # the video of the runandjump .


def test_vectors_of_class_names(build, vectors) -> None:
    words = build().class_words(2)
    run, jump = vectors['run'], vectors['jump']
    torch.testing.assert_close(words, torch.stack([torch.stack([run, run]), torch.stack([jump, jump])]))
    texts = build(control='random_vectors', control_seed=3)
    assert not torch.isclose(texts.class_words(1)[0, 0], run).any()
    assert torch.equal(texts.class_words(1), build(control='random_vectors', control_seed=3).class_words(1))


@pytest.mark.parametrize('contextual', [False, True])
def test_class_names_of_several_words_and_any_encoder(contextual: bool, tmp_path: Path) -> None:
    class Numbers(BaseTextEncoder):
        fingerprint = 'numbers'

        def encode(self, phrases, sentences):
            rows = [np.array([[len(word), len(words)] for word in words], np.float32) for words in sentences]
            return np.zeros((len(phrases), 2), np.float32), rows

    Numbers.contextual = contextual
    names = ['HighJump', 'Dive', 'ThrowingTheDiscusFar']
    found = encode_class_words(names, 3, encoder=Numbers(), cache=VectorCache(tmp_path))
    assert found.dtype == torch.float32
    assert found[..., 0].tolist() == [[4, 4, 4], [4, 4, 4], [8, 6, 3]]
    assert found[..., 1].tolist() == ([[2] * 3, [1] * 3, [3] * 3] if contextual else [[1] * 3] * 3)


def test_dtypes_and_that_a_batch_can_be_changed(build) -> None:
    texts = build()
    labels = torch.tensor([[1.0, 0.0]])
    batch = texts.batch(['run_a'], labels, seed=0, iteration=0)
    kept = copy.deepcopy(batch)
    dtypes = {name: value.dtype for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    assert dtypes == {
        **dict.fromkeys(['key', 'class_bank', 'words', 'word_weights'], torch.float32),
        **dict(word_ids=torch.int64, described_class=torch.int64, word_mask=torch.bool, described=torch.bool),
    }
    for name in ('key', 'words', 'word_ids', 'word_weights'):
        getattr(batch, name).zero_()
    again = texts.batch(['run_a'], labels, seed=0, iteration=0)
    for name in ('key', 'words', 'word_ids', 'word_weights'):
        assert torch.equal(getattr(again, name), getattr(kept, name))


def test_words_have_the_same_number_in_all_videos(build) -> None:
    texts = build()
    labels = torch.tensor([[1, 0], [0, 1]])
    batch = texts.batch(['run_a', 'jump_a'], labels, seed=0, iteration=0)
    # "He runs at the track, fast." and "She leaps the bar."
    assert batch.word_ids[0, 3] == batch.word_ids[1, 2] > 0
    numbers = batch.word_ids[batch.word_mask]
    assert numbers.min() > 0
    assert numbers.max() < texts.vocabulary_size
    assert len(numbers.unique()) == len(['he', 'runs', 'at', 'the', 'track', ',', 'fast', '.', 'she', 'leaps', 'bar'])


def test_one_of_the_labels_is_drawn_by_seed_iteration_and_video(build) -> None:
    texts = build()
    labels = torch.tensor([[1, 1]])

    def drawn(seed: int, iteration: int, beside: tuple[str, ...] = ()) -> int:
        rows = labels.expand(1 + len(beside), 2)
        return int(texts.batch(['both', *beside], rows, seed=seed, iteration=iteration).word_mask[0].sum())

    lengths = [drawn(0, iteration) for iteration in range(400)]
    assert set(lengths) == {3, 9}
    assert 150 < lengths.count(3) < 250
    assert lengths == [drawn(0, iteration, ('run_a', 'run_b')) for iteration in range(400)]
    assert lengths != [drawn(1, iteration) for iteration in range(400)]
    assert lengths[1:] + lengths[:1] != lengths
    only = texts.batch(['both'], torch.tensor([[0, 1]]), seed=0, iteration=0)
    assert only.word_mask.sum() == 9, 'a label that is not given is not drawn'


def test_sources_go_in_order_and_part_by_part(build, root, vectors, said) -> None:
    (root / 'classes.json').write_text(json.dumps({'jump': {'complete': 'Leaps high.'}, 'other': {'key': ['x']}}))
    texts = build(sources=('video', 'class', 'template'), class_texts='classes.json')
    assert 'complete semantics 5 from mllm, 1 from class' in said()
    assert 'key semantics 5 from mllm, 1 from template' in said()
    batch = texts.batch(['jump_b'], torch.tensor([[0, 1]]), seed=0, iteration=0)
    assert batch.word_mask.sum() == 3
    torch.testing.assert_close(batch.key[0, 1], mean(vectors, 'a video of a person doing jump'))
    build(sources=('class', 'video', 'template'), class_texts='classes.json')
    assert 'complete semantics 3 from mllm, 3 from class' in said()
    build(sources=('template',))
    assert 'key semantics 6 from template; complete semantics 6 from template' in said()


def test_a_video_that_no_source_knows(build, root, vectors) -> None:
    put_texts(root, {('run_a', 'run'): (['runs'], 'He runs.', [])})
    texts = build(sources=('video',))
    labels = torch.tensor([[1, 0], [1, 0]])
    batch = texts.batch(['run_a', 'run_b'], labels, seed=0, iteration=0)
    assert batch.described.tolist() == [True, False]
    torch.testing.assert_close(batch.key[1, 0], batch.class_bank[0])
    torch.testing.assert_close(batch.class_bank[0], vectors['runs'])
    torch.testing.assert_close(batch.class_bank[1], mean(vectors, 'a video of a person doing jump'))
    nobody = texts.batch(['run_b'], labels[:1], seed=0, iteration=0)
    assert nobody.words.shape == (1, 1, 4)
    assert not nobody.word_mask.any()


def test_a_store_without_any_description(build, root) -> None:
    put_texts(root, {('run_a', 'run'): (['runs'], '', [])})
    texts = build(sources=('video',))
    batch = texts.batch(['run_a'], torch.tensor([[1, 0]]), seed=0, iteration=0)
    assert not batch.described.any()
    assert batch.words.shape == (1, 1, 4)
    assert texts.vocabulary_size == 2


def test_records_that_are_not_ok_are_missing(build, root, said) -> None:
    put_texts(root, state='refused')
    build()
    assert '6 from template' in said()


def test_coverage_below_the_minimum_is_an_error(build) -> None:
    build(min_coverage=0.8)
    build(min_coverage=1.0, sources=('template',))
    with pytest.raises(
        UserError, match=r'83\.3%, expected at least min_coverage=90\.0%; video jump_b lacks texts for jump'
    ):
        build(min_coverage=0.9)
    with pytest.raises(UserError, match='jump_b lacks'):
        build(min_coverage=0.9, sources=('video',))


def test_descriptions_are_cut_and_counted(build, said) -> None:
    texts = build(max_words=4)
    batch = texts.batch(['run_a'], torch.tensor([[1, 0]]), seed=0, iteration=0)
    assert batch.word_mask.sum() == 4
    assert 'in 6 descriptions, 4 of them cut to 4 words' in said()


def test_test_videos_play_no_part(build, root) -> None:
    with pytest.raises(UserError, match=r"'test_run' is none of the 6 training videos"):
        build().batch(['test_run'], torch.tensor([[1, 0]]), seed=0, iteration=0)
    bank = build().class_bank
    put_texts(root, {**TEXTS, ('test_run', 'run'): (['kicks'], 'He kicks.', [])})
    assert torch.equal(build().class_bank, bank)


def test_classes_in_another_order_or_a_part_of_them(build) -> None:
    texts, turned, part = build(), build(classes=['jump', 'run']), build(classes=['jump'])
    torch.testing.assert_close(turned.class_bank, texts.class_bank.flip(0))
    torch.testing.assert_close(part.class_bank, texts.class_bank[1:])
    batch = part.batch(['both', 'run_a'], torch.tensor([[1], [0]]), seed=0, iteration=0)
    assert batch.described.tolist() == [True, False]
    assert batch.word_mask[0].sum() == 9


def test_labels_that_the_annotations_lack_count_as_absent(build) -> None:
    texts = build()
    batch = texts.batch(['run_a'], torch.tensor([[1, 1]]), seed=0, iteration=5)
    torch.testing.assert_close(batch.key[0, 1], batch.class_bank[1])
    assert batch.word_mask.sum() == 8


def test_copies_of_a_model_share_the_texts(build) -> None:
    texts = build()
    assert copy.deepcopy({'texts': texts})['texts'] is texts


def test_vectors_come_from_the_cache(build, root, monkeypatch) -> None:
    expected = build()
    monkeypatch.setattr('mmwtal.text_encoders.static_vectors.StaticVectors.encode', None)
    texts = build()
    assert torch.equal(texts.class_bank, expected.class_bank)
    assert (root / 'priors' / 'vectors').is_dir()
    with pytest.raises(TypeError):
        build(template='the video of {}')  # another text, which the encoder would have to encode


def test_training_from_cached_vectors_imports_no_text_model(build, root, repo_root) -> None:
    build()
    script = f"""
import sys
sys.modules['transformers'] = None
from mmwtal.registry import GUIDANCE_TEXTS
encoder = dict(type='StaticVectors', path='vectors.txt', unknown='error', skip_stop_words=False)
texts = GUIDANCE_TEXTS.build(dict(type='PriorTexts', data_root={str(root)!r}, encoder=encoder))
print(texts.width, 'tokenizers' in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, '-c', script],
        cwd=repo_root,
        env={**os.environ, 'PYTHONPATH': str(repo_root)},
        **dict(capture_output=True, text=True, check=True),
    )
    assert done.stdout.split()[-2:] == ['4', 'False']


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(sources=()), 'sources of PriorTexts'),
        (dict(sources=('video', 'video')), 'sources of PriorTexts'),
        (dict(sources=('mllm',)), 'sources of PriorTexts'),
        (dict(sources=('class',)), 'go together'),
        (dict(class_texts='x.json'), 'go together'),
        (dict(sources=('class',), class_texts='absent.json'), r'absent\.json does not exist'),
        (dict(store='absent'), r'no prior store at .*absent.*tools/priors\.py import'),
        (dict(template='no place'), 'one {} for the class'),
        (dict(template='{}'), 'one {} for the class'),
        (dict(min_coverage=1.5), r'min_coverage of PriorTexts must be in \[0, 1\]'),
        (dict(wrong_share=-1), 'wrong_share of PriorTexts'),
        (dict(max_words=0), 'max_words'),
        (dict(control_seed=-1), 'control_seed'),
        (dict(vlc_compat=True), 'set joint_template=True'),
        (dict(control='wrong'), 'control of PriorTexts'),
        (dict(subset='validation'), "no video of the subset 'validation'"),
        (dict(classes=['jmp', 'run']), 'jmp'),
        (dict(ann_file='absent.json'), 'does not exist'),
        (dict(encoder=dict(type='StaticVectors', path='absent.txt')), r'absent\.txt cannot be read'),
    ],
)
def test_bad_settings(build, settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**settings)


def test_faulty_class_descriptions_are_all_named(build, root) -> None:
    path = root / 'classes.json'
    path.write_text(json.dumps({'jump': {'key': []}, 'run': {'complete': 3}}))
    settings = dict(sources=('class', 'template'), class_texts='classes.json')
    with pytest.raises(UserError, match=r'2 problems\n  jump: "key" is empty.*\n  run: "complete" must'):
        build(**settings)
    path.write_text(json.dumps({'Jump': {'key': ['x']}}))
    with pytest.raises(UserError, match="describe none of the 2 classes; they begin with Jump; did you mean 'jump'"):
        build(**settings)


def test_labels_of_another_shape_are_refused(build) -> None:
    for labels in (torch.ones(1, 3), torch.ones(2, 2)):
        with pytest.raises(UserError, match='give PriorTexts the classes of the dataset'):
            build().batch(['run_a'], labels, seed=0, iteration=0)


class Contextual(BaseTextEncoder):
    """A word's vector says its place and the length of its sentence."""

    contextual = True
    fingerprint = 'contextual'

    def encode(self, phrases, sentences):
        rows = [
            np.array([[len(words), place, len(word)] for place, word in enumerate(words)], np.float32).reshape(-1, 3)
            for words in sentences
        ]
        return np.array([[len(phrase), 0, 0] for phrase in phrases], np.float32), rows


@pytest.mark.parametrize('again', [False, True])
def test_words_in_their_context(build, again) -> None:
    if again:
        build(encoder=Contextual())
    texts = build(encoder=Contextual())
    labels = torch.tensor([[1, 0], [0, 1], [0, 0]])
    batch = texts.batch(['run_a', 'jump_a', 'none'], labels, seed=0, iteration=0)
    assert batch.words.dtype == torch.float32
    assert batch.words[0].tolist() == [[8, place, length] for place, length in enumerate([2, 4, 2, 3, 5, 1, 4, 1])]
    assert batch.words[1, :5].tolist() == [[5, place, length] for place, length in enumerate([3, 5, 3, 3, 1])]
    assert not batch.words[1, 5:].any()
    assert not batch.words[2].any()
    assert batch.key[0, 0].tolist() == [8, 0, 0]  # the mean of "sprints fast" and "runs"


def test_controls_change_what_they_say(build) -> None:
    labels = torch.tensor([[1, 0]])

    def first(**settings):
        texts = build(encoder=dict(type='StaticVectors', path='vectors.txt'), **settings)
        return texts.batch(['run_a'], labels, seed=0, iteration=0)

    true, random, again, other = (
        first(),
        *(first(control='random_vectors', control_seed=seed) for seed in (0, 0, 1)),
    )
    assert torch.equal(random.word_ids, true.word_ids)
    assert torch.equal(random.words, again.words)
    for name in ('words', 'key', 'class_bank'):
        assert getattr(random, name).shape == getattr(true, name).shape
        assert not torch.isclose(getattr(random, name), getattr(true, name)).all()
        assert not torch.isclose(getattr(random, name), getattr(other, name)).all()
    moved = first(control='other_videos')
    assert moved.word_mask.sum() != true.word_mask.sum()
    torch.testing.assert_close(moved.class_bank, true.class_bank)
    assert not torch.equal(moved.key[0, 0], true.key[0, 0])
    swapped = first(control='wrong_classes')
    torch.testing.assert_close(swapped.key[0, 1], swapped.class_bank[1])
    assert not torch.isclose(swapped.class_bank, true.class_bank).all()
    wrong = first(control='wrong_words', wrong_share=1.0)
    changed = (wrong.words != true.words).any(dim=-1)[0]
    assert changed.tolist() == (true.word_weights > 0)[0].tolist()
    assert torch.equal(wrong.word_weights, true.word_weights)
    assert torch.equal(first(control='wrong_words', wrong_share=0.0).words, true.words)


def test_at_a_test_neither_texts_nor_their_packages_are_needed(repo_root) -> None:
    script = """
import sys
for name in ('transformers', 'safetensors', 'simplemma'):
    sys.modules[name] = None
from mmwtal.registry import GUIDANCE_TEXTS, MODELS, TEXT_ENCODERS
print(MODELS.get('CO2NetBackbone').__name__, GUIDANCE_TEXTS.get('PriorTexts').__name__, len(TEXT_ENCODERS.module_dict))
"""
    environment = {**os.environ, 'PYTHONPATH': str(repo_root)}
    done = subprocess.run([sys.executable, '-c', script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ['CO2NetBackbone', 'PriorTexts']
