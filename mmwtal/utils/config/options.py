"""``--cfg-options``: values of a config that the command line replaces."""

import argparse
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mmengine.config import Config, DictAction

from mmwtal.utils.config.nodes import Key
from mmwtal.utils.errors import UserError
from mmwtal.utils.names import did_you_mean


class CfgOptionsAction(DictAction):
    """mmengine's action for ``key=value ...``, with a usage error instead of a traceback for what it cannot read.

    Beside the dict, under ``<dest>_words``, the words are kept as they were written, to be handed on to other tools.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """See :class:`argparse.Action`."""
        for pair in values or ():
            key, equals, _ = pair.partition('=')
            if not (key and equals):
                parser.error(f'argument {option_string}: expected KEY=VALUE, found {pair!r}')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:
            parser.error(f'argument {option_string}: {error}')
        except RecursionError:  # mmengine's parser of lists, at brackets that it does not know
            parser.error(
                f'argument {option_string}: expected numbers, words and lists as values, found something else in '
                f'{" ".join(map(str, values or ()))!r}; write a dict into a config with _base_'
            )
        earlier = getattr(namespace, f'{self.dest}_words', [])
        setattr(namespace, f'{self.dest}_words', [*earlier, *(values or ())])


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Give a tool the option ``--cfg-options``; its value is a dict of dotted keys, or None."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptionsAction,
        metavar='KEY=VALUE',
        help='replace values of the config: model.head.dropout=0.5, test_evaluator.tious=[0.3,0.5], '
        'train_dataloader.dataset.pipeline.1.length=100',
    )


def apply_cfg_options(cfg: Config, options: Mapping[str, Any]) -> list[tuple[Key, ...]]:
    """Replace values of a config, in place.

    Args:
        cfg: The config.
        options: Values by dotted key; a number in a key is an index of a list.

    Returns:
        The path of each option.

    Raises:
        UserError: If a key leads through something that is neither a dict nor a list, outside a list, or to something
            that has taken effect before options are applied.
    """
    paths: list[tuple[Key, ...]] = []
    merged: dict[str, Any] = {}
    for name, value in options.items():
        keys = name.split('.')
        _check_agreement(name, options)
        _check_in_time(name, keys[0])
        path, depth_of_list = _resolve(cfg, name, keys)
        paths.append(path)
        if depth_of_list is None:
            merged[name] = value
            continue
        # mmengine merges only dicts into the elements of a list, so the list is replaced whole, by a changed copy
        key_of_list = '.'.join(keys[:depth_of_list])
        changed = merged.get(key_of_list, _get(cfg, path[:depth_of_list]))
        merged[key_of_list] = _replaced(changed, path[depth_of_list:], value)
    cfg.merge_from_dict(merged)
    return paths


def _check_agreement(name: str, options: Mapping[str, Any]) -> None:
    for other, value in options.items():
        if name.startswith(f'{other}.') and not isinstance(value, dict | list | tuple):
            raise UserError(f'--cfg-options {name} and {other}={value!r} contradict each other; leave one of them out')


def _check_in_time(name: str, first: str) -> None:
    if first == 'custom_imports':
        raise UserError(
            f'--cfg-options {name}: modules are imported while the config file is read, before options are applied; '
            'set custom_imports in a config file that has this one as its _base_'
        )
    if first.startswith('_'):
        raise UserError(
            f'--cfg-options {name}: {first} is a variable that the config file has used before options are applied, so '
            'that the option would change nothing; set the keys that are built from it'
        )


def _resolve(cfg: Config, name: str, keys: list[str]) -> tuple[tuple[Key, ...], int | None]:
    """Return the path, indices as numbers, and how many keys lead to the first list on it (None without one)."""
    path: list[Key] = []
    depth_of_list = None
    node: Any = cfg
    for depth, key in enumerate(keys):
        holder = '.'.join(keys[:depth])
        step: Key = key
        if isinstance(node, list | tuple):
            depth_of_list = depth if depth_of_list is None else depth_of_list
            if not key.isdecimal() or int(key) >= len(node):
                raise UserError(
                    f'--cfg-options {name}: {holder} is a list of {len(node)}, expected an index from 0 to '
                    f'{len(node) - 1} after it, found {key!r}'
                )
            step = int(key)
            node = node[step]
        elif isinstance(node, Config | dict):
            node = node.get(key, {})
        else:
            siblings = _get(cfg, tuple(path[:-1])) if path else cfg
            hint = did_you_mean(keys[depth - 1], _dicts(siblings))
            raise UserError(f'--cfg-options {name}: {holder} is {node!r}, which has no parts{hint}')
        path.append(step)
    return tuple(path), depth_of_list


def _dicts(node: Any) -> list[str]:
    return [key for key, value in node.items() if isinstance(value, dict)] if isinstance(node, dict) else []


def _get(node: Any, path: tuple[Key, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def _replaced(node: Any, path: tuple[Key, ...], value: Any) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(node, list | tuple) and isinstance(key, int):
        return type(node)(_replaced(part, rest, value) if i == key else part for i, part in enumerate(node))
    copy = deepcopy(node)
    copy[key] = _replaced(copy.get(key, {}), rest, value)
    return copy


def option_word(key: str, value: Any) -> str:
    """Return ``KEY=VALUE`` as ``--cfg-options`` reads it.

    Args:
        key: A dotted key.
        value: None, a truth value, a number, a text or a list of these.

    Raises:
        UserError: If the command line would read something else than the value.
    """
    text = _as_text(value)
    try:
        read = DictAction._parse_iterable(text)
    except (AssertionError, RecursionError):
        read = None
    if (type(read), read) != (type(value), value):
        raise UserError(
            f'{key}: {value!r} ({type(value).__name__}) cannot be given as an option, which would be read as {read!r}; '
            'expected None, true, false, a number (1.0e-3, not 1e-3, in YAML), a plain word or a list of these'
        )
    return f'{key}={text}'


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return f'[{",".join(map(_as_text, value))}]'
    return str(value)
