"""The nearest valid name to a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED_AT_MOST = 12


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that is most like ``name``, whatever the case and order of its words; None if none is."""
    valid = list(valid)
    for form in (str.lower, _in_order):
        by_form = {form(candidate): candidate for candidate in valid}
        matches = get_close_matches(form(name), by_form, n=1)
        if matches:
            return by_form[matches[0]]
    return None


def _in_order(name: str) -> str:
    return '_'.join(sorted(name.lower().split('_')))


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: its nearest valid name, or all of them if they are few."""
    valid = sorted(valid)
    match = nearest(name, valid)
    if match is not None:
        return f"; did you mean '{match}'?"
    if 0 < len(valid) <= _LISTED_AT_MOST:
        return f'; valid are: {", ".join(valid)}'
    return ''
