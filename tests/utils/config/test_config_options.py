"""--cfg-options replaces values, says where it did, and refuses what cannot work."""

import argparse

import pytest

from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.config.origin import COMMAND_LINE, load_config
from mmwtal.utils.errors import UserError

CONFIG = """_rate = 0.1
model = dict(type='A', head=dict(rate=_rate, sizes=(1, 2)))
pipeline = [dict(type='Load'), dict(type='Sample', length=5)]
tious = [0.1, 0.2, 0.3]
nested = [[1, 2], [3, 4]]
name = 'x'
custom_imports = None
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_text(CONFIG)
    return path


def parse(*pairs):
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    return parser.parse_args(['--cfg-options', *pairs]).cfg_options


def test_values_and_their_origin(config):
    options = parse(
        'model.head.rate=0.5', 'pipeline.1.length=7', 'pipeline.1.mode=full', 'tious.0=0.4', 'tious.2=0.6',
        'nested.1.0=9', 'model.head.sizes.1=8', 'optim.lr=1e-3', 'name=y',
    )  # fmt: skip
    cfg, origins = load_config(config, options)
    assert cfg.model.head == dict(rate=0.5, sizes=(1, 8))
    assert cfg.pipeline == [dict(type='Load'), dict(type='Sample', length=7, mode='full')]
    assert cfg.tious == [0.4, 0.2, 0.6]
    assert cfg.nested == [[1, 2], [9, 4]]
    assert cfg.optim.lr == 1e-3
    for path in (
        ('model', 'head', 'rate'),
        ('pipeline', 1, 'mode'),
        ('tious', 2),
        ('nested', 1, 0),
        ('optim',),
        ('name',),
    ):
        assert origins.value(path) == COMMAND_LINE, path
    for path in (
        ('model', 'type'),
        ('pipeline', 0, 'type'),
        ('pipeline', 1, 'type'),
        ('tious', 1),
        ('model', 'head', 'sizes', 0),
    ):
        assert origins.value(path).line in (2, 3, 4), path


def test_a_list_replaced_whole_and_a_dict_deleted(config):
    cfg, origins = load_config(
        config, parse('tious=[0.3,0.5]', 'tious.1=0.7', 'model.head._delete_=True', 'model.head.x=1')
    )
    assert cfg.tious == [0.3, 0.7]
    assert cfg.model.head == dict(x=1)
    assert origins.value(('tious', 0)) == COMMAND_LINE


def test_no_options_change_nothing(config):
    assert load_config(config, {})[0].to_dict() == load_config(config)[0].to_dict()


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('model.head.rate.value', ['model.head.rate is 0.1', 'has no parts']),
        ('name.a', ["name is 'x'", 'has no parts']),
        ('pipeline.2.type', ['pipeline is a list of 2', 'from 0 to 1', "'2'"]),
        ('pipeline.type', ['pipeline is a list of 2', "'type'"]),
        ('nested.0.5', ['nested.0 is a list of 2']),
        ('custom_imports.imports', ['while the config file is read', '_base_']),
        ('_rate', ['the option would change nothing']),
        ('_base_', ['the option would change nothing']),
    ],
)
def test_what_cannot_be_set(config, option, words):
    with pytest.raises(UserError) as caught:
        load_config(config, {option: 1})
    for word in (f'--cfg-options {option}', *words):
        assert word in str(caught.value)


@pytest.mark.parametrize('pair', ['model', '=3', 'tious=[1,(2]', "decoder=dict(a=1, type='b')"])
def test_what_is_no_key_and_value_is_a_usage_error(capsys, pair):
    with pytest.raises(SystemExit) as caught:
        parse(pair)
    assert caught.value.code == 2
    assert '--cfg-options' in capsys.readouterr().err
