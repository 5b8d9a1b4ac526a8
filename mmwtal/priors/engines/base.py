"""The seam between asking and answering: what is asked of a multimodal language model, and what it replies."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmwtal.video.clip import Clip, Frame

__all__ = ['BaseEngine', 'Clip', 'Frame', 'Reply', 'Request', 'RequestFailed', 'RequestTooLarge']


class RequestFailed(Exception):
    """A request that the model will not answer, whatever is tried; the message is the reason in the record."""


class RequestTooLarge(RequestFailed):
    """A request that exceeds the model's context or the memory: fewer frames may do."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A question.

    Args:
        system: Who the model is and how it answers.
        prompt: What is asked.
        schema: The JSON schema that the reply must keep to.
        clip: What the model sees; None for a question on text alone.
        max_tokens: Tokens of the longest reply.
        temperature: 0 for the likeliest reply.
        seed: Seed of sampling.
        reduced: Whether the clip has fewer frames than at first, since with them the request was too large.
    """

    system: str
    prompt: str
    schema: Mapping[str, Any]
    clip: Clip | None
    max_tokens: int
    temperature: float
    seed: int
    reduced: bool = False


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer.

    Args:
        text: What the model wrote.
        complete: Whether it came to its end by itself; a reply that was cut off is never parsed.
        prompt_tokens: Tokens of the question, 0 if unknown.
        reply_tokens: Tokens of the reply, 0 if unknown.
    """

    text: str
    complete: bool
    prompt_tokens: int = 0
    reply_tokens: int = 0


class BaseEngine(ABC):
    """Runs a model. May be pickled before :meth:`open`."""

    #: How many requests may be under way at the same time.
    concurrency: int
    #: What records name as their source: the model.
    name: str

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What replies depend on, as JSON can hold it: the model, its revision, how it is run; no address, no key."""

    @abstractmethod
    async def open(self) -> None:
        """Load the model or greet the server.

        Raises:
            UserError: If it will never work: no such model, no such address, no right to use it.
            EngineDown: If it is out of reach for now.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything."""

    @abstractmethod
    async def healthy(self) -> bool:
        """Say whether it is in reach."""

    @abstractmethod
    async def ask(self, request: Request) -> Reply:
        """Answer a request.

        Raises:
            RequestTooLarge: If it exceeds the context or the memory.
            RequestFailed: If it can't be answered for another reason of its own.
            EngineDown: If the engine is out of reach, after its own retries.
            WorkerDied: If the process that holds the model died of it.
            UserError: If no request will be answered: no right, no such model.
        """
