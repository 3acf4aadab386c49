"""Every public name of Keras that takes a tensor, with arguments that matter.

`CASES` is the list; `EXCLUDED` says why a name is not in it, and `LACKING` where Keras
itself has no network of one.
"""

from apps.catalog.case import Case as Case
from apps.catalog.exclusions import EXCLUDED as EXCLUDED
from apps.catalog.exclusions import LACKING as LACKING
from apps.catalog.exclusions import public_names as public_names
from apps.catalog.sections import CASES as CASES
from apps.catalog.sections import SECTIONS as SECTIONS
