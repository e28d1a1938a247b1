"""scikit-learn checks array API input only where this is set before SciPy loads."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")
