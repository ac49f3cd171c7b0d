"""Reading ``.tflite`` files: what is in them, weights unfolded, and what is wrong with them in one sentence."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.foreign.tflite import parse
from tests.tflite_files import Net, conv, everything, ints, number

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


def test_a_file_of_one_step_by_hand() -> None:
    net = Net()
    image = net.tensor((1, 4, 4, 1))
    kernel, bias = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1), np.array([5], np.float32)
    made = net.step("CONV_2D", [image, net.constant(kernel), net.constant(bias)], (1, 2, 2, 1), conv(0, 2, 3))
    graph = parse(net.file([image], [made]), "one.tflite")
    (step,) = graph.operators
    assert (step.name, step.inputs, step.outputs) == ("CONV_2D", (0, 1, 2), (3,))
    assert step.options == {
        "padding": 0, "stride_w": 2, "stride_h": 2, "activation": 3, "dilation_w": 1, "dilation_h": 1
    }  # fmt: skip
    assert (graph.inputs, graph.outputs, graph.shapes[3]) == ((0,), (3,), (1, 2, 2, 1))
    np.testing.assert_array_equal(graph.constants[1], kernel)
    assert graph.constants[2].tolist() == [5]


def test_half_precision_and_sparse_weights_come_back_dense_and_single() -> None:
    dense = np.zeros((3, 1, 1, 5), np.float32)
    dense[0, 0, 0, [1, 4]], dense[2, 0, 0, 0] = [2.5, -1], 0.25
    net = Net()
    image = net.tensor((1, 1, 1, 5))
    full = net.step("DENSIFY", [net.sparse(dense.astype(np.float16))], dense.shape)
    single = net.step("DEQUANTIZE", [full], dense.shape)
    bias = net.step("DEQUANTIZE", [net.constant(np.array([1, 2, 3], np.float16))], (3,))
    graph = parse(net.file([image], [net.step("CONV_2D", [image, single, bias], (1, 1, 1, 3), conv(0, 1))]), "two")
    assert [step.name for step in graph.operators] == ["CONV_2D"]
    assert sorted(graph.constants) == sorted([single, bias])
    np.testing.assert_array_equal(graph.constants[single], dense)
    assert graph.constants[single].dtype == graph.constants[bias].dtype == np.float32
    assert graph.constants[bias].tolist() == [1, 2, 3]


def odd(name: str) -> bytes:
    """Files that are wrong in one way."""
    net = Net()
    image = net.tensor((1, 2, 2, 1))
    weights = net.constant(np.ones((1, 1, 1, 1), np.float32))
    if name == "operator":
        return net.file([image], [net.step("TANH", [image], (1, 2, 2, 1))])
    if name == "tensor":
        return net.file([image], [net.step("ADD", [image, 99], (1, 2, 2, 1), {})])
    if name == "shape":
        net.tensors[weights].slots = dict(net.tensors[weights].slots) | {0: ints([7, 7])}
    if name == "huge":
        net.tensors[weights].slots = dict(net.tensors[weights].slots) | {0: ints([1 << 20, 1 << 20])}
    if name == "buffer":
        net.tensors[weights].slots = dict(net.tensors[weights].slots) | {2: number("I", 55)}
    if name == "sparse":
        made = net.step("DENSIFY", [weights], (1, 1, 1, 1))
        return net.file([image], [net.step("ADD", [image, made], (1, 2, 2, 1), {})])
    if name == "networks":
        return odd("none").replace(b"TFL3", b"TFL4")
    return net.file([image], [net.step("ADD", [image, weights], (1, 2, 2, 1), {})])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("operator", "operator 28, which no pose network has"),
        ("tensor", "it speaks of tensor 99 of "),
        ("shape", r"has 1 values for the shape \(7, 7\)"),
        ("huge", "unfold into more than"),
        ("buffer", "is in buffer 55 of "),
        ("sparse", "is not sparse"),
        ("networks", "does not begin as one"),
    ],
)
def test_what_cannot_be_is_named(name: str, words: str) -> None:
    with pytest.raises(
        HarBenchError, match=rf"^odd.tflite is no .tflite network that can be read \(.*{words}.*fetch it"
    ):
        parse(odd(name), "odd.tflite")
    assert parse(odd("none"), "even").operators


def test_damaged_files_are_one_sentence_or_another_network() -> None:
    whole = everything()
    assert len(parse(whole, "whole").operators) == 12
    rng = random.Random(0)
    for number_of_try in range(FUZZ):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 1, 4, 64])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        cut = bytes(damaged[: rng.randrange(8, len(damaged))]) if number_of_try % 3 == 0 else bytes(damaged)
        try:
            parse(cut, "damaged")
        except HarBenchError as error:
            assert str(error).startswith("damaged is no .tflite network")  # noqa: PT017 - most raise, some parse


@pytest.mark.parametrize("content", [b"", b"TFL3", b"x" * 100, bytes(100)])
def test_what_is_no_such_file_is_said(content: bytes) -> None:
    with pytest.raises(HarBenchError, match=r"is no .tflite network"):
        parse(content, "text")


def test_a_root_inside_the_header_is_no_network() -> None:
    content = bytearray(everything())
    content[0:4] = (4).to_bytes(4, "little")
    with pytest.raises(HarBenchError, match=r"is no .tflite network"):
        parse(bytes(content), "header")
