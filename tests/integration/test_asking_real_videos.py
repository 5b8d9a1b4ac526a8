"""The whole path on real videos and a server of a tiny random model; test_own_data_walk.py has the one in process."""

import json
import sys
from pathlib import Path

import pytest

from mmwtal.apis.offline import build_job
from mmwtal.apis.prior_jobs import begin_plan
from mmwtal.offline.folder import run_folder
from mmwtal.priors.engines.loaded_model import LoadedModel, ModelSettings
from mmwtal.priors.store import PriorStore
from mmwtal.priors.tiny_mllm import write_tiny_mllm

from .conftest import check_answers

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'priors'
LABELS = {'v_GGSY1Qvo990': 'Clean and jerk', 'video_validation_0000986': 'VolleyballSpiking', 'demo': 'Arm wrestling'}
SMALL = {'job.dialogue.max_frames': 4, 'job.dialogue.short_side': 64, 'job.decoders': 1}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    database = {video: {'subset': 'training', 'labels': [label]} for video, label in LABELS.items()}
    database['v_ZNVhz7ctTq0'] = {'subset': 'test', 'duration': 18.0, 'labels': ['Walking the dog']}
    (tmp_path / 'annotations.json').write_text(json.dumps({'database': database}))
    return tmp_path


def asked(config: str, root: Path, videos: Path, **options: object) -> dict:
    store = root / 'priors'
    job = build_job(CONFIGS / config, data_root=root, store=store, cfg_options={**SMALL, **options})
    plan = begin_plan(job, store, videos, workers=1)
    assert sorted(entry.video for entry in plan.entries) == sorted(LABELS)
    done = run_folder(job, plan, store)
    assert done.counts.total() == len(LABELS)
    assert done.counts['failed'] == done.counts['quarantined'] == 0
    return PriorStore(store).read()


def test_a_model_of_another_family_behind_a_server(root: Path, shared_data: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, 'path', [str(Path(__file__).resolve().parents[1] / 'priors'), *sys.path])
    from fault_server import FaultServer, over_model

    model = root / 'other'
    write_tiny_mllm(model, family='llava_onevision')
    settings = ModelSettings(
        model=str(model), revision=None, device='cpu', dtype='auto', attention=None, media='frames'
    )
    with FaultServer(answer=over_model(LoadedModel(settings))) as server:
        options = {'job.engine.model': 'tiny', 'job.engine.base_url': server.url}
        records = asked('qwen3-vl-8b_server.py', root, shared_data / 'videos', **options)
        check_answers(records, LABELS)
        # Frames as time stamps and JPEGs in turns, and the schema.
        content = server.asked[0]['messages'][-1]['content']
        assert [part['type'] for part in content[:4]] == ['text', 'image_url', 'text', 'image_url']
        assert server.asked[0]['response_format']['type'] == 'json_schema'
