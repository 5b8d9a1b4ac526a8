"""How the contract test says which of its rules a model breaks, in the words of the page that states them."""

from typing import Any

import torch

PAGE = 'docs/concepts.md'
SECTION = 'What the contract test asks of a model'


def broken(rule: str, what: str) -> str:
    """Return the message of an assertion.

    Args:
        rule: The bold words with which an item of the section starts.
        what: What was seen.
    """
    return f"breaks the rule '{rule}': {what}; see {PAGE}, '{SECTION}'"


def assert_same(found: Any, expected: Any, rule: str, what: str, **tolerance: Any) -> None:
    """Assert that tensors, or containers of them, are close."""
    torch.testing.assert_close(found, expected, msg=lambda text: f'{broken(rule, what)}\n{text}', **tolerance)
