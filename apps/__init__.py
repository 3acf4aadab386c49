"""Command-line programs of snn_keras: thin, one job each."""

import logging
import os

# On CPUs without AVX-512 TensorFlow leaves oneDNN out unless told.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Every network has functions of its own, which TensorFlow takes for one traced anew.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)
