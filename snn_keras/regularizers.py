"""Regularizers of source networks."""

from snn_keras.training.bit_sparsity import BitSparsity as BitSparsity
