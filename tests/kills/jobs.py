"""The runs that are killed: what each does, and what it comes to."""

import hashlib
import itertools
import json
import pathlib
import sys

import numpy as np

from tests.kills.checking import without_times

SHAPE = (8, 8, 1)


def program(*arguments):
    """Runs one of the programs in this process."""
    import apps.__main__

    sys.argv = ["snn_keras", *map(str, arguments)]
    try:
        apps.__main__.main()
    except SystemExit as ended:
        if ended.code:
            raise


def network(seed):
    """A small quantized network for the digits."""
    import keras

    import snn_keras

    keras.utils.set_random_seed(seed)
    parts = [
        keras.Input(SHAPE),
        keras.layers.Conv2D(4, 3),
        snn_keras.layers.LSQReLU(3, initial_step=0.5),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
    return keras.Sequential(parts, name="net")


def images():
    """Inputs of it."""
    return np.random.default_rng(0).uniform(size=(16, *SHAPE)).astype("float32")


class Job:
    """A run that goes on when it is given again."""

    def prepare(self, folder: pathlib.Path):
        """Makes what the run starts from."""

    def run(self, folder: pathlib.Path):
        """The whole run, or what is left of it."""
        raise NotImplementedError

    def result(self, folder: pathlib.Path) -> str:
        """What it has come to, but for times: the same for every run."""
        raise NotImplementedError


class Train(Job):
    """A float network, a quantized one from it, its best epoch, new statistics."""

    def run(self, folder):
        program(
            "train",
            *("--train_images=128", "--batch_size=32", "--progress=none"),
            *("--held_out=32", "--float_epochs=2", "--epochs=6", "--levels=3"),
            *("--learning_rate=0.02", "--snn_timesteps=1,2", "--reestimate=32"),
            f"--output={folder / 'net.keras'}",
        )

    def result(self, folder):
        import snn_keras

        found = []
        for name in ("net_float", "net"):
            values = snn_keras.load_model(folder / f"{name}.keras").get_weights()
            about = json.loads((folder / f"{name}.json").read_text())
            about["settings"]["init"] = None
            table = (folder / f"{name}.csv").read_text().splitlines()
            columns = [i for i, x in enumerate(table[0].split(",")) if x != "seconds"]
            rows = [[row.split(",")[i] for i in columns] for row in table]
            found += [[hash_of(v) for v in values], without_times(about), rows]
        return json.dumps(found, sort_keys=True)


class Compare(Job):
    """Neurons and numbers of steps side by side."""

    def prepare(self, folder):
        network(0).save(folder / "source.keras")

    def run(self, folder):
        program(
            "compare",
            *(f"--model={folder / 'source.keras'}", f"--output={folder / 'found'}"),
            *("--samples=48", "--counted=8", "--timesteps=1,2"),
            "--neurons=if,signed,bit_serial",
        )

    def result(self, folder):
        found = json.loads((folder / "found.json").read_text())
        return json.dumps(without_times(found), sort_keys=True)


class Results(Job):
    """A row of the tables, on a few images."""

    def run(self, folder):
        program(
            "results",
            *("--tables=fashion_mnist", "--rows=adaptor_signed", "--samples=8"),
            *("--batch_size=8", f"--metrics={folder / 'metrics'}"),
            f"--page={folder / 'page.md'}",
        )

    def result(self, folder):
        (file,) = (folder / "metrics").glob("*.json")
        found = without_times(json.loads(file.read_text()))
        return json.dumps([found, (folder / "page.md").read_text()], sort_keys=True)


class Report(Job):
    """All about a conversion on one page."""

    prepare = Compare.prepare

    def run(self, folder):
        program(
            "report",
            *(f"--model={folder / 'source.keras'}", "--timesteps=2", "--overwrite"),
            *("--samples=32", "--inspected=8", f"--output={folder / 'report.html'}"),
        )

    def result(self, folder):
        text = (folder / "report.html").read_text()
        figures = text.split('id="figures">')[1].split("</script>")[0]
        return json.dumps(without_times(json.loads(figures)), sort_keys=True)


class Exports(Job):
    """Two networks that replace one another in the same files, again and again."""

    rounds = 40

    def prepare(self, folder):
        for name, seed in (("one", 0), ("other", 1)):
            (folder / name).mkdir()
            self.write(self.made(seed), folder / name)
        (folder / "here").mkdir()

    def made(self, seed):
        """A spiking network and its integers."""
        import snn_keras
        from snn_keras import export

        snn = snn_keras.convert(network(seed), 2, "if")
        return snn, export.to_integers(snn, images())

    def write(self, made, folder):
        """Writes it in every form."""
        from snn_keras import export

        snn, integers = made
        snn.save(folder / "net.keras")
        export.to_nir(snn, folder / "net.nir", overwrite=True)
        export.to_tflite(integers, folder / "net.tflite", overwrite=True)
        export.to_c(integers, folder / "c", overwrite=True)

    def run(self, folder):
        pair = itertools.cycle([self.made(0), self.made(1)])
        for _ in range(self.rounds):
            self.write(next(pair), folder / "here")

    def result(self, folder):
        """Every file is the one network's or the other's, as a whole."""
        for form in (p.name for p in (folder / "one").iterdir()):
            here = folder / "here" / form
            if here.exists():
                known = [content_of(folder / x / form) for x in ("one", "other")]
                assert content_of(here) in known, f"{form} is of neither network"
        return "of the one or the other"


def content_of(path):
    """What a file or a folder of files says, but for when it was written."""
    if path.is_dir():
        return {p.name: p.read_bytes() for p in sorted(path.iterdir())}
    if path.suffix == ".keras":
        import snn_keras

        return [hash_of(v) for v in snn_keras.load_model(path).get_weights()]
    if path.suffix == ".nir":
        from snn_keras import export

        return [hash_of(v) for v in export.from_nir(path).get_weights()]
    return path.read_bytes()


def hash_of(values):
    """A hash of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


JOBS = {
    "train": Train(),
    "compare": Compare(),
    "results": Results(),
    "report": Report(),
    "exports": Exports(),
}
