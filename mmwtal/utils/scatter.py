"""Scattering 64-bit numbers: neighbours become unrelated, which makes draws out of seeds, counters and hashes."""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEPS = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
_LAST = np.uint64(31)


def scatter(values: np.ndarray) -> np.ndarray:
    """Return each number as the step and the finaliser of SplitMix64 make it (Steele et al., OOPSLA 2014).

    Args:
        values: uint64, of any shape.
    """
    with np.errstate(over='ignore'):  # modulo 2 ** 64 is meant
        values = values + _GOLDEN
        for shift, factor in _STEPS:
            values = (values ^ (values >> shift)) * factor
        return values ^ (values >> _LAST)
