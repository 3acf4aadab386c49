"""What nearly all tests import: a process that has it is forked into workers.

Nothing of the tests themselves: pytest rewrites them when it imports them.
"""

import importlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
for name in ("keras", "pytest", "apps.evaluate", "snn_keras.export"):
    importlib.import_module(name)
