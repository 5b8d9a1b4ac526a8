"""What suits the way this toolbox trains, beyond what the constructors take."""

import pytest
from mmengine.dataset import ConcatDataset

from mmwtal.registry import DATA_SAMPLERS, DATASETS, HOOKS, LOOPS
from mmwtal.utils.config.check import inspect_config

TRAIN_CFG = "train_cfg = dict(type='WTALTrainLoop', max_iters=5000)"
CHECKPOINT = "checkpoint=dict(type='WTALCheckpointHook', interval=500),"
BATCHES = "batch_sampler=dict(type='ToyBatchSampler', num_pairs=3),"
SCHEDULER = "dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100)"
TRAINED = "subset='training', lazy_init=True,"

# file, text in it, what replaces the text; path of the problem, its line in the file, words of it
UNSUITABLE = {
    'loop of mmengine': (
        'runtime.py', 'WTALTrainLoop', 'IterBasedTrainLoop', 'train_cfg.type', 2, 'after_iteration'),
    'loop over epochs': (
        'runtime.py', TRAIN_CFG, "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=5)", 'train_cfg.type', 2,
        'after_iteration'),
    'loop by default': ('runtime.py', TRAIN_CFG, 'train_cfg = dict(max_iters=5)', 'train_cfg', 2, "no 'type'"),
    'scheduler by epoch': (
        'runtime.py', SCHEDULER, "dict(type='MultiStepLR', milestones=[1])", 'param_scheduler.0.by_epoch', 10,
        'the whole run is one epoch: set by_epoch=False'),
    'scheduler that says by epoch': (
        'runtime.py', 'by_epoch=False', 'by_epoch=True', 'param_scheduler.0.by_epoch', 10, 'set by_epoch=False'),
    'converted scheduler that ends with the only epoch': (
        'runtime.py', 'milestones=[3], end=9', 'milestones=[3]', 'param_scheduler.1.by_epoch', 11, 'one epoch'),
    'no checkpoint hook': ('runtime.py', CHECKPOINT, 'checkpoint=None,', 'default_hooks.checkpoint', 16, 'WTALCheck'),
    "mmengine's checkpoint hook": (
        'runtime.py', CHECKPOINT, "checkpoint=dict(type='CheckpointHook', interval=5),",
        'default_hooks.checkpoint.type', 16, 'WTALCheckpointHook'),
    "mmengine's checkpoint hook by default": (
        'runtime.py', CHECKPOINT, '', 'default_hooks.checkpoint', 13, 'WTALCheckpointHook'),
    'no batch sampler': (
        'data.py', BATCHES, '', 'train_dataloader.batch_sampler', 2, "dict(type='ClassPairBatchSampler')"),
    'None as the batch sampler': (
        'data.py', BATCHES, 'batch_sampler=None,', 'train_dataloader.batch_sampler', 6, 'ClassPairBatchSampler'),
    'batch sampler that cannot start later': (
        'data.py', BATCHES, "batch_sampler=dict(type='ToyPlainSampler'),", 'train_dataloader.batch_sampler.type', 6,
        'start_iteration'),
    'gradients lost between checkpoints': (
        'runtime.py', 'clip_grad=dict(max_norm=1)', 'accumulative_counts=3', 'optim_wrapper.accumulative_counts', 7,
        '500'),
    'segments in training': (
        'data.py', TRAINED, TRAINED + ' test_mode=True,', 'train_dataloader.dataset.test_mode', 7, 'segments'),
    'resuming by config': ('runtime.py', 'resume = False', 'resume = True', 'resume', 25, '--resume'),
    'resuming from a file by config': (
        'runtime.py', 'load_from = None\nresume = False', "load_from = 'a.pth'\nresume = True", 'resume', 25,
        '--resume a.pth'),
}  # fmt: skip


@pytest.mark.parametrize('fault', UNSUITABLE)
def test_what_does_not_suit_is_exactly_one_problem(check, fault):
    file, old, new, path, line, words = UNSUITABLE[fault]
    problems = check((file, old, new)).problems
    assert [problem.path for problem in problems] == [path]
    assert str(problems[0].origin).endswith(f'/{file}:{line}')
    assert words in problems[0].message


@pytest.mark.parametrize(
    ('file', 'old', 'new'),
    [
        ('runtime.py', SCHEDULER, "dict(type='ReduceOnPlateauLR', monitor='average')"),
        ('runtime.py', f'[\n    {SCHEDULER},', "dict(type='ConstantLR', by_epoch=False)\n_unused = ["),
        ('runtime.py', 'clip_grad=dict(max_norm=1)', 'accumulative_counts=5'),
        ('data.py', TRAINED, TRAINED + ' test_mode=False,'),
        ('runtime.py', 'load_from = None', "load_from = 'weights.pth'"),
        ('runtime.py', 'custom_hooks = [', "custom_hooks = [dict(type='CheckpointHook', interval=5, by_epoch=False), "),
    ],
)
def test_what_suits(check, file, old, new):
    assert check((file, old, new)).problems == []


def test_schedulers_of_several_optimizers(check):
    wrapped = (
        "param_scheduler = dict(a=[dict(type='LinearLR')], b=dict(type='ConstantLR', by_epoch=False))\n_unused = ["
    )
    problems = check(('runtime.py', 'param_scheduler = [', wrapped)).problems
    assert [problem.path for problem in problems] == ['param_scheduler.a.0.by_epoch']


def test_by_epoch_chooses_no_loop(check):
    problems = check(('runtime.py', TRAIN_CFG, 'train_cfg = dict(by_epoch=False, max_iters=3)')).problems
    assert [problem.path for problem in problems] == ['train_cfg', 'train_cfg.by_epoch']
    assert "type='WTALTrainLoop'" in problems[1].message


def test_the_interval_of_checkpoints_may_be_the_default(check):
    defaults = (CHECKPOINT, "checkpoint=dict(type='WTALCheckpointHook'),")
    spoilt = ('runtime.py', *defaults), ('runtime.py', 'clip_grad=dict(max_norm=1)', 'accumulative_counts=3')
    assert [problem.path for problem in check(*spoilt).problems] == ['optim_wrapper.accumulative_counts']
    sound = ('runtime.py', *defaults), ('runtime.py', 'clip_grad=dict(max_norm=1)', 'accumulative_counts=4')
    assert check(*sound).problems == []


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'path'),
    [
        ('data.py', 'batch_sampler=', 'batch_samplr=', 'train_dataloader.batch_samplr'),
        ('runtime.py', 'default_hooks = ', 'defualt_hooks = ', 'defualt_hooks'),
        ('runtime.py', 'by_epoch=False, end', 'by_epoc=False, end', 'param_scheduler.0.by_epoc'),
        ('runtime.py', 'WTALCheckpointHook', 'WTALCheckpontHook', 'default_hooks.checkpoint.type'),
        (
            'data.py',
            "batch_sampler=dict(type='ToyB",
            "batch_sampler=dict(type='TyB",
            'train_dataloader.batch_sampler.type',
        ),
    ],
)
def test_what_a_misspelt_key_was_meant_to_set_is_not_missed_again(check, file, old, new, path):
    assert [problem.path for problem in check((file, old, new)).problems] == [path]


def test_classes_of_your_own_suit_if_they_inherit_what_is_needed(check):
    class OwnLoop(LOOPS.get('WTALTrainLoop')):
        pass

    class OwnHook(HOOKS.get('WTALCheckpointHook')):
        pass

    class OwnSampler(DATA_SAMPLERS.get('ClassPairBatchSampler')):
        pass

    cfg = check(cut=lambda cfg, _: cfg)
    cfg.train_cfg.type = OwnLoop
    cfg.default_hooks.checkpoint.type = OwnHook
    cfg.train_dataloader.batch_sampler.type = OwnSampler
    assert inspect_config(cfg).problems == []


REPEATED = (
    "dict(_delete_=True, type='RepeatDataset', times=2, dataset=dict(type='ToyDataset', data_root='', subset=''))"
)
JOINED = "dict(_delete_=True, type='ConcatDataset', datasets=[dict(type='ToyDataset', data_root='', subset='')])"
BALANCED = REPEATED.replace('RepeatDataset', 'ClassBalancedDataset').replace('times=2', 'oversample_thr=0.1')


@pytest.mark.parametrize('loader', ['train_dataloader', 'test_dataloader'])
@pytest.mark.parametrize('dataset', [REPEATED, JOINED, BALANCED], ids=['repeated', 'joined', 'balanced'])
def test_a_wrapped_dataset(check, dataset, loader):
    problems = check(('leaf.py', '_helper', f'{loader} = dict(dataset={dataset})\n_helper')).problems
    assert [problem.path for problem in problems] == [f'{loader}.dataset.type']
    assert str(problems[0].origin).endswith('/leaf.py:2')
    assert 'data root' in problems[0].message


def test_a_wrapper_that_takes_draws(check):
    class Joined(ConcatDataset):
        def __getitem__(self, draw):
            return super().__getitem__(draw.index)

    DATASETS.register_module(module=Joined)
    try:
        dataset = JOINED.replace('ConcatDataset', 'Joined')
        assert check(('leaf.py', '_helper', f'train_dataloader = dict(dataset={dataset})\n_helper')).problems == []
    finally:
        DATASETS.module_dict.pop('Joined')


def test_a_config_that_does_not_train_needs_nothing_of_all_this(check):
    cfg = check(cut=lambda cfg, _: cfg)
    for key in ('train_cfg', 'train_dataloader', 'optim_wrapper'):
        cfg.pop(key)
    cfg.default_hooks.checkpoint = None
    cfg.resume = True
    assert inspect_config(cfg).problems == []
    cfg.pop('default_hooks')
    assert inspect_config(cfg).problems == []
