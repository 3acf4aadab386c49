"""Spiking networks that compute only with integers.

`IntegerNetwork.run` defines, operation by operation in NumPy, what an exported file
must compute. Every operation also states bounds of its values, so that overflows of
accumulators are detected.
"""

from snn_keras.export.integer.bounds import INT32 as INT32
from snn_keras.export.integer.bounds import too_large as too_large
from snn_keras.export.integer.bounds import walk as walk
from snn_keras.export.integer.decomposition import DIGIT_BITS as DIGIT_BITS
from snn_keras.export.integer.decomposition import SUM_MAX as SUM_MAX
from snn_keras.export.integer.decomposition import digit_bits as digit_bits
from snn_keras.export.integer.decomposition import digits as digits
from snn_keras.export.integer.decomposition import largest_sums as largest_sums
from snn_keras.export.integer.firing import Fire as Fire
from snn_keras.export.integer.firing import FireBits as FireBits
from snn_keras.export.integer.firing import FireChanges as FireChanges
from snn_keras.export.integer.firing import FireSizes as FireSizes
from snn_keras.export.integer.firing import Integrate as Integrate
from snn_keras.export.integer.firing import MaxPool as MaxPool
from snn_keras.export.integer.firing import SignedFire as SignedFire
from snn_keras.export.integer.interval import Interval as Interval
from snn_keras.export.integer.interval import of_channels as of_channels
from snn_keras.export.integer.network import Input as Input
from snn_keras.export.integer.network import IntegerNetwork as IntegerNetwork
from snn_keras.export.integer.network import Output as Output
from snn_keras.export.integer.operations import Add as Add
from snn_keras.export.integer.operations import Convolve as Convolve
from snn_keras.export.integer.operations import Dense as Dense
from snn_keras.export.integer.operations import DepthwiseConvolve as DepthwiseConvolve
from snn_keras.export.integer.operations import Gate as Gate
from snn_keras.export.integer.operations import Operation as Operation
from snn_keras.export.integer.operations import Scale as Scale
from snn_keras.export.integer.operations import Shift as Shift
from snn_keras.export.integer.shapes import Concatenate as Concatenate
from snn_keras.export.integer.shapes import Crop as Crop
from snn_keras.export.integer.shapes import Pad as Pad
from snn_keras.export.integer.shapes import Repeat as Repeat
from snn_keras.export.integer.shapes import Reshape as Reshape
from snn_keras.export.integer.shapes import Sum as Sum
from snn_keras.export.integer.shapes import Transpose as Transpose
