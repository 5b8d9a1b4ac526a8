"""Lists of tIoU thresholds."""

from collections.abc import Iterable

from mmwtal.utils.errors import UserError

DIGITS = 9


def parse_tious(tious: str | Iterable[float]) -> tuple[float, ...]:
    """Return tIoU thresholds free of rounding noise.

    ``0.1 + 2 * 0.1`` is 0.30000000000000004, which a tIoU of exactly 0.3 does not reach; on a snippet grid such tIoUs
    are common. Every threshold is therefore rounded to nine decimals.

    Args:
        tious: ``'START:STOP:STEP'`` with STOP included, one number or numbers with commas between them as a text, or
            numbers.

    Returns:
        The thresholds, in the order given.

    Raises:
        UserError: If the text cannot be read, the list is empty, a threshold is outside (0, 1] or given twice.
    """
    try:
        values = _from_text(tious) if isinstance(tious, str) else [float(value) for value in tious]
    except (TypeError, ValueError) as error:
        raise UserError(
            f'tIoU thresholds: expected START:STOP:STEP (such as 0.1:0.9:0.1), with STEP above 0 and STOP not below '
            f'START, or numbers with commas between them (such as 0.3,0.5,0.7), found {tious!r}'
        ) from error
    rounded = tuple(round(value, DIGITS) for value in values)
    outside = [value for value in rounded if not 0 < value <= 1]
    if outside:
        raise UserError(f'tIoU thresholds: each must be above 0 and at most 1, found {outside[0]:g} in {tious!r}')
    if not rounded or len(set(rounded)) < len(rounded):
        raise UserError(f'tIoU thresholds: expected one or more, each given once, found {tious!r}')
    return rounded


def _from_text(text: str) -> list[float]:
    if ':' not in text:
        return [float(part) for part in text.split(',')]
    start, stop, step = (float(part) for part in text.split(':'))
    if not (step > 0 and stop >= start and stop < float('inf')):
        raise ValueError(text)
    if (stop - start) / step > 10_000:
        raise ValueError(text)
    count = int((stop - start) / step + 1e-6) + 1
    return [start + i * step for i in range(count)]
