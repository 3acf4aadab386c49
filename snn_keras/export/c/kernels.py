"""The C functions that all layers share: finding events, and adding rows of weights."""

import string

from snn_keras.export.c.text import size_of

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

EVENTS = string.Template("""\
/* Adds to n sums, for each event, its row of weights times its value. */
static void add_events_${sum}_$x(${sum}_t *restrict sums, int n,
    const int8_t *restrict weights, int stride, const uint16_t *restrict places,
    const ${x}_t *restrict values, int count) {
  int k = 0;
  for (; k + 4 <= count; k += 4) {
    const int8_t *restrict wa = weights + places[k] * stride;
    const int8_t *restrict wb = weights + places[k + 1] * stride;
    const int8_t *restrict wc = weights + places[k + 2] * stride;
    const int8_t *restrict wd = weights + places[k + 3] * stride;
    const $v a = values[k], b = values[k + 1], c = values[k + 2], d = values[k + 3];
    for (int i = 0; i < n; ++i)
      sums[i] = (${sum}_t)(sums[i] + a * wa[i] + b * wb[i] + c * wc[i] + d * wd[i]);
  }
  for (; k < count; ++k) {
    const int8_t *restrict wa = weights + places[k] * stride;
    const $v a = values[k];
    for (int i = 0; i < n; ++i) sums[i] = (${sum}_t)(sums[i] + a * wa[i]);
  }
}""")

SPIKES = string.Template("""\
/* Adds to n sums, for each spike, its row of weights. */
static void add_spikes_$sum(${sum}_t *restrict sums, int n,
    const int8_t *restrict weights, int stride, const uint16_t *restrict places,
    int count) {
  int k = 0;
  for (; k + 4 <= count; k += 4) {
    const int8_t *restrict wa = weights + places[k] * stride;
    const int8_t *restrict wb = weights + places[k + 1] * stride;
    const int8_t *restrict wc = weights + places[k + 2] * stride;
    const int8_t *restrict wd = weights + places[k + 3] * stride;
    for (int i = 0; i < n; ++i)
      sums[i] = (${sum}_t)(sums[i] + wa[i] + wb[i] + wc[i] + wd[i]);
  }
  for (; k < count; ++k) {
    const int8_t *restrict wa = weights + places[k] * stride;
    for (int i = 0; i < n; ++i) sums[i] = (${sum}_t)(sums[i] + wa[i]);
  }
}""")

NUMBERS = string.Template("""\
/* Adds to n sums, for each of count numbers, its row of weights times the number. */
static void add_numbers_${sum}_$x(${sum}_t *restrict sums, int n,
    const int8_t *restrict weights, const ${x}_t *restrict x, int count) {
  int k = 0;
  for (; k + 4 <= count; k += 4) {
    const int8_t *restrict wa = weights + k * n;
    const int8_t *restrict wb = wa + n;
    const int8_t *restrict wc = wb + n;
    const int8_t *restrict wd = wc + n;
    const $v a = x[k], b = x[k + 1], c = x[k + 2], d = x[k + 3];
    for (int i = 0; i < n; ++i)
      sums[i] = (${sum}_t)(sums[i] + a * wa[i] + b * wb[i] + c * wc[i] + d * wd[i]);
  }
  for (; k < count; ++k) {
    const int8_t *restrict wa = weights + k * n;
    const $v a = x[k];
    for (int i = 0; i < n; ++i) sums[i] = (${sum}_t)(sums[i] + a * wa[i]);
  }
}""")

KINDS = {"find": FIND, "events": EVENTS, "spikes": SPIKES, "numbers": NUMBERS}


def definition(kind: str, sums: str, x: str) -> str:
    """The C of a shared function.

    Args:
        kind: A key of `KINDS`.
        sums: The dtype of the sums; empty where there are none.
        x: The dtype of the numbers that are multiplied; empty for spikes.
    """
    step = 8 // size_of(x) if x else 0
    wide = "int64_t" if sums == "int64" else f"{x}_t"
    return KINDS[kind].substitute(sum=sums, x=x, step=step, v=wide)
