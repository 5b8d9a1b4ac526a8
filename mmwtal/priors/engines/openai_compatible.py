"""Any server that speaks as OpenAI's chat completions do: vLLM, SGLang, LMDeploy."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any, get_args

from mmwtal.offline.job import EngineDown
from mmwtal.priors.engines.addresses import on_this_machine, without_password
from mmwtal.priors.engines.base import BaseEngine, Reply, Request, RequestFailed
from mmwtal.priors.engines.media import Media
from mmwtal.priors.engines.server_replies import Unavailable, read_models, read_reply, refusal
from mmwtal.priors.engines.server_request import GREETING, payload, shown_frames, shown_video
from mmwtal.registry import MLLM_ENGINES
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

# A health check and a connection take seconds where a reply may take minutes.
_GREETING = 10.0
# A pause doubles from one try to the next, up to the longest.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# Turns of the event loop until a question is with the network: the client's layers yield about so often.
_HEAD_START = 8


@MLLM_ENGINES.register_module()
class OpenAICompatible(BaseEngine):
    """A server over HTTP, asked with bounded concurrency; faults that pass are waited out, with growing pauses.

    Args:
        model: The name under which the server offers the model.
        base_url: Address of the server's API, which mostly ends in ``/v1``.
        api_key_env: The environment variable that holds the key; None for a server that needs none.
        revision: Branch, tag or commit of the weights that the server was started with; it is recorded, not checked.
        media: ``frames`` sends time stamps and JPEGs in turns, which every server of a model that takes several images
            understands as it is. ``video`` sends the file where the clip is the whole video and the file is not too
            large, and frames otherwise, also where the file exceeds the context. Of a file the server chooses the
            frames, whatever times the record names.
        largest_video: MiB of the largest file that is sent.
        concurrency: How many requests are under way at the same time.
        timeout: Seconds that a reply may take.
        retries: How often a request is repeated that the server could not take or lost.
        longest_wait: Seconds that a server's ``Retry-After`` may ask for; it is asked again after this time at the
            latest.
        extra_body: More fields of each request, such as ``{'top_k': 20}`` or ``{'mm_processor_kwargs': {...}}``.

    Raises:
        UserError: If a setting is out of range.
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str = 'http://127.0.0.1:8000/v1',
        api_key_env: str | None = None,
        revision: str | None = None,
        media: Media = 'frames',
        largest_video: float = 64.0,
        concurrency: int = 16,
        timeout: float = 600.0,
        retries: int = 5,
        longest_wait: float = 300.0,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        if media not in get_args(Media):
            raise UserError(f'media of OpenAICompatible must be one of {get_args(Media)}, found {media!r}')
        where = without_password(base_url)
        if where is None:
            raise UserError(
                'base_url of OpenAICompatible must be an address such as http://127.0.0.1:8000/v1, found '
                f'{base_url.rpartition("@")[2]!r}'
            )
        if concurrency < 1 or retries < 0 or min(timeout, longest_wait, largest_video) <= 0:
            raise UserError(
                'OpenAICompatible takes concurrency >= 1, retries >= 0 and timeout, longest_wait and largest_video '
                f'above 0, found {concurrency}, {retries}, {timeout}, {longest_wait} and {largest_video}'
            )
        self.name = model
        self.concurrency = concurrency
        self._base_url = base_url
        self._where = where
        self._api_key_env = api_key_env
        self._revision = revision
        self._media = media
        self._largest_video = largest_video
        self._timeout = timeout
        self._retries = retries
        self._longest_wait = longest_wait
        self._extra_body = dict(extra_body or {})
        self._client: Any = None
        self._slots = self._gate = asyncio.Semaphore()

    @property
    def identity(self) -> Mapping[str, Any]:
        """The model, its revision, and how videos are shown."""
        shown: dict[str, Any] = {'media': self._media}
        if self._media == 'video':
            shown['largest_video'] = self._largest_video
        return {
            'engine': 'OpenAICompatible',
            'model': self.name,
            'revision': self._revision,
            **shown,
            'extra_body': self._extra_body,
        }

    async def open(self) -> None:
        """Ask the server which models it offers; see :class:`BaseEngine`."""
        openai = require('openai', 'priors')
        self._slots, self._gate = asyncio.Semaphore(self.concurrency), asyncio.Semaphore()
        self._client = openai.AsyncOpenAI(
            api_key=self._key(),
            base_url=self._base_url,
            # Ours know what is worth another try, and wait as long as a server asks for.
            max_retries=0,
            timeout=self._timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                # A proxy of the environment is not for a server on this machine.
                trust_env=not on_this_machine(self._base_url),
            ),
        )
        try:
            # Once: who opens an engine knows how long it is worth waiting for a server.
            offered = await self._models()
        except Unavailable as error:
            raise EngineDown(f'{self._where}: {error}') from error
        if self.name not in offered:
            raise UserError(
                f'the server at {self._where} does not offer the model {self.name}, but {", ".join(offered)}: name '
                'one of these as model, or start it with --served-model-name'
            )

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def healthy(self) -> bool:
        """Say whether the server tells its models."""
        if self._client is None:
            return False
        try:
            return self.name in await self._models()
        except (Unavailable, UserError):
            return False

    async def ask(self, request: Request) -> Reply:
        """Answer a request; see :class:`BaseEngine`.

        One that fails in every try while the server answers a question of one word has failed for its own sake: the
        server is not down for it, else a video that no server can bear would hold up all others.
        """
        if self._client is None:
            raise EngineDown(f'{self.name} was not opened')
        # Before it is its turn: those that wait for one are ready when they get it.
        body = await self._payload(request)
        async with self._slots:
            try:
                return await self._repeated(
                    lambda: self._reply(body), chance=Random(f'{request.seed} {request.prompt}')
                )
            except Unavailable as error:
                if not error.busy and await self._answers():
                    raise RequestFailed(
                        f'{error}, {self._retries + 1} tries, while the server answers other requests'
                    ) from error
                raise self._down(error) from error

    async def _repeated(self, once: Callable[[], Awaitable[Any]], *, chance: Random) -> Any:
        """Try something until it succeeds, with pauses that ``chance`` spreads.

        Raises:
            Unavailable: If it failed in every try; that of the last.
        """
        for number in range(self._retries):
            try:
                return await once()
            except Unavailable as error:
                asked_for = error.retry_after
            # Spread, or all that failed together come back together.
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**number) * chance.uniform(0.5, 1.0)
            if asked_for is not None:
                pause = min(self._longest_wait, asked_for + 0.1 * pause)
            await asyncio.sleep(pause)
        return await once()

    async def _answers(self) -> bool:
        """Say whether the server answers a question that no server should fail at."""
        try:
            await self._reply(json.dumps({'model': self.name, **GREETING}).encode())
        except (Unavailable, RequestFailed):
            return False
        return True

    def _down(self, error: Unavailable) -> EngineDown:
        return EngineDown(f'{self._where}: {error}, {self._retries + 1} tries')

    async def _models(self) -> list[str]:
        listed = await self._called(
            lambda: self._client.get('/models', cast_to=bytes), timeout=min(_GREETING, self._timeout)
        )
        return read_models(listed, self._where)

    async def _reply(self, body: bytes) -> Reply:
        return read_reply(await self._called(lambda: self._sent(body), timeout=self._timeout))

    async def _sent(self, body: bytes) -> bytes:
        """Send a question; return what comes back.

        Questions are handed to the network one after the other: side by side, each would be sent when all are, the
        server would answer them together, and all of it would wait for the client again.
        """
        async with self._gate:
            # The client's own method for this looks through every part of a question and builds an object of every
            # part of the reply, which takes three times as long as all the rest.
            reply = asyncio.create_task(self._client.post('/chat/completions', cast_to=bytes, content=body))
            try:
                for _ in range(_HEAD_START):
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                reply.cancel()
                raise
        return await reply

    async def _called(self, call: Callable[[], Awaitable[bytes]], *, timeout: float) -> bytes:
        """Call the server once; return what it sent.

        Raises:
            Unavailable: If another try may succeed.
            RequestFailed, RequestTooLarge, UserError: As the server's refusal means.
        """
        openai = require('openai', 'priors')
        try:
            # The client's own limit is for each wait on the connection, so a server that trickles would hold it.
            async with asyncio.timeout(timeout):
                return await call()
        except (TimeoutError, openai.APITimeoutError) as error:
            raise Unavailable(f'no reply within {timeout:g} s') from error
        except openai.APIConnectionError as error:
            raise Unavailable(f'no connection ({error.__cause__ or error})') from error
        except openai.APIStatusError as error:
            response = error.response
            # Gateways quote the key that they refuse, and reasons are recorded.
            text = response.text if self._api_key_env is None else response.text.replace(self._key(), '(the key)')
            raise refusal(response.status_code, response.headers, text, where=self._where, model=self.name) from error

    async def _payload(self, request: Request) -> bytes:
        shown: Sequence[bytes] = ()
        clip = request.clip
        if clip is not None:
            # A file that was too large once is too large again; fewer frames may do.
            whole = self._media == 'video' and not request.reduced and clip.start <= 0 and clip.end >= clip.duration
            try:
                if whole and clip.path.stat().st_size <= self._largest_video * 2**20:
                    shown = await asyncio.to_thread(shown_video, clip.path)
                else:
                    shown = shown_frames(clip.frames)
            except OSError as error:
                raise RequestFailed(f'{clip.path} cannot be read: {error}') from error
        return payload(request, model=self.name, shown=shown, extra=self._extra_body)

    def _key(self) -> str:
        if self._api_key_env is None:
            return 'none'
        key = os.environ.get(self._api_key_env, '').strip()
        if not key:
            raise UserError(
                f'the environment variable {self._api_key_env}, which holds the key for {self._where} '
                '(api_key_env), is not set'
            )
        if not all('!' <= sign <= '~' for sign in key):
            # What the network says of such a key quotes it.
            raise UserError(
                f'the environment variable {self._api_key_env} holds no key: it has blanks or signs that no key has'
            )
        return key
