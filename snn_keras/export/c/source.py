"""The text of `net.h` and `net.c`."""

import math

from snn_keras.export.c import text
from snn_keras.export.c.program import Program, shared


def prototype(program: Program, name: str) -> str:
    """The declaration of `net_step` or `net_run`, without a semicolon."""
    takes = [
        f"const {spec.dtype}_t *{program.arguments[spec.name]}"
        for spec in program.network.inputs
    ]
    gives = [f"int32_t *{local}" for local in program.results.values()]
    return f"int {name}({', '.join(['struct net *net', *takes, *gives])})"


def header(program: Program) -> str:
    """The text of `net.h`."""
    network = program.network
    lines = [
        text.comment(
            f"{network.name}: a spiking network of integers. Written by snn_keras."
        ),
        "#ifndef NET_H",
        "#define NET_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define NET_TIMESTEPS {network.timesteps}  /* time steps of a run */",
        f"#define NET_RAM {program.memory.ram()}  /* bytes of struct net */",
        f"#define NET_FLASH {program.memory.flash()}  /* bytes of constants */",
    ]
    for spec in network.inputs:
        lines += _of_tensor(
            program.arguments[spec.name],
            f"{spec.name}: {text.shape_text(spec.shape)} of {spec.dtype}; "
            f"x = {float(spec.scale)!r} * (q - {spec.zero_point})",
            spec.shape,
        )
    for out in network.outputs:
        shape = program.tensors[out.name].shape
        lines += _of_tensor(
            program.results[out.name],
            f"{out.name}: {text.shape_text(shape)} of int32; "
            f"y = {float(out.scale)!r} * q / {out.divisor or 'steps'}",
            shape,
        )
    lines += ["", "/* The state of the network, and scratch. */", "struct net {"]
    for dtype, name, count, about in program.memory.fields():
        size = f"[{count}]" if count else ""
        about = f"  {text.comment(about)}" if about else ""
        lines.append(f"  {dtype}_t {name}{size};{about}")
    lines += _trace_fields(program)
    lines += [
        "};",
        "",
        "/* Takes a network to rest, before the first step of a run. */",
    ]
    lines.append("void net_reset(struct net *net);")
    if program.form == "streaming":
        lines += [
            "",
            "/* Runs a time step. The outputs are sums over the steps so far. Returns",
            "   0; or -1, and does nothing, after NET_TIMESTEPS: net_reset first. */",
            f"{prototype(program, 'net_step')};",
        ]
    lines += [
        "",
        "/* Runs NET_TIMESTEPS time steps from rest, all with the same input. */",
        f"{prototype(program, 'net_run')};",
        "",
        "#ifdef NET_TRACE",
        "/* A step in every form; and what was traced at the last step, by number. */",
        f"{prototype(program, 'net_trace_step')};",
        "const void *net_traced(const struct net *net, int number);",
        "#endif",
        "",
        "#endif",
    ]
    return "\n".join([*lines, ""])


def _of_tensor(name, about, shape):
    size = f"NET_{name.upper()}_SIZE"
    return ["", text.comment(about), f"#define {size} {math.prod(shape)}"]


def _trace_fields(program):
    fields = [
        f"  {dtype}_t {field}[{math.prod(shape)}];"
        for name, dtype, shape, field in program.traced()
        if field.startswith("trace_")
    ]
    return ["#ifdef NET_TRACE", *fields, "#endif"] if fields else []


def body(program: Program) -> str:
    """The text of `net.c`."""
    constants = [
        text.constant(name, values, values.dtype.name)
        for name, values in program.memory.constants.items()
    ]
    parts = [
        f"/* {program.network.name}. Written by snn_keras: see README.md. */\n"
        '#include "net.h"\n\n#include <string.h>',
        "/* Sums are computed in int, which must have 32 bits. */\n"
        "typedef char net_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];",
        *constants,
        shared(program),
        *(function.definition() for function in program.functions),
        _step(program),
        _reset_and_run(program),
        _traced(program),
    ]
    return "\n\n".join([*filter(None, parts), ""])


def _step(program):
    """The function that runs a step, whatever the form."""
    code = text.Code()
    with code.block(f"static {prototype(program, 'step')}"):
        code(*(f"(void){name};" for name in _unread(program)))
        code("if (net->step >= NET_TIMESTEPS) return -1;")
        _convert_inputs(program, code)
        for function in program.functions:
            name = function.stage.last.name
            when = "if (net->step == 0) " if function.stage.is_static else ""
            code(f"{when}{function.call()}")
            for traced, _, _, field in program.traced():
                if traced == name:
                    address = program.tensors[name].buffer.address
                    code("#ifdef NET_TRACE")
                    code(f"memcpy(net->{field}, {address}, sizeof net->{field});")
                    code("#endif")
        for name, local in program.results.items():
            tensor = program.tensors[name]
            code(f"const {tensor.dtype}_t *from_{local} = {tensor.buffer.address};")
            with code.loop("i", math.prod(tensor.shape)):
                code(f"{local}[i] = from_{local}[i];")
        code("++net->step;", "return 0;")
    return str(code)


def _unread(program):
    """The arguments of inputs that no operation reads."""
    read = {name for x in program.network.operations for name in x.inputs}
    return [c for name, c in program.arguments.items() if name not in read]


def _convert_inputs(program, code):
    """Takes zero points away."""
    for number, spec in enumerate(program.network.inputs):
        tensor = program.tensors[spec.name]
        if tensor.buffer is None:
            continue
        to, zero = f"x{number}", text.number(spec.zero_point)
        code(f"{tensor.dtype}_t *{to} = {tensor.buffer.address};")
        with code.loop("i", math.prod(spec.shape)):
            source = f"{program.arguments[spec.name]}[i]"
            code(f"{to}[i] = ({tensor.dtype}_t)({source} - {zero});")


def _reset_and_run(program):
    names = ["net", *program.arguments.values(), *program.results.values()]
    call = f"step({', '.join(names)})"
    code = text.Code()
    with code.block("void net_reset(struct net *net)"):
        code("memset(net, 0, sizeof *net);")
    if program.form == "streaming":
        code("")
        with code.block(prototype(program, "net_step")):
            code(f"return {call};")
    code("")
    with code.block(prototype(program, "net_run")):
        code("net_reset(net);")
        with code.loop("t", "NET_TIMESTEPS"):
            code(f"{call};")
        code("return 0;")
    return str(code)


def _traced(program):
    names = ["net", *program.arguments.values(), *program.results.values()]
    code = text.Code()
    code("#ifdef NET_TRACE")
    with code.block(prototype(program, "net_trace_step")):
        code(f"return step({', '.join(names)});")
    code("")
    with (
        code.block("const void *net_traced(const struct net *net, int number)"),
        code.block("switch (number)"),
    ):
        for number, (_, _, _, field) in enumerate(program.traced()):
            code(f"case {number}: return net->{field};")
        code("default: return 0;")
    code("#endif")
    return str(code)
