import importlib.util
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

HALF, ATTENTION, CLASSES = 6, 512, 3


@pytest.fixture(scope='module')
def tool(repo_root):
    spec = importlib.util.spec_from_file_location(
        'official_converter', repo_root / 'tools/model_converters/official.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def official():
    """What the authors' code saves, at a reduced width."""
    generator = torch.Generator().manual_seed(0)
    width = 2 * HALF
    shapes = {
        'feat_encoder.0': (width, width, 3),
        'fusion.0': (width, width, 1),
        'classifier.1': (width, width, 3),
        'classifier.4': (CLASSES + 1, width, 1),
    }
    for name in ('vAttn', 'fAttn'):
        shapes |= {f'{name}.bit_wise_attn.0': (HALF, HALF, 3), f'{name}.channel_conv.0': (HALF, HALF, 3)}
        shapes |= {f'{name}.attention.0': (ATTENTION, HALF, 3), f'{name}.attention.3': (ATTENTION, ATTENTION, 3)}
        shapes |= {f'{name}.attention.5': (1, ATTENTION, 1)}
    state = {}
    for name, shape in shapes.items():
        state[f'{name}.weight'] = torch.randn(shape, generator=generator)
        state[f'{name}.bias'] = torch.randn(shape[0], generator=generator)
    return state


def convert(tool, source, target, *options, base='co2net'):
    tool.main(tool.build_parser().parse_args([base, str(source), str(target), *options]))


@pytest.mark.parametrize('form', ['bare', 'wrapped', 'parallel', 'legacy'])
def test_converts(tool, official, tmp_path, capsys, form):
    source, target = tmp_path / 'best.pkl', tmp_path / 'sub/ours.pth'
    content = {f'module.{name}': value for name, value in official.items()} if form == 'parallel' else official
    torch.save(
        {'state_dict': content, 'epoch': 3} if form == 'wrapped' else content,
        source,
        _use_new_zipfile_serialization=form != 'legacy',
    )
    convert(tool, source, target)
    said = capsys.readouterr().out
    unused = (2 * HALF) ** 2 * 3 + 2 * HALF
    assert f'left out: feat_encoder, {unused} parameters' in said

    checkpoint = torch.load(target, weights_only=True)
    meta = checkpoint['meta']
    assert (meta['base'], meta['num_classes'], meta['in_channels']) == ('co2net', CLASSES, 2 * HALF)
    assert meta['left_out'] == {'feat_encoder': unused}
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': CLASSES,
            'in_channels': 2 * HALF,
            'backbone': {'type': 'CO2NetBackbone'},
            'head': {'type': 'MILHead', 'losses': {}},
        }
    )
    model.load_state_dict(checkpoint['state_dict'])
    assert torch.equal(model.backbone.flow.attention.score.bias, official['fAttn.attention.5.bias'])
    assert torch.equal(model.backbone.rgb.global_conv.weight, official['vAttn.channel_conv.0.weight'])
    assert torch.equal(model.head.classifier.weight, official['classifier.4.weight'])
    assert [path.name for path in target.parent.iterdir()] == ['ours.pth']


def test_delu_has_the_network_of_co2net(tool, official, tmp_path, capsys):
    source = tmp_path / 'best_delu_thumos.pkl'
    torch.save(official, source)
    for base in ('co2net', 'delu'):
        convert(tool, source, tmp_path / f'{base}.pth', base=base)
        assert 'left out: feat_encoder' in capsys.readouterr().out
    co2net, delu = (torch.load(tmp_path / f'{base}.pth', weights_only=True) for base in ('co2net', 'delu'))
    assert delu['meta']['base'] == 'delu'
    assert delu['state_dict'].keys() == co2net['state_dict'].keys()
    assert all(torch.equal(value, co2net['state_dict'][key]) for key, value in delu['state_dict'].items())
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': CLASSES,
            'in_channels': 2 * HALF,
            'backbone': {'type': 'CO2NetBackbone'},
            'head': {'type': 'MILHead', 'losses': {'loss_evidential': {'type': 'EvidentialLoss'}}},
        }
    )
    model.load_state_dict(delu['state_dict'])


@pytest.mark.parametrize('unused_layer', [False, True])  # only the model for ActivityNet has it
def test_ddgnet(tool, official, tmp_path, capsys, unused_layer):
    generator = torch.Generator().manual_seed(1)
    state = {name: value for name, value in official.items() if not name.startswith(('vAttn', 'fAttn', 'feat_encoder'))}
    for modality, name in enumerate(('vAttn', 'fAttn')):
        prefix = f'{name}.attention.'
        state |= {
            f'Attn.attentions.{modality}.{key.removeprefix(prefix)}': value
            for key, value in official.items()
            if key.startswith(prefix)
        }
        for graph in (f'Attn.{kind}_graph.{modality}.{depth}' for kind in ('action', 'background') for depth in (0, 1)):
            state[f'{graph}.weight'] = torch.randn(HALF, HALF, 1, generator=generator)
            state[f'{graph}.bias'] = torch.randn(HALF, generator=generator)
    if unused_layer:
        state |= {name: value for name, value in official.items() if name.startswith('feat_encoder')}
    torch.save(state, tmp_path / 'best_Thumos14.pkl')
    convert(tool, tmp_path / 'best_Thumos14.pkl', tmp_path / 'ours.pth', base='ddgnet')
    assert ('left out: feat_encoder' in capsys.readouterr().out) == unused_layer

    converted = torch.load(tmp_path / 'ours.pth', weights_only=True)
    meta = converted['meta']
    assert (meta['base'], meta['num_classes'], meta['in_channels']) == ('ddgnet', CLASSES, 2 * HALF)
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': CLASSES,
            'in_channels': 2 * HALF,
            'backbone': {'type': 'DDGNetBackbone'},
            'head': {'type': 'MILHead', 'losses': {}},
        }
    )
    model.load_state_dict(converted['state_dict'])
    graphs = model.backbone.graphs
    assert torch.equal(graphs[1].action[0].weight, state['Attn.action_graph.1.0.weight'])
    assert torch.equal(graphs[0].background[1].bias, state['Attn.background_graph.0.1.bias'])
    assert torch.equal(model.backbone.attentions[1].conv2.weight, official['fAttn.attention.3.weight'])


def test_does_not_overwrite_unasked(tool, official, tmp_path):
    source, target = tmp_path / 'best.pkl', tmp_path / 'ours.pth'
    torch.save(official, source)
    target.write_text('precious')
    with pytest.raises(UserError, match=r'exists already.*--overwrite'):
        convert(tool, source, target)
    assert target.read_text() == 'precious'
    convert(tool, source, target, '--overwrite')
    assert 'state_dict' in torch.load(target, weights_only=True)


def test_all_faults_at_once_under_the_authors_names(tool, official, tmp_path):
    del official['vAttn.channel_conv.0.bias']
    official['gcn.weight'] = torch.ones(2)
    official['classifier.1.weight'] = torch.ones(2, 2, 3)
    source = tmp_path / 'best.pkl'
    torch.save(official, source)
    with pytest.raises(UserError) as error:
        convert(tool, source, tmp_path / 'ours.pth')
    message = str(error.value)
    assert str(source) in message
    assert 'missing vAttn.channel_conv.0.bias' in message
    assert 'unexpected gcn.weight' in message
    assert 'classifier.1.weight of shape (2, 2, 3) instead of (12, 12, 3)' in message
    assert not (tmp_path / 'ours.pth').exists()


def test_a_parameter_that_states_a_size_is_missing(tool, official, tmp_path):
    del official['classifier.4.weight']
    torch.save(official, tmp_path / 'best.pkl')
    with pytest.raises(UserError, match=r'missing classifier\.4\.weight'):
        convert(tool, tmp_path / 'best.pkl', tmp_path / 'ours.pth')


class Payload:
    def __reduce__(self):
        return print, ('arbitrary code ran',)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('text', r'best\.pkl is damaged, cut short or no checkpoint'),
        ('object', r'best\.pkl holds a print, but only tensors'),
        ('list', r'best\.pkl: expected a state dict'),
        ('empty', r'best\.pkl: expected a state dict'),
        ('scalar', r'best\.pkl: expected a state dict'),
    ],
)
def test_other_files(tool, tmp_path, capsys, content, message):
    source = tmp_path / 'best.pkl'
    if content == 'text':
        source.write_text('not a checkpoint')
    elif content == 'object':
        torch.save({'a': Payload()}, source)
    else:
        torch.save({'list': [1, 2], 'empty': {}, 'scalar': {'a': 1}}[content], source)
    with pytest.raises(UserError, match=message) as caught:
        convert(tool, source, tmp_path / 'ours.pth')
    assert str(caught.value).endswith('save model.state_dict() from their code')
    assert 'arbitrary' not in capsys.readouterr().out


def test_command_line(repo_root, tmp_path):
    done = subprocess.run(
        [sys.executable, 'tools/model_converters/official.py', 'co2net', 'absent.pkl', str(tmp_path / 'ours.pth')],
        cwd=repo_root,
        env={'PYTHONPATH': str(repo_root), 'PATH': ''},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('error: no checkpoint file absent.pkl; give the file')
    assert 'Traceback' not in done.stderr


def test_a_checkpoint_that_is_ours_already(tool, official, tmp_path):
    torch.save(official, tmp_path / 'best.pkl')
    convert(tool, tmp_path / 'best.pkl', tmp_path / 'ours.pth')
    with pytest.raises(UserError, match=r'ours\.pth: this is already an mmwtal checkpoint'):
        convert(tool, tmp_path / 'ours.pth', tmp_path / 'again.pth')


def test_the_input_is_never_replaced(tool, official, tmp_path):
    source = tmp_path / 'best.pkl'
    torch.save(official, source)
    (tmp_path / 'link').symlink_to(source)
    content = source.read_bytes()
    for target in (source, tmp_path / 'link'):
        with pytest.raises(UserError, match='OUT is IN'):
            convert(tool, source, target, '--overwrite')
    assert source.read_bytes() == content


# Authors' layers of the other base models at reduced input width: (weight's shape, whether it has a bias).
OTHERS = {
    'um': {'cas_module.conv.0': ((2048, 6, 3), True), 'cas_module.classifier.0': ((CLASSES, 2048, 1), False)},
    'basnet': {
        'filter_module.conv_1.0': ((512, 6, 1), True),
        'filter_module.conv_2.0': ((1, 512, 1), True),
        'cas_module.conv_1.0': ((2048, 6, 3), True),
        'cas_module.conv_2.0': ((2048, 2048, 3), True),
        'cas_module.conv_3.0': ((CLASSES + 1, 2048, 1), False),
    },
}


@pytest.mark.parametrize('base', OTHERS)
def test_other_bases(tool, base, tmp_path, repo_root):
    state = {}
    for number, (layer, (shape, biased)) in enumerate(OTHERS[base].items()):
        state[f'{layer}.weight'] = torch.full(shape, float(number))
        if biased:
            state[f'{layer}.bias'] = torch.full(shape[:1], number + 0.5)
    source, target = tmp_path / 'model_best.pkl', tmp_path / 'ours.pth'
    torch.save(state, source)
    tool.main(tool.build_parser().parse_args([base, str(source), str(target)]))
    checkpoint = torch.load(target, weights_only=True)
    assert (checkpoint['meta']['num_classes'], checkpoint['meta']['in_channels']) == (CLASSES, 6)
    config = Config.fromfile(repo_root / f'configs/_base_/models/{base}.py').model
    model = MODELS.build({**config, 'num_classes': CLASSES, 'in_channels': 6})
    model.load_state_dict(checkpoint['state_dict'])
    for layer, mine in tool.BASES[base].renames.items():
        assert torch.equal(model.get_parameter(f'{mine}.weight'), state[f'{layer}.weight'])
    with pytest.raises(UserError, match=r'unexpected'):
        tool.convert(state, tool.BASES['co2net'], 'model_best.pkl')
