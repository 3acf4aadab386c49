"""The programs of snn_keras by name: `snn_keras train --help`."""

import difflib
import importlib
import sys

from absl import app, flags

PROGRAMS = {
    "train": "train a quantized network",
    "evaluate": "convert a trained network, accuracy at each time step",
    "compare": "all neurons and numbers of steps side by side, for one network",
    "report": "all about a conversion in one HTML file",
    "results": "compare all methods, and write the tables",
    "errors": "how far neurons are from their source, layer by layer",
    "reproduce": "one row of those tables from nothing: training and all",
    "networks": "convert the networks of keras.applications",
    "layers": "what becomes of every layer and operation of Keras",
    "transformers": "a transformer with numbers, and with spikes, in its products",
    "scenes": "detect and segment digits in made scenes",
    "energy": "energy beside fair opponents: published, shipped networks, and in C",
    "benchmark": "how fast spiking networks run, as ratios",
    "export": "a TFLite file of integers, for edge devices",
    "microcontroller": "C on an emulated Cortex-M4, its instructions counted",
    "nir": "a NIR file, for other simulators and neuromorphic hardware",
    "demo": "convert the network that ships and run it on real images",
}


def main():
    """Runs the program that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in PROGRAMS:
        asked = name in (None, "--help", "-h", "help")
        if not asked:
            near = difflib.get_close_matches(name, PROGRAMS, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            print(f"There is no program {name!r}.{hint}\n", file=sys.stderr)
        print("usage: snn_keras PROGRAM [flags]; snn_keras PROGRAM --help\n")
        for program, purpose in PROGRAMS.items():
            print(f"  {program:15} {purpose}")
        sys.exit(0 if asked and name else 2)
    program = importlib.import_module(f"{__package__}.{name}")
    program.define_flags()
    # What --help shows: the program's own words and flags.
    sys.modules["__main__"].__doc__ = program.__doc__
    for flag in flags.FLAGS.get_key_flags_for_module(program):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(program.main, argv=[f"snn_keras {name}", *sys.argv[2:]])


if __name__ == "__main__":
    main()
