"""When things happen in a network: one setting for all its layers."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Timing:
    """The time line of a run.

    Attributes:
        timesteps: Steps of a run.
        input_steps: Steps for which the input and every constant part of an
            affine map are on; None for all of them. A signal then decodes by its
            sum divided by `input_steps`, otherwise by its mean over the steps.
    """

    timesteps: int
    input_steps: int | None = None

    def threshold_of(self, activation):
        """The threshold with which a spike count of one means one step.

        `theta = p s`; where the input is on for P steps, `theta = P s`.
        """
        if self.input_steps is None:
            return activation.threshold_value()
        return self.input_steps * activation.step_value()
