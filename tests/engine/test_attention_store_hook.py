"""Stored attentions: what a file holds, that training does not notice, names, mistakes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.apis.settings import prepare_config, resolve_auto
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.engine.hooks.attention_store_hook import AttentionStoreHook, file_name
from mmwtal.registry import DATASETS, MODELS
from mmwtal.utils.errors import UserError

CONFIG = Path(__file__).resolve().parents[2] / 'configs/quick/co2net_dual-prior_synthetic.py'


@pytest.fixture(scope='module')
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    root = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(root, seed=0, num_train=6, num_test=2)
    cfg = prepare_config(CONFIG, data_root=root)
    resolve_auto(cfg, dataloader='train_dataloader')
    torch.manual_seed(0)
    return MODELS.build(cfg.model).train(), DATASETS.build(cfg.train_dataloader.dataset)


@pytest.fixture
def runner(parts: tuple[Any, Any], tmp_path: Path) -> Any:
    model, dataset = parts
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(model=model, train_dataloader=loader, iter=0, max_iters=7, work_dir=str(tmp_path))


def run(hook: AttentionStoreHook, runner: Any) -> list[str]:
    hook.before_train(runner)
    while runner.iter < runner.max_iters:
        hook.after_train_iter(runner, batch_idx=runner.iter)
        runner.iter += 1
    folder = Path(runner.work_dir) / 'attentions'
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_what_is_stored_and_that_training_does_not_notice(runner: Any) -> None:
    model, dataset = runner.model, runner.train_dataloader.dataset
    chosen = [dataset.video_ids[3], dataset.video_ids[1]]
    model.csr_part = model.guidance.csr.eval()  # a part that is held in evaluation mode stays there
    modes = [part.training for part in model.modules()]
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    files = run(AttentionStoreHook(videos=chosen, interval=3), runner)
    assert files == sorted(f'{video}/iter_{iteration}.npz' for video in chosen for iteration in (3, 6, 7))
    assert [part.training for part in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numbers).all()
    assert isinstance(dataset.pipeline.transforms[1].mode, str)  # the view left the dataset as it is
    del model.csr_part
    model.train()

    record = dataset.get_data_info(3)
    length = record['num_snippets']
    with np.load(Path(runner.work_dir) / 'attentions' / chosen[0] / 'iter_6.npz') as stored:  # allow_pickle=False
        content = dict(stored)
    assert (content['iteration'], content['video_id']) == (6, chosen[0])
    labels = np.sort(record['label_ids'])
    names = [dataset.metainfo['classes'][label] for label in labels]
    assert content['labels'].tolist() == names
    assert content['boundaries'].shape == (length + 1,)
    assert content['cas'].shape == (length, len(names))
    assert {name for name in content if name.startswith('attn_')} == {'attn_base', 'attn_key', 'attn_complete'}
    features = torch.from_numpy(np.load(record['feature_path'])).float()[None]
    with torch.no_grad():
        output = model.eval()(features)
    model.train()
    np.testing.assert_allclose(content['attn_base'], output.attn[0, :, 0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(content['cas'], output.cas[0][:, labels].numpy(), rtol=1e-4, atol=1e-6)
    assert not np.allclose(content['attn_key'], content['attn_complete'])


def test_the_first_videos_of_a_model_without_guidance(runner: Any) -> None:
    guidance, runner.model.guidance = runner.model.guidance, None
    files = run(AttentionStoreHook(videos=2, interval=100), runner)
    runner.model.guidance = guidance
    ids = runner.train_dataloader.dataset.video_ids[:2]
    assert files == sorted(f'{video}/iter_7.npz' for video in ids)
    with np.load(Path(runner.work_dir) / 'attentions' / files[0]) as stored:
        assert [name for name in stored if name.startswith('attn_')] == ['attn_base']


def test_mistakes(runner: Any) -> None:
    name = runner.train_dataloader.dataset.video_ids[0]
    with pytest.raises(UserError, match=rf"video '{name}x' is none of the 6 training videos; did you mean"):
        AttentionStoreHook(videos=[f'{name}x']).before_train(runner)
    for options in ({'videos': 0}, {'videos': 'one'}, {'interval': 0}):
        with pytest.raises(UserError, match='expected a list of video ids'):
            AttentionStoreHook(**options)


def test_usual_names_stay() -> None:
    assert file_name('video_validation_0000051') == 'video_validation_0000051'
    assert file_name('v_-ab.c') == 'v_-ab.c'


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=20))
def test_any_name_is_one_of_a_folder_and_its_own(one: str, other: str) -> None:
    for name in (file_name(one), file_name(other)):
        assert name.isascii()
        assert not set(name) & set('/\\:\0 ')
        assert not name.startswith('.')
        assert 0 < len(name) < 120
    assert (file_name(one) == file_name(other)) == (one == other)
