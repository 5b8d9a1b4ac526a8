"""What the contract test runs: the models of configs made narrow, and small padded batches."""

import copy
import functools
import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput, Timebase, WTALDataSample
from mmwtal.utils.config.origin import load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
# The page whose examples of models outside the tree are among the cases, as if their configs lay below it.
PAGE = ROOT / 'docs' / 'concepts.md'
EXAMPLES = (PAGE / 'gated_synthetic.py', PAGE / 'pooled_synthetic.py')

NUM_CLASSES, WIDTH, HIDDEN = 3, 12, 8
# Videos of one batch: pairs, unequal lengths, the shortest ones that there are, and two without a partner.
LENGTHS = (37, 9, 2, 1, 23, 23, 5, 30)


def quick_configs() -> dict[str, Path]:
    """Return the quick config of each base model: BASE_synthetic, or, without such a one, BASE_GUIDANCE_synthetic."""
    found: dict[str, Path] = {}
    for path in sorted((CONFIGS / 'quick').glob('*_synthetic.py'), key=lambda path: (path.stem.count('_'), path)):
        found.setdefault(path.stem.partition('_')[0], path)
    return found


def shipped_cases() -> list[Path]:
    """Return the configs to test: of each base model the quick one and the recipes, and the examples of the docs."""
    cases = list(EXAMPLES)
    for name, quick in quick_configs().items():
        recipes = (CONFIGS / name / f'{name}_{dataset}.py' for dataset in ('thumos14-i3d', 'activitynet12-i3d'))
        cases += [quick, *(path for path in recipes if path.is_file())]
    return cases


@functools.cache
def model_of(path: Path) -> dict[str, Any]:
    """Return the model of a config, or of an example on a page of the docs; do not change it."""
    if path not in EXAMPLES:
        return load_config(path)[0].model.to_dict()
    with tempfile.TemporaryDirectory() as folder:
        own = write_examples(Path(folder))
        sys.path.insert(0, str(own))
        try:
            return load_config(own / path.name)[0].model.to_dict()
        finally:
            sys.path.remove(str(own))


def write_examples(folder: Path) -> Path:
    """Make the folders of the page, the checkout and beside it one for new models; return the latter."""
    (folder / 'mmwtal').symlink_to(ROOT)
    own = folder / 'gated'
    own.mkdir()
    for text in re.findall(r'```python\n(.*?)```', PAGE.read_text(), flags=re.DOTALL):
        (folder / text.splitlines()[0].removeprefix('# ')).write_text(text)
    return own


def narrow(model: dict[str, Any], num_classes: int, in_channels: int) -> dict[str, Any]:
    """Return a model's config with other sizes; arguments that end in ``_channels`` are hidden widths."""
    model = {**copy.deepcopy(model), 'num_classes': num_classes, 'in_channels': in_channels, 'guidance': None}
    for part in (model[name] for name in ('backbone', 'head') if name in model):
        for name in ('in_channels', 'num_classes', 'modalities'):
            part.pop(name, None)
        for name, parameter in inspect.signature(MODELS.get(part['type'])).parameters.items():
            stated = part.get(name, parameter.default)
            if name.endswith('_channels') and name not in ('in_channels', 'out_channels') and isinstance(stated, int):
                part[name] = HIDDEN
            if name == 'modalities' and in_channels % 2:
                part[name] = (5, in_channels - 5)
    return model


def build(path: Path, *, num_classes: int = NUM_CLASSES, in_channels: int = WIDTH, **changes: Any) -> nn.Module:
    """Build a model from a seed, in evaluation mode."""
    torch.manual_seed(0)
    model = MODELS.build({**narrow(model_of(path), num_classes, in_channels), **changes})
    with torch.no_grad():  # biases start at zero, and zero would hide a leak of padding
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def videos(lengths: Sequence[int] = LENGTHS, width: int = WIDTH) -> list[Tensor]:
    """Return features, each video's from a generator of its own; snippets resemble others, as graphs over them need."""
    scenes = torch.randn(3, width, generator=torch.Generator().manual_seed(99))
    features = []
    for number, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(number)
        shown = torch.randint(len(scenes), (length,), generator=generator)
        features.append(scenes[shown] + 0.3 * torch.randn(length, width, generator=generator))
    return features


def padded(features: Sequence[Tensor], fill: float = 0.0, more: int = 0) -> dict[str, Tensor]:
    """Return ``inputs`` and ``mask`` of a batch with a number in its padding, ``more`` snippets longer than need be."""
    lengths = torch.tensor([len(video) for video in features])
    inputs = torch.full((len(features), int(lengths.max()) + more, features[0].shape[1]), fill, dtype=features[0].dtype)
    for place, video in zip(inputs, features, strict=True):
        place[: len(video)] = video
    return {'inputs': inputs, 'mask': torch.arange(inputs.shape[1]) < lengths[:, None]}


def label_rows(number: int, num_classes: int = NUM_CLASSES) -> Tensor:
    """Return labels of which three pairs share one, the second video of a pair has two, and every last one none."""
    rows = torch.zeros(number, num_classes)
    for index in range(number):
        pair = index // 2
        if pair < 3 or index % 2 == 0:
            rows[index, pair % num_classes] = 1
            rows[index, (pair + index % 2) % num_classes] = 1
    return rows


# Number of snippets of each video, and the labels.
BATCHES = {
    'labels': (LENGTHS, label_rows(len(LENGTHS))),
    'no labels at all': (LENGTHS, torch.zeros(len(LENGTHS), NUM_CLASSES)),
    'all labels': (LENGTHS, torch.ones(len(LENGTHS), NUM_CLASSES)),
    'one video': ((9,), label_rows(1)),
    'one video without labels': ((9,), torch.zeros(1, NUM_CLASSES)),
    'one snippet': ((1,), label_rows(1)),
    'one snippet each': ((1,) * 4, label_rows(4)),
    'an odd number of videos': ((9, 7, 4), label_rows(3)),
    'more than the recipe has': ((5,) * 16, label_rows(16)),
}


def samples(rows: Tensor | Sequence[Tensor]) -> list[WTALDataSample]:
    """Return what training knows of videos: an id and labels."""
    return [WTALDataSample(video_id=f'v{number}', labels=row) for number, row in enumerate(rows)]


def timed_samples(lengths: Sequence[int]) -> list[WTALDataSample]:
    """Return what testing gives to a model: a time base, whose video ends within the last snippet, and no labels."""
    return [
        WTALDataSample(
            video_id=f'v{number}', timebase=Timebase(fps=25, stride=16, window=24, duration=(length - 0.4) * 0.64)
        )
        for number, length in enumerate(lengths)
    ]


def losses_and_gradients(
    model: nn.Module, batch: dict[str, Tensor], rows: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """Return the loss terms and the gradient of each parameter that learns, by name."""
    model.zero_grad()
    total, logged = model.parse_losses(model(**batch, data_samples=samples(rows), mode='loss'))
    total.backward()
    return logged, {name: value.grad for name, value in model.named_parameters() if value.requires_grad}


def of_video(output: LocalizerOutput, index: int, length: int) -> dict[str, Tensor]:
    """Return what an output says of the valid snippets of one video, extras with a row for each snippet included."""
    frame = output.mask.shape
    found = {'feat': output.feat, 'attn': output.attn, 'cas': output.cas, **output.extras}
    cut = {}
    for name, values in found.items():
        if isinstance(values, Tensor) and values.shape[:2] == frame:
            square = values.ndim == 3 and values.shape[2] == frame[1]  # a graph over the snippets
            cut[name] = values[index, :length, :length] if square else values[index, :length]
    return cut


def run_processes(number: int, configs: Sequence[Path], folder: Path) -> list[dict[str, Any]]:
    """Return the losses and gradients of each config's model, by config, as each of several processes finds them."""
    script = Path(__file__).with_name('contract_process.py')
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path]), 'OMP_NUM_THREADS': '1'}
    running = [
        subprocess.Popen(
            [sys.executable, script, str(rank), str(number), folder, *configs],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(number)
    ]
    try:
        printed = [process.communicate(timeout=200)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    for process, text in zip(running, printed, strict=True):
        assert process.returncode == 0, f'the model printed last fails in several processes:\n{text[-3000:]}'
    return [torch.load(folder / f'{rank}.pth', weights_only=True) for rank in range(number)]


@contextmanager
def training_progress(iteration: int = 30, max_iters: int = 100) -> Iterator[None]:
    """Let losses that follow the training find themselves within a run."""
    hub = MessageHub.get_current_instance()
    before = {key: hub.get_info(key) for key in ('iter', 'max_iters') if key in hub.runtime_info}
    hub.update_info_dict({'iter': iteration, 'max_iters': max_iters})
    try:
        yield
    finally:
        for key in ('iter', 'max_iters'):
            hub.pop_info(key)
        hub.update_info_dict(before)
