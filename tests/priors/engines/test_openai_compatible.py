"""A server asked over HTTP: what is sent, and what becomes of each of its faults."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pydantic
import pytest

from mmwtal.offline.job import EngineDown
from mmwtal.priors.engines import openai_compatible
from mmwtal.priors.engines.base import Reply, RequestFailed, RequestTooLarge
from mmwtal.priors.engines.loaded_model import LoadedModel, ModelSettings
from mmwtal.priors.engines.openai_compatible import OpenAICompatible
from mmwtal.priors.engines.server_replies import refusal
from mmwtal.priors.patterns import SENTENCE, WORD
from mmwtal.registry import MLLM_ENGINES
from mmwtal.utils.errors import UserError

from ..fault_server import Fault, FaultServer, over_model
from .tiny_clips import clip, clip_of, request

pytest.importorskip('openai')


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that would have been made."""
    made = []
    real = asyncio.sleep

    async def pause(seconds):
        if seconds:
            made.append(seconds)
        await real(0)

    monkeypatch.setattr(openai_compatible.asyncio, 'sleep', pause)
    return made


def engine_for(server, **options):
    return MLLM_ENGINES.build({'type': 'OpenAICompatible', 'model': server.model, 'base_url': server.url, **options})


def run(server, *requests, **options):
    """Open an engine, ask, close it."""
    engine = engine_for(server, **options)

    async def session():
        try:
            await engine.open()
            return [await engine.ask(question) for question in requests]
        finally:
            await engine.close()

    return asyncio.run(session())


def test_frames_are_sent_behind_their_times(server):
    (reply,) = run(server, request(seed=7, temperature=0.5), extra_body={'top_k': 20})
    assert reply == Reply(text='{}', complete=True, prompt_tokens=3, reply_tokens=1)
    (body,) = server.asked
    system, user = body['messages']
    assert system == {'role': 'system', 'content': 'You watch videos.'}
    *parts, question = user['content']
    assert question == {'type': 'text', 'text': 'What is seen of HighJump?'}
    assert [part['text'] for part in parts[::2]] == [f'<{time} seconds>' for time in ('0.0', '1.5', '2.2', '4.0')]
    sent = [part['image_url']['url'].removeprefix('data:image/jpeg;base64,') for part in parts[1::2]]
    assert [base64.b64decode(url, validate=True) for url in sent] == [frame.jpeg for frame in clip().frames]
    assert {key: body[key] for key in ('max_tokens', 'temperature', 'seed', 'top_k')} == {
        'max_tokens': 900,
        'temperature': 0.5,
        'seed': 7,
        'top_k': 20,
    }
    bound = body['response_format']['json_schema']
    assert bound['strict'] is True
    assert bound['schema']['properties']['steps']['items'] == {'type': 'string', 'pattern': SENTENCE}


def test_a_question_on_text_alone(server):
    run(server, request(clip=None, system=''))
    assert server.asked[0]['messages'] == [
        {'role': 'user', 'content': [{'type': 'text', 'text': 'What is seen of HighJump?'}]}
    ]


def test_a_whole_video_is_sent_as_its_file(server, tmp_path):
    path = tmp_path / 'video.mp4'
    path.write_bytes(b'0123456789' * 1000)
    whole = clip(path=path)
    part = clip((1.0, 2.0), path=path, end=9.0)
    object.__setattr__(part, 'end', 5.0)
    run(server, request(clip=whole), request(clip=part), media='video')
    run(server, request(clip=whole), media='video', largest_video=0.009)
    run(server, request(clip=whole, reduced=True), media='video')
    sent = [[entry['type'] for entry in body['messages'][1]['content']] for body in server.asked]
    four = ['text', 'image_url'] * 4 + ['text']
    assert sent == [['video_url', 'text'], ['text', 'image_url'] * 2 + ['text'], four, four]
    url = server.asked[0]['messages'][1]['content'][0]['video_url']['url']
    assert url.startswith('data:video/mp4;base64,')
    assert base64.b64decode(url.partition(',')[2]) == path.read_bytes()
    path.unlink()
    with pytest.raises(RequestFailed, match=r'video\.mp4 cannot be read'):
        run(server, request(clip=whole), media='video')


@pytest.mark.parametrize(
    'fault',
    [
        Fault(status=429, headers={'Retry-After': '0'}),
        Fault(status=500),
        Fault(status=503),
        Fault(status=502, body='<html>Bad gateway</html>'),
        Fault(drop=True),
        Fault(cut=True),
        Fault(body='{"choices": ['),
        Fault(body=''),
        Fault(body='[]'),
        Fault(body='{"choices": []}'),
        Fault(body='{"choices": [{"message": {"content": [1]}, "finish_reason": "stop"}]}'),
        Fault(body='{"choices": [{"message": null, "finish_reason": "stop"}]}'),
        Fault(finish='abort'),
        Fault(finish='error', content='internal error happened, status code ResponseType.INTERNAL_ENGINE_ERROR'),
    ],
    ids=repr,
)
def test_a_fault_that_passes(server, pauses, fault):
    server.script = [fault, fault]
    (reply,) = run(server, request(), retries=2)
    assert reply.text == '{}'
    assert len(server.asked) == 3
    assert len(pauses) == 2
    server.script = [fault] * 9
    with pytest.raises(EngineDown, match=rf'{server.url}: .*, 3 tries'):
        run(server, request(), retries=2)
    assert len(server.asked) == 6
    assert len(server.greetings) == (0 if fault.status in (429, 503) else 1)
    # A request that fails while others do not, has failed for its own sake, if it is not that there are too many.
    server.script = [fault] * 3
    with pytest.raises(EngineDown if fault.status in (429, 503) else RequestFailed, match='3 tries'):
        run(server, request(), retries=2)


def test_a_server_that_hangs(server, pauses):
    server.script = [Fault(hang=30.0)]
    (reply,) = run(server, request(), timeout=0.2)
    assert reply.complete
    server.script = [Fault(hang=30.0)] * 3
    with pytest.raises(EngineDown, match=r'no reply within 0\.2 s, 2 tries'):
        run(server, request(), timeout=0.2, retries=1)


def test_pauses_grow_and_spread_alike_in_every_run(server, pauses):
    for question in (request(), request(), request(seed=1)):
        server.script = [Fault(status=500)] * 10
        with pytest.raises(EngineDown):
            run(server, question, retries=8)
    first, second, other = pauses[:8], pauses[8:16], pauses[16:]
    assert first == second != other
    for number, pause in enumerate(first):
        longest = min(60.0, 2.0**number)
        assert longest / 2 <= pause <= longest
    assert all(after > before for before, after in pairwise(first[::2]))


@pytest.mark.parametrize(
    ('header', 'least', 'most'),
    [
        ('7', 7, 8),
        ('0.5', 0.5, 1.5),
        ('90', 90, 91),
        ('4000', 100, 100),
        ('-3', 0, 1),
        ('soon', 0.5, 1),
        ('nan', 0.5, 1),
    ],
)
def test_retry_after(server, pauses, header, least, most):
    server.script = [Fault(status=429, headers={'Retry-After': header})]
    run(server, request(), longest_wait=100.0)
    assert len(pauses) == 1
    assert least <= pauses[0] <= most


def test_retry_after_as_a_date(server, pauses):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=70), usegmt=True)
    server.script = [Fault(status=503, headers={'Retry-After': date})]
    run(server, request())
    assert 60 <= pauses[0] <= 72


@pytest.mark.parametrize(
    'fault',
    [
        Fault(status=413, body='Payload Too Large'),
        Fault(
            status=400,
            body='{"object": "error", "message": "The input (61709 tokens) is longer than the model\'s context '
            'length (40960 tokens).", "type": "BadRequestError", "code": 400}',
        ),
        Fault(
            status=400,
            body='{"object": "error", "message": "Multimodal prompt is too long after expanding multimodal '
            'tokens. After expanding 5192 => 6153 >= 5489.", "code": 400}',
        ),
        Fault(
            status=400,
            body='{"error": {"message": "This model\'s maximum context length is 2048 tokens. However, you '
            'requested 2900 tokens.", "code": 400}}',
        ),
        Fault(status=400, body='{"error": {"message": "too much", "code": "context_length_exceeded"}}'),
        Fault(status=400, body='{"error": {"message": "At most 8 image(s) may be provided in one prompt."}}'),
        Fault(status=500, body='The decoder prompt (length 9000) is longer than the maximum model length of 8192.'),
        Fault(finish='error', content='internal error happened, status code ResponseType.INPUT_LENGTH_ERROR'),
        Fault(
            body='{"choices": [{"message": {"content": ""}, "finish_reason": "length"}], "usage": '
            '{"prompt_tokens": 9000, "completion_tokens": 0}}'
        ),
    ],
    ids=repr,
)
def test_a_request_that_does_not_fit(server, pauses, fault):
    server.script = [fault]
    with pytest.raises(RequestTooLarge):
        run(server, request())
    assert len(server.asked) == 1
    assert not pauses


def test_a_context_that_fewer_frames_fit_into():
    with FaultServer(most_images=3) as server:
        with pytest.raises(RequestTooLarge, match=r'HTTP 400: The decoder prompt \(length 396\)'):
            run(server, request())
        assert run(server, request(clip=clip((0.0, 1.0, 2.0))))[0].complete


@pytest.mark.parametrize('status', [400, 422, 409 + 1, 451])
def test_a_request_that_the_server_refuses(server, pauses, status):
    server.script = [Fault(status=status, body='{"detail": [{"msg": "seed is no number"}]}')]
    with pytest.raises(RequestFailed, match=rf'HTTP {status}: .*seed is no number') as caught:
        run(server, request())
    assert not isinstance(caught.value, RequestTooLarge)
    assert not pauses


@pytest.mark.parametrize(
    ('status', 'meaning'), [(401, 'asks for a key'), (403, 'refuses this key'), (404, 'no such model or address')]
)
def test_what_no_request_gets_past(server, pauses, status, meaning):
    server.script = [Fault(status=status)]
    with pytest.raises(UserError, match=rf'{server.url} .*{meaning} \(HTTP {status}, model tiny\): .*correct base_url'):
        run(server, request())
    server.models_script = [Fault(status=status)]
    with pytest.raises(UserError, match=meaning):
        run(server)
    assert not pauses


def test_a_reply_that_was_cut_off(server):
    server.script = [Fault(finish='length', content='{"a": "b'), Fault(content='')]
    first, second = run(server, request(), request())
    assert first == Reply(text='{"a": "b', complete=False, prompt_tokens=3, reply_tokens=1)
    assert second.text == ''
    assert second.complete


def test_a_reply_that_is_withheld(server, pauses):
    server.script = [Fault(finish='content_filter', content='')]
    with pytest.raises(RequestFailed, match='withheld the reply for its content'):
        run(server, request())
    assert not pauses


def test_a_key(server, monkeypatch):
    server.key = 'secret'
    with pytest.raises(UserError, match=r'asks for a key \(HTTP 401'):
        run(server)
    monkeypatch.delenv('TINY_KEY', raising=False)
    with pytest.raises(UserError, match=r'environment variable TINY_KEY, .*is not set'):
        run(server, api_key_env='TINY_KEY')
    monkeypatch.setenv('TINY_KEY', 'secret')
    engine = engine_for(server, api_key_env='TINY_KEY')
    assert run(server, request(), api_key_env='TINY_KEY')[0].complete
    assert 'secret' not in json.dumps(engine.identity)


@pytest.mark.parametrize('key', ['sec ret', 'sec\nret', 'séc', 'sec\x7f'])
def test_a_key_that_no_request_can_carry_is_not_said(server, monkeypatch, key):
    monkeypatch.setenv('TINY_KEY', key)
    with pytest.raises(UserError, match='TINY_KEY holds no key') as caught:
        run(server, api_key_env='TINY_KEY')
    assert key[:3] not in str(caught.value)
    # A file that a key was read from often ends in a line break.
    server.key = 'secret'
    monkeypatch.setenv('TINY_KEY', ' secret\n')
    assert run(server, request(), api_key_env='TINY_KEY')[0].complete


def test_a_key_that_a_server_quotes_is_not_said(server, monkeypatch):
    monkeypatch.setenv('TINY_KEY', 'sec-ret')
    for status, error in ((400, RequestFailed), (401, UserError)):
        server.script = [Fault(status=status, body='{"detail": "the key sec-ret has no credit"}')]
        with pytest.raises(error, match='has no credit') as caught:
            run(server, request(), api_key_env='TINY_KEY')
        assert 'sec-ret' not in str(caught.value)


def test_a_password_in_the_address_is_not_said(server):
    address = server.url.replace('://', '://user:secret@')
    server.models_script = [Fault(status=403), Fault(status=500), Fault(body='{}')]
    for error in (UserError, EngineDown, UserError):
        with pytest.raises(error, match=r'http://127\.0\.0\.1') as caught:
            run(server, base_url=address)
        assert 'secret' not in str(caught.value)
    assert run(server, request(), base_url=address)[0].complete


def test_the_identity_has_no_address(server):
    identity = engine_for(server, revision='abc', extra_body={'top_k': 1}).identity
    assert identity == {
        'engine': 'OpenAICompatible',
        'model': 'tiny',
        'revision': 'abc',
        'media': 'frames',
        'extra_body': {'top_k': 1},
    }
    assert identity != engine_for(server, media='video').identity
    assert engine_for(server).name == 'tiny'


def test_a_model_that_is_not_offered(server):
    with pytest.raises(UserError, match=r'does not offer the model other, but tiny: name one of these'):
        run(server, model='other')


@pytest.mark.parametrize('body', ['<html></html>', '{"data": 3}', '{}', '[1]', '{"data": [{"name": "tiny"}]}'])
def test_an_address_that_is_no_such_server(server, body):
    server.models_script = [Fault(body=body)]
    with pytest.raises(UserError, match=r'is no OpenAI-compatible server: .*base_url mostly ends in /v1'):
        run(server)


def test_a_server_that_is_still_loading(server, pauses):
    # It says so at once: the runner of the job knows how long to wait.
    server.models_script = [Fault(status=503)] * 2
    for _ in range(2):
        with pytest.raises(EngineDown, match='503'):
            run(server, request())
    assert run(server, request())[0].complete
    server.stop()
    with pytest.raises(EngineDown, match='no connection'):
        run(server, request())


def test_a_server_that_dies_and_returns(server, pauses):
    engine = engine_for(server, retries=1)

    async def session():
        assert not await engine.healthy()
        await engine.open()
        assert await engine.healthy()
        await engine.ask(request())
        server.stop()
        assert not await engine.healthy()
        with pytest.raises(EngineDown, match='no connection'):
            await engine.ask(request())
        server.start()
        assert await engine.healthy()
        assert (await engine.ask(request())).complete
        server.model = 'another'
        assert not await engine.healthy()
        await engine.close()
        with pytest.raises(EngineDown, match='not opened'):
            await engine.ask(request())

    asyncio.run(session())


def test_requests_are_under_way_together_up_to_the_limit(server):
    under_way, most = set(), []

    def answer(body):
        under_way.add(body['seed'])
        most.append(len(under_way))
        server.wait(0.05)
        under_way.discard(body['seed'])
        return Reply(text='{}', complete=True)

    server.answer = answer
    engine = engine_for(server, concurrency=4)

    async def session():
        await engine.open()
        await asyncio.gather(*(engine.ask(request(seed=seed)) for seed in range(12)))
        await engine.close()

    asyncio.run(session())
    assert max(most) == 4
    assert len(server.asked) == 12
    # Connections are kept for the next requests.
    assert server.connections <= 5


def test_a_proxy_is_not_asked_for_this_machine(server, monkeypatch):
    for name in ('HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'):
        monkeypatch.setenv(name, 'http://127.0.0.1:9')
    for name in ('NO_PROXY', 'no_proxy'):
        monkeypatch.delenv(name, raising=False)
    assert run(server, request())[0].complete


@pytest.mark.parametrize(
    'options',
    [
        {'media': 'audio'},
        {'base_url': '127.0.0.1:8000'},
        {'base_url': 'http://'},
        {'base_url': 'http://[::1/v1'},
        {'base_url': 'http://127.0.0.1:99999/v1'},
        {'base_url': 'http://user:secret@127.0.0.1:port/v1'},
        {'concurrency': 0},
        {'retries': -1},
        {'timeout': 0},
        {'longest_wait': 0},
        {'largest_video': 0},
    ],
)
def test_settings_out_of_range(options):
    with pytest.raises(UserError, match='OpenAICompatible'):
        OpenAICompatible(**{'model': 'tiny', **options})


def test_what_servers_say_is_kept_short():
    error = refusal(400, {}, json.dumps({'error': {'message': 'no ' * 900}}), where='here', model='tiny')
    assert isinstance(error, RequestFailed)
    assert len(str(error)) < 330


class Answer(pydantic.BaseModel):
    label: str
    visible: bool
    verbs: list[pydantic.constr(pattern=WORD)]
    steps: list[pydantic.constr(pattern=SENTENCE)] = pydantic.Field(min_length=2, max_length=4)


def test_the_real_model_behind_the_server(tiny_mllm, shared_data):
    pytest.importorskip('xgrammar')
    folder = str(tiny_mllm('internvl'))
    settings = ModelSettings(model=folder, revision=None, device='cpu', dtype='auto', attention=None, media='frames')
    model = LoadedModel(settings)
    paths = sorted((shared_data / 'videos').rglob('*.mp4'), key=lambda path: path.stat().st_size)[:1]
    questions = [request(clip=clip_of(path), temperature=1.0, seed=seed) for seed, path in enumerate(paths)]
    with FaultServer(answer=over_model(model)) as server:
        server.script = [Fault(drop=True)]
        replies = run(server, *questions)
        with pytest.raises(RequestTooLarge, match='maximum model length of 8192'):
            run(server, request(max_tokens=8192))
    for question, reply in zip(questions, replies, strict=True):
        Answer.model_validate_json(reply.text, strict=True)
        assert model.answer(question).text == reply.text
