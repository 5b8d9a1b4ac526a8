"""The table of tools for ``test_bad_input.py``, and a sound input for each argument.

A further tool is one more entry of ``TOOLS``: its arguments, with ``{slot}`` where a file or folder is read or written,
and where it reads something new a line in ``write_sound_inputs``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmwtal.apis.localizer import init_localizer
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.evaluation import evaluate

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/quick/co2net_synthetic.py'
PLAN = f"""
title: A plan
protocol: wtal_grid
seeds: {{develop: 0}}
data: {{embedded: {{recipe: embedded}}}}
references: [base]
bases: {{co2net: {{embedded: {CONFIG}}}}}
arms: {{base: {{label: one}}, other: {{label: two}}}}
"""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool and what it reads and writes.

    Args:
        path: Below ``tools/``.
        argv: A command line that is sound with the files of the fixture ``sound``.
        inputs: Names of the files and folders that it reads, as in ``argv``.
        output: What it writes, as in ``argv``.
        output_is_file: Whether that is a file, not a folder.
        wrong: Options with values that are refused, each on its own.
        reports_on_stdout: The report on a faulty input is the tool's result and goes to the standard output.
        takes: Kinds of input that are all right for it, with the input.
    """

    path: str
    argv: str
    inputs: tuple[str, ...] = ()
    output: str | None = None
    output_is_file: bool = False
    wrong: tuple[str, ...] = ()
    reports_on_stdout: bool = False
    takes: tuple[tuple[str, str], ...] = ()


_RUN = '{config} --work-dir {out} --data-root {root}'
_WRONG_CONFIG = ('--cfg-options x', '--cfg-options model.x=1', '--cfg-options model=5', '--cfg-options =')
_WRONG_RUN = (*_WRONG_CONFIG, '--launcher pbs', '--cfg-options randomness.seed=-1', '--cfg-options randomness.seed=x')
TOOLS = {
    'train': Tool(
        path='train.py',
        argv=f'{_RUN} --cfg-options train_cfg.max_iters=1',
        inputs=('config', 'root'),
        output='out',
        wrong=(
            *(*_WRONG_RUN, '--seed -1', '--seed x', '--seed 4294967296', '--resume {absent}', '--resume {text}'),
            *(f'--cfg-options {pair}' for pair in ('train_cfg.max_iters=0', 'train_cfg.max_iters=x')),
            *(f'--cfg-options {pair}' for pair in ('model.head.dropout=2', 'train_dataloader.num_workers=-1')),
            *(f'--cfg-options {pair}' for pair in ('train_dataloader.batch_size=0', 'load_from={text}')),
            '--resume {checkpoint}',
        ),
    ),
    'test': Tool(
        path='test.py',
        argv='{config} {checkpoint} --work-dir {out} --data-root {root}',
        inputs=('config', 'checkpoint', 'root'),
        output='out',
        wrong=(*_WRONG_RUN, '--dump {out}', '--dump {text}/x.json', '--cfg-options test_evaluator.subset=training'),
    ),
    'infer': Tool(
        path='infer.py',
        argv='{root} --config {config} --checkpoint {checkpoint} --out {out}',
        inputs=('root', 'config', 'checkpoint'),
        output='out',
        wrong=(
            *(*_WRONG_CONFIG, '--device warp', '--formats mp3', '--score-threshold x', '--score-threshold nan'),
            *('--top-k 0', '--batch-size 0', '--extractor {config}', '--extractor {text}', '--videos {absent}'),
            *('--data-root {root}', '{absent}', '{text}', '--data-root {absent}'),
        ),
    ),
    'timeline': Tool(
        path='analysis/timeline.py',
        argv='{root} --model m={config}:{checkpoint} --predictions p={predictions} --out {out}',
        inputs=('root', 'config', 'checkpoint', 'predictions'),
        output='out',
        output_is_file=True,
        wrong=(
            *('--video x', '--model x', '--model a=b', '--predictions x', '--predictions m={predictions}'),
            *('--plan {plan}', '--plan {text}', '--plan {absent}'),
        ),
    ),
    'evaluate': Tool(
        path='evaluate.py',
        argv='{predictions} {annotations} --protocol anet --out {out}',
        inputs=('predictions', 'annotations'),
        output='out',
        output_is_file=True,
        wrong=('--protocol x', '--tious x', '--tious 2', '--subset x', '--out {annotations}', '--out {absent}/x'),
    ),
    'priors': Tool(
        path='priors.py',
        argv='import {texts} --data-root {root} --out {out}',
        inputs=('texts', 'root'),
        output='out',
        wrong=('--out {text}', '--out {text}/x', '--source ', '--data-root {absent}'),
    ),
    'check_config': Tool(
        path='check_config.py', argv='{config}', inputs=('config',), wrong=_WRONG_CONFIG, reports_on_stdout=True
    ),
    'print_config': Tool(
        path='analysis/print_config.py',
        argv='{config}',
        inputs=('config',),
        wrong=('--cfg-options x', '--origin x'),
        takes=(('empty', 'config'), ('other type', 'config')),
    ),
    'multi_seed': Tool(
        path='analysis/multi_seed.py',
        argv='{config} --seeds 0 --work-dir {out} --data-root {root}',
        inputs=('config',),  # the data are read by its children
        output='out',
        wrong=(
            *(
                *_WRONG_CONFIG,
                '--seeds x',
                '--seeds 3-1',
                '--jobs 0',
                '--threads x',
                '--out {absent}/x',
                '--out {root}',
            ),
            *('--out {config}', '--cfg-options randomness.seed=1', '--cfg-options randomness.seed=-1'),
        ),
    ),
    'ablate': Tool(
        path='analysis/ablate.py',
        argv='{plan} --work-dir {out} --data embedded={root}',
        inputs=('plan',),  # the data are read by its children
        output='out',
        wrong=(
            *('--seeds x', '--data x', '--data x={root}', '--data embedded={absent}', '--data embedded={text}'),
            *('--only x', '--jobs 0', '--threads x', '--dry-run --tables-only', '--out {text}', '--work-dir {text}'),
        ),
    ),
    'compare_runs': Tool(
        path='analysis/compare_runs.py',
        argv='{result} {other_result} --out {out}',
        inputs=('result', 'other_result'),
        output='out',
        output_is_file=True,
        wrong=('--allow x', '--allow protocol,x', '--names one', '--names x x', '--out {absent}/x', '--markdown {out}'),
    ),
    'attention_quality': Tool(
        path='analysis/attention_quality.py',
        argv='{config} {checkpoint} --data-root {root} --out {out}',
        inputs=('config', 'checkpoint', 'root'),
        output='out',
        output_is_file=True,
        wrong=(*_WRONG_CONFIG, '--out {absent}/x', '--out {checkpoint}', '--cfg-options test_evaluator.subset=x'),
    ),
    'model_zoo': Tool(path='analysis/model_zoo.py', argv='--check', wrong=('--root {text}', '--root {absent}')),
    'frozen': Tool(path='analysis/frozen.py', argv='--check', wrong=('--write', '--check x')),
    'custom': Tool(
        path='dataset_converters/custom.py',
        argv='{features} {labels} {out} --test-csv {segments} --durations {durations} --fps 25 --stride 16',
        inputs=('features', 'labels', 'segments', 'durations'),
        output='out',
        wrong=(
            '--fps 0',
            '--fps nan',
            '--stride x',
            '--classes a,a',
            '--modalities rgb=0',
            '--link --copy',
            '--linear-time',
        ),
    ),
    'thumos14': Tool(
        path='dataset_converters/thumos14.py',
        argv='{thumos14} {out} --features {joint}',
        inputs=('thumos14', 'joint'),
        output='out',
        wrong=('--overwrite x',),
    ),
    'synthetic': Tool(
        path='dataset_converters/synthetic.py',
        argv='{out} --num-train 8 --num-test 4',
        output='out',
        wrong=('--num-train -1', '--num-train x', '--seed -1', '--num-train 0'),
    ),
    'strip_guidance': Tool(
        path='model_converters/strip_guidance.py',
        argv='{checkpoint} {out}',
        inputs=('checkpoint',),
        output='out',
        output_is_file=True,
        wrong=('--overwrite x', '--x'),
    ),
    'official': Tool(
        path='model_converters/official.py',
        argv='co2net {official} {out}',
        inputs=('official',),
        output='out',
        output_is_file=True,
        wrong=('x', '--x'),
    ),
}


def write_sound_inputs(folder: Path) -> dict[str, Path]:
    """Write the inputs of all tools."""
    paths = {'config': ROOT / CONFIG, 'root': folder / 'root', 'text': folder / 'text', 'absent': folder / 'absent'}
    write_synthetic(paths['root'], seed=0, num_train=8, num_test=4)
    paths['annotations'] = paths['root'] / 'annotations.json'
    paths['texts'] = paths['root'] / 'texts.json'
    paths['text'].write_text('no checkpoint')
    paths['plan'] = folder / 'plan.yml'
    paths['plan'].write_text(PLAN)
    database = json.loads(paths['annotations'].read_text())['database']
    videos = {
        subset: [name for name, entry in database.items() if entry['subset'] == subset]
        for subset in ('training', 'test')
    }
    texts = {
        'predictions': json.dumps({'results': {videos['test'][0]: []}}),
        'labels': 'one,run;jump\ntwo,jump\n',
        'segments': 'last,0.5,2,run\n',
        'durations': 'one,6.4\ntwo,6.4\nlast,6.4\n',
    }
    for name, text in texts.items():
        paths[name] = folder / f'{name}.{"json" if name == "predictions" else "csv"}'
        paths[name].write_text(text)
    for name in ('result', 'other_result'):
        paths[name] = folder / f'{name}.json'
        result = evaluate(paths['predictions'], paths['annotations'], protocol='anet').to_dict()
        paths[name].write_text(json.dumps(result))
    paths['features'] = folder / 'features'
    paths['features'].mkdir()
    for name in ('one', 'two', 'last'):
        np.save(paths['features'] / f'{name}.npy', np.ones((10, 8), np.float32))
    paths |= {'checkpoint': folder / 'c.pth', 'official': folder / 'o.pkl', 'thumos14': folder / 'thumos14'}
    dataset = WTALDataset(data_root=paths['root'], subset='test', test_mode=True)
    sizes = {'num_classes': len(dataset.metainfo['classes']), 'in_channels': dataset.feature_width}
    model = init_localizer(paths['config'], cfg_options={f'model.{key}': value for key, value in sizes.items()})
    meta = {**sizes, 'dataset_meta': {'classes': list(dataset.metainfo['classes'])}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, paths['checkpoint'])
    torch.save({'fusion.0.weight': torch.ones(4, 4, 1)}, paths['official'])
    paths['thumos14'].mkdir()
    columns = {'videoname': [b'a'], 'subset': [b'test'], 'duration': [6.4], 'segments': [[[1.0, 2.0]]]}
    columns |= {'labels': [[b'Run']], 'labels_all': [[b'Run']], 'classlist': [b'Run']}
    for name, column in columns.items():
        np.save(paths['thumos14'] / f'{name}.npy', object_array(column), allow_pickle=True)
    paths['joint'] = folder / 'joint.npy'
    np.save(paths['joint'], object_array([np.ones((10, 8), np.float32)]), allow_pickle=True)
    return paths


def object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
