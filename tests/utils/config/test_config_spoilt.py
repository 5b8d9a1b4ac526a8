"""Spoilt configs: each fault is found before anything is built, with the nearest valid name and its file and line."""

import re

import pytest

from mmwtal.utils.config.check import require_valid_config
from mmwtal.utils.errors import UserError

# file, text in it, what replaces the text; path of the problem, nearest valid name, its line in the file, words of it
SPOILT = {
    'unknown top-level key': (
        'leaf.py', '_helper', 'train_dataloadr', 'train_dataloadr', 'train_dataloader', 2, 'helper variable'),
    'unlike any top-level key': ('leaf.py', '_helper', 'zzz', 'zzz', None, 2, 'unknown key'),
    'model type': ('model.py', "'ToyLocalizer'", "'ToyLocaliser'", 'model.type', 'ToyLocalizer', 2, 'no model'),
    'nested type': ('model.py', "'ToyHead'", "'toyhead'", 'model.head.type', 'ToyHead', 7, "did you mean 'ToyHead'?"),
    'loss type': (
        'model.py', "loss_mil=dict(type='ToyTopKLoss'", "loss_mil=dict(type='ToyTopLoss'",
        'model.head.losses.loss_mil.type', 'ToyTopKLoss', 9, ''),
    'argument three levels deep': (
        'model.py', 'topk_ratio', 'topk_rato', 'model.head.losses.loss_mil.topk_rato', 'topk_ratio', 9,
        "ToyTopKLoss takes no argument 'topk_rato'; did you mean 'topk_ratio'?"),
    'argument given in the leaf': (
        'leaf.py', "num_classes='auto'", 'decoder=dict(sgima=0.1)', 'model.decoder.sgima', 'sigma', 3, ''),
    'wrong type of a value': (
        'model.py', 'depth=2', "depth='2'", 'model.backbone.depth', None, 5, "expected int, found '2' (str)"),
    'bool is no int': ('model.py', 'depth=2', 'depth=True', 'model.backbone.depth', None, 5, 'found True'),
    'float is no int': ('model.py', '2048', '2048.5', 'model.in_channels', None, 4, ''),
    'wrong choice': ('model.py', "mode='post'", "mode='pst'", 'model.backbone.mode', 'post', 5, "'pre' or 'post'"),
    'wrong type within a list': (
        'model.py', '[0.1, 0.2]', "[0.1, 'x']", 'model.decoder.thresholds', None, 13, 'list[float]'),
    'missing argument': ('model.py', 'depth=2, ', '', 'model.backbone.depth', None, 5, 'ToyBackbone needs it'),
    'decoder among the models': (
        'model.py', "decoder=dict(type='ToyDecoder'", "decoder=dict(type='ToyHead'", 'model.decoder.type', None, 13,
        "'ToyHead' is a model, but no decoder"),
    'no type': ('model.py', "type='ToyHead'", "tpye='ToyHead'", 'model.head', 'type', 6, "has no 'type'"),
    'no dict where one is built': (
        'model.py', "dict(type='ToyDecoder', thresholds=[0.1, 0.2])", '3', 'model.decoder', None, 13,
        'expected a dict with a type'),
    'dotted path': (
        'model.py', "'ToyDecoder'", "'no_such_package.ToyDecoder'", 'model.decoder.type', 'ToyDecoder', 13,
        'cannot be imported'),
    'type that is a module': ('model.py', "'ToyDecoder'", "'json'", 'model.decoder.type', None, 13, ''),
    'type that is a number': ('model.py', "'ToyDecoder'", '7', 'model.decoder.type', None, 13, 'found 7'),
    'data loader': ('data.py', 'num_workers', 'num_worker', 'train_dataloader.num_worker', 'num_workers', 4, ''),
    'data loader with a type': ('data.py', 'batch_size=1,', "type='X',", 'test_dataloader.type', None, 12, ''),
    'data loader without a sampler': (
        'data.py', "pin_memory=True,\n    sampler=dict(type='DefaultSampler', shuffle=False),", '',
        'test_dataloader.sampler', None, 11, 'is missing'),
    'shuffle beside a sampler': (
        'data.py', 'pin_memory', 'shuffle', 'test_dataloader.shuffle', None, 13, 'sampler.shuffle'),
    'drop_last beside a batch sampler': (
        'data.py', 'num_workers=0', 'drop_last=True', 'train_dataloader.drop_last', None, 4, 'batch_sampler'),
    'no batch size for the batch sampler': (
        'data.py', 'batch_size=10,', '', 'train_dataloader.batch_size', None, 6, 'is missing'),
    'sampler': (
        'data.py', 'DefaultSampler', 'DefaultSampl', 'train_dataloader.sampler.type', 'DefaultSampler', 5, ''),
    'batch sampler argument': (
        'data.py', 'num_pairs', 'num_pair', 'train_dataloader.batch_sampler.num_pair', 'num_pairs', 6, ''),
    'own argument of a dataset': ('data.py', 'subset=', 'subst=', 'train_dataloader.dataset.subst', 'subset', 7, ''),
    'inherited argument of a dataset': (
        'data.py', 'lazy_init', 'lazy_int', 'train_dataloader.dataset.lazy_int', 'lazy_init', 7, ''),
    'type of an inherited argument': (
        'data.py', 'test_mode=True', "test_mode='yes'", 'test_dataloader.dataset.test_mode', None, 15, 'bool'),
    'transform': (
        'data.py', "dict(type='ToyTransform', length=5)", "dict(type='ToyTransfrom')",
        'train_dataloader.dataset.pipeline.0.type', 'ToyTransform', 8, ''),
    'transform argument': (
        'data.py', 'length=5', 'lenght=5', 'train_dataloader.dataset.pipeline.0.lenght', 'length', 8, ''),
    'collate function': (
        'data.py', 'pseudo_collate', 'pseudo_colate', 'train_dataloader.collate_fn.type', 'pseudo_collate', 9, ''),
    'metric argument': (
        'data.py', "ann_file='a.json'", 'tious=[0.5, 0.7]', 'test_evaluator.ann_file', None, 17, 'ToyMetric needs it'),
    'loop': ('runtime.py', 'WTALTrainLoop', 'WTALTrainLop', 'train_cfg.type', 'WTALTrainLoop', 2, ''),
    'loop argument': ('runtime.py', 'max_iters', 'max_iter', 'train_cfg.max_iter', 'max_iters', 2, ''),
    'type and by_epoch': (
        'runtime.py', 'max_iters', 'by_epoch=False, max_iters', 'train_cfg.by_epoch', None, 2, 'takes no argument'),
    'optimizer': ('runtime.py', "'Adam'", "'Adm'", 'optim_wrapper.optimizer.type', 'Adam', 5, 'optimizer'),
    'optimizer argument': (
        'runtime.py', 'weight_decay', 'wieght_decay', 'optim_wrapper.optimizer.wieght_decay', 'weight_decay', 5, ''),
    'type of an optimizer argument': (
        'runtime.py', 'lr=1e-3', "lr='1e-3'", 'optim_wrapper.optimizer.lr', None, 5, 'float'),
    'parameter-wise option, which mmengine would ignore': (
        'runtime.py', 'custom_keys', 'custom_key', 'optim_wrapper.paramwise_cfg.custom_key', 'custom_keys', 6, ''),
    'optim wrapper argument': ('runtime.py', 'clip_grad', 'grad_clip', 'optim_wrapper.grad_clip', 'clip_grad', 7, ''),
    'constructor': (
        'runtime.py', 'clip_grad=dict(max_norm=1)', "constructor='ToyConstructr'", 'optim_wrapper.constructor',
        'ToyConstructor', 7, ''),
    'scheduler argument': (
        'runtime.py', 'start_factor', 'start_facto', 'param_scheduler.0.start_facto', 'start_factor', 10, ''),
    'scheduler argument that a mixin sets': (
        'runtime.py', 'start_factor=0.1', "param_name='lr'", 'param_scheduler.0.param_name', None, 10, ''),
    'hook type': ('runtime.py', 'LoggerHook', 'LogerHook', 'default_hooks.logger.type', 'LoggerHook', 15, 'no hook'),
    'custom hook': ('runtime.py', "'ToyHook'", "'ToyHok'", 'custom_hooks.0.type', 'ToyHook', 18, ''),
    'name of a default hook': (
        'runtime.py', 'checkpoint=', 'chekpoint=', 'default_hooks.chekpoint', 'checkpoint', 16, ''),
    'switched off hook that is none': (
        'runtime.py', 'timer=None', 'whatever=None', 'default_hooks.whatever', None, 14, ''),
    'checkpoint hook argument': (
        'runtime.py', 'interval=500', 'kep=1', 'default_hooks.checkpoint.kep', 'keep', 16, ''),
    "mmengine's checkpoint hook argument, behind **kwargs": (
        'runtime.py', "'ToyHook', interval=3", "'CheckpointHook', max_keep_ckpt=1", 'custom_hooks.0.max_keep_ckpt',
        'max_keep_ckpts', 18, ''),
    'argument of the averaged model that a hook builds': (
        'runtime.py', "'ToyHook', interval=3", "'EMAHook', momentm=1e-3", 'custom_hooks.0.momentm', 'momentum', 18,
        'EMAHook takes no'),
    'argument of the averaged model that the hook adds': (
        'runtime.py', "'ToyHook', interval=3", "'EMAHook', model=1", 'custom_hooks.0.model', None, 18, ''),
    'type of an argument of the averaged model': (
        'runtime.py', "'ToyHook', interval=3", "'EMAHook', ema_type='MomentumAnnealingEMA', gamma=0.1",
        'custom_hooks.0.gamma', None, 18, 'expected int'),
    'averaged model': (
        'runtime.py', "'ToyHook', interval=3", "'EMAHook', ema_type='ExponentialMovingAvrage', x=1",
        'custom_hooks.0.ema_type', 'ExponentialMovingAverage', 18, ''),
    'clipping': (
        'runtime.py', 'max_norm=1', 'max_norm=1, nrm_type=2', 'optim_wrapper.clip_grad.nrm_type', 'norm_type', 7, ''),
    'clipping without its bound': (
        'runtime.py', 'max_norm=1', 'norm_type=2', 'optim_wrapper.clip_grad.max_norm', None, 7, 'is missing'),
    'clipping by value': (
        'runtime.py', 'max_norm=1', "type='value', clip_valu=1.", 'optim_wrapper.clip_grad.clip_valu', 'clip_value',
        7, ''),
    'kind of clipping': (
        'runtime.py', 'max_norm=1', "type='nrm', max_norm=1", 'optim_wrapper.clip_grad.type', 'norm', 7,
        "'norm' or 'value'"),
    'option of some parameters, which mmengine would ignore': (
        'runtime.py', 'lr_mult', 'lr_mul', 'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mul', 'lr_mult', 6,
        ''),
    'type of an option of some parameters': (
        'runtime.py', 'lr_mult=0.1', "lr_mult='x'", 'optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult', None,
        6, 'float'),
    'no options of some parameters': (
        'runtime.py', 'backbone=dict(lr_mult=0.1)', 'backbone=0.1',
        'optim_wrapper.paramwise_cfg.custom_keys.backbone', None, 6, 'expected a dict'),
    'modules to checkpoint': (
        'runtime.py', 'resume = False', 'activation_checkpointing = 3', 'activation_checkpointing', None, 25, 'str'),
    'visualizer backend': (
        'runtime.py', 'LocalVisBackend', 'LocalBackend', 'visualizer.vis_backends.0.type', 'LocalVisBackend', 19, ''),
    'environment key, which mmengine would ignore': (
        'runtime.py', 'cudnn_benchmark', 'cudnn_bench', 'env_cfg.cudnn_bench', 'cudnn_benchmark', 20, ''),
    'process key': (
        'runtime.py', 'mp_start_method', 'start_method', 'env_cfg.mp_cfg.start_method', 'mp_start_method', 20, ''),
    'randomness': ('runtime.py', 'seed=0', 'sed=0', 'randomness.sed', 'seed', 22, ''),
    'seed': ('runtime.py', 'seed=0', "seed='0'", 'randomness.seed', None, 22, 'expected int or None'),
    'None in a pipeline': (
        'data.py', "dict(type='ToyTransform', length=5)", 'None', 'train_dataloader.dataset.pipeline.0', None, 8,
        'a type'),
    'None for a required part': (
        'model.py', "dict(type='ToyBackbone', depth=2, mode='post')", 'None', 'model.backbone', None, 5, 'a type'),
    'words in another order': (
        'runtime.py', 'base_batch_size', 'batch_size_base', 'auto_scale_lr.batch_size_base', 'base_batch_size', 23, ''),
    'log processor': ('runtime.py', 'window_size', 'windo_size', 'log_processor.windo_size', 'window_size', 21, ''),
    'type of a top-level value': (
        'runtime.py', 'resume = False', "resume = 'auto'", 'resume', None, 25, 'expected bool'),
    'scope': ('runtime.py', "'mmwtal'", "'mmengine'", 'default_scope', None, 1, "expected 'mmwtal'"),
    'half of a group': ('data.py', 'test_cfg = dict()', '', 'test_cfg', None, 11, 'is missing'),
    'deletes what is not there': (
        'leaf.py', "num_classes='auto'", "extra=dict(_delete_=True, type='ToyDecoder')", 'model.extra._delete_', None,
        3, 'nothing to delete'),
}  # fmt: skip


@pytest.mark.parametrize('fault', SPOILT)
def test_a_spoilt_config_has_exactly_this_problem(check, fault):
    file, old, new, path, match, line, words = SPOILT[fault]
    problems = check((file, old, new)).problems
    assert [(problem.path, problem.nearest) for problem in problems] == [(path, match)]
    assert str(problems[0].origin).endswith(f'/{file}:{line}')
    assert words in problems[0].message


def test_several_faults_are_all_listed_in_one_error(check, tmp_path):
    spoilt = [SPOILT[name][:3] for name in ('nested type', 'argument given in the leaf', 'data loader', 'hook type')]
    with pytest.raises(UserError) as caught:
        check(*spoilt, cut=require_valid_config)
    lines = str(caught.value).splitlines()
    assert lines[0] == f'{tmp_path / "leaf.py"}: 4 problems'
    assert len(lines) == 5
    found = sorted(re.sub(r'.*/', '', line) for line in lines[1:])
    assert found[0].startswith(
        "data.py:4: train_dataloader.num_worker: train_dataloader takes no argument 'num_worker'; did"
    )
    assert found[1] == "leaf.py:3: model.decoder.sgima: ToyDecoder takes no argument 'sgima'; did you mean 'sigma'?"
    assert found[2].startswith(
        "model.py:7: model.head.type: no model is registered as 'toyhead'; did you mean 'ToyHead'?"
    )
    assert found[3].startswith("runtime.py:15: default_hooks.logger.type: no hook is registered as 'LogerHook'; did")
