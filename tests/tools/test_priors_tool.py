"""tools/priors.py, and that --data-root reaches the texts of guidance."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from torch.nn import Module

from mmwtal.apis.settings import prepare_config
from mmwtal.priors.store import PriorStore
from mmwtal.registry import MODELS
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.digest import config_sha256

ROOT = Path(__file__).resolve().parents[2]
GUIDED = """
_base_ = ['{root}/configs/quick/co2net_synthetic.py']
model = dict(guidance=dict(
    type='GuidedByTexts',
    texts=dict(type='PriorTexts', data_root='data/synthetic', encoder=dict(type='StaticVectors', path='v.txt'{more})),
))
"""


class GuidedByTexts(Module):
    """Stands for guidance."""

    def __init__(self, *, texts: Any) -> None:
        super().__init__()
        self.texts = texts


@pytest.fixture(autouse=True)
def guidance() -> None:
    MODELS.register_module(module=GuidedByTexts, force=True)


@pytest.fixture
def run(capsys: pytest.CaptureFixture):
    spec = importlib.util.spec_from_file_location('priors_tool', ROOT / 'tools' / 'priors.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*argv: str | Path) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            run_tool(module.main, module.build_parser(), [str(word) for word in argv])
        said, error = capsys.readouterr()
        return end.value.code, said + error

    return call


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / 'texts.json'
    path.write_text(json.dumps({'run_a': {'run': {'key': ['sprints']}}, 'both': {'jump': {'complete': 'She leaps.'}}}))
    return path


def test_import_into_a_data_root(run, texts: Path, data_root) -> None:
    data_root.write()
    code, said = run('import', texts, '--data-root', data_root.path)
    assert code == 0, said
    assert '2 texts written' in said
    assert '2 of 6 pairs of a training video and its class have a text (33.3%)' in said
    assert len(PriorStore(data_root.path / 'priors').read()) == 2
    assert 'were there already' in run('import', texts, '--data-root', data_root.path)[1]


def test_import_without_a_data_root(run, texts: Path, tmp_path: Path) -> None:
    code, said = run('import', texts, '--out', tmp_path / 'deep' / 'store', '--source', 'people')
    assert code == 0, said
    assert 'pairs' not in said
    assert {one.source for one in PriorStore(tmp_path / 'deep' / 'store').read().values()} == {'people'}
    code, said = run('import', texts, '--out', tmp_path / 'deep' / 'store', '--source', 'others')
    assert (code, 'is of another job' in said) == (2, True)
    assert run('import', texts, '--out', tmp_path / 'deep' / 'store', '--source', 'others', '--overwrite')[0] == 0


def test_mistakes(run, texts: Path, tmp_path: Path) -> None:
    assert run('import', texts) == (2, 'error: name the store with --out, or the data root with --data-root\n')
    assert run('import', texts, '--out', texts)[0] == 2
    assert run('import', texts, '--out', tmp_path / 'x', '--source', ' ')[0] == 2
    assert run('import', tmp_path / 'absent.json', '--out', tmp_path / 'x')[0] == 2
    assert not (tmp_path / 'x').exists()
    assert run()[0] == 2


def test_the_data_root_option_reaches_the_texts(tmp_path: Path) -> None:
    path = tmp_path / 'guided.py'
    path.write_text(GUIDED.format(root=ROOT, more=''))
    cfg = prepare_config(path, data_root='~/elsewhere')
    expected = str(Path('~/elsewhere').expanduser())
    assert cfg.model.guidance.texts.data_root == expected
    assert cfg.train_dataloader.dataset.data_root == expected
    assert 'data_root' not in cfg.model.guidance
    assert prepare_config(path).model.guidance.texts.data_root == 'data/synthetic'
    assert config_sha256(cfg) == config_sha256(prepare_config(path))


def test_the_config_check_knows_texts_and_encoders(tmp_path: Path) -> None:
    path = tmp_path / 'guided.py'
    path.write_text(GUIDED.format(root=ROOT, more=', unknwn=1'))
    with pytest.raises(Exception, match=r"guidance\.texts\.encoder.*takes no argument 'unknwn'"):
        prepare_config(path)
    path.write_text(GUIDED.format(root=ROOT, more='').replace('StaticVectors', 'StaticVector'))
    with pytest.raises(
        Exception, match="no text encoder is registered as 'StaticVector'; did you mean 'StaticVectors'"
    ):
        prepare_config(path)


def test_what_is_read_is_never_replaced(run, texts: Path, data_root) -> None:
    data_root.write()
    store = data_root.path / 'priors'
    assert run('import', texts, '--data-root', data_root.path)[0] == 0
    for path in (*sorted(store.iterdir()), data_root.path / 'annotations.json'):
        if path.suffix in ('.json', '.jsonl'):
            before = path.read_bytes()
            for words in (('merge', path), ('check', '--json', path)):
                code, said = run(*words, '--data-root', data_root.path)
                assert (code, 'is never replaced' in said) == (2, True), path
            assert path.read_bytes() == before
    code, said = run('show', 'run_a', '--picture', data_root.path / 'run_a.mp4', '--data-root', data_root.path)
    assert (code, 'ends in .png' in said) == (2, True)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--workers', '2'), '--workers is of Ray'),
        (('--ray', 'auto', '--shard', '1'), 'leave out --num-shards and --shard'),
    ],
)
def test_options_that_would_do_nothing(run, texts: Path, tmp_path: Path, words, message) -> None:
    assert run('import', texts, '--out', tmp_path / 'store')[0] == 0
    code, said = run('run', 'absent.py', '--out', tmp_path / 'store', *words)
    assert code == 2
    assert message in said


def test_a_file_is_written_into_a_folder_that_is_there(run, texts: Path, tmp_path: Path) -> None:
    assert run('import', texts, '--out', tmp_path / 'store')[0] == 0
    for words in (('merge', tmp_path / 'no' / 'x'), ('check', '--json', tmp_path / 'no' / 'x')):
        assert run(*words, '--out', tmp_path / 'store') == (
            2,
            f'error: the folder of {tmp_path / "no" / "x"} does not exist: make it, or name another file\n',
        )
