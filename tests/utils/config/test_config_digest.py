"""The hash of a config: of what makes a result, and of nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.apis.settings import prepare_config
from mmwtal.utils.config.digest import changed_values, config_content, config_sha256, imports_sha256

QUICK = Path(__file__).resolve().parents[3] / 'configs' / 'quick' / 'co2net_synthetic.py'


@pytest.fixture(scope='module')
def base() -> str:
    return config_sha256(prepare_config(QUICK))


def test_it_does_not_depend_on_helpers_places_and_seed(base: str, tmp_path: Path) -> None:
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['{QUICK}']\n_expected = dict(average=1.0)\n_helper = 5\n")
    for same in (
        prepare_config(child),
        prepare_config(QUICK, data_root='elsewhere', work_dir='elsewhere'),
        prepare_config(QUICK, cfg_options={'randomness.seed': 7}),
    ):
        assert config_sha256(same) == base


@pytest.mark.parametrize(
    'option',
    [
        {'train_cfg.max_iters': 301},
        {'test_evaluator.protocol': 'anet'},
        {'model.head.dropout': 0.31},
        {'randomness.deterministic': True},
        {'train_dataloader.dataset.pipeline.1.length': 100},
    ],
)
def test_it_depends_on_what_makes_the_result(base: str, option: dict) -> None:
    changed = prepare_config(QUICK, cfg_options=option)
    assert config_sha256(changed) != base
    [line] = changed_values(config_content(changed), config_content(prepare_config(QUICK)))
    [(key, value)] = option.items()
    assert line.startswith(f'{key}: {value!r}, ')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_changed_values_are_none_exactly_where_contents_are_equal(ours: object, theirs: object) -> None:
    assert list(changed_values(ours, ours)) == []
    assert bool(list(changed_values(ours, theirs))) == (ours != theirs)


def test_a_key_that_is_absent_is_said_to_be() -> None:
    assert list(changed_values({'a': {'b': None}}, {'a': {}})) == ['a.b: None, nothing']


def test_the_source_of_custom_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / 'wtal_digested_package'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / 'inner.py').write_text('RATE = 1\n')
    (tmp_path / 'wtal_digested.py').write_text('RATE = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / 'own.py'
    config.write_text(
        f"_base_ = ['{QUICK}']\ncustom_imports = dict(imports=['wtal_digested', 'wtal_digested_package', 'sys'])\n"
    )
    assert imports_sha256(prepare_config(QUICK)) == {}
    cfg = prepare_config(config)
    before = imports_sha256(cfg)
    assert list(before) == ['wtal_digested', 'wtal_digested_package', 'sys']
    assert imports_sha256(cfg) == before
    (package / 'inner.py').write_text('RATE = 2\n')
    assert [name for name, value in imports_sha256(cfg).items() if value != before[name]] == ['wtal_digested_package']
    (tmp_path / 'wtal_digested.py').write_text('RATE = 2\n')
    assert len(set(imports_sha256(cfg).items()) - set(before.items())) == 2
