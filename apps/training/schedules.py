"""Optimizers and how their learning rate falls."""

import keras

SCHEDULES = ("cosine", "constant", "exponential", "warm_restarts")

# What weight decay leaves out: biases, batch normalization, and learned steps.
UNDECAYED = ["bias", "gamma", "beta", "step", "threshold"]


def make_schedule(name, learning_rate, steps, warmup_steps=0, restart_steps=0):
    """The learning rate over a training.

    Args:
        name: One of `SCHEDULES`. Cosine falls to 0; exponential to a hundredth; warm
            restarts are cosines of `restart_steps` each.
        learning_rate: Its highest value.
        steps: Steps of the whole training.
        warmup_steps: Of these, steps in which it rises from 0 first.
        restart_steps: Steps from one warm restart to the next.
    """
    left = steps - warmup_steps
    if left < 1:
        raise ValueError(
            f"warming up takes {warmup_steps} of {steps} steps. "
            "Remedy: a smaller --warmup_epochs, or more --epochs."
        )
    made = {
        "cosine": lambda: keras.optimizers.schedules.CosineDecay(learning_rate, left),
        "constant": lambda: learning_rate,
        "exponential": lambda: keras.optimizers.schedules.ExponentialDecay(
            learning_rate, left, 0.01
        ),
        "warm_restarts": lambda: keras.optimizers.schedules.CosineDecayRestarts(
            learning_rate, max(1, restart_steps), t_mul=1.0
        ),
    }[name]()
    return Warmup(made, learning_rate, warmup_steps) if warmup_steps else made


@keras.saving.register_keras_serializable("snn_keras_apps")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from 0 to `learning_rate` in `steps` steps, then follows `then`."""

    def __init__(self, then, learning_rate, steps):
        self.then = then
        self.learning_rate = learning_rate
        self.steps = steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = self.learning_rate * (step + 1) / self.steps
        after = self.then(step - self.steps) if callable(self.then) else self.then
        return keras.ops.where(step < self.steps, rising, after)

    def get_config(self):
        return {
            "then": self.then,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
        }


def make_optimizer(name, schedule, momentum, weight_decay, ema):
    """An optimizer with decoupled weight decay.

    Keras takes `weight_decay * learning_rate` of a weight away at every step. The L2
    penalty of PyTorch's SGD, which goes through the momentum, takes 1 / (1 - momentum)
    times that: its 5e-4 at momentum 0.9 is 5e-3 here.

    Args:
        name: "adamw" or "sgd".
        schedule: Learning rate, or a schedule.
        momentum: Of SGD (Nesterov's).
        weight_decay: Share of the weights, times the learning rate, lost a step.
        ema: Momentum of the moving average of the weights; 0 for none. The average
            takes the place of the weights when training ends.
    """
    averaged = {"use_ema": True, "ema_momentum": ema} if ema else {}
    if name == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule,
            momentum=momentum,
            nesterov=momentum > 0,
            weight_decay=weight_decay,
            **averaged,
        )
    else:
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=weight_decay, **averaged
        )
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer
