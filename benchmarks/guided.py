"""A training iteration with guidance: made-up texts as a language model's, and CO2-Net under fragments of guidance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper

from benchmarks import material
from benchmarks.operation import Operation, Spec
from mmwtal.apis.runtime import prepare_runtime
from mmwtal.apis.settings import prepare_config
from mmwtal.priors.store import STORE_NAME, PriorStore
from mmwtal.priors.texts_file import import_texts
from mmwtal.registry import MODELS
from mmwtal.structures import WTALDataSample

ROOT = Path(__file__).resolve().parents[1]
BASE = 'base'
# The fragment of each arm in configs/_base_/guidance/, and options beyond it.
ARMS: dict[str, tuple[str | None, dict[str, Any]]] = {
    BASE: (None, {}),
    'light': ('dual_light', {}),
    'dual': ('dual', {}),
    'dual, N(1 - a) in each iteration': ('dual', {'model.guidance.csr.diagnostics_interval': 1}),
    'literal': ('dual_literal', {}),
}
VIDEOS = 200
VOCABULARY = 6000
WORD_VECTORS = 300  # width, GloVe's
SHORTEST, LONGEST = 60, 80  # words of a description
STOP_WORDS = ('the', 'a', 'and', 'of', 'to', 'in', 'with', 'on', 'his', 'then', 'as', 'from', 'at', 'into')
STOP_SHARE = 0.45
TWO_LABELS = 20  # videos that have two
_SYLLABLES = tuple(first + second for first in 'bdfgklmnprstvz' for second in 'aeiou')


def video_ids() -> list[str]:
    """Return the ids of the training videos; the first are those of the batch."""
    return [f'training_{number:03}' for number in range(VIDEOS)]


def write_texts(root: Path) -> None:
    """Write annotations of made-up training videos, word vectors, and the prior store, unless they are there."""
    if (root / STORE_NAME).is_dir():
        return
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(6)
    words = np.array(_words(rng))
    classes = [f'Class{number:02}' for number in range(material.CLASSES)]
    labels = rng.integers(material.CLASSES, size=(VIDEOS, 2))
    labels[: material.BATCH, 0] = material.training_labels().argmax(axis=1)
    labels[: VIDEOS - TWO_LABELS, 1] = labels[: VIDEOS - TWO_LABELS, 0]
    database, texts = {}, {}
    for name, numbers in zip(video_ids(), labels.tolist(), strict=True):
        named = sorted({classes[number] for number in numbers})
        database[name] = {'subset': 'training', 'duration': 100.0, 'labels': named}
        texts[name] = {label: _text(rng, words) for label in named}
    (root / 'annotations.json').write_text(json.dumps({'classes': classes, 'database': database}))
    (root / 'texts.json').write_text(json.dumps(texts))
    vectors = rng.standard_normal((len(words) + len(STOP_WORDS), WORD_VECTORS))
    with (root / 'vectors.txt').open('w') as file:
        for word, vector in zip((*words, *STOP_WORDS), vectors, strict=True):
            file.write(f'{word} {" ".join(f"{value:.3f}" for value in vector)}\n')
    import_texts(root / 'texts.json', PriorStore(root / STORE_NAME), source='made up')


def _words(rng: np.random.Generator) -> list[str]:
    """Return different made-up words."""
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        found[''.join(rng.choice(_SYLLABLES, rng.integers(2, 5)))] = None
    return list(found)


def _text(rng: np.random.Generator, words: np.ndarray) -> dict[str, Any]:
    """Return what is said of an action: stop words, and others as frequent as in a language (Zipf)."""
    length = int(rng.integers(SHORTEST, LONGEST + 1))
    frequency = 1 / np.arange(1, len(words) + 1)
    content = rng.choice(words, length, p=frequency / frequency.sum())
    said = np.where(rng.random(length) < STOP_SHARE, rng.choice(STOP_WORDS, length), content)
    key = words[rng.integers(len(words), size=(3, 3))]
    return {
        'key': [' '.join(phrase) for phrase in key],
        'complete': ' '.join(said) + '.',
        'key_words': [word for word in said[:10].tolist() if word not in STOP_WORDS],
    }


def guided_step(spec: Spec) -> Operation:
    """Run ``train_step`` of CO2-Net under the guidance that the side names, with the batch in memory.

    The iteration's number stays the same: it is none of those that compute N(1 - a) for the log alone.
    """
    cfg = _config(spec)
    texts = spec.scratch / 'texts'
    write_texts(texts)
    if cfg.model.get('guidance') is not None:
        cfg.model.guidance.texts.data_root = str(texts)
        cfg.model.guidance.texts.encoder.path = 'vectors.txt'
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(spec.device).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    run = {'iter': material.ITERATION, 'max_iters': cfg.train_cfg.max_iters, 'seed': 0}
    MessageHub.get_current_instance().update_info_dict(run)
    features, labels = material.training_batch(spec.length)
    samples = [
        WTALDataSample(video_id=name, labels=torch.from_numpy(row).float())
        for name, row in zip(video_ids(), labels, strict=False)
    ]
    data = {'inputs': [torch.from_numpy(video) for video in features], 'data_samples': samples}
    sizes = {True: 0, False: 0}
    for name, parameter in model.named_parameters():
        sizes[name.startswith('guidance.')] += parameter.numel()
    vocabulary = model.guidance.texts.vocabulary_size if model.guidance is not None else 0
    outcome = [sizes[False], sizes[True], vocabulary]
    return Operation(run=lambda: model.train_step(data, optim_wrapper), outcome=lambda: outcome)


def _config(spec: Spec) -> Any:
    """Return the config of CO2-Net for THUMOS14 with a fragment of guidance, made as a leaf in ``configs/`` is."""
    fragment, options = ARMS[spec.side]
    bases = [ROOT / 'configs/co2net/co2net_thumos14-i3d.py']
    lines = []
    if fragment is not None:
        bases.append(ROOT / f'configs/_base_/guidance/{fragment}.py')
        lines = ['model = dict(guidance={{_base_._guidance}})', 'optim_wrapper = {{_base_._optim_wrapper}}']
    path = spec.scratch / f'guided_{list(ARMS).index(spec.side)}.py'
    path.write_text('\n'.join([f'_base_ = {[str(base) for base in bases]}', *lines, '']))
    cfg = prepare_config(path, cfg_options=options, work_dir=spec.scratch / 'work')
    prepare_runtime(cfg)
    return cfg
