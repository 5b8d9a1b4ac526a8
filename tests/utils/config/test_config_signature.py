"""The arguments of constructors, also behind **kwargs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.hooks import EMAHook
from mmengine.optim import AmpOptimWrapper, LinearLR

from mmwtal.registry import MODELS, build_module
from mmwtal.utils.config.signature import EMPTY, arguments_of, passed_by

if TYPE_CHECKING:
    from decimal import Decimal


class Base:
    def __init__(self, first: int, *, second: str = 'x', third: float = 0.0) -> None: ...


class Forwards(Base):
    def __init__(self, *, own: bool, **kwargs: Any) -> None:
        super().__init__(3, third=1.0, **kwargs)


class Inherits(Forwards):
    pass


class TakesOut(Base):
    def __init__(self, **kwargs: Any) -> None:
        self.a = kwargs.pop('popped', None)
        if 'asked' in kwargs:
            self.b = kwargs['asked']
        super().__init__(**kwargs)


class Keeps(Base):
    def __init__(self, own: Decimal | None = None, **kwargs: Any) -> None:
        super().__init__(3)
        self.kept = kwargs


class Hands(Base):
    def __init__(self, **options: Any) -> None:
        helper(**options)


class Ends:
    def __init__(self, x: int = None, **kwargs: Any) -> None:  # noqa: RUF013
        super().__init__(**kwargs)


def helper(a: int, b: list[int] | None = None) -> None: ...


@pytest.mark.parametrize(
    ('target', 'names', 'required', 'open_by'),
    [
        (Base, {'first', 'second', 'third'}, {'first'}, None),
        (Forwards, {'own', 'second'}, {'own'}, None),
        (Inherits, {'own', 'second'}, {'own'}, None),
        (TakesOut, {'popped', 'asked', 'first', 'second', 'third'}, {'first'}, None),
        (Keeps, {'own'}, set(), 'Keeps.__init__'),
        (Hands, set(), set(), 'Hands.__init__'),
        (helper, {'a', 'b'}, {'a'}, None),
        (functools.partial(helper, b=[1]), {'a', 'b'}, {'a'}, None),
        (object, set(), set(), None),
    ],
)
def test_names(target, names, required, open_by):
    found = arguments_of(target)
    assert (set(found.annotations), found.required, found.keywords_go_to) == (names, required, open_by)


def test_annotations_are_evaluated_one_by_one():
    assert arguments_of(Base).annotations == {'first': int, 'second': str, 'third': float}
    assert arguments_of(helper).annotations['b'] == list[int] | None
    assert arguments_of(Keeps).annotations['own'] is EMPTY  # its name exists for type checkers only
    assert arguments_of(Ends).annotations['x'] == int | None  # None as the default is an answer, too


def test_classes_of_mmengine_and_torch():
    scheduler = arguments_of(LinearLR)
    assert {'optimizer', 'start_factor', 'end', 'by_epoch'} <= set(scheduler.annotations)
    assert 'param_name' not in scheduler.annotations
    assert scheduler.required == {'optimizer'}
    assert arguments_of(AmpOptimWrapper).annotations.keys() >= {'loss_scale', 'optimizer', 'clip_grad'}
    assert arguments_of(EMAHook).keywords_go_to == 'EMAHook.__init__'
    assert arguments_of(BaseDataset).keywords_go_to is None
    assert next(iter(arguments_of(torch.optim.Adam).annotations)) == 'params'


def test_a_class_without_source_takes_anything():
    scope: dict[str, Any] = {}
    exec('class Made:\n    def __init__(self, a, **kwargs):\n        super().__init__(**kwargs)\n', scope)
    found = arguments_of(scope['Made'])
    assert (set(found.annotations), found.keywords_go_to) == ({'a'}, 'Made.__init__')


class Owner:
    def __init__(self, part: Any, other: Any) -> None:
        self.part = build_module(part, MODELS, width=3, depth=4)
        self.other = build_module(other, MODELS)


class Heir(Owner):
    def __init__(self, part: Any, own: Any) -> None:
        super().__init__(part, own)
        self.own = build_module(own, MODELS, size=3)


class OwnerOfMany:
    def __init__(self, parts: dict[str, Any], more: list[Any]) -> None:
        self.parts = {name: build_module(part, MODELS, rate=1) for name, part in parts.items()}
        for index, item in enumerate(more):
            setattr(self, f'more{index}', build_module(item, MODELS, index=index))


def test_what_a_constructor_passes_on():
    assert passed_by(OwnerOfMany, 'parts') == {'rate'}
    assert passed_by(OwnerOfMany, 'more') == {'index'}
    assert passed_by(Owner, 'part') == {'width', 'depth'}
    assert passed_by(Owner, 'other') == set()
    assert passed_by(Heir, 'own') == {'size'}
    assert passed_by(Heir, 'part') == {'width', 'depth'}
    assert passed_by(helper, 'a') == set()
