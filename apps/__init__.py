"""Command-line programs of snn_keras: thin, one job each."""

import logging

# Every network has functions of its own, which TensorFlow takes for one traced anew.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)
