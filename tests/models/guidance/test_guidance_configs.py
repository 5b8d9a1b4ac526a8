"""The guidance of the shipped configs: each fragment builds, and has the terms that it says."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmwtal.models.guidance.reconstructor import TextReconstructor
from mmwtal.registry import MODELS

from .guided import FEAT, IDS, LABELS, LENGTHS, TEXT, C, D, MadeUpTexts, made_output, samples

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
FRAGMENTS = sorted((CONFIGS / '_base_' / 'guidance').glob('*.py'))
LEAVES = sorted(CONFIGS.glob('*/*_dual-prior_*.py'))
BASES = ('basnet', 'co2net', 'ddgnet', 'delu', 'um')

KEY = {'loss_key_match', 'loss_key_suppression'}
COMPLETE = {'loss_complete_rec', 'loss_complete_ctr'}
BETWEEN = {'loss_key_from_complete', 'loss_complete_from_key'}
DUAL = KEY | COMPLETE | BETWEEN | {'loss_base_teaching'}
ANCESTOR = COMPLETE | BETWEEN | {'loss_complete_autoencoder'}
TERMS = {
    'key': KEY | {'loss_base_teaching'},
    'key_aligned': KEY | {'loss_base_teaching'},
    'complete': COMPLETE | {'loss_base_teaching'},
    'none': None,
    'tsmvlc': ANCESTOR,
    'tsmvlc_small': ANCESTOR,
}


def narrow(node):
    """Return a guidance's config with small widths and made-up texts."""
    small = {name: narrow(value) if isinstance(value, dict) else value for name, value in node.items()}
    for name in small:
        if name in ('hidden_channels', 'embed_channels'):
            small[name] = 4
        if name == 'modalities':
            small[name] = None
        if name == 'stream_channels':
            small[name] = TEXT
    if small['type'] in ('KeySemanticMatching', 'TextReconstructor') or small['type'].endswith('Mask'):
        small['hidden_channels'] = 4
    if small['type'] == 'TextReconstructor':
        small['encoder_layers'] = 1
    return small


@pytest.mark.parametrize('path', FRAGMENTS, ids=lambda path: path.stem)
def test_fragments(path):
    config = Config.fromfile(path)['_guidance']
    expected = TERMS.get(path.stem, DUAL)
    if expected is None:
        assert config is None
        return
    config = {**narrow({**config, 'texts': {'type': 'left out'}}), 'texts': MadeUpTexts()}
    torch.manual_seed(0)
    guidance = MODELS.build({'num_classes': C, 'in_channels': D, 'feat_channels': FEAT, **config})
    inputs, output = made_output(LENGTHS)
    given = samples(LABELS, IDS)
    for sample, length in zip(given, LENGTHS, strict=True):
        sample.clip = torch.randn(length, TEXT)
    terms = guidance(inputs, output, given)
    assert {name for name in terms if 'loss' in name} == expected


def test_every_base_is_guided_on_every_data_set():
    names = {path.stem for path in LEAVES}
    data = ('thumos14-i3d', 'activitynet12-i3d', 'activitynet13-i3d', 'custom', 'synthetic')
    assert names == {f'{base}_dual-prior_{name}' for base in BASES for name in data}


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_a_leaf_is_its_base_with_guidance(path):
    guided = Config.fromfile(path)
    base, data = path.stem.split('_dual-prior_')
    folder = 'quick' if data == 'synthetic' else base
    plain = Config.fromfile(CONFIGS / folder / f'{base}_{data}.py')
    assert guided.model.guidance.type == 'DualPriorGuidance'
    assert {**guided.model, 'guidance': None} == {**plain.model, 'guidance': None}
    assert guided.optim_wrapper.optimizer == plain.optim_wrapper.optimizer
    assert guided.optim_wrapper.paramwise_cfg.guidance.weight_decay == 0
    assert guided.model.guidance.texts.data_root == plain.train_dataloader.dataset.data_root
    for key in ('train_dataloader', 'test_dataloader', 'train_cfg', 'test_evaluator', 'randomness'):
        assert guided[key] == plain[key]


def test_the_defaults_are_those_that_were_found_to_work():
    guidance = Config.fromfile(CONFIGS / '_base_' / 'guidance' / 'dual.py')['_guidance']
    assert guidance.ksm.loss.loss_weight == 1
    assert guidance.ksm.suppression.loss_weight == 0.3
    assert (guidance.ksm.scale, guidance.ksm.bias) == (10, -4)
    assert guidance.teaching.to_dict() == {'type': 'BaseTeaching', 'target': 'mean', 'loss_weight': 3.0}
    assert (guidance.csr.loss.negatives, guidance.csr.loss.whole_margin, guidance.csr.loss.words) == (
        'whole',
        0.5,
        'masked',
    )
    assert (guidance.csr.masking.candidates, guidance.csr.masking.ratio) == ('action', 1)
    assert guidance.distillation.mode == 'none'
    sizes = {'in_channels': D, 'text_channels': 4, 'vocabulary_size': 5}
    built = MODELS.build({**guidance.csr.reconstructor, **sizes})
    assert isinstance(built, TextReconstructor)
    assert (built.tokens.channel_dropout.p, built.tokens.noise) == (0.3, 0.5)
    assert built.video == 'mean'
    assert built.decoder.project_key is not None
    assert built.encoder.norm.weight.shape == (512,)
