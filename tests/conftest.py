"""Set before the tests: array API input of scikit-learn, and that Ctrl-C can be pressed."""

import os
import signal

os.environ.setdefault("SCIPY_ARRAY_API", "1")

# A shell that runs the tests in the background lets them ignore Ctrl-C, which some of them press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items, config):
    """Leave slow tests out of the coverage: to count lines takes a third more time."""
    if config.pluginmanager.hasplugin("pytest_cov"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker("no_cover")
