"""The config check: what it accepts, what it cannot check, and faults that take more than one place to show."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmwtal import registry
from mmwtal.decoders.base import BaseDecoder
from mmwtal.utils.config.check import check_config, require_valid_config
from mmwtal.utils.errors import UserError


def place(origin):
    return f'{origin.source.rpartition("/")[2]}:{origin.line}' if origin.line else str(origin)


def test_the_sound_config_has_no_problems(check):
    report = check()
    assert [str(problem) for problem in report.problems] == []
    assert report.notes == []
    check(cut=require_valid_config)


@pytest.mark.parametrize(
    ('option', 'path', 'match'),
    [
        ({'modle.num_classes': 3}, 'modle', 'model'),
        ({'model.num_class': 3}, 'model.num_class', 'num_classes'),
        ({'train_dataloader.dataset.pipeline.1.lenght': 3}, 'train_dataloader.dataset.pipeline.1.lenght', 'length'),
        ({'model.backbone.rate': 'high'}, 'model.backbone.rate', None),
    ],
)
def test_a_fault_on_the_command_line(check, option, path, match):
    problems = check(options=option).problems
    assert [(p.path, p.nearest, str(p.origin)) for p in problems] == [(path, match, 'command line')]


def test_what_several_wrappers_and_lists_hold_is_checked(check):
    dataset = "dataset=dict(type='ToyDataset', data_root=_root, subset='test', test_mode=True),"
    wrapped = (
        "dataset=dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', times=2, "
        "dataset=dict(type='ToyDataset', data_root=_root, subset='test', test_mod=True))]),"
    )
    metrics = "test_evaluator = [dict(type='ToyMetric', ann_file='a.json'), dict(type='ToyMetric', ann_file=3)]"
    problems = check(
        ('data.py', dataset, wrapped),
        ('data.py', "test_evaluator = dict(type='ToyMetric', ann_file='a.json')", metrics),
    ).problems
    assert [(p.path, p.nearest) for p in problems] == [
        ('test_dataloader.dataset.datasets.0.dataset.test_mod', 'test_mode'),
        ('test_evaluator.1.ann_file', None),
        ('test_dataloader.dataset.type', None),
    ]


def test_an_evaluator_around_metrics(check):
    old = "test_evaluator = dict(type='ToyMetric', ann_file='a.json')"
    assert (
        check(('data.py', old, "test_evaluator = dict(metrics=[dict(type='ToyMetric', ann_file='a')])")).problems == []
    )
    problems = check(('data.py', old, "test_evaluator = dict(metrics=[dict(type='ToyMetrc', ann_file='a')])")).problems
    assert [(p.path, p.nearest) for p in problems] == [('test_evaluator.metrics.0.type', 'ToyMetric')]


def test_keys_that_only_training_reads(check):
    keys = "activation_checkpointing = ['backbone']\nefficient_conv_bn_eval = 'backbone'\n_helper"
    assert check(('leaf.py', '_helper', keys)).problems == []


@pytest.mark.parametrize(
    'hook',
    [
        "type='EMAHook'",
        "type='EMAHook', momentum=1e-3, update_buffers=True, interval=2, begin_iter=10",
        "type='EMAHook', ema_type='MomentumAnnealingEMA', gamma=10",
        "type='EarlyStoppingHook', monitor='average'",
    ],
)
def test_hooks_of_mmengine(check, hook):
    report = check(('runtime.py', "type='ToyHook', interval=3", hook))
    assert (report.problems, report.notes) == ([], [])


@pytest.mark.parametrize('options', ["type='norm', max_norm=1, norm_type=1", "type='value', clip_value=0.5"])
def test_clipping(check, options):
    assert check(('runtime.py', 'max_norm=1', options)).problems == []


def test_arguments_that_a_class_passes_on_are_not_missing_but_all_others_are(check):
    model = """
model = dict(_delete_=True, type='ToyGuidedLocalizer', backbone=dict(type='ToyBackbone'), part=dict(type='ToyGuide'))
"""
    assert check(('leaf.py', "model = dict(num_classes='auto')", model)).problems == []
    report = check(('leaf.py', 'model = ', "model = dict(extra=dict(type='ToyGuide'))#"))
    assert report.problems == []
    assert [(note.path, note.message) for note in report.notes] == [
        ('model.extra.width', 'ToyGuide needs it; what builds ToyGuide may add it')
    ]


def test_types_by_scope_by_import_path_and_as_objects(check):
    assert check(('runtime.py', "type='LoggerHook'", "type='mmengine.LoggerHook'")).problems == []
    assert check(('runtime.py', "type='LoggerHook'", "type='mmwtal.LoggerHook'")).problems != []
    assert check(('leaf.py', "num_classes='auto'", "extra=dict(type='torch.nn.Identity')")).problems == []
    problems = check(('leaf.py', "num_classes='auto'", "extra=dict(type='torch.nn.Linear', in_feature=3)")).problems
    assert [(p.path, p.nearest) for p in problems] == [('model.extra.in_feature', 'in_features')]

    cfg = check(cut=lambda cfg, _: cfg)
    cfg.model.decoder = dict(type=registry.DECODERS.get('ToyDecoder'), sgima=3)
    assert [(p.path, p.nearest, str(p.origin)) for p in check_config(cfg)] == [
        ('model.decoder.sgima', 'sigma', 'the config')
    ]


def test_what_cannot_be_checked_is_noted(check):
    report = check(
        ('runtime.py', "dict(backend='gloo')", "dict(backend='gloo', port=29500)"),
        ('runtime.py', 'clip_grad=dict(max_norm=1)', "constructor='ToyConstructor'"),
        ('leaf.py', "num_classes='auto'", "backbone=dict(init_cfg=dict(type='Xavier'), rate=1)"),
    )
    assert [problem.path for problem in report.problems] == ['model.backbone.init_cfg']  # ToyBackbone does not take it
    assert [(note.path, place(note.origin)) for note in report.notes] == [
        ('model.backbone.init_cfg', 'leaf.py:3'),
        ('env_cfg.dist_cfg.port', 'runtime.py:20'),
        ('optim_wrapper.constructor', 'runtime.py:7'),
    ]


def test_a_config_in_memory():
    with pytest.raises(UserError, match=r'the config: \d+ problems'):
        require_valid_config(Config(dict(modle=3)))
    paths = {problem.path for problem in check_config(Config(dict(modle=3)))}
    assert paths == {'modle', 'default_scope'}


def test_a_class_outside_the_tree(check, tmp_path, monkeypatch):
    (tmp_path / 'wtal_outside.py').write_text(
        'from mmwtal.registry import MODELS\n\n\n'
        '@MODELS.register_module()\nclass OutsideLoss:\n    def __init__(self, *, alpha: float) -> None: ...\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    use = "custom_imports = dict(imports=['wtal_outside'])\nmodel = dict(head=dict(losses=dict(loss_x=dict(%s)))) #"
    try:
        assert check(('leaf.py', 'model = ', use % "type='OutsideLoss', alpha=1")).problems == []
        problems = check(('leaf.py', 'model = ', use % "type='OutsideLoss', alfa=1")).problems
        assert [(p.path, p.nearest) for p in problems] == [('model.head.losses.loss_x.alfa', 'alpha')]
    finally:
        registry.MODELS.module_dict.pop('OutsideLoss')


def test_an_unknown_class_without_custom_imports(check):
    (problem,) = check(('model.py', "'ToyDecoder'", "'OwnDecoder'")).problems
    assert problem.message.startswith("no decoder is registered as 'OwnDecoder'")
    assert problem.message.endswith(' (a class of your own needs custom_imports = dict(imports=[MODULE]))')
    spoilt = (
        ('model.py', "'ToyDecoder'", "'OwnDecoder'"),
        ('leaf.py', 'model = ', "custom_imports = dict(imports=['os'])\nmodel = "),
    )
    (problem,) = check(*spoilt).problems
    assert 'custom_imports' not in problem.message


def test_a_class_that_lacks_a_method(check):
    class ToyUnfinished(BaseDecoder):
        def proposals(self) -> None: ...

    registry.DECODERS.register_module(module=ToyUnfinished)
    try:
        (problem,) = check(('model.py', "type='ToyDecoder', thresholds=[0.1, 0.2]", "type='ToyUnfinished'")).problems
    finally:
        registry.DECODERS.module_dict.pop('ToyUnfinished')
    assert problem.path == 'model.decoder.type'
    assert problem.message == 'ToyUnfinished lacks the method propose, which BaseDecoder asks of its subclasses'


def every_path(node, path=()):
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from every_path(value, (*path, key))


ANYTHING = st.recursive(
    st.sampled_from([None, True, 3, 0.5, '', 'auto', '.x', 'a..b', 'json', 'Adam', 'ToyHead', 'torch.nn', int]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(['type', '_delete_', 'losses', 'metrics', 'x', 1]), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture
def sound(check):
    return check(cut=lambda *loaded: loaded)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_config_holds_it_is_judged_and_never_fails(sound, data):
    cfg, origins = sound
    content = cfg.to_dict()
    path = data.draw(st.sampled_from(sorted(every_path(content), key=str)))
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(ANYTHING)
    for problem in check_config(Config(content), origins):
        assert problem.message
        assert str(problem.origin)
