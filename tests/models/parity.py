"""What the parity tests share: weights and inputs by the recipe of the golden numbers, and one run of a base model.

Golden numbers come from a run of the authors' code in evaluation mode (no dropout) on these weights and inputs. A
stored file (``tests/golden/*_small.json``) is of a narrow model and holds every sixth snippet, of the embedding every
eighth channel.
"""

import importlib.util
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub

from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput, WTALDataSample

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class ParityRun:
    """Our side: what a model of the recipe's weights gives for the recipe's inputs.

    Args:
        inputs: (B, T, D).
        output: The localizer's output, without a graph.
        losses: The weighted terms under our names.
        total: Their sum.
        grad_norms: L2 norm of each parameter's gradient of the total, under the authors' names.
    """

    inputs: torch.Tensor
    output: LocalizerOutput
    losses: dict[str, float]
    total: float
    grad_norms: dict[str, float]


@contextmanager
def training_at(iteration: int, max_iters: int) -> Iterator[MessageHub]:
    """Let a message hub be current that says what a Runner would in this iteration."""
    hub = MessageHub.get_instance(f'training_at_{len(MessageHub._instance_dict)}')
    hub.update_info_dict({'iter': iteration, 'max_iters': max_iters})
    try:
        yield hub
    finally:
        del MessageHub._instance_dict[hub.instance_name]


def recipe_weights(shapes: Mapping[str, tuple], seed: int) -> dict[str, torch.Tensor]:
    weights = {}
    for key, shape in shapes.items():
        generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) + seed)
        scale = math.sqrt((60 if shape[0] == 1 else 2) / math.prod(shape[1:])) if len(shape) > 1 else 0.1
        weights[key] = torch.randn(tuple(shape), generator=generator) * scale
    return weights


def recipe_inputs(batch: int, length: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 + seed)
    scenes = torch.rand(batch, 4, width, generator=generator) ** 4
    snippets = torch.rand(batch, length, width, generator=generator) ** 4
    strength = torch.rand(batch, length, 1, generator=generator)
    return (0.6 * scenes[:, (torch.arange(length) // 5) % 4] + 0.4 * snippets) * (0.5 + strength) * 2


def multi_hot(classes: list[list[int]], num_classes: int) -> torch.Tensor:
    labels = torch.zeros(len(classes), num_classes)
    for row, present in zip(labels, classes, strict=True):
        row[present] = 1
    return labels


def co2net_shapes(width: int, attention: int, classes: int) -> dict[str, tuple]:
    """The parameters of the authors' CO2-Net and DELU that are used, at any width."""
    half, layers = width // 2, {}
    for name in ('vAttn', 'fAttn'):
        layers |= {f'{name}.bit_wise_attn.0': (half, half, 3), f'{name}.channel_conv.0': (half, half, 3)}
        layers |= {f'{name}.attention.0': (attention, half, 3), f'{name}.attention.3': (attention, attention, 3)}
        layers |= {f'{name}.attention.5': (1, attention, 1)}
    layers |= {
        'fusion.0': (width, width, 1),
        'classifier.1': (width, width, 3),
        'classifier.4': (classes + 1, width, 1),
    }
    return with_biases(layers)


def with_biases(layers: Mapping[str, tuple]) -> dict[str, tuple]:
    return {
        f'{layer}.{kind}': shape if kind == 'weight' else shape[:1]
        for layer, shape in layers.items()
        for kind in ('weight', 'bias')
    }


def our_names(base: str, keys: Mapping[str, tuple]) -> dict[str, str]:
    """Authors' parameter -> ours, by the table of the converter of their checkpoints."""
    spec = importlib.util.spec_from_file_location('official', ROOT / 'tools/model_converters/official.py')
    official = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(official)
    split = {key: key.rpartition('.') for key in keys}
    return {key: f'{official.BASES[base].renames[layer]}.{kind}' for key, (layer, _, kind) in split.items()}


def run_parity(
    model: dict,
    *,
    base: str,
    shapes: Mapping[str, tuple],
    length: int,
    labels: torch.Tensor,
    seed: int,
    progress: tuple[int, int] = (0, 1),
) -> ParityRun:
    """Run one batch through a model with the recipe's weights.

    Args:
        model: Config of the localizer with its ``num_classes`` and ``in_channels``.
        base: Name of the base model in the converter's table.
        shapes: Parameters of the authors' model without those that ours leaves out.
        length: T.
        labels: (B, C).
        seed: Of the recipe.
        progress: Iteration, from 0, and number of iterations that the losses are told.
    """
    localizer = MODELS.build(model).eval()
    names = our_names(base, shapes)
    localizer.load_state_dict({names[key]: value for key, value in recipe_weights(shapes, seed).items()})
    inputs = recipe_inputs(len(labels), length, model['in_channels'], seed)
    samples = [WTALDataSample(video_id=str(index), labels=row) for index, row in enumerate(labels)]
    with training_at(*progress):
        terms = localizer(inputs, samples, mode='loss')
    total, _ = localizer.parse_losses(terms)
    total.backward()
    parameters = dict(localizer.named_parameters())
    norms = {key: parameters[name].grad.norm().item() for key, name in names.items()}
    losses = {name: value.item() for name, value in terms.items() if 'loss' in name}
    with torch.no_grad():
        return ParityRun(inputs, localizer(inputs), losses, total.item(), norms)


def assert_close(found: torch.Tensor, expected: object, relative: float = 1e-4) -> None:
    expected = torch.as_tensor(expected, dtype=found.dtype).reshape(found.shape)
    assert (found - expected).abs().max() <= relative * expected.abs().max()


def read_golden(name: str) -> dict:
    """A stored file of ``tests/golden``, its ``classes`` turned into ``labels``."""
    golden = json.loads((ROOT / 'tests/golden' / name).read_text())
    return {**golden, 'labels': multi_hot(golden['classes'], golden['num_classes'])}


def assert_totals(run: ParityRun, golden: dict, loss_names: Mapping[str, str] | None = None) -> None:
    """Compare the total, the gradients and, by ``loss_names`` (each term of the golden file -> ours), the terms."""
    assert run.total == pytest.approx(golden['total_loss'], rel=1e-4)
    assert run.grad_norms == pytest.approx(golden['grad_norms'], rel=1e-3)
    if loss_names is not None:
        expected = {loss_names[name]: value for name, value in golden['losses'].items() if name != 'total_loss'}
        assert run.losses == pytest.approx(expected, rel=1e-4)


def assert_stored(run: ParityRun, golden: dict, loss_names: Mapping[str, str] | None = None) -> None:
    """Compare with a stored file."""
    assert_close(run.output.cas[:, ::6], golden['cas'])
    assert_close(run.output.attn[:, ::6], golden['attn'])
    assert_close(run.output.feat[:, ::6, ::8], golden['feat'])
    if 'attn_modalities' in golden:
        assert_close(run.output.extras['attn_modalities'][:, ::6], golden['attn_modalities'])
    assert_totals(run, golden, loss_names)
