"""What the config check knows of named parameter groups and of schedules of one group."""

import pytest

OPTIONS = 'custom_keys=dict(backbone=dict(lr_mult=0.1))'
GROUPS = "guidance=dict(lr=4e-4, weight_decay=0.0, clip_grad=dict(max_norm=10.0))), constructor='ParamGroupConstructor'"
GROUPED = ('runtime.py', f'{OPTIONS})', GROUPS)
OLD = "dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100)"
NEW = "dict(type='GroupScheduler', group='guidance', scheduler='InverseSqrtLR', by_epoch=False, warmup=400)"
SCHEDULED = ('runtime.py', OLD, NEW)


def test_groups_and_their_schedule_are_sound(check):
    report = check(GROUPED, SCHEDULED)
    assert report.problems == []
    assert report.notes == []


@pytest.mark.parametrize(
    ('old', 'new', 'path', 'words'),
    [
        ('guidance=', 'guidanc=', 'guidanc', "'guidance'"),
        ('lr=4e-4', 'ler=4e-4', 'guidance.ler', "'lr'"),
        ('lr=4e-4', "lr='fast'", 'guidance.lr', 'expected'),
        ('max_norm', 'max_nrm', 'guidance.clip_grad.max_nrm', "'max_norm'"),
        ('clip_grad=dict(max_norm=10.0)', 'clip_grad=10.0', 'guidance.clip_grad', 'dict'),
        ('guidance=dict(', 'base=dict(params=[], ', 'base.params', 'no argument'),
    ],
)
def test_a_fault_in_the_options_of_a_group(check, old, new, path, words):
    spoilt = GROUPS.replace(old, new)
    assert spoilt != GROUPS
    problems = check(('runtime.py', f'{OPTIONS})', spoilt)).problems
    assert [problem.path for problem in problems] == [f'optim_wrapper.paramwise_cfg.{path}']
    assert words in str(problems[0])


def test_options_of_an_optimizer_that_does_not_exist_are_not_reported_too(check):
    problems = check(GROUPED, ('runtime.py', "type='Adam'", "type='Adm'")).problems
    assert [problem.path for problem in problems] == ['optim_wrapper.optimizer.type']


@pytest.mark.parametrize(
    ('old', 'new', 'path', 'words'),
    [
        ("group='guidance'", "group='guide'", 'group', 'guidance'),
        ("'InverseSqrtLR'", "'InverseSqrLR'", 'scheduler', "'InverseSqrtLR'"),
        ('warmup=400', 'warm_up=400', 'warm_up', "'warmup'"),
        ('by_epoch=False, ', '', 'by_epoch', 'by_epoch=False'),
        ('by_epoch=False, ', 'convert_to_iter_based=True, end=3, ', 'by_epoch', 'by_epoch=False'),
    ],
)
def test_a_fault_in_the_schedule_of_a_group(check, old, new, path, words):
    spoilt = NEW.replace(old, new)
    assert spoilt != NEW
    problems = check(GROUPED, ('runtime.py', OLD, spoilt)).problems
    assert [problem.path for problem in problems] == [f'param_scheduler.0.{path}']
    assert words in str(problems[0])


def test_a_schedule_of_a_group_needs_groups(check):
    problems = check(SCHEDULED).problems
    assert [problem.path for problem in problems] == ['param_scheduler.0.group']
    assert "constructor='ParamGroupConstructor'" in problems[0].message
