"""What is installed: `snn_keras`, with the folders apps and saved_models inside it.

Everything else stands in setup.cfg, which cannot say this.
"""

from setuptools import find_packages, setup

library = find_packages(include=["snn_keras", "snn_keras.*"])
programs = find_packages(include=["apps", "apps.*"])
setup(
    packages=[
        *library,
        *(f"snn_keras.{name}" for name in programs),
        "snn_keras.saved_models",
    ],
    package_dir={"snn_keras.apps": "apps", "snn_keras.saved_models": "saved_models"},
)
