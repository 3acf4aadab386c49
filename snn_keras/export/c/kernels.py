"""The C functions that all layers share: listing events, and adding rows of weights.

Rows are added several at a time, so that a sum is loaded and stored once for several
products. The number of sums is part of a function, so that compilers know it.
"""

import dataclasses
import string

from snn_keras.export.c.text import Code, size_of

LIST = string.Template("""\
/* Lists what is not 0 in slices of n numbers, which begin `apart` numbers apart; those
   of slice k are from starts[k] on. A place is counted from the first slice on, as if
   the slices had no gaps. */
static void $name(const ${x}_t *restrict x, int slices, int n, int apart,
    ${places}_t *restrict starts, ${places}_t *restrict places$more) {
  int count = 0;
  for (int slice = 0; slice < slices; ++slice, x += apart) {
    starts[slice] = (${places}_t)count;
    for (int from = 0; from < n; from += $step) {
      const int to = n - from < $step ? n : from + $step;
      if (to - from == $step) {
        uint64_t word;
        memcpy(&word, x + from, 8);
        if (word == 0) continue;
      }
      for (int i = from; i < to; ++i) {
        places[count] = (${places}_t)(slice * n + i);$store
        count += x[i] != 0;
      }
    }
  }
  starts[slices] = (${places}_t)count;
}""")

EVENTS = """\
/* Adds to {n} sums, for each event, its row of weights{times}.
   `first` is the place of the first row. */
static void {name}({sums}_t *restrict sums,
    const int8_t *restrict weights, int first, const {places}_t *restrict places,
    {values}int count)"""


@dataclasses.dataclass(frozen=True, order=True)
class List:
    """The function that lists the events of slices.

    Attributes:
        x: The dtype of the numbers.
        values: The dtype of listed values; empty for spikes, whose values are 1.
        places: The dtype of places.
    """

    x: str
    values: str
    places: str

    @property
    def name(self) -> str:
        """Its name in C."""
        return "_".join(filter(None, ("list", self.x, self.values, self.places)))

    def definition(self) -> str:
        """Its C."""
        more = f", {self.values}_t *restrict values" if self.values else ""
        store = "\n        values[count] = x[i];" if self.values else ""
        return LIST.substitute(
            name=self.name,
            x=self.x,
            places=self.places,
            step=8 // size_of(self.x),
            more=more,
            store=store,
        )


@dataclasses.dataclass(frozen=True, order=True)
class Add:
    """A function that adds rows of weights to sums.

    Attributes:
        x: The dtype of the numbers that are multiplied; empty for spikes.
        places: The dtype of places.
        sums: The dtype of the sums.
        n: The number of sums.
        together: The number of rows that 16 bits can add before sums take them up.
    """

    x: str
    places: str
    sums: str
    n: int
    together: int

    @property
    def name(self) -> str:
        """Its name in C."""
        kind = "events" if self.x else "spikes"
        parts = (kind, self.x, self.places, self.sums, str(self.n))
        name = "_".join(filter(None, ("add", *parts)))
        return f"{name}_by_{self.together}" if self.together > 1 else name

    def definition(self) -> str:
        """Its C."""
        settings = dataclasses.asdict(self) | {"name": self.name}
        settings["times"] = " times its value" if self.x else ""
        values = f"const {self.x}_t *restrict values, " if self.x else ""
        code, most = Code(), self._most()
        with code.block(EVENTS.format(**settings, values=values)):
            with code.block(f"while (count >= {2 * most})"):
                self._rows(code, most)
                self._rows(code, most)
            while most:
                with code.block(f"if (count >= {most})"):
                    self._rows(code, most)
                most //= 2
        return str(code)

    def _most(self):
        """The number of rows in a pass."""
        limit = 8 if self.sums == "int16" else self.together
        return next((n for n in (8, 4, 2) if n <= limit), 4)

    def _rows(self, code, count):
        """Lines that add the next rows, and go on to those behind them."""
        letters = "abcdefgh"[:count]
        wide = "int64" if self.sums == "int64" else self.x
        factors = [f"{y} * w{y}[i]" if self.x else f"w{y}[i]" for y in letters]
        total = " + ".join(factors)
        if self.together > 1:
            total = f"(int16_t)({total})"
        with code.block(""):
            for k, letter in enumerate(letters):
                row = f"weights + (places[{k}] - first) * {self.n}"
                code(f"const int8_t *restrict w{letter} = {row};")
            if self.x:
                values = ", ".join(f"{y} = values[{k}]" for k, y in enumerate(letters))
                code(f"const {wide}_t {values};")
            code(f"for (int i = 0; i < {self.n}; ++i)")
            code(f"  sums[i] = ({self.sums}_t)(sums[i] + {total});")
        code(f"places += {count};")
        code(*([f"values += {count};"] if self.x else []), f"count -= {count};")


Kernel = List | Add
