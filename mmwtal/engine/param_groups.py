"""Parameter groups by name: the base model and its guidance are trained by one optimizer, each by its own settings."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch.nn import Module, Parameter
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from mmwtal.engine.checkpoint import GUIDANCE, is_guidance
from mmwtal.engine.train_loop import unwrap
from mmwtal.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from mmwtal.utils.errors import UserError

BASE = 'base'
GROUPS = (BASE, GUIDANCE)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ParamGroupConstructor:
    """Makes an optimizer wrapper whose parameter groups are ``base`` and, of a guided localizer, ``guidance``.

    ``guidance`` holds every parameter under ``guidance.`` of the localizer, ``base`` the others. An unguided localizer
    has the one group ``base`` and is trained as by mmengine's ``DefaultOptimWrapperConstructor``, whatever is set for
    ``guidance``: a guided config becomes its unguided twin by ``model.guidance=None`` alone.

    The log shows the learning rate of ``base`` as ``lr``, as without groups, and that of ``guidance`` as
    ``guidance_lr``; a group whose gradients are clipped also its norm before that, as ``<group>_grad_norm``. Clipping
    and log hang on the optimizer's own step, so that they see what the update sees with any optimizer wrapper: the
    gradients accumulated over several iterations, and those that float16 precision had scaled in their own unit again.

    Args:
        optim_wrapper_cfg: The config of the wrapper, its ``optimizer`` included. The wrapper's own ``clip_grad``, if
            set, clips all gradients together, before those of the groups.
        paramwise_cfg: Options by group. Each option of the optimizer (``lr``, ``weight_decay``, ...) replaces the
            optimizer's own; ``clip_grad`` are arguments of ``torch.nn.utils.clip_grad_norm_``, such as ``max_norm``.

    Raises:
        UserError: If a group or an option does not exist, or the clipping would see scaled gradients.

    Example:
        >>> optim_wrapper = dict(
        ...     optimizer=dict(type='Adam', lr=5e-5, weight_decay=1e-3),
        ...     constructor='ParamGroupConstructor',
        ...     paramwise_cfg=dict(guidance=dict(lr=4e-4, weight_decay=0.0, clip_grad=dict(max_norm=10.0))),
        ... )
    """

    def __init__(self, *, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        self._wrapper_cfg = {'type': 'OptimWrapper', **optim_wrapper_cfg}
        self._optimizer_cfg = self._wrapper_cfg.pop('optimizer')
        self._options = {name: dict(options) for name, options in (paramwise_cfg or {}).items()}
        unknown = sorted(self._options.keys() - set(GROUPS))
        if unknown:
            raise UserError(f'optim_wrapper.paramwise_cfg: no parameter group {unknown[0]!r}; there are {GROUPS}')
        clipping = {name: options.pop('clip_grad', None) for name, options in self._options.items()}
        self._clipping = {name: dict(arguments) for name, arguments in clipping.items() if arguments}

    def __call__(self, model: Module) -> OptimWrapper:
        """Build the wrapper for a localizer, which may be inside a distributed wrapper."""
        options = {name: {**self._options.get(name, {}), 'name': name} for name in GROUPS}
        groups = [{'params': params, **options[name]} for name, params in _split(model).items() if params]
        optimizer = OPTIMIZERS.build({**deepcopy(self._optimizer_cfg), 'params': groups})
        for name, given in self._options.items():
            for option in given.keys() - optimizer.defaults.keys():
                raise UserError(
                    f'optim_wrapper.paramwise_cfg.{name}.{option}: {type(optimizer).__name__} has no such option; it '
                    f'has {", ".join(sorted(optimizer.defaults))}, and a group has clip_grad'
                )
        wrapper = OPTIM_WRAPPERS.build({**deepcopy(self._wrapper_cfg), 'optimizer': optimizer})
        if self._clipping and isinstance(wrapper, AmpOptimWrapper) and _unscales_itself(optimizer):
            raise UserError(
                'a fused optimizer undoes the scaling of float16 gradients after those of a group would be clipped: '
                'set optim_wrapper.optimizer.fused=False'
            )
        # mmengine's stand-in for parameters that no group holds; there are none, and its rate would be logged.
        wrapper.base_param_settings = None
        optimizer.register_step_pre_hook(self._before_step)
        return wrapper

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        hub = MessageHub.get_current_instance()
        for group in optimizer.param_groups:
            name = group['name']
            if name in self._clipping:
                norm = clip_grad_norm_(group['params'], **self._clipping[name])
                hub.update_scalar(f'train/{name}_grad_norm', float(norm))
            if name != BASE:
                hub.update_scalar(f'train/{name}_lr', group['lr'])


def _split(model: Module) -> dict[str, list[Parameter]]:
    groups: dict[str, list[Parameter]] = {name: [] for name in GROUPS}
    for name, parameter in unwrap(model).named_parameters():
        groups[GUIDANCE if is_guidance(name) else BASE].append(parameter)
    return groups


def _unscales_itself(optimizer: Optimizer) -> bool:
    return bool(getattr(optimizer, '_step_supports_amp_scaling', False))


def check_param_groups(wrapper: OptimWrapper, checkpoint: Mapping[str, Any], source: str | Path) -> None:
    """Check that a checkpoint's optimizer has the parameter groups of the one that is to go on from it.

    Args:
        wrapper: The wrapper of the config; nothing is checked of several optimizers, which only other constructors
            make.
        checkpoint: A checkpoint that holds the state of an optimizer.
        source: Its file, for the message.

    Raises:
        UserError: Naming the groups of both.
    """
    if isinstance(wrapper, OptimWrapperDict):
        return
    own, saved = wrapper.optimizer.param_groups, checkpoint['optimizer'].get('param_groups', [])
    ours, theirs = ([(group.get('name'), len(group['params'])) for group in groups] for groups in (own, saved))
    if ours != theirs:
        raise UserError(
            f'checkpoint {source}: its optimizer has the parameter groups {_describe(theirs)}, that of the config '
            f'{_describe(ours)}; resume with the optim_wrapper that the run was started with'
        )


def _describe(groups: list[tuple[str | None, int]]) -> str:
    return ', '.join(f'{name or "without a name"} ({count} tensors)' for name, count in groups) or 'none'
