"""A model in a process of its own: its replies, its identity, its death."""

import asyncio
import json
import pickle
import shutil
from pathlib import Path

import pytest

from mmwtal.offline.job import EngineDown
from mmwtal.offline.pool import WorkerDied
from mmwtal.priors.engines.base import RequestFailed, RequestTooLarge
from mmwtal.priors.engines.loaded_model import LoadedModel
from mmwtal.priors.engines.transformers_engine import Transformers
from mmwtal.priors.patterns import SENTENCE
from mmwtal.registry import MLLM_ENGINES
from mmwtal.utils.errors import UserError

from .tiny_clips import SHORT, clip, request

pytest.importorskip('xgrammar')


def test_asked_in_a_process_of_its_own(tiny_mllm):
    engine = MLLM_ENGINES.build({'type': 'Transformers', 'model': str(tiny_mllm()), 'media': 'frames'})
    engine = pickle.loads(pickle.dumps(engine))

    async def session():
        with pytest.raises(EngineDown, match='not opened'):
            await engine.ask(request())
        assert not await engine.healthy()
        await engine.open()
        try:
            assert await engine.healthy()
            replies = await asyncio.gather(*(engine.ask(request(temperature=1.0, seed=seed)) for seed in (1, 2, 1)))
            assert all(reply.complete for reply in replies)
            assert replies[0] == replies[2] != replies[1]
            assert json.loads(replies[0].text).keys() == {'label', 'visible', 'verbs', 'steps'}
            with pytest.raises(RequestTooLarge, match='exceed the context'):
                await engine.ask(request(max_tokens=8192))
            with pytest.raises(RequestFailed, match='xgrammar cannot compile the schema'):
                await engine.ask(request(schema={'type': 'nothing'}))
            with pytest.raises(UserError, match='repeats something more than 128 times'):
                await engine.ask(request(schema={'type': 'string', 'pattern': '^a{0,129}$'}))
        finally:
            await engine.close()
        assert not await engine.healthy()

    asyncio.run(session())


@pytest.mark.slow
def test_a_model_whose_process_dies(tiny_mllm):
    engine = Transformers(model=tiny_mllm())

    async def session():
        await engine.open()
        try:
            reply = await engine.ask(request(schema=SHORT))
            for worker in engine._pool._workers:
                worker._process.kill()
                worker._process.join()
            # Nothing was at work: no request is to blame, and the next has a process of its own.
            assert await engine.ask(request(schema=SHORT)) == reply
            steps = {'type': 'array', 'items': {'type': 'string', 'pattern': SENTENCE}, 'minItems': 60, 'maxItems': 60}
            # So long a reply that it is under way when its process ends.
            asked = asyncio.create_task(engine.ask(request(max_tokens=6000, schema=steps)))
            await asyncio.sleep(0.3)
            for worker in engine._pool._workers:
                worker._process.kill()
            with pytest.raises(WorkerDied, match='model qwen3_vl died'):
                await asked
            assert await engine.healthy()
            assert await engine.ask(request(schema=SHORT)) == reply
        finally:
            await engine.close()

    asyncio.run(session())


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded(tmp_path):
    engine = Transformers(model=tmp_path)

    async def session():
        try:
            await engine.open()
        finally:
            await engine.close()

    with pytest.raises(UserError, match=f'{tmp_path} cannot be loaded as a multimodal model'):
        asyncio.run(session())


def test_a_device_that_is_of_no_more_use(tiny_mllm, monkeypatch):
    import torch

    from mmwtal.priors.engines import transformers_engine

    class Exited(Exception):
        pass

    class Model:
        def answer(self, request):
            raise torch.AcceleratorError('CUDA error: an illegal memory access was encountered')

    def leave(code):
        raise Exited(code)

    monkeypatch.setattr(transformers_engine.os, '_exit', leave)
    with pytest.raises(Exited, match='1'):
        transformers_engine._answer(Model(), request(clip=clip()))


def test_the_identity_of_a_folder_is_what_it_holds(tiny_mllm, tmp_path):
    engine = Transformers(model=tiny_mllm(), dtype='float32')
    identity = dict(engine.identity)
    digest = identity.pop('revision')
    assert len(digest) == 64
    assert identity == {
        'engine': 'Transformers',
        'model': 'qwen3_vl',
        'dtype': 'float32',
        'media': 'video',
        'processor_options': {},
    }
    assert engine.name == 'qwen3_vl'
    copy = shutil.copytree(tiny_mllm(), tmp_path / 'elsewhere' / 'qwen3_vl')
    (copy / 'README.md').write_text('It changes nothing.')
    assert Transformers(model=copy, dtype='float32').identity == engine.identity
    template = copy / 'chat_template.jinja'
    template.write_text(template.read_text() + ' ')
    assert Transformers(model=copy, dtype='float32').identity['revision'] != digest


def test_the_identity_of_a_name_is_its_revision():
    options = {'images_kwargs': {'crop_to_patches': False}}
    engine = Transformers(model='Qwen/Qwen3-VL-8B-Instruct', revision='abc', media='frames', processor_options=options)
    assert engine.identity == {
        'engine': 'Transformers',
        'model': 'Qwen/Qwen3-VL-8B-Instruct',
        'revision': 'abc',
        'dtype': 'auto',
        'media': 'frames',
        'processor_options': options,
    }
    assert json.dumps(engine.identity)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'media': 'audio'}, 'media of Transformers must be one of'),
        ({'concurrency': 0}, 'concurrency >= 1'),
        ({'timeout': 0}, 'timeout above 0'),
        ({'processor_options': {'size': 3}}, "takes .'images_kwargs', 'videos_kwargs'., found 'size'"),
        ({'model': '/no/such/folder'}, 'model /no/such/folder of Transformers is no folder'),
        ({'model': Path('./nothing')}, None),
    ],
)
def test_settings_out_of_range(options, message):
    if message is None:
        # A Path drops the dot: it reads as a name on the hub.
        assert Transformers(**options).name == 'nothing'
        return
    with pytest.raises(UserError, match=message):
        Transformers(**{'model': 'name/model', **options})


def test_the_model_class_is_found_by_pickle():
    assert pickle.loads(pickle.dumps(LoadedModel)) is LoadedModel
