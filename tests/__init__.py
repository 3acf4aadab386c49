"""The tests. What TensorFlow reads when it is imported is set here, before it is."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# On CPUs without AVX-512 TensorFlow leaves oneDNN out unless told. Its own kernels then
# refuse dilated transposed convolutions, and are wrong for Conv3D(f, 1, 3, "same").
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
