"""The torch module of a ``.tflite`` graph: each step by hand, a network of all of them beside LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from har_bench import HarBenchError
from tests.tflite_files import Net, conv, everything, number

torch = pytest.importorskip("torch")

from har_bench.baselines.blazepose import graph  # noqa: E402


def run(content: bytes, image: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    with torch.inference_mode():
        return [output.numpy() for output in graph.load(content, "net.tflite")(torch.tensor(image))]


def counting(*shape: int) -> npt.NDArray[np.float32]:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_same_padding_of_stride_two_pads_the_end() -> None:
    """By hand: a 3 x 3 kernel of ones with stride 2 on 4 x 4 sees rows 0-2 and 2-4, of which row 4 is padding."""
    net = Net()
    image = net.tensor((1, 4, 4, 1))
    kernel = [net.constant(np.ones((1, 3, 3, 1), np.float32)), net.constant(np.zeros(1, np.float32))]
    content = net.file([image], [net.step("CONV_2D", [image, *kernel], (1, 2, 2, 1), conv(0, 2))])
    (made,) = run(content, counting(1, 4, 4, 1))
    assert made.reshape(2, 2).tolist() == [[45, 39], [66, 50]]


def test_depth_to_space_takes_the_channel_last() -> None:
    net = Net()
    image = net.tensor((1, 1, 1, 8))
    content = net.file([image], [net.step("DEPTH_TO_SPACE", [image], (1, 2, 2, 2), {0: number("i", 2)})])
    (made,) = run(content, counting(1, 1, 1, 8))
    assert made.tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]


def test_reshaping_goes_by_rows_columns_and_channels() -> None:
    net = Net()
    image = net.tensor((1, 2, 2, 3))
    shape = net.constant(np.array([1, -1, 3], np.int32))
    content = net.file([image], [net.step("RESHAPE", [image, shape], (1, 4, 3), {})])
    given = counting(2, 2, 2, 3)
    assert run(content, given)[0].tolist() == given.reshape(2, 4, 3).tolist()


def test_resizing_is_about_the_middle_of_pixels() -> None:
    net = Net()
    image = net.tensor((1, 1, 2, 1))
    size = net.constant(np.array([1, 4], np.int32))
    content = net.file([image], [net.step("RESIZE_BILINEAR", [image, size], (1, 1, 4, 1), {3: number("b", 1)})])
    assert run(content, np.array([[[[0.0], [4.0]]]], np.float32))[0].reshape(-1).tolist() == [0, 1, 3, 4]


def test_a_network_of_every_step_equals_litert_for_any_batch() -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_content=everything())
    interpreter.allocate_tensors()
    images = np.random.default_rng(1).normal(size=(5, 8, 8, 3)).astype(np.float32)
    made = run(everything(), images)
    assert [output.shape for output in made] == [(5, 48), (5, 16, 16, 4)]
    for row, image in enumerate(images):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        for output, place in zip(made, interpreter.get_output_details(), strict=True):
            np.testing.assert_allclose(output[row], interpreter.get_tensor(place["index"])[0], atol=2e-5)


def test_steps_that_no_wanted_output_needs_are_left_out() -> None:
    both, one = graph.load(everything(), "net"), graph.load(everything(), "net", [0])
    assert len(one.steps) < len(both.steps)
    image = torch.zeros(1, 8, 8, 3)
    torch.testing.assert_close(one(image)[0], both(image)[0])
    assert graph.count(everything(), "net") == 6 * 27 + 6 + 54 + 6 + 16 * 8 + 16


def test_what_cannot_be_run_is_said() -> None:
    net = Net()
    image = net.tensor((1, 2, 2, 1))
    size = net.constant(np.array([4, 4], np.int32))
    content = net.file([image], [net.step("RESIZE_BILINEAR", [image, size], (1, 4, 4, 1), {})])
    with pytest.raises(HarBenchError, match="resizes about pixels' corners, which cannot be run"):
        graph.load(content, "corners.tflite")
