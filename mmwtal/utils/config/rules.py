"""What a config must set beyond what the constructors take: each rule is one function, and says why.

A rule yields the path of what does not suit and a message. It says nothing where the values are not of the kind that it
expects, nor of a ``type`` that names nothing: other checks report these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import Registry

from mmwtal.registry import DATA_SAMPLERS, DATASETS, HOOKS, LOOPS, PARAM_SCHEDULERS
from mmwtal.utils.config.lookup import find_type
from mmwtal.utils.config.nodes import Key
from mmwtal.utils.config.origin import Origins
from mmwtal.utils.config.report import ConfigReport, dotted
from mmwtal.utils.config.signature import arguments_of

Path = tuple[Key, ...]
Rule = Callable[[Config], Iterator[tuple[Path, str]]]

_LOOP = 'WTALTrainLoop'
_CHECKPOINT_HOOK = 'WTALCheckpointHook'
_GROUP_CONSTRUCTOR = 'ParamGroupConstructor'
_CHECKPOINT: Path = ('default_hooks', 'checkpoint')
_WRAPPERS = (RepeatDataset, ConcatDataset, ClassBalancedDataset)


def training_loop(cfg: Config) -> Iterator[tuple[Path, str]]:
    """Checkpoints are saved in ``after_iteration``, and resuming seeds each iteration: our loop alone does both."""
    why = 'checkpoints and resuming need the hook point after_iteration and the seeding of WTALTrainLoop'
    train_cfg = _part(cfg, 'train_cfg')
    kind = _class(train_cfg, LOOPS)
    if kind is not None and not _is_a(kind, _LOOP, LOOPS):
        yield ('train_cfg', 'type'), f"{kind.__name__} does not suit: {why}; set type='{_LOOP}' and max_iters"
    elif 'type' not in train_cfg and 'by_epoch' in train_cfg:
        yield ('train_cfg', 'by_epoch'), f"would choose a loop of mmengine's: {why}; set type='{_LOOP}' and max_iters"


def schedulers_by_iteration(cfg: Config) -> Iterator[tuple[Path, str]]:
    """The whole run is one epoch, so that a schedule by epochs would never move."""
    if not _is_a(_class(_part(cfg, 'train_cfg'), LOOPS), _LOOP, LOOPS):
        return
    for path, scheduler in _schedulers(('param_scheduler',), cfg.get('param_scheduler')):
        kind = _class(scheduler, PARAM_SCHEDULERS)
        # A schedule by validation scores must be by epoch, for mmengine, and steps at each validation.
        if kind is None or getattr(kind, 'need_val_args', False) or 'by_epoch' not in arguments_of(kind).annotations:
            continue
        # One that is converted counts passes over the data, but ends by default with the only epoch.
        can_convert = hasattr(kind, 'build_iter_from_epoch')
        converted = can_convert and scheduler.get('convert_to_iter_based') and 'end' in scheduler
        if scheduler.get('by_epoch') is not False and not converted:
            yield (*path, 'by_epoch'), 'the whole run is one epoch: set by_epoch=False, and count in iterations'


def groups_to_schedule(cfg: Config) -> Iterator[tuple[Path, str]]:
    """A schedule of one parameter group needs groups with names."""
    if _part(cfg, 'optim_wrapper').get('constructor') == _GROUP_CONSTRUCTOR:
        return
    for path, scheduler in _schedulers(('param_scheduler',), cfg.get('param_scheduler')):
        if _is_a(_class(scheduler, PARAM_SCHEDULERS), 'GroupScheduler', PARAM_SCHEDULERS):
            message = f"needs groups with names: set optim_wrapper.constructor='{_GROUP_CONSTRUCTOR}'"
            yield (*path, 'group'), message


def checkpoint_hook(cfg: Config) -> Iterator[tuple[Path, str]]:
    """Mmengine's own hook saves before the validation, not atomically, and what ``--resume`` cannot read."""
    hooks = cfg.get('default_hooks')
    use = f"use dict(type='{_CHECKPOINT_HOOK}')"
    if hooks is None or (isinstance(hooks, dict) and 'checkpoint' not in hooks):
        yield _CHECKPOINT, f"is missing, so that mmengine's CheckpointHook would be used, which does not suit; {use}"
    elif isinstance(hooks, dict) and hooks['checkpoint'] is None:
        yield _CHECKPOINT, f'is None, so that training would leave nothing behind; {use}'
    else:
        kind = _class(_part(cfg, *_CHECKPOINT), HOOKS)
        if kind is not None and not _is_a(kind, _CHECKPOINT_HOOK, HOOKS):
            yield (*_CHECKPOINT, 'type'), f'{kind.__name__} does not suit: the tools cannot use its files; {use}'


def resumable_batches(cfg: Config) -> Iterator[tuple[Path, str]]:
    """The loop tells the batch sampler from which iteration to start, and expects it never to end."""
    path: Path = ('train_dataloader', 'batch_sampler')
    loader = cfg.get('train_dataloader')
    if not isinstance(loader, dict):
        return
    if loader.get('batch_sampler') is None:
        yield path, "is missing; WTALTrainLoop needs one that resumes: dict(type='ClassPairBatchSampler')"
        return
    kind = _class(_part(cfg, *path), DATA_SAMPLERS)
    if kind is not None and not hasattr(kind, 'start_iteration'):
        yield (
            (*path, 'type'),
            f'{kind.__name__} has no class attribute start_iteration, from which WTALTrainLoop lets the batches start; '
            "use ClassPairBatchSampler, or add 'start_iteration: int = 0' to the class and count from it in __iter__",
        )


def checkpoints_between_updates(cfg: Config) -> Iterator[tuple[Path, str]]:
    """Accumulated gradients are not stored, so that a checkpoint between two updates loses them."""
    counts = _part(cfg, 'optim_wrapper').get('accumulative_counts')
    hook = _part(cfg, *_CHECKPOINT)
    kind = _class(hook, HOOKS)
    if kind is None or not _is_a(kind, _CHECKPOINT_HOOK, HOOKS):
        return
    interval = hook.get('interval', arguments_of(kind).defaults.get('interval'))
    if _is_count(counts) and _is_count(interval) and interval % counts:
        yield (
            ('optim_wrapper', 'accumulative_counts'),
            f'is {counts}, which does not divide the interval of checkpoints, {interval}: a checkpoint between two '
            f'updates loses gradients, and a resumed run differs; set {dotted((*_CHECKPOINT, "interval"))} to a '
            'multiple',
        )


def no_segments_in_training(cfg: Config) -> Iterator[tuple[Path, str]]:
    """Weak supervision: a model that may see segments while it is trained proves nothing."""
    if _part(cfg, 'train_dataloader', 'dataset').get('test_mode') is True:
        yield (
            ('train_dataloader', 'dataset', 'test_mode'),
            'would hand the segments of the training videos to the model, which may see their labels only; remove it',
        )


def resuming_by_command(cfg: Config) -> Iterator[tuple[Path, str]]:
    """The tools set ``resume`` and ``load_from`` of a resumed run, whatever the config says."""
    if cfg.get('resume') is True:
        checkpoint = cfg.get('load_from')
        option = f'--resume {checkpoint}' if isinstance(checkpoint, str) else '--resume'
        yield ('resume',), f'a config does not resume: set it to False, and give tools/train.py {option}'


def plain_training_data(cfg: Config) -> Iterator[tuple[Path, str]]:
    """A class-pair batch sampler hands a dataset a draw, and asks it for classes: a wrapper can do neither."""
    yield from _wrapper(cfg, 'train_dataloader', 'ClassPairBatchSampler cannot draw from it')


def plain_test_data(cfg: Config) -> Iterator[tuple[Path, str]]:
    """Before a test the model's sizes are compared with those of the dataset, which a wrapper does not know."""
    yield from _wrapper(cfg, 'test_dataloader', 'it does not know the feature width of what it wraps')


TRAINING: Sequence[Rule] = (
    training_loop,
    schedulers_by_iteration,
    groups_to_schedule,
    checkpoint_hook,
    resumable_batches,
    checkpoints_between_updates,
    no_segments_in_training,
    resuming_by_command,
    plain_training_data,
)
TESTING: Sequence[Rule] = (plain_test_data,)


def check_rules(cfg: Config, origins: Origins, report: ConfigReport) -> None:
    """Apply the rules to a config; those about training only where it trains.

    A missing key is not reported if a misspelt one beside it was meant to be it.
    """
    for rule in (*(TRAINING if cfg.get('train_cfg') is not None else ()), *TESTING):
        for path, message in rule(cfg):
            present = _present(cfg, path)
            if present == path:
                report.wrong(path, message, origins.key(path))
            elif not report.is_meant((*present, path[len(present)])):
                report.wrong(path, message, origins.key(present) if present else origins.value(()))


def _wrapper(cfg: Config, loader: str, why: str) -> Iterator[tuple[Path, str]]:
    kind = _class(_part(cfg, loader, 'dataset'), DATASETS)
    if kind is not None and any(getattr(kind, '__getitem__', None) is wrapper.__getitem__ for wrapper in _WRAPPERS):
        message = f'{kind.__name__} cannot be used: {why}; use one dataset, and put all its videos under one data root'
        yield (loader, 'dataset', 'type'), message


def _schedulers(path: Path, node: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield each scheduler of one, a list, or a dict of them by optimizer."""
    if isinstance(node, dict) and 'type' in node:
        yield path, node
    elif isinstance(node, dict | list | tuple):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _schedulers((*path, key), part)


def _part(cfg: Config, *path: Key) -> Mapping[str, Any]:
    """Return the dict at a path; an empty one where there is none."""
    node: Any = cfg
    for key in path:
        node = node.get(key) if isinstance(node, Config | dict) else None
    return node if isinstance(node, dict) else {}


def _present(cfg: Config, path: Path) -> Path:
    """Return as much of a path as the config holds."""
    node: Any = cfg
    for depth, key in enumerate(path):
        if isinstance(node, list | tuple):
            node = node[key]  # type: ignore[index]  # an index that a rule found there
        elif isinstance(node, Config | dict) and key in node:
            node = node[key]
        else:
            return path[:depth]
    return path


def _class(node: Mapping[str, Any], registry: Registry) -> type | None:
    """Return the class that a dict names; None if it names none, or a function, of which nothing is known."""
    kind = node.get('type')
    found = find_type(kind, registry) if isinstance(kind, str) else kind
    return found if isinstance(found, type) else None


def _is_a(kind: type | None, name: str, registry: Registry) -> bool:
    base = find_type(name, registry)
    return kind is not None and isinstance(base, type) and issubclass(kind, base)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
