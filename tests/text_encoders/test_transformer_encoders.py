"""Text models of transformers, tiny and random: pooling, words from subwords, long texts, what cannot be loaded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmwtal.text_encoders.clip_text import CLIPTextEncoder
from mmwtal.text_encoders.hf_text import HFTextEncoder
from mmwtal.utils.compat import usable_torchvision
from mmwtal.utils.errors import UserError

LETTERS = 'abcdefghijklmnopqrstuvwxyz'
WORDS = ['high', 'jump', 'the', 'then', 'lands', ',']


@pytest.fixture(scope='module')
def transformers(request: pytest.FixtureRequest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HF_HUB_OFFLINE', '1')
        usable_torchvision()
        yield pytest.importorskip('transformers')


@pytest.fixture(scope='module')
def bert(transformers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('bert')
    special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    vocabulary = [*special, *WORDS, *LETTERS, *(f'##{letter}' for letter in LETTERS)]
    tokenizer = transformers.BertTokenizer(vocab={word: n for n, word in enumerate(vocabulary)}, do_lower_case=True)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope='module')
def clip(transformers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers.pre_tokenizers import ByteLevel

    folder = tmp_path_factory.mktemp('clip')
    special = ['<|startoftext|>', '<|endoftext|>']
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {sign: n for n, sign in enumerate([*alphabet, *(sign + '</w>' for sign in alphabet), *special])}
    start, end = (vocabulary[name] for name in special)
    config = transformers.CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=8,
        max_position_embeddings=20,
        **dict(bos_token_id=start, eos_token_id=end, pad_token_id=end),
    )
    torch.manual_seed(0)
    transformers.CLIPTextModelWithProjection(config).eval().save_pretrained(folder)
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    return folder


def reference(transformers, kind: str, folder: Path, text: str):
    """The outputs for one text alone, by transformers itself, and its tokens."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    model = getattr(transformers, kind).from_pretrained(str(folder)).eval()
    encoded = tokenizer(text, return_tensors='pt')
    with torch.no_grad():
        return model, model(**encoded), tokenizer.convert_ids_to_tokens(encoded['input_ids'][0])


def test_pooling_and_words_of_a_text_model(transformers, bert: Path) -> None:
    _, output, tokens = reference(transformers, 'BertModel', bert, 'High jump , lab')
    assert tokens == ['[CLS]', 'high', 'jump', ',', 'l', '##a', '##b', '[SEP]']
    hidden = output.last_hidden_state[0].numpy()
    # A longer text beside it: the padding changes nothing.
    phrases, (rows, other) = HFTextEncoder(model=bert).encode(
        ['High jump, lab', 'the high jump'], [['High', 'jump', ',', 'lab'], ['the'] * 9]
    )
    np.testing.assert_allclose(phrases[0], hidden.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(rows[:3], hidden[1:4], atol=1e-5)
    np.testing.assert_allclose(rows[3], hidden[4:7].mean(axis=0), atol=1e-5)
    assert phrases.shape == (2, 16)
    assert phrases.dtype == np.float32
    assert other.shape == (9, 16)
    by_cls, _ = HFTextEncoder(model=bert, pooling='cls').encode(['High jump, lab'], [])
    np.testing.assert_allclose(by_cls[0], hidden[0], atol=1e-5)


def test_words_are_in_the_space_of_clip(transformers, clip: Path) -> None:
    model, output, tokens = reference(transformers, 'CLIPTextModelWithProjection', clip, 'a jump')
    assert tokens == ['<|startoftext|>', 'a</w>', 'j', 'u', 'm', 'p</w>', '<|endoftext|>']
    phrases, (rows,) = CLIPTextEncoder(model=clip).encode(['a jump', 'a very high one'], [['a', 'jump']])
    np.testing.assert_allclose(phrases[0], output.text_embeds[0].numpy(), atol=1e-5)
    with torch.no_grad():
        projected = model.text_projection(output.last_hidden_state[0]).numpy()
    np.testing.assert_allclose(rows, [projected[1], projected[2:6].mean(axis=0)], atol=1e-5)
    assert phrases.shape == (2, 8)


def test_long_texts_are_encoded_window_by_window(bert: Path) -> None:
    encoder = HFTextEncoder(model=bert, batch_size=2)
    words = ['high', 'jump', ','] * 14  # three windows of 14 tokens beside [CLS] and [SEP]
    phrases, (rows, first, third) = encoder.encode([' '.join(words)], [words, words[:14], words[28:]])
    assert rows.shape == (42, 16)
    np.testing.assert_allclose(rows[:14], first, atol=1e-5)
    np.testing.assert_allclose(rows[28:], third, atol=1e-5)
    parts, _ = encoder.encode([' '.join(words[at : at + 14]) for at in (0, 14, 28)], [])
    np.testing.assert_allclose(phrases[0], parts.mean(axis=0), atol=1e-5)
    assert np.isfinite(encoder.encode(['x' * 100], [['x' * 100, 'high']])[1][0]).all(), 'a word longer than the model'


def test_words_without_a_token_are_counted(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr('mmwtal.text_encoders.transformer.print_log', lambda text, logger: said.append(text))
    phrases, (rows,) = HFTextEncoder(model=bert, pooling='cls').encode(
        ['high \u200d jump'], [['high', '\u200d', 'jump']]
    )
    assert rows.shape == (3, 16)
    np.testing.assert_allclose(rows[1], phrases[0], atol=1e-5)
    assert len(said) == 1
    assert 'leaves nothing of' in said[0]


def test_vectors_do_not_depend_on_the_batch(clip: Path) -> None:
    texts = ['a', 'high jump', 'x y z', 'the very end of it all']
    sentences = [text.split() for text in texts]
    one = CLIPTextEncoder(model=clip, batch_size=1).encode(texts, sentences)
    all_at_once = CLIPTextEncoder(model=clip, batch_size=99).encode(texts, sentences)
    np.testing.assert_allclose(one[0], all_at_once[0], atol=1e-5)
    for ours, theirs in zip(one[1], all_at_once[1], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    nothing = CLIPTextEncoder(model=clip).encode([], [])
    assert nothing[0].shape[0] == len(nothing[1]) == 0


def test_fingerprint_follows_files_and_settings(bert: Path, clip: Path, tmp_path: Path) -> None:
    made = [HFTextEncoder(model=bert), HFTextEncoder(model=bert, pooling='cls'), CLIPTextEncoder(model=clip)]
    made += [HFTextEncoder(model='a/b'), HFTextEncoder(model='a/c'), HFTextEncoder(model='a/b', revision='x')]
    assert len({encoder.fingerprint for encoder in made}) == 6
    relative = HFTextEncoder(model=bert.name, root=bert.parent, batch_size=3)
    assert relative.fingerprint == made[0].fingerprint


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='pooling'):
        HFTextEncoder(model='a/b', pooling='max')
    with pytest.raises(UserError, match='batch_size'):
        HFTextEncoder(model='a/b', batch_size=0)
    with pytest.raises(UserError, match='no folder'):
        HFTextEncoder(model=f'{tmp_path}/absent')


def test_what_cannot_be_loaded_is_named(transformers, bert: Path, clip: Path, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='cannot be loaded'):
        HFTextEncoder(model='empty', root=tmp_path).encode(['x'], [])
    weights = tmp_path / 'pickled'
    weights.mkdir()
    for file in bert.iterdir():
        if file.suffix != '.safetensors':
            (weights / file.name).write_bytes(file.read_bytes())
    torch.save(transformers.BertModel.from_pretrained(str(bert)).state_dict(), weights / 'pytorch_model.bin')
    with pytest.raises(UserError, match='cannot be loaded'):
        HFTextEncoder(model=weights).encode(['x'], [])


def test_without_transformers_the_message_says_what_to_install(repo_root: Path) -> None:
    script = """
import sys
sys.modules['transformers'] = None
from mmwtal.registry import TEXT_ENCODERS
from mmwtal.utils.errors import UserError
for kind in ('HFTextEncoder', 'CLIPTextEncoder'):
    encoder = TEXT_ENCODERS.build(dict(type=kind, model='someone/something'))
    assert len(encoder.fingerprint) == 64
    try:
        encoder.encode(['x'], [])
    except UserError as error:
        assert 'pip install "mmwtal[text]"' in str(error), error
        print('refused')
"""
    done = subprocess.run([sys.executable, '-c', script], cwd=repo_root, capture_output=True, text=True, check=True)
    assert done.stdout.count('refused') == 2
