"""The network that ships: early exit, and 16 bit."""

import numpy as np

from .measuring import Worker, measure, ratio, timed


def make_early_exit():
    import snn_keras

    from .. import data
    from ..sources import load_model

    test = data.shipped_test_images()
    images = data.preprocess(test.images)
    held_out, rest = slice(0, 5000), slice(5000, None)
    model = load_model(data.SHIPPED / "fashion_mnist_adaptor.keras")
    snn = snn_keras.convert(model, 16)
    over_time = snn.predict_over_time(images, 100, verbose=0)

    def rule(**arguments):
        return snn_keras.EarlyExit.calibrated(
            over_time[:, held_out], test.labels[held_out], **arguments
        )

    def share(outputs):
        return float(np.mean(outputs.argmax(-1) == test.labels[rest]))

    def whole():
        return share(snn.predict(images[rest], 100, verbose=0))

    usual = rule()

    def early():
        outputs, steps = snn.predict_early_exit(images[rest], usual, 100)
        return share(outputs), float(steps.mean())

    def others():
        found = {}
        for criterion in ("margin", "entropy"):
            for every in (1, 2, 4):
                steps = rule(criterion=criterion, every=every).steps(over_time[:, rest])
                outputs = over_time[:, rest][steps - 1, np.arange(5000)]
                found[f"{criterion}, every {every}"] = (
                    float(steps.mean()),
                    share(outputs),
                )
        return found

    return {"whole": whole, "early": early, "others": others}


def early_exit(rounds):
    """The network that ships, T = 16: 5,000 test images, calibrated on 5,000 others."""
    with Worker(make_early_exit) as worker:
        cases = {name: (worker, name) for name in ("whole", "early")}
        seconds, answers = measure(cases, rounds)
        _, others = worker.call("others")
    accuracy, steps = answers["early"]
    figures = {
        "steps, of 16": {"ratio": round(steps / 16, 3)},
        "time, of the whole run's": ratio(seconds["early"], seconds["whole"]),
        "accuracy of all steps, percent": {"ratio": round(100 * answers["whole"], 2)},
        "accuracy of early exit, percent": {"ratio": round(100 * accuracy, 2)},
    }
    for name, (steps, accuracy) in others.items():
        figures[f"steps, of 16; {name}"] = {"ratio": round(steps / 16, 3)}
        figures[f"accuracy, percent; {name}"] = {"ratio": round(100 * accuracy, 2)}
    return figures


POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def make_precision():
    import keras

    import snn_keras

    from .. import data
    from ..sources import load_model

    test = data.shipped_test_images().take(2000)
    images = data.preprocess(test.images)
    cases = {}
    for policy in POLICIES:
        model = load_model(data.SHIPPED / "fashion_mnist_adaptor.keras")

        def with_policy(layer, policy=policy):
            config = {**layer.get_config(), "dtype": policy}
            return type(layer).from_config(config)

        clone = keras.models.clone_model(model, clone_function=with_policy)
        clone.set_weights(model.get_weights())
        snn = snn_keras.convert(clone, 8)

        def run(snn=snn):
            return snn.predict(images, 100, verbose=0).astype("float32")

        cases[policy] = run
    return cases


def precision(rounds):
    """The network that ships, T = 8, 2,000 images, in 16 bit over 32."""
    from .. import data

    labels = data.shipped_test_images().take(2000).labels
    seconds, outputs = timed(make_precision, rounds)
    answers = {name: y.argmax(-1) for name, y in outputs.items()}
    figures = {}
    for name in POLICIES:
        figures[f"time, {name}"] = ratio(seconds[name], seconds["float32"])
        same = float(np.mean(answers[name] == answers["float32"]))
        figures[f"same answers, {name}"] = {"ratio": round(same, 4)}
        right = float(np.mean(answers[name] == labels))
        figures[f"accuracy in percent, {name}"] = {"ratio": round(100 * right, 2)}
    return figures
