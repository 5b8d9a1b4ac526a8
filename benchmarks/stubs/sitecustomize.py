"""Python imports this by itself in every process of the authors' side, those that joblib starts included.

Their evaluation asks for ``np.float``, which was another name of ``float`` until numpy 1.24.
"""

import numpy as np

if not hasattr(np, 'float'):
    np.float = float  # type: ignore[attr-defined]
