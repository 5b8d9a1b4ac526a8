"""Tiny models of every family: the processor's place for each frame and its time, replies that keep to the schema."""

import re
import shutil
from dataclasses import replace
from typing import get_args

import numpy as np
import pydantic
import pytest

from mmwtal.priors.engines.base import RequestFailed, RequestTooLarge
from mmwtal.priors.engines.loaded_model import LoadedModel, ModelSettings
from mmwtal.priors.engines.media import Media
from mmwtal.priors.patterns import SENTENCE, WORD
from mmwtal.priors.tiny_mllm import Family, write_tiny_mllm
from mmwtal.utils.errors import UserError

from .tiny_clips import SHORT, clip, clip_of, request

pytest.importorskip('xgrammar')


class Answer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra='forbid')
    label: str
    visible: bool
    verbs: list[pydantic.constr(pattern=WORD)]
    steps: list[pydantic.constr(pattern=SENTENCE)] = pydantic.Field(min_length=2, max_length=4)


def settings(folder, **changes):
    values = dict(model=str(folder), revision=None, device='cpu', dtype='auto', attention=None, media='video')
    return ModelSettings(**{**values, **changes})


@pytest.fixture(scope='module')
def loaded(tiny_mllm):
    models = {}

    def load(family='qwen3_vl', media='video'):
        if (family, media) not in models:
            models[family, media] = LoadedModel(settings(tiny_mllm(family), media=media))
        return models[family, media]

    return load


def read(model, question):
    """What a model reads of a question."""
    return model._processor.tokenizer.decode(model._inputs(question)['input_ids'][0])


@pytest.mark.parametrize('media', get_args(Media))
@pytest.mark.parametrize('family', get_args(Family))
def test_a_reply_keeps_to_the_schema(loaded, family, media):
    model = loaded(family, media)
    reply = model.answer(request(temperature=1.0, seed=5))
    assert reply.complete
    Answer.model_validate_json(reply.text, strict=True)
    assert ': ' in reply.text
    assert '\n' not in reply.text
    assert reply.prompt_tokens > 20
    assert reply.reply_tokens > 10


def test_a_reply_is_a_function_of_its_seed_and_the_likeliest_of_none(loaded):
    model = loaded()
    first, again, other = (model.answer(request(temperature=1.0, seed=seed)) for seed in (5, 5, 6))
    assert first == again != other
    assert model.answer(request(seed=1)) == model.answer(request(seed=2))


@pytest.mark.parametrize('media', get_args(Media))
@pytest.mark.parametrize('family', get_args(Family))
def test_a_single_frame(loaded, family, media):
    inputs = loaded(family, media)._inputs(request(clip=clip((1.5,))))
    assert inputs['input_ids'].shape[1] > 10
    if family == 'qwen3_vl':
        assert '<1.5 seconds>' in read(loaded(family, media), request(clip=clip((1.5,))))


def test_the_frames_are_seen(loaded):
    for media in get_args(Media):
        model = loaded('internvl', media)
        darker = replace(clip(), frames=tuple(replace(f, jpeg=clip().frames[0].jpeg) for f in clip().frames))
        # Of likeliest replies two may be alike by chance.
        drawn = [request(temperature=1.0, seed=seed) for seed in range(3)]
        assert any(model.answer(one).text != model.answer(replace(one, clip=darker)).text for one in drawn)


def test_a_question_on_text_alone(loaded):
    for media in get_args(Media):
        model = loaded(media=media)
        assert model.answer(request(clip=None, schema=SHORT)).complete
        assert 'seconds>' not in read(model, request(clip=None))


@pytest.mark.parametrize('family', get_args(Family))
def test_interleaved_frames_stand_behind_their_times(loaded, family):
    prompt = read(loaded(family, 'frames'), request())
    parts = re.split(r'<(\d+\.\d) seconds>', prompt)
    assert parts[1::2] == ['0.0', '1.5', '2.2', '4.0']
    places = [len(re.findall(r'<\|image_pad\|>|<image>|<IMG_CONTEXT>', part)) for part in parts[2::2]]
    assert min(places) > 0
    assert 'You watch videos.' in parts[0]
    assert 'What is seen of HighJump?' in parts[-1]


def test_the_times_of_a_video_are_those_of_its_frames(loaded):
    # Qwen3-VL: two frames together, at the mean of their times; SmolVLM: whole seconds. Unevenly spaced, from within.
    shown = replace(clip((61.0, 62.0, 70.5, 71.5, 75.0, 76.0)), start=60.0, end=77.0, duration=200.0)
    times = re.findall(r'<([\d.]+) seconds>', read(loaded('qwen3_vl'), request(clip=shown)))
    assert times == ['61.5', '71.0', '75.5']
    prompt = read(loaded('smolvlm'), request(clip=shown))
    assert re.findall(r'Frame from ([\d:]+):', prompt) == ['01:01', '01:02', '01:10', '01:11', '01:15', '01:16']
    assert '0:03:20' in prompt
    # Qwen2.5-VL: seconds of two frames together, of a stretch of 17 s with 6 frames.
    inputs = loaded('qwen2_5_vl')._inputs(request(clip=shown))
    assert np.isclose(float(inputs['second_per_grid_ts'][0]), 2 * 17 / 6)


def test_a_reply_that_was_cut_off(loaded):
    reply = loaded().answer(request(max_tokens=12))
    assert not reply.complete
    assert reply.reply_tokens == 12


def test_what_exceeds_the_context_is_too_large_before_the_model_runs(loaded, monkeypatch):
    model = loaded(media='frames')
    monkeypatch.setattr(model._model, 'generate', lambda **_: pytest.fail('the model ran'))
    with pytest.raises(RequestTooLarge, match=r'\d+ tokens of the question and up to 8100 of the reply exceed the con'):
        model.answer(request(max_tokens=8100))
    with pytest.raises(RequestTooLarge, match='8192 tokens'):
        model.answer(request(clip=clip(tuple(float(time) for time in range(700)), end=700.0)))


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        'torch.OutOfMemoryError',
    ],
)
def test_a_lack_of_memory(loaded, monkeypatch, error):
    import torch

    if isinstance(error, str):
        error = torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 9 GiB')
    model = loaded()

    def fail(**_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(model._model, 'generate', fail)
        with pytest.raises(RequestTooLarge, match='the memory does not suffice'):
            model.answer(request())
    assert model.answer(request(schema=SHORT)).complete


def test_other_faults_of_the_model_are_no_lack_of_memory(loaded, monkeypatch):
    model = loaded()

    def fail(**_):
        raise RuntimeError('shapes do not match')

    monkeypatch.setattr(model._model, 'generate', fail)
    with pytest.raises(RequestFailed, match='the model failed: shapes do not match') as caught:
        model.answer(request())
    assert not isinstance(caught.value, RequestTooLarge)


def test_options_of_the_processor(tiny_mllm, loaded):
    larger = {'videos_kwargs': {'size': {'shortest_edge': 4 * 128 * 128, 'longest_edge': 16 * 128 * 128}}}
    model = LoadedModel(settings(tiny_mllm(), processor_options=larger))
    question = request(schema=SHORT)
    assert model.answer(question).prompt_tokens > loaded().answer(question).prompt_tokens
    assert '<0.8 seconds>' in read(model, request())


def test_a_device_that_is_not_there(tiny_mllm):
    with pytest.raises(UserError, match='cannot be put on nonsense'):
        LoadedModel(settings(tiny_mllm(), device='nonsense'))


def test_a_picture_that_the_processor_refuses(loaded):
    for content in (b'', b'\xff\xd8no picture'):
        spoilt = replace(clip(), frames=(replace(clip().frames[0], jpeg=content),))
        with pytest.raises(RequestFailed, match='cannot take the request: a frame is no JPEG'):
            loaded().answer(request(clip=spoilt))


def test_real_videos(loaded, shared_data):
    paths = sorted(path for path in (shared_data / 'videos').rglob('*') if path.suffix in ('.mp4', '.avi'))
    shortest = sorted(paths, key=lambda path: path.stat().st_size)
    for path, family, media in zip(shortest, ('qwen3_vl', 'llava_onevision'), ('video', 'frames'), strict=False):
        reply = loaded(family, media).answer(request(clip=clip_of(path), temperature=1.0))
        assert reply.complete
        Answer.model_validate_json(reply.text, strict=True)


def spoil(folder, tmp_path, name, content):
    copy = shutil.copytree(folder, tmp_path / 'model')
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content)
    return copy


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('config.json', None),
        ('config.json', b'{'),
        ('config.json', b'{}'),
        ('config.json', b'{"model_type": "no_such_model"}'),
        ('config.json', b'{"model_type": "bert"}'),
        ('model.safetensors', None),
        ('model.safetensors', b'short'),
        ('tokenizer.json', b'{}'),
        ('processor_config.json', b'{}'),
    ],
)
def test_a_faulty_folder(tiny_mllm, tmp_path, name, content):
    with pytest.raises(UserError, match=rf'{tmp_path}/model (cannot be loaded as a multimodal|has no processor)'):
        LoadedModel(settings(spoil(tiny_mllm(), tmp_path, name, content)))


def test_weights_that_are_not_all_there(tiny_mllm, tmp_path):
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(tiny_mllm(), tmp_path / 'model')
    tensors = load_file(copy / 'model.safetensors')
    tensors.pop('model.visual.patch_embed.proj.bias')
    save_file(tensors, copy / 'model.safetensors', metadata={'format': 'pt'})
    with pytest.raises(UserError, match='lack 1 tensors of its model, such as model'):
        LoadedModel(settings(copy))


def test_pickled_weights_are_not_read(tiny_mllm, tmp_path):
    import torch
    from safetensors.torch import load_file

    copy = shutil.copytree(tiny_mllm(), tmp_path / 'model')
    torch.save(load_file(copy / 'model.safetensors'), copy / 'pytorch_model.bin')
    (copy / 'model.safetensors').unlink()
    with pytest.raises(UserError, match='safetensors'):
        LoadedModel(settings(copy))


def test_tiny_models_are_a_function_of_their_seed(tiny_mllm, tmp_path):
    write_tiny_mllm(tmp_path / 'same')
    write_tiny_mllm(tmp_path / 'other', seed=1)
    names = sorted(path.name for path in (tmp_path / 'same').iterdir())
    contents = {out: [(out / name).read_bytes() for name in names] for out in (tmp_path / 'same', tiny_mllm())}
    assert contents[tmp_path / 'same'] == contents[tiny_mllm()]
    assert (tmp_path / 'other' / 'model.safetensors').read_bytes() not in contents[tmp_path / 'same']


def test_a_tiny_model_is_asked_for_wrongly(tmp_path):
    with pytest.raises(UserError, match=r"families qwen3_vl, .*, found 'gpt'"):
        write_tiny_mllm(tmp_path / 'out', family='gpt')
    (tmp_path / 'file').touch()
    for out in (tmp_path, tmp_path / 'file'):
        with pytest.raises(UserError, match='is there already and no empty folder'):
            write_tiny_mllm(out)
