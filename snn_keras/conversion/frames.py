"""Planning of networks whose every step has an input of its own: events, video."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from keras import tree

from snn_keras.coding import SETTLE
from snn_keras.conversion import forms, samples
from snn_keras.conversion.rules import Refusal, Step
from snn_keras.conversion.stage import Stage
from snn_keras.graph import Graph
from snn_keras.simulate import apart
from snn_keras.typing import Timesteps

if TYPE_CHECKING:
    from snn_keras.conversion.planning import Context


def check_arguments(timesteps: Timesteps | None, bias_correction: bool) -> None:
    """Raises a ValueError unless these arguments suit frames."""
    if timesteps in (None, SETTLE):
        raise ValueError(
            "input_frames=True needs the number of frames of an input: "
            f"convert(model, 20, input_frames=True). Received: timesteps={timesteps!r}"
        )
    if bias_correction:
        raise ValueError(
            "bias_correction corrects errors for inputs that stay the same, and with "
            "input_frames=True they change. Remedy: bias_correction=False, or snn.fit."
        )


def check_neurons(context: "Context") -> None:
    """Raises a ValueError unless neurons can be fed frame by frame."""
    coding = context.coding
    extra = any(cell.extra_steps for cell in context.cells())
    if coding.charges_first or extra:
        raise ValueError(
            "input_frames=True: these neurons look at a whole run, or at extra steps, "
            'before they fire. Remedy: neuron="if", "multi_threshold", "lif" or '
            '"noisy_lif", or neuron="signed" with input_steps=timesteps.'
        )
    on = coding.input_steps
    if on is not None and on < coding.timesteps:
        raise ValueError(
            f"input_frames=True: these neurons take input in the first {on} of "
            f"{coding.timesteps} steps, and later frames would be lost. Remedy: "
            f'input_steps={coding.timesteps}; or neuron="if" or "multi_threshold".'
        )


def of_each(step: Step) -> Step:
    """The step; if it reads frames alone, it runs on each of them.

    Raises:
        Refusal: if it cannot run so.
    """
    node = step.node
    if Stage.EACH_FRAME not in step.stages:
        return step
    if step.stage is Stage.AFTER:
        raise Refusal(
            "behind the last neuron it reads frames, of which there is one for every "
            "step.",
            "read what neurons send; or a network of one input, and snn.stream().",
        )
    if isinstance(step.form, forms.Difference):
        _check_changes(step)
    if step.stage is not Stage.BEFORE:
        return step
    samples.check_samples_apart(node)
    if apart.keeps_state(node):
        raise Refusal(
            "it keeps a state from batch to batch, and every frame would change it.",
            "stateful=False.",
        )
    return dataclasses.replace(step, stage=Stage.EACH_FRAME, form=forms.EachFrame())


def _check_changes(step):
    """Raises a `Refusal` if a step reads frames that cannot be added up."""
    for x, stage in zip(step.node.inputs, step.stages, strict=True):
        if stage is Stage.EACH_FRAME and "float" not in x.dtype:
            raise Refusal(
                f"besides signals it reads a tensor of type {x.dtype}, which may "
                "change from frame to frame, and cannot be added up.",
                "keras.ops.cast it to floating point before the first neuron.",
            )


def undecoded(graph: Graph, stages: Mapping) -> list[str]:
    """What is wrong with outputs that depend on no neuron, a line for each."""
    ends = zip(graph.output_names, tree.flatten(graph.outputs), strict=True)
    return [
        f"  output '{name}': it depends on no neuron, and with input_frames=True it "
        "would have a value for every frame. Remedy: a model without this output."
        for name, x in ends
        if stages[x] is Stage.EACH_FRAME
    ]
