"""Schemas as models can be bound to them while they write, and their grammars."""

import json
import re
from collections.abc import Mapping
from typing import Any

from mmwtal.priors.engines.base import RequestFailed
from mmwtal.priors.patterns import MOST_REPEATS
from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require

# Any sign of a text but control characters, the quotation mark and the backslash, which JSON escapes.
_SIGN = r'[ !#-\[\]-~\u00a0-\ud7ff\ue000-\uffff]'
_LONGEST = 256
_REPEATS = re.compile(r'\{(\d+)(?:,(\d*))?\}')
# What xgrammar or a server refuses or does not heed; a reply is validated anyway.
_UNHEEDED = ('title', 'default', 'examples', 'uniqueItems', 'multipleOf')
_OF_SCHEMAS = ('properties', '$defs', 'definitions')


def adapted(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema to which a model can be bound: every text is bounded and free of control characters.

    xgrammar 0.2.8 lets raw control characters through a text with ``maxLength`` and ignores it beside ``pattern``. A
    text of any content therefore gets a pattern, at most 256 signs long if nothing is said. Objects take no other keys.

    Raises:
        UserError: If a pattern repeats something more often than xgrammar can compile.
    """
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _OF_SCHEMAS:
            found[key] = {name: adapted(part) for name, part in value.items()}
        elif key in _UNHEEDED:
            continue
        elif isinstance(value, Mapping):
            found[key] = adapted(value)
        elif isinstance(value, list | tuple):
            found[key] = [adapted(part) if isinstance(part, Mapping) else part for part in value]
        else:
            found[key] = value
    if 'properties' in found:
        found['additionalProperties'] = False
    return _text(found) if found.get('type') == 'string' else found


def _text(schema: dict[str, Any]) -> dict[str, Any]:
    least, most = schema.pop('minLength', 0), schema.pop('maxLength', _LONGEST)
    if 'pattern' in schema:
        for repeats in _REPEATS.findall(schema['pattern']):
            if max(int(count) for count in repeats if count) > MOST_REPEATS:
                raise UserError(
                    f'pattern {schema["pattern"]!r} of a schema repeats something more than {MOST_REPEATS} times, '
                    'which xgrammar cannot compile: write it in two parts'
                )
    elif not schema.keys() & {'enum', 'const', 'format'}:
        schema['pattern'] = _signs(least, max(least, most))
    return schema


def _signs(least: int, most: int) -> str:
    """Return the pattern of a text of so many signs, in parts that xgrammar compiles."""
    parts = []
    while most:
        part = min(most, MOST_REPEATS)
        needed = min(least, part)
        parts.append(f'{_SIGN}{{{needed},{part}}}')
        most, least = most - part, least - needed
    return f'^{"".join(parts)}$'


class Grammars:
    """Grammars for the tokens of one model, each compiled once.

    Args:
        tokenizer: A tokenizer of transformers.
        size: Numbers that the model gives for a token; more than the tokenizer has, where they are padded.
        ends: Tokens that end a reply.

    Raises:
        UserError: If xgrammar cannot read the tokenizer.
    """

    def __init__(self, *, tokenizer: Any, size: int, ends: list[int]) -> None:
        xgrammar = require('xgrammar', 'priors')
        try:
            info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=size, stop_token_ids=ends)
        except (ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise UserError(
                f'xgrammar cannot bind replies of this model: it does not know its tokenizer, a '
                f'{type(tokenizer).__name__} ({error!s:.200}); run the model on a server, with OpenAICompatible'
            ) from error
        self._compiler = xgrammar.GrammarCompiler(info)
        self._compiled: dict[str, Any] = {}

    def compiled(self, schema: Mapping[str, Any]) -> Any:
        """Return the grammar of the JSON that keeps to a schema, without any white space to choose.

        Raises:
            RequestFailed: If xgrammar cannot compile it.
            UserError: See :func:`adapted`.
        """
        text = json.dumps(schema, sort_keys=True)
        if text not in self._compiled:
            try:
                # The order of keys is the order in which they are written.
                grammar = self._compiler.compile_json_schema(json.dumps(adapted(schema)), any_whitespace=False)
            except (RuntimeError, ValueError) as error:
                raise RequestFailed(f'xgrammar cannot compile the schema: {error!s:.300}') from error
            self._compiled[text] = grammar
        return self._compiled[text]
