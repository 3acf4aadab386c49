"""What nearly all tests import: a process that has it is forked into workers.

Nothing of the tests themselves: pytest rewrites them when it imports them.
"""

import importlib

for name in ("keras", "pytest", "apps.evaluate", "snn_keras.export"):
    importlib.import_module(name)
