"""Every public name of Keras that takes a tensor, with arguments that matter.

`CASES` is the list; `EXCLUDED` says why a name is not in it, and `LACKING` where Keras
itself has no network of one.
"""

from .case import Case as Case
from .exclusions import EXCLUDED as EXCLUDED
from .exclusions import LACKING as LACKING
from .exclusions import public_names as public_names
from .sections import CASES as CASES
from .sections import SECTIONS as SECTIONS
