"""Configs of offline jobs: checked as those of models are, and told apart from them."""

from pathlib import Path

import pytest

from mmwtal.apis.offline import job_config
from mmwtal.apis.settings import prepare_config
from mmwtal.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
BASE = f"_base_ = ['{ROOT}/configs/_base_/jobs/priors.py']\n"
ENGINE = "engine=dict(type='OpenAICompatible', model='m')"


@pytest.fixture
def config(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / 'job.py'
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize('path', sorted((ROOT / 'configs' / 'priors').glob('*.py')), ids=lambda path: path.stem)
def test_a_shipped_job_states_all_that_it_is_built_of(path):
    job = job_config(path)
    assert job['type'] == 'PriorGeneration'
    assert {'engine', 'dialogue', 'decoders'} <= job.keys()
    # One second a frame as long as a clip is seen in one pass: nothing is thinned out.
    if 'tiny' not in path.stem:
        assert job['dialogue']['one_pass_seconds'] * job['dialogue']['fps'] <= job['dialogue']['max_frames']


def test_all_mistakes_are_found_at_once_with_the_nearest_name(config):
    path = config(
        BASE + "job = dict(engine=dict(type='OpenAICompatibel'), decoder=2, dialogue=dict(max_frame=3, fps='two'))"
    )
    with pytest.raises(UserError) as error:
        job_config(path)
    message = str(error.value)
    assert "did you mean 'OpenAICompatible'" in message
    assert "takes no argument 'decoder'; did you mean 'decoders'" in message
    assert "takes no argument 'max_frame'; did you mean 'max_frames'" in message
    assert 'job.dialogue.fps: expected float' in message
    assert message.count('job.py:2') == 4


def test_a_job_needs_an_engine(config):
    with pytest.raises(UserError, match=r'job\.engine: is missing'):
        job_config(config(BASE))


def test_options_replace_values_and_are_checked(config):
    path = config(BASE + f'job = dict({ENGINE})')
    assert job_config(path, {'job.dialogue.max_frames': 7})['dialogue']['max_frames'] == 7
    with pytest.raises(UserError, match='max_frame'):
        job_config(path, {'job.dialogue.max_frame': 7})


def test_what_the_tool_states_cannot_stand_in_a_config(config):
    with pytest.raises(UserError, match=r'job\.store: the command line states it'):
        job_config(config(BASE + f"job = dict({ENGINE}, store='elsewhere')"))


def test_a_job_is_no_model_and_a_model_no_job(config):
    with pytest.raises(UserError, match='is a config of an offline job and has no model'):
        prepare_config(config(BASE + f'job = dict({ENGINE})'))
    with pytest.raises(UserError, match='is a config of a model and has no job'):
        job_config(ROOT / 'configs' / 'quick' / 'co2net_synthetic.py')


def test_a_misspelt_job_is_named(config):
    path = config("default_scope = 'mmwtal'\njobs = dict(type='PriorGeneration')")
    with pytest.raises(UserError, match=r"jobs: unknown key .*did you mean 'job'"):
        job_config(path)
