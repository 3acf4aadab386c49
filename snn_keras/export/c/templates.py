"""The files beside `net.h` and `net.c`: an example, a Makefile and a README."""

from snn_keras.export.c.program import Program

MAKEFILE = """\
# make           build/classify, for this machine
# make check     the same with all warnings and sanitizers
CC ?= cc
CFLAGS ?= -O3 -march=native

build/classify: main.c net.c net.h
\tmkdir -p build
\t$(CC) -std=c99 $(CFLAGS) main.c net.c -o $@

check: main.c net.c net.h
\tmkdir -p build
\t$(CC) -std=c99 -O1 -g -Wall -Wextra -Wpedantic -Wconversion -Werror \\
\t  -fsanitize=address,undefined -fno-sanitize-recover main.c net.c -o build/check

clean:
\trm -rf build

.PHONY: check clean
"""

README = """\
# {name}, a spiking network of integers in C

`net.h` and `net.c` are the network: C99, no allocation, no float, no library beyond
`stdint.h` and `string.h`. Weights are constants; everything that changes is in
`struct net`.

* Constants: {flash:,} bytes, and the code.
* `struct net`: {ram:,} bytes.
* {timesteps} time steps a run.

```c
#include "net.h"

static struct net net;

{use}
```

`make` builds `build/classify` of `main.c`, which classifies an image from a file:

```
build/classify {arguments}
```

Numbers in files and arguments are quantized, channels last: `net.h` says how. In
Python, `snn_keras.export.CNetwork` quantizes, compiles and runs this folder:

```python
net = snn_keras.export.CNetwork("{folder}")
net.predict(images)
net.quantize(images[:1])[0].tofile("{argument}")
```
"""

MAIN = """\
/* Runs the network on numbers from files; prints the outputs, and the largest. */
#include <stdio.h>

#include "net.h"

static struct net net;
{arrays}

static int read_file(const char *path, void *numbers, size_t bytes) {{
  FILE *file = fopen(path, "rb");
  size_t got = 0;
  int more = 0;
  if (file != NULL) {{
    got = fread(numbers, 1, bytes, file);
    more = fgetc(file) != EOF;
    fclose(file);
  }}
  if (got == bytes && !more) return 0;
  fprintf(stderr, "%s: expected a file of %lu bytes\\n", path, (unsigned long)bytes);
  return 1;
}}

static void print_outputs(const char *name, const int32_t *outputs, int count) {{
  int largest = 0;
  printf("%s:", name);
  for (int i = 0; i < count; ++i) {{
    printf(" %ld", (long)outputs[i]);
    if (outputs[i] > outputs[largest]) largest = i;
  }}
  printf("\\nlargest: %d\\n", largest);
}}

int main(int count, char **arguments) {{
  if (count != {count}) {{
    fprintf(stderr, "usage: %s {usage}\\n", arguments[0]);
    return 2;
  }}
{reads}
  net_run({call});
{prints}
  return 0;
}}
"""


def main(program: Program) -> str:
    """The text of `main.c`."""
    inputs = [(program.arguments[x.name], x.dtype) for x in program.network.inputs]
    outputs = list(program.results.values())
    arrays = [f"static {t}_t {name}[NET_{name.upper()}_SIZE];" for name, t in inputs]
    arrays += [f"static int32_t {name}[NET_{name.upper()}_SIZE];" for name in outputs]
    reads = [
        f"  if (read_file(arguments[{i}], {name}, sizeof {name})) return 1;"
        for i, (name, _) in enumerate(inputs, start=1)
    ]
    prints = [
        f'  print_outputs("{name}", {name}, NET_{name.upper()}_SIZE);'
        for name in outputs
    ]
    names = [name for name, _ in inputs]
    return MAIN.format(
        arrays="\n".join(arrays),
        count=len(inputs) + 1,
        usage=" ".join(name.upper() for name in names),
        reads="\n".join(reads),
        call=", ".join(["&net", *names, *outputs]),
        prints="\n".join(prints),
    )


def readme(program: Program, folder: str) -> str:
    """The text of `README.md`."""
    network = program.network
    names = [program.arguments[x.name] for x in network.inputs]
    call = ", ".join(["&net", *names, *program.results.values()])
    use = [f"net_run({call});  /* all steps */"]
    if program.form == "streaming":
        use += [
            "",
            "net_reset(&net);  /* or step by step, for inputs that change */",
            f"while (net_step({call}) == 0) {{ /* sums so far */ }}",
        ]
    return README.format(
        name=network.name,
        flash=program.memory.flash(),
        ram=program.memory.ram(),
        timesteps=network.timesteps,
        use="\n".join(use),
        arguments=" ".join(f"{name}.raw" for name in names),
        argument=f"{names[0]}.raw",
        folder=folder,
    )
