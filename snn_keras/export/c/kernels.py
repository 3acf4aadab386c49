"""The C functions that all layers share: finding events, and adding rows of weights.

Rows are added four at a time, so that a sum is loaded and stored once for four
products. Two groups of four stand in one loop: around a single inner loop, compilers
may unroll the outer one, and then vectorize neither.
"""

import string

from snn_keras.export.c.text import Code, size_of

FIND = string.Template("""\
/* Lists what is not 0 among n numbers; returns how many there are. */
static int find_$x(const ${x}_t *restrict x, int n, uint16_t *restrict places,
    ${x}_t *restrict values) {
  int count = 0, i = 0;
  for (; i + $step <= n; i += $step) {
    uint64_t word;
    memcpy(&word, x + i, 8);
    if (word == 0) continue;
    for (int k = i; k < i + $step; ++k) {
      places[count] = (uint16_t)k;
      values[count] = x[k];
      count += x[k] != 0;
    }
  }
  for (; i < n; ++i) {
    places[count] = (uint16_t)i;
    values[count] = x[i];
    count += x[i] != 0;
  }
  return count;
}""")

HALVE = string.Template("""\
/* Takes the lowest 4 bits of listed numbers apart; both lists leave out what is 0.
   Returns how many have higher bits. */
static int halve_$x(uint16_t *restrict places, ${x}_t *restrict values, int *count,
    uint16_t *restrict high_places, ${x}_t *restrict high_values) {
  int low = 0, high = 0;
  for (int k = 0; k < *count; ++k) {
    const uint16_t place = places[k];
    const int value = values[k];
    places[low] = place;
    values[low] = (${x}_t)(value & 15);
    low += (value & 15) != 0;
    high_places[high] = place;
    high_values[high] = (${x}_t)(value >> 4);
    high += value > 15;
  }
  *count = low;
  return high;
}""")

HEADS = {
    "events": """\
/* Adds to n sums, for each event, its row of weights times its value. */
static void add_events_{sums}_{x}({sums}_t *restrict sums, int n,
    const int8_t *restrict weights, int stride, const uint16_t *restrict places,
    const {x}_t *restrict values, int count)""",
    "spikes": """\
/* Adds to n sums, for each spike, its row of weights. */
static void add_spikes_{sums}({sums}_t *restrict sums, int n,
    const int8_t *restrict weights, int stride, const uint16_t *restrict places,
    int count)""",
    "numbers": """\
/* Adds to n sums, for each number, its row of weights times the number. */
static void add_numbers_{sums}_{x}({sums}_t *restrict sums, int n,
    const int8_t *restrict weights, const {x}_t *restrict values, int count)""",
}
KINDS = ("find", "halve", *HEADS)


def definition(kind: str, sums: str, x: str) -> str:
    """The C of a shared function.

    Args:
        kind: One of `KINDS`.
        sums: The dtype of the sums; empty where there are none.
        x: The dtype of the numbers that are multiplied; empty for spikes.
    """
    if kind == "find":
        return FIND.substitute(x=x, step=8 // size_of(x))
    if kind == "halve":
        return HALVE.substitute(x=x)
    code = Code()
    with code.block(HEADS[kind].format(sums=sums, x=x)):
        with code.block("while (count >= 8)"):
            _rows(code, kind, sums, x, 4)
            _rows(code, kind, sums, x, 4)
        for rows in (4, 2, 1):
            with code.block(f"if (count >= {rows})"):
                _rows(code, kind, sums, x, rows)
    return str(code)


def _rows(code, kind, sums, x, count):
    """Lines that add the next rows, and go on to those behind them."""
    letters = "abcd"[:count]
    wide = "int64" if sums == "int64" else x
    with code.block(""):
        for k, letter in enumerate(letters):
            start = f"{k} * n" if kind == "numbers" else f"places[{k}] * stride"
            code(f"const int8_t *restrict w{letter} = weights + {start};")
        if x:
            values = ", ".join(f"{y} = values[{k}]" for k, y in enumerate(letters))
            code(f"const {wide}_t {values};")
        factors = [f"{y} * w{y}[i]" if x else f"w{y}[i]" for y in letters]
        total = " + ".join(["sums[i]", *factors])
        code("for (int i = 0; i < n; ++i)", f"  sums[i] = ({sums}_t)({total});")
    code(f"weights += {count} * n;" if kind == "numbers" else f"places += {count};")
    code(*([f"values += {count};"] if x else []), f"count -= {count};")
