"""What goes where in a config: for each place with a dict that is built, what builds it and what the Runner adds.

Every fact about mmengine's Runner that the config check relies on is stated here, once.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from mmengine import registry as roots
from mmengine.dist import init_dist
from mmengine.evaluator import Evaluator
from mmengine.hooks import EMAHook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import LogProcessor, Runner, TestLoop, ValLoop
from mmengine.utils.dl_utils import set_multi_processing
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from mmwtal import registry as ours
from mmwtal.utils.config.lookup import find_type
from mmwtal.utils.config.signature import arguments_of
from mmwtal.utils.config.slot import HandedOn, Slot, takes_nothing

_SIZED = frozenset({'num_classes', 'in_channels'})
_MODULE = Slot(ours.MODELS, given=_SIZED)
_HOOKS = Slot(ours.HOOKS, many=True, taken={'priority': int | str})
_METRICS = Slot(ours.METRICS, many=True)
_VIS_BACKENDS = Slot(ours.VISBACKENDS, many=True, given=frozenset({'save_dir'}), taken={'name': str})
# The Runner looks these two up in mmengine's own registry, not in that of the default scope.
_FUNCTION = Slot(roots.FUNCTIONS, first_given=True)
_DATASET = Slot(ours.DATASETS)
# A stream of features: its keys are read by VideoExtractor.
_STREAM = Slot(
    default=takes_nothing,
    typed=False,
    many=True,
    taken={'name': str, 'backbone': dict, 'flow': dict | None, 'frames': int | None},
    needed=frozenset({'name', 'backbone'}),
    inside={'backbone': Slot(ours.FEATURE_BACKBONES), 'flow': Slot(ours.FLOW_METHODS)},
)

# Keys of built dicts, by the registry of what takes them.
INSIDE: Mapping[Registry, Mapping[str, Slot]] = {
    ours.MODELS: {
        'data_preprocessor': Slot(ours.MODELS),
        'backbone': _MODULE,
        'neck': _MODULE,
        'head': _MODULE,
        'guidance': _MODULE,
        # None leaves out a loss of a base config.
        'losses': Slot(ours.MODELS, many=True, with_none=True),
        'decoder': Slot(ours.DECODERS),
        'texts': Slot(ours.GUIDANCE_TEXTS, inside={'encoder': Slot(ours.TEXT_ENCODERS, given=frozenset({'root'}))}),
    },
    ours.DATASETS: {
        'pipeline': Slot(ours.TRANSFORMS, many=True),
        'dataset': _DATASET,
        'datasets': Slot(ours.DATASETS, many=True),
    },
    ours.TRANSFORMS: {'transforms': Slot(ours.TRANSFORMS, many=True)},
    ours.OFFLINE_JOBS: {
        'engine': Slot(ours.MLLM_ENGINES),
        'dialogue': Slot(ours.OFFLINE_JOBS),
        'extractor': Slot(ours.OFFLINE_JOBS),
        'streams': _STREAM,
    },
}


# By the qualified name of the constructor.
HANDED_ON: Mapping[str, HandedOn] = {
    EMAHook.__init__.__qualname__: HandedOn(ours.MODELS, 'ema_type', frozenset({'model'})),
    'GroupScheduler.__init__': HandedOn(ours.PARAM_SCHEDULERS, 'scheduler', frozenset({'optimizer'})),
}

_DATALOADER = Slot(
    default=DataLoader,
    typed=False,
    taken={
        'dataset': dict,
        'sampler': dict,
        'batch_sampler': dict | None,
        'collate_fn': dict,
        'num_batch_per_epoch': int | None,
        'worker_init_fn': dict,
        'disable_subprocess_warning': bool,
    },
    needed=frozenset({'dataset', 'sampler'}),
    refused={'shuffle': 'a data loader with a sampler does not shuffle; set sampler.shuffle'},
    inside={
        'dataset': _DATASET,
        'sampler': Slot(ours.DATA_SAMPLERS, given=frozenset({'dataset', 'seed'})),
        'batch_sampler': Slot(ours.DATA_SAMPLERS, given=frozenset({'sampler', 'batch_size'})),
        'collate_fn': _FUNCTION,
        'worker_init_fn': _FUNCTION,
    },
)

_DEFAULT_CONSTRUCTOR, _GROUP_CONSTRUCTOR = 'DefaultOptimWrapperConstructor', 'ParamGroupConstructor'
# What mmengine's DefaultOptimWrapperConstructor reads; it ignores any other key in silence.
_PARAMWISE = Slot(
    default=takes_nothing,
    typed=False,
    taken={
        'custom_keys': dict,
        'bias_lr_mult': float,
        'bias_decay_mult': float,
        'norm_decay_mult': float,
        'dwconv_decay_mult': float,
        'flat_decay_mult': float,
        'dcn_offset_lr_mult': float,
        'bypass_duplicate': bool,
    },
    inside={
        'custom_keys': Slot(
            default=takes_nothing, typed=False, by_name=True, taken={'lr_mult': float, 'decay_mult': float}
        )
    },
)
_CLIPPING = {
    kind: Slot(default=clip, typed=False, first_given=True, taken={'type': Literal['norm', 'value']})
    for kind, clip in (('norm', clip_grad_norm_), ('value', clip_grad_value_))
}
_OPTIM_WRAPPER = Slot(
    ours.OPTIM_WRAPPERS,
    default=OptimWrapper,
    taken={'optimizer': dict, 'constructor': str, 'paramwise_cfg': dict | None},
    needed=frozenset({'optimizer'}),
    inside={
        'optimizer': Slot(ours.OPTIMIZERS, first_given=True),
        'paramwise_cfg': _PARAMWISE,
        'clip_grad': _CLIPPING['norm'],
    },
)

_ENV = Slot(
    default=takes_nothing,
    typed=False,
    taken={'cudnn_benchmark': bool, 'mp_cfg': dict, 'dist_cfg': dict, 'resource_limit': int},
    inside={
        'mp_cfg': Slot(default=set_multi_processing, typed=False, given=frozenset({'distributed'})),
        'dist_cfg': Slot(default=init_dist, typed=False, given=frozenset({'launcher'}), taken={'backend': str}),
    },
)

_OF_A_RUN = ('data_root', 'store')
_OF_A_LOOP = frozenset({'runner', 'dataloader', 'evaluator'})
_EVALUATOR = Slot(ours.EVALUATOR, default=Evaluator, inside={'metrics': _METRICS})
_SLOTS: Mapping[str, Slot] = {
    'model': Slot(ours.MODELS),
    'job': Slot(
        ours.OFFLINE_JOBS,
        given=frozenset(_OF_A_RUN),
        refused=dict.fromkeys(_OF_A_RUN, 'the command line states it, so that a config suits every data root'),
    ),
    'data_preprocessor': Slot(ours.MODELS),
    'train_dataloader': _DATALOADER,
    'val_dataloader': _DATALOADER,
    'test_dataloader': _DATALOADER,
    'train_cfg': Slot(ours.LOOPS, given=_OF_A_LOOP),
    'val_cfg': Slot(ours.LOOPS, default=ValLoop, given=_OF_A_LOOP),
    'test_cfg': Slot(ours.LOOPS, default=TestLoop, given=_OF_A_LOOP),
    'val_evaluator': _METRICS,
    'test_evaluator': _METRICS,
    'optim_wrapper': _OPTIM_WRAPPER,
    'param_scheduler': Slot(
        ours.PARAM_SCHEDULERS,
        many=True,
        given=frozenset({'optimizer'}),
        taken={'convert_to_iter_based': bool, 'epoch_length': int},
    ),
    'auto_scale_lr': Slot(default=takes_nothing, typed=False, taken={'base_batch_size': int, 'enable': bool}),
    'default_hooks': replace(_HOOKS, with_none=True),
    'custom_hooks': _HOOKS,
    'visualizer': Slot(ours.VISUALIZERS, given=frozenset({'name', 'save_dir'}), inside={'vis_backends': _VIS_BACKENDS}),
    'vis_backends': _VIS_BACKENDS,
    'log_processor': Slot(ours.LOG_PROCESSORS, default=LogProcessor),
    'env_cfg': _ENV,
    'randomness': Slot(
        default=Runner.set_randomness, typed=False, given=frozenset({'self'}), taken={'seed': int | None}
    ),
    'model_wrapper_cfg': Slot(
        roots.MODEL_WRAPPERS, default=MMDistributedDataParallel, given=frozenset({'module', 'device_ids'})
    ),
    'compile': Slot(default=torch.compile, typed=False, first_given=True),
}

# Every key that a config may have, and the type of its value; helper variables, which start with _, are free.
TOP_LEVEL: Mapping[str, Any] = {
    **dict.fromkeys(_SLOTS, dict | None),
    'model': dict,
    'job': dict,
    'env_cfg': dict,
    'randomness': dict,
    'val_evaluator': dict | list | None,
    'test_evaluator': dict | list | None,
    'param_scheduler': dict | list | None,
    'custom_hooks': list | None,
    'vis_backends': list | dict | None,
    'compile': dict | bool | None,
    'activation_checkpointing': str | list[str] | None,
    'custom_imports': dict,
    'default_scope': Literal['mmwtal'],
    'efficient_conv_bn_eval': str | list[str] | None,
    'experiment_name': str | None,
    'find_unused_parameters': bool,
    'launcher': Literal['none', 'pytorch', 'slurm', 'mpi'],
    'load_from': str | None,
    'log_level': str | int,
    'resume': bool,
    'runner_type': str,
    'sync_bn': Literal['torch', 'mmcv'] | None,
    'work_dir': str | None,
}
# The Runner wants all or none of each group.
TOGETHER = (
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ('test_dataloader', 'test_cfg', 'test_evaluator'),
)
# The hooks that the Runner adds by itself; None as the value of one of these names switches it off.
BUILT_IN_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
# Keys whose content mmengine interprets by rules of its own.
UNCHECKED = ('init_cfg',)
# Sizes for which 'auto' may stand: it is replaced by the number before the model is built.
AUTO = _SIZED


def slot_of(key: str, value: Any) -> Slot | None:
    """Return the slot of a top-level key, which for a few keys depends on the value; None if nothing is built."""
    if key.endswith('_evaluator') and isinstance(value, dict):
        return _EVALUATOR if 'metrics' in value else replace(_METRICS, many=False)
    slot = _SLOTS.get(key)
    if key == 'optim_wrapper' and isinstance(value, dict):
        return _slot_of_optim_wrapper(value)
    return slot


def _slot_of_optim_wrapper(value: Mapping[str, Any]) -> Slot | None:
    inside = dict(_OPTIM_WRAPPER.inside)
    clip_grad = value.get('clip_grad')
    if isinstance(clip_grad, dict) and clip_grad.get('type') == 'value':
        inside['clip_grad'] = _CLIPPING['value']
    if value.get('constructor') == _GROUP_CONSTRUCTOR:
        inside['paramwise_cfg'] = _slot_of_groups(value.get('optimizer'))
    elif has_custom_constructor(value):
        # it may make several optimizers from keys of its choice, and has its own parameter-wise options
        del inside['paramwise_cfg']
        if 'optimizer' not in value:
            return None
    return replace(_OPTIM_WRAPPER, inside=inside)


def _slot_of_groups(optimizer: Any) -> Slot:
    """Return the slot of the options by parameter group: what the optimizer takes, and the clipping of gradients."""
    kind = optimizer.get('type') if isinstance(optimizer, dict) else None
    built = find_type(kind, ours.OPTIMIZERS) if isinstance(kind, str) else kind
    names = dict.fromkeys(('base', 'guidance'), dict)
    if not callable(built):  # which is reported where it is written
        return Slot(default=takes_nothing, typed=False, taken=names)
    group = Slot(
        default=built,
        typed=False,
        given=frozenset(arguments_of(built).required),
        first_given=True,
        taken={'clip_grad': dict | None},
        inside={'clip_grad': Slot(default=clip_grad_norm_, typed=False, first_given=True)},
    )
    return Slot(default=takes_nothing, typed=False, taken=names, inside=dict.fromkeys(names, group))


def has_custom_constructor(optim_wrapper: Mapping[str, Any]) -> bool:
    """Tell whether an ``optim_wrapper`` is built by another constructor than mmengine's or our own."""
    return optim_wrapper.get('constructor', _DEFAULT_CONSTRUCTOR) not in (_DEFAULT_CONSTRUCTOR, _GROUP_CONSTRUCTOR)
