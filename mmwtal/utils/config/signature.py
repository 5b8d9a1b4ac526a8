"""Which arguments a class or function takes, found without calling it.

A constructor with ``**kwargs`` is followed to the next one in the MRO where it hands them to ``super().__init__``; what
it takes out of them by name counts as an argument. Where they go anywhere else, any name may be an argument.
"""

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mmengine.hooks import CheckpointHook

EMPTY = inspect.Parameter.empty
_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass
class Arguments:
    """The arguments that can be given by name.

    Attributes:
        annotations: Annotation by name; ``EMPTY`` where there is none that can be evaluated.
        required: Names without a default.
        defaults: Default by name, of those that have one.
        keywords_go_to: Qualified name of the callable whose ``**kwargs`` take any other name; None if none does.
    """

    annotations: dict[str, Any] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    defaults: dict[str, Any] = field(default_factory=dict)
    keywords_go_to: str | None = None


def arguments_of(target: Any) -> Arguments:
    """Return the arguments of a class's constructor or of a function.

    Args:
        target: A class, function or other callable.
    """
    while isinstance(target, functools.partial):
        target = target.func
    if not isinstance(target, type):
        return _of_function(target, [])
    functions = [vars(owner)['__init__'] for owner in target.__mro__ if isinstance(_init(owner), types.FunctionType)]
    return _of_function(functions[0], functions[1:], skip_self=True) if functions else Arguments()


def _init(owner: type) -> Any:
    return vars(owner).get('__init__')


def _of_function(function: Callable, bases: list[Any], skip_self: bool = False) -> Arguments:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some callables of C extensions have no signature
        return Arguments(keywords_go_to=getattr(function, '__qualname__', repr(function)))
    found = Arguments()
    for parameter in parameters[1:] if skip_self else parameters:
        if parameter.kind in _KEYWORDS:
            found.annotations[parameter.name] = _annotation(parameter, function)
            if parameter.default is EMPTY:
                found.required.add(parameter.name)
            else:
                found.defaults[parameter.name] = parameter.default
    keywords = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    if keywords is None:
        return found
    use = _use_of_keywords(function, keywords)
    for name in use.taken_out:
        found.annotations.setdefault(name, EMPTY)
    if use.to_super is not None and bases:
        _inherit(found, _of_function(bases[0], bases[1:], skip_self=True), use.to_super)
    if use.elsewhere or (use.to_super is not None and not bases):
        found.keywords_go_to = function.__qualname__
    return found


def _inherit(found: Arguments, base: Arguments, call: ast.Call) -> None:
    """Add the arguments of the base's constructor, but for those that the call to it sets itself."""
    positional = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    explicit = set(list(base.annotations)[: len(positional)]) | {pair.arg for pair in call.keywords if pair.arg}
    for name, annotation in base.annotations.items():
        if name not in explicit and name not in found.annotations:
            found.annotations[name] = annotation
            if name in base.required:
                found.required.add(name)
            elif name in base.defaults:
                found.defaults[name] = base.defaults[name]
    found.keywords_go_to = base.keywords_go_to


def _annotation(parameter: inspect.Parameter, function: Callable) -> Any:
    annotation = parameter.annotation
    try:
        if isinstance(annotation, str):  # what typing.get_type_hints does, but one at a time
            annotation = eval(annotation, getattr(inspect.unwrap(function), '__globals__', {}))
        return annotation | None if parameter.default is None and annotation is not EMPTY else annotation
    except (NameError, AttributeError, TypeError, SyntaxError):  # a name imported under TYPE_CHECKING only, say
        return EMPTY


@dataclass
class _Use:
    taken_out: set[str] = field(default_factory=set)
    to_super: ast.Call | None = None
    elsewhere: bool = False


def _use_of_keywords(function: Callable, keywords: str) -> _Use:
    """Find out from a function's source where its ``**keywords`` go."""
    if function is CheckpointHook.__init__:  # it keeps them for Runner.save_checkpoint and states all others itself
        return _Use(taken_out={'meta'})
    tree = _tree(function)
    if not any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree)):
        return _Use(elsewhere=True)
    use = _Use()
    understood: set[int] = set()
    for node in ast.walk(tree):
        for name, at in _taken_out(node, keywords):
            use.taken_out.add(name)
            understood.add(id(at))
        if isinstance(node, ast.Call) and _is_super_init(node):
            for pair in node.keywords:
                if pair.arg is None and isinstance(pair.value, ast.Name) and pair.value.id == keywords:
                    use.to_super = node
                    understood.add(id(pair.value))
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == keywords)
    use.elsewhere = any(id(name) not in understood for name in names)
    return use


def _taken_out(node: ast.AST, keywords: str) -> Iterator[tuple[str, ast.Name]]:
    """Yield the name in ``kwargs.pop('name')``, ``kwargs.get('name')``, ``kwargs['name']`` or ``'name' in kwargs``."""
    match node:
        case (
            ast.Call(
                func=ast.Attribute(value=ast.Name() as owner, attr='pop' | 'get' | 'setdefault'),
                args=[ast.Constant(value=str() as name), *_],
            )
            | ast.Subscript(value=ast.Name() as owner, slice=ast.Constant(value=str() as name))
            | ast.Compare(
                left=ast.Constant(value=str() as name), ops=[ast.In() | ast.NotIn()], comparators=[ast.Name() as owner]
            )
        ) if owner.id == keywords:
            yield name, owner


def _is_super_init(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr='__init__', value=ast.Call(func=ast.Name(id='super'))):
            return True
    return False


def passed_by(owner: Any, argument: str) -> set[str]:
    """Return the arguments with which a class builds the config that it takes as ``argument``.

    They are read from the calls ``build_...(argument, registry, name=...)`` in the constructors of the class and of
    its bases, where ``argument`` may also be a part of it that a loop or a comprehension takes.
    """
    names: set[str] = set()
    for base in inspect.getmro(owner) if isinstance(owner, type) else ():
        if not isinstance(_init(base), types.FunctionType) or 'build_' not in ' '.join(_init(base).__code__.co_names):
            continue
        nodes = list(ast.walk(_tree(_init(base))))
        parts = {argument}
        for loop in nodes:
            if isinstance(loop, ast.For | ast.comprehension) and argument in _names(loop.iter):
                parts |= _names(loop.target)
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=builder), args=[ast.Name(id=first), *_]):
                    if first in parts and builder.startswith('build_'):
                        names.update(pair.arg for pair in node.keywords if pair.arg)
    return names


def _names(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def _tree(function: Callable) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):  # no source: built at run time, or typed into an interpreter
        return ast.Module(body=[], type_ignores=[])
