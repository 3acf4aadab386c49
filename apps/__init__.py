"""Command-line programs of snn_keras: thin, one job each."""

import logging

# TensorFlow warns where many functions are traced: each network's own, here.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
