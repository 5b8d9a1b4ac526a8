"""Turn a checkpoint of a method's authors into one that mmwtal loads.

    python tools/model_converters/official.py co2net best_CO2.pkl co2net_thumos14.pth

A further base model is one more entry of ``BASES``.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmwtal.engine.checkpoint import check_output, write_checkpoint
from mmwtal.registry import MODELS
from mmwtal.utils.cli import run_tool
from mmwtal.utils.compat import load_from_local
from mmwtal.utils.errors import UserError
from mmwtal.version import __version__

StateDict = dict[str, Tensor]

REMEDY = 'give the file that the authors released, or save model.state_dict() from their code'


@dataclass(frozen=True, kw_only=True)
class OfficialBase:
    """How the authors' checkpoint of one base model maps to ours.

    Args:
        model: Our model's config without its sizes, which come from the checkpoint.
        sizes: Constructor argument -> (authors' parameter, axis, what to subtract) that states it.
        renames: Authors' layer -> ours; the parameters of a layer keep their names.
        left_out: Authors' module -> why we do without it.
    """

    model: dict[str, Any]
    sizes: dict[str, tuple[str, int, int]]
    renames: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)


def _attention(official: str, ours: str) -> dict[str, str]:
    return {f'{official}.{index}': f'{ours}.{name}' for index, name in ((0, 'conv1'), (3, 'conv2'), (5, 'score'))}


def _consensus(official: str, ours: str) -> dict[str, str]:
    return {
        f'{official}.channel_conv.0': f'{ours}.global_conv',
        f'{official}.bit_wise_attn.0': f'{ours}.local_conv',
        **_attention(f'{official}.attention', f'{ours}.attention'),
    }


def _graphs(official: str, ours: str) -> dict[str, str]:
    """DDG-Net's layers by modality, kind of snippet and depth."""
    return {
        f'{official}.{kind}_graph.{modality}.{depth}': f'{ours}.{modality}.{kind}.{depth}'
        for modality in range(2)
        for kind in ('action', 'background')
        for depth in range(2)
    }


_CO2NET = OfficialBase(
    model={
        'type': 'WTALLocalizer',
        'backbone': {'type': 'CO2NetBackbone'},
        'head': {'type': 'MILHead', 'losses': {}},
    },
    sizes={'num_classes': ('classifier.4.weight', 0, 1), 'in_channels': ('fusion.0.weight', 1, 0)},
    renames={
        **_consensus('vAttn', 'backbone.rgb'),
        **_consensus('fAttn', 'backbone.flow'),
        'fusion.0': 'backbone.fusion',
        'classifier.1': 'head.hidden',
        'classifier.4': 'head.classifier',
    },
    left_out={'feat_encoder': 'the published forward pass never uses it'},
)

_DDGNET = OfficialBase(
    model={
        'type': 'WTALLocalizer',
        'backbone': {'type': 'DDGNetBackbone'},
        'head': {'type': 'MILHead', 'losses': {}},
    },
    sizes={'num_classes': ('classifier.4.weight', 0, 1), 'in_channels': ('fusion.0.weight', 1, 0)},
    renames={
        **_graphs('Attn', 'backbone.graphs'),
        **_attention('Attn.attentions.0', 'backbone.attentions.0'),
        **_attention('Attn.attentions.1', 'backbone.attentions.1'),
        'fusion.0': 'backbone.fusion',
        'classifier.1': 'head.hidden',
        'classifier.4': 'head.classifier',
    },
    left_out={'feat_encoder': 'only the model for ActivityNet has it, whose published forward pass never uses it'},
)

_BASNET = OfficialBase(
    model={
        'type': 'WTALLocalizer',
        'backbone': {'type': 'BaSNetBackbone'},
        'head': {'type': 'LinearHead', 'background': True, 'losses': {}},
    },
    sizes={
        'num_classes': ('cas_module.conv_3.0.weight', 0, 1),
        'in_channels': ('cas_module.conv_1.0.weight', 1, 0),
    },
    renames={
        'filter_module.conv_1.0': 'backbone.filter_hidden',
        'filter_module.conv_2.0': 'backbone.filter_score',
        'cas_module.conv_1.0': 'backbone.conv1',
        'cas_module.conv_2.0': 'backbone.conv2',
        'cas_module.conv_3.0': 'head.classifier',
    },
)

_UM = OfficialBase(
    model={
        'type': 'WTALLocalizer',
        'backbone': {'type': 'UMBackbone'},
        'head': {'type': 'LinearHead', 'background': False, 'losses': {}},
    },
    sizes={
        'num_classes': ('cas_module.classifier.0.weight', 0, 0),
        'in_channels': ('cas_module.conv.0.weight', 1, 0),
    },
    renames={'cas_module.conv.0': 'backbone.conv', 'cas_module.classifier.0': 'head.classifier'},
)

# DELU's network is CO2-Net's, its layers' names, too.
BASES: dict[str, OfficialBase] = {
    'basnet': _BASNET,
    'co2net': _CO2NET,
    'ddgnet': _DDGNET,
    'delu': _CO2NET,
    'um': _UM,
}


def load_official(path: Path) -> StateDict:
    """Read an authors' checkpoint: a state dict, bare or under ``state_dict``, perhaps saved from a DataParallel.

    Raises:
        UserError: If the file is absent, unreadable, or holds something else.
    """
    content = load_from_local(str(path), map_location='cpu', remedy=REMEDY)
    meta = content.get('meta') if isinstance(content, dict) else None
    if isinstance(meta, dict) and 'mmwtal_version' in meta:
        raise UserError(f'{path}: this is already an mmwtal checkpoint; load it as it is')
    state = content.get('state_dict', content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f'{path}: expected a state dict (parameter name -> tensor), found {type(content).__name__} with something '
            f'else; {REMEDY}'
        )
    return {name.removeprefix('module.'): value for name, value in state.items()}


def convert(official: StateDict, base: OfficialBase, source: str) -> tuple[StateDict, dict[str, int], dict[str, int]]:
    """Rename the parameters and compare them with our model.

    Args:
        official: The authors' parameters.
        base: The mapping.
        source: What to name in an error.

    Returns:
        Our parameters; the sizes of the model; the number of parameters of each module that is left out.

    Raises:
        UserError: If a parameter is missing, unexpected or of another shape; all of them at once.
    """
    ours: StateDict = {}
    left_out = dict.fromkeys(base.left_out, 0)
    unexpected = []
    for name, value in official.items():
        layer, _, parameter = name.rpartition('.')
        skipped = next((module for module in left_out if name.startswith(f'{module}.')), None)
        if skipped is not None:
            left_out[skipped] += value.numel()
        elif layer in base.renames:
            ours[f'{base.renames[layer]}.{parameter}'] = value
        else:
            unexpected.append(f'unexpected {name}')
    missing = [f'missing {name}' for name, axis, _ in base.sizes.values() if _size(official, name, axis) is None]
    if missing:
        raise _mismatch(source, unexpected + missing)
    sizes = {argument: official[name].shape[axis] - less for argument, (name, axis, less) in base.sizes.items()}
    faults = unexpected + _compare(ours, base, sizes)
    if faults:
        raise _mismatch(source, faults)
    return ours, sizes, left_out


def _size(official: StateDict, name: str, axis: int) -> int | None:
    return official[name].shape[axis] if name in official and official[name].ndim > axis else None


def _compare(ours: StateDict, base: OfficialBase, sizes: dict[str, int]) -> list[str]:
    """Compare with a model of these sizes (on the meta device: no memory); faults name the authors' layers."""
    with torch.device('meta'):
        expected = MODELS.build({**base.model, **sizes}).state_dict()
    theirs = {mine: official for official, mine in base.renames.items()}

    def name(key: str) -> str:
        layer, _, parameter = key.rpartition('.')
        return f'{theirs[layer]}.{parameter}'

    faults = [f'missing {name(key)}' for key in expected if key not in ours]
    faults += [f'unexpected {name(key)}' for key in ours if key not in expected]
    return faults + [
        f'{name(key)} of shape {tuple(ours[key].shape)} instead of {tuple(value.shape)}'
        for key, value in expected.items()
        if key in ours and ours[key].shape != value.shape
    ]


def _mismatch(source: str, faults: list[str], shown: int = 8) -> UserError:
    more = f' and {len(faults) - shown} more' if len(faults) > shown else ''
    return UserError(
        f'{source}: the checkpoint does not fit: {"; ".join(faults[:shown])}{more}; check that it is of the base model '
        'that you named'
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="Convert the checkpoint of a method's authors.")
    parser.add_argument('base', choices=sorted(BASES), help='base model')
    parser.add_argument('input', type=Path, metavar='IN', help="the authors' checkpoint (.pkl, .pth)")
    parser.add_argument('output', type=Path, metavar='OUT', help='where to write ours')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if it exists')
    return parser


def main(args: argparse.Namespace) -> None:
    """Convert, write, and say what was left out."""
    base = BASES[args.base]
    check_output(args.output, args.input, overwrite=args.overwrite)
    state, sizes, left_out = convert(load_official(args.input), base, str(args.input))
    meta = {
        'base': args.base,
        'converted_from': args.input.name,
        'mmwtal_version': __version__,
        'left_out': left_out,
        **sizes,
    }
    write_checkpoint({'state_dict': state, 'meta': meta}, args.output)
    total = sum(value.numel() for value in state.values())
    print(f'{args.output}: {len(state)} tensors, {total:,} parameters, {sizes}')
    for module, number in left_out.items():
        if number:
            print(f'left out: {module}, {number:,} parameters: {base.left_out[module]}')


if __name__ == '__main__':
    run_tool(main, build_parser())
