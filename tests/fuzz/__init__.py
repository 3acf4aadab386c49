"""Files from strangers: valid ones, damaged in many ways, and made to do harm.

`mutations` damages any file, `structures` the inside of JSON, ZIP, HDF5, ONNX and
TFLite files, and `crafted` has files that attack. `kinds` lists every kind of file that
is read, with a valid one of each. `worker` reads them in processes that are watched,
and `judging` says whether what came of it is allowed.
"""
