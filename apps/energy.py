"""Energy of spiking networks beside fair opponents, and how far it can be believed.

    python -m apps.energy --data_dir=DATA_DIR
    python -m apps.energy --parts=published
    python -m apps.energy --parts=in_c --rounds=9

`published`: crossing points that studies print, from their assumptions. `shipped`: the
networks that ship, on their test images. `in_c`: instructions on an emulated Cortex-M4
and time on this machine of exported C, against the model's figures by spike rate.

Figures are kept in FOLDER/energy.json, pictures beside it.
"""

import json
import pathlib

from absl import app, flags

from snn_keras.text import table

from . import data, microcontroller
from .choices import check_among
from .energies import in_c, published, shipped

FLAGS = flags.FLAGS
PARTS = ("published", "shipped", "in_c")


def define_flags():
    """Flags of this program."""
    flags.DEFINE_list("parts", list(PARTS), f"Of {', '.join(PARTS)}.")
    flags.DEFINE_string("data_dir", None, "Prepared TFDS data sets, for cifar10.")
    flags.DEFINE_integer("samples", 200, "Test images of each network.", lower_bound=1)
    flags.DEFINE_integer("rounds", 5, "Times that C is timed.", lower_bound=1)
    flags.DEFINE_string("folder", "docs", "Where figures and pictures are written.")


def of_published():
    """The published crossings."""
    header = ("study", "assumptions", "published", "here", "difference")
    rows = list(published.rows())
    print(table([header, *rows]))
    return [dict(zip(header, row, strict=True)) for row in rows]


def of_shipped():
    """The networks that ship."""
    found = shipped.measured(FLAGS.samples, FLAGS.data_dir)
    tables = {name: list(shipped.rows(energies)) for name, energies in found.items()}
    for name, rows in tables.items():
        print(f"\n{name}; {found[name]['45 nm'].bits} bits")
        print(table([shipped.HEADER, *rows]))
    print("\nover quantized, over zeros skipped; in brackets, equal at this spike rate")
    print(table(list(shipped.summary(found))))
    print(f"wrote {shipped.draw(found, FLAGS.folder)}")
    return {
        name: [dict(zip(shipped.HEADER, row, strict=True)) for row in rows]
        for name, rows in tables.items()
    }


def of_c():
    """C against the model."""
    missing = microcontroller.missing_tools()
    if missing:
        raise app.UsageError(f"missing: {missing}. Remedy: {microcontroller.PACKAGES}.")
    found = in_c.measured(FLAGS.rounds)
    print(table([in_c.HEADER, *in_c.rows(found)]))
    print(f"wrote {in_c.draw(found, FLAGS.folder)}")
    return found


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    check_among("parts", PARTS)
    run = {"published": of_published, "shipped": of_shipped, "in_c": of_c}
    file = pathlib.Path(FLAGS.folder) / "energy.json"
    figures = json.loads(file.read_text()) if file.exists() else {}
    for part in FLAGS.parts:
        figures[part] = run[part]()
        data.write_json(file, figures)


if __name__ == "__main__":
    define_flags()
    app.run(main)
