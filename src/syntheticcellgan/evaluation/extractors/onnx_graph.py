"""Make an inner tensor of an ONNX model its output, by editing the protobuf: no package beyond Python.

An ONNX file is a ModelProto whose field 7 is the GraphProto; in the graph, field 1 holds nodes (their fields 1 and 2
name inputs and outputs), field 12 the graph's outputs (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator

from syntheticcellgan.errors import InputError

_GRAPH, _NODE, _GRAPH_OUTPUT = 7, 1, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2
# TypeProto { tensor_type { elem_type: FLOAT } }: the shape is left to the run-time.
_FLOAT_TENSOR = bytes([0x0A, 0x02, 0x08, 0x01])


def with_output(model: bytes, tensor: str) -> bytes:
    """The model with the float tensor called `tensor` as its only output, and only the nodes that this needs.

    (ONNX Runtime would compute the others in vain.) InputError if no node makes the tensor. Nodes with sub-graphs (If,
    Loop) may read tensors that they do not list, so models with those are not for this function.
    """
    parts: list[bytes] = []
    made = False
    for number, start, body, end in _fields(model, 0, len(model)):
        if number != _GRAPH:
            parts.append(model[start:end])
            continue
        inside = list(_fields(model, body, end))
        nodes = {first: _links(model, content, last) for kind, first, content, last in inside if kind == _NODE}
        wanted, needed = {tensor}, set()
        for first, (inputs, outputs) in reversed(nodes.items()):  # ONNX lists nodes in an order that can be run
            if wanted & outputs:
                needed.add(first)
                wanted |= inputs
        made = made or bool(needed)
        kept = [
            model[first:last]
            for kind, first, _, last in inside
            if kind != _GRAPH_OUTPUT and (kind != _NODE or first in needed)
        ]
        kept.append(_message(_GRAPH_OUTPUT, _message(1, tensor.encode()) + _message(2, _FLOAT_TENSOR)))
        parts.append(_message(_GRAPH, b"".join(kept)))
    if not made:
        raise InputError(f"The ONNX model has no tensor called {tensor}: it is another model than expected.")
    return b"".join(parts)


def _links(model: bytes, position: int, end: int) -> tuple[set[str], set[str]]:
    """Names of the inputs and outputs of the node between `position` and `end`."""
    names: dict[int, set[str]] = {_NODE_INPUT: set(), _NODE_OUTPUT: set()}
    for number, _, body, last in _fields(model, position, end):
        if number in names:
            names[number].add(model[body:last].decode(errors="replace"))
    return names[_NODE_INPUT], names[_NODE_OUTPUT]


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """For each field of a message: its number, where it starts, where its content starts, where it ends."""
    while position < end:
        start = position
        key, position = _read_varint(data, position)
        kind = key & 7
        body = position
        if kind == 0:
            _, position = _read_varint(data, position)
        elif kind == 2:
            length, body = _read_varint(data, position)
            position = body + length
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        else:
            raise InputError("This is not an ONNX model, or it is damaged.")
        if position > end:
            raise InputError("The ONNX model ends too early: it is damaged.")
        yield key >> 3, start, body, position


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise InputError("This is not an ONNX model, or it is damaged.")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content
