"""What the replies and refusals of OpenAI-compatible servers mean; each server words them its own way."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mmwtal.priors.engines.base import Reply, RequestFailed, RequestTooLarge
from mmwtal.utils.errors import UserError

# How vLLM, SGLang, LMDeploy and OpenAI say that a request does not fit: too many tokens, or more images than the server
# was started for.
_TOO_LARGE = re.compile(
    r"maximum context length|maximum model length|model's context length|context_length_exceeded|context window"
    r'|prompt .*is too long|too long to fit|max(?:imum)? input (?:limit|length)|session_len|INPUT_LENGTH_ERROR'
    r'|reduce the length|At most \d+ (?:image|video)|too many (?:images|tokens)',
    re.IGNORECASE | re.DOTALL,
)
# Busy, timed out on its side, still loading, or broken for now.
_PASSING = (408, 409, 425, 429)
# Nobody will get an answer here.
_NOBODY = {401: 'asks for a key', 403: 'refuses this key', 404: 'has no such model or address', 405: 'is no such API'}


class Unavailable(Exception):
    """A server that cannot answer now.

    Args:
        reason: Why.
        retry_after: Seconds after which it asks to be asked again; None if it says nothing.
        busy: Whether it says that it has too much to do, which is not for what it was asked.
    """

    def __init__(self, reason: str, retry_after: float | None = None, *, busy: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.busy = busy


def read_reply(content: bytes) -> Reply:
    """Return the reply that a server sent.

    Raises:
        Unavailable: If it is damaged, or says that the server broke.
        RequestTooLarge: If it says that the request was too long, as LMDeploy does.
        RequestFailed: If the server withheld it for its content.
    """
    try:
        body = json.loads(content)
        choice = body['choices'][0]
        message, finish = choice['message'], choice['finish_reason']
        written = message.get('content') or ''
        usage = body.get('usage') or {}
        counts = [int(usage.get(name) or 0) for name in ('prompt_tokens', 'completion_tokens')]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unavailable(f'a damaged reply, {_quoted(content)}') from error
    if not isinstance(written, str):
        raise Unavailable(f'a damaged reply, {_quoted(content)}')
    if finish == 'length' and not written and counts[1] <= 0:
        raise RequestTooLarge('the server wrote nothing of a reply since the question fills its context')
    if finish == 'error' and _TOO_LARGE.search(written):
        raise RequestTooLarge(_shortened(written))
    if finish == 'content_filter':
        raise RequestFailed('the server withheld the reply for its content (finish_reason content_filter)')
    if finish not in ('stop', 'length'):
        raise Unavailable(f'a reply that ended with {finish!r}: {_shortened(written)!r}')
    return Reply(text=written, complete=finish == 'stop', prompt_tokens=counts[0], reply_tokens=counts[1])


def read_models(content: bytes, where: str) -> list[str]:
    """Return the names of the models that a server offers.

    Raises:
        UserError: If what it sends is no list of models.
    """
    try:
        return [str(model['id']) for model in json.loads(content)['data']]
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(
            f'{where} is no OpenAI-compatible server: expected a list of models under {where}/models, found '
            f'{_quoted(content)}; base_url mostly ends in /v1'
        ) from error


def refusal(status: int, headers: Mapping[str, str], text: str, *, where: str, model: str) -> Exception:
    """Return the exception that a refusal means.

    Args:
        status: Its HTTP status.
        headers: Its headers.
        text: Its body.
        where: The server's address.
        model: The model that was asked.
    """
    said = _message(text)
    if status in _NOBODY:
        return UserError(
            f'the server at {where} {_NOBODY[status]} (HTTP {status}, model {model}): {said!r}; correct base_url, '
            'model or the key that api_key_env names'
        )
    # Of OpenAI itself only the code says so.
    if status == 413 or _TOO_LARGE.search(text[:2000]):
        return RequestTooLarge(f'HTTP {status}: {said}')
    if status in _PASSING or status >= 500:
        return Unavailable(f'HTTP {status}: {said}', _retry_after(headers), busy=status in (429, 503))
    return RequestFailed(f'HTTP {status}: {said}')


def _message(text: str) -> str:
    """Return what a refusal says, wherever it says it."""
    try:
        body: Any = json.loads(text)
    except ValueError:
        return _shortened(text)
    for name in ('error', 'message', 'detail'):
        while isinstance(body, Mapping) and name in body:
            body = body[name]
    return _shortened(body if isinstance(body, str) else json.dumps(body))


def _quoted(content: bytes) -> str:
    return repr(_shortened(content[:2000].decode(errors='replace')))


def _shortened(text: str) -> str:
    text = ' '.join(text.split())
    return text if len(text) <= 300 else f'{text[:297]}...'


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``, which is a number or a date."""
    value = headers.get('retry-after')
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if seconds == seconds else None
