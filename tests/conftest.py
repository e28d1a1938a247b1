"""Set before the tests: array API input of scikit-learn, and that Ctrl-C can be pressed."""

import os
import signal

os.environ.setdefault("SCIPY_ARRAY_API", "1")

# A shell that runs the tests in the background lets them ignore Ctrl-C, which some of them press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
