"""What is no data in a file of torch is refused, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import torch_file
from tests.hub.torch_writing import Call, Storage, named, parameter, storage, tensor, typed, vector

ONE = vector(np.arange(4.0))
HUGE = 1 << 45
SYSTEM = named("posix", "system")


def forged(held: Any = None, size: Any = (4,), stride: Any = (1,), offset: Any = 0, *more: Any) -> Call:
    return tensor(storage(np.arange(4.0)) if held is None else held, size, stride, offset, *more)


VALUES: dict[str, tuple[Any, str]] = {
    "a call": (Call(SYSTEM, ("touch OWNED",)), "asks for posix.system, which is not data"),
    "a call beside tensors": ([ONE, Call(SYSTEM, ("touch OWNED",))], "asks for posix.system"),
    "a call as a shape": (forged(size=Call(SYSTEM, ("touch OWNED",))), "asks for posix.system"),
    "a call as a type": (forged(Storage("system", b"", 0, "0", module="posix")), "asks for posix.system"),
    "a call as a key": ({Call(SYSTEM, ("touch OWNED",)): 1}, "asks for posix.system"),
    "a whole module": (Call(named("torch.nn.modules.linear", "Linear"), ()), "asks for torch.nn.modules.linear.Linear"),
    "a load in a load": (Call(named("torch.storage", "_load_from_bytes"), (b"x",)), "asks for torch.storage._load"),
    "a sparse tensor": (Call(named("torch._utils", "_rebuild_sparse_tensor"), ()), "_rebuild_sparse_tensor, which is"),
    "a type by itself": (named("torch", "FloatStorage"), "holds a function"),
    "a call of a type": (Call(named("torch", "FloatStorage"), (HUGE,)), "calls what is no function"),
    "an attribute of torch": (Call(named("torch", "os.system"), ("touch OWNED",)), "asks for torch.os.system"),
    "no storage": (forged(held=[1.0] * 4), "a tensor without a storage"),
    "a tensor of a tensor": (forged(held=ONE), "a tensor without a storage"),
    "a parameter of nothing": (parameter([1.0]), "a parameter without a tensor"),
    "a state for a tensor": (Call(*forged().__reduce__(), {"array": 1}), "gives a state to a ndarray"),
    "a tensor as a key": ({1: 1, (ONE,): 2}, "has a key that is a ndarray"),
    "a shape beyond": (forged(size=(5,)), "goes beyond its storage"),
    "an offset beyond": (forged(offset=1), "goes beyond its storage"),
    "a stride beyond": (forged(size=(2, 2), stride=(3, 1)), "goes beyond its storage"),
    "a huge stride": (forged(size=(2,), stride=(1 << 200,)), "goes beyond its storage"),
    "a huge shape": (forged(size=(HUGE, HUGE)), "malformed"),
    "a huge shape of strides": (forged(size=(HUGE, HUGE), stride=(1, 1)), "goes beyond its storage"),
    "a huge expansion": (
        forged(size=(HUGE, 4), stride=(0, 1)),
        "unfolds into more than .* bytes may become; if you trust it",
    ),
    "many expansions": (
        [forged(size=(1 << 18, 4), stride=(0, 1)) for _ in range(80)],
        "unfolds into more than .* bytes may become; if you trust it",
    ),
    "a huge empty shape": (forged(size=(0, 1 << 70), stride=(1, 1)), "not a readable pickle"),
    "too many dimensions": (forged(size=(1,) * 99, stride=(1,) * 99), "not a readable pickle"),
    "a negative stride": (forged(stride=(-1,), offset=3), "malformed"),
    "a negative offset": (forged(offset=-1), "malformed"),
    "a negative shape": (forged(size=(-1,)), "malformed"),
    "a shape of floats": (forged(size=(4.0,)), "malformed"),
    "a shape of truths": (forged(size=(True,)), "malformed"),
    "a shape of text": (forged(size="4"), "malformed"),
    "no stride": (forged(stride=()), "malformed"),
    "a size of text": (Call(named("torch", "Size"), ("a" * 99,)), "malformed"),
    "conjugated": (forged(None, (4,), (1,), 0, {"conj": True}), "conjugated or negated"),
    "a type of a typed storage": (typed(storage([1.0]), "uint16", (1,), (1,)), "another type"),
    "odd bytes": (typed(Storage("UntypedStorage", b"abc", 3, "0"), "uint16", (1,), (1,)), "another type"),
    "one storage as two types": ([vector([1.0]), vector([1], "IntStorage")], "as two types"),
    "one storage of two sizes": ([vector([1.0]), vector([1.0, 2.0])], "as two types"),
    "more storage than bytes": (forged(Storage("FloatStorage", b"", HUGE, "0")), "more storage than it has bytes"),
    "less than no storage": (forged(Storage("FloatStorage", b"", -4, "0")), "more storage than it has bytes"),
    "a part beyond": (forged(storage([1.0], part=(("1", 0, 9),))), "malformed part"),
    "a part before": (forged(storage([1.0], part=(("1", -1, 1),))), "malformed part"),
    "a random state of nothing": (Call(named("numpy.random", "__RandomState_ctor"), (), [1]), "random state"),
    "a bit generator": (Call(named("numpy.random._pickle", "__generator_ctor"), ("PCG64",)), "__generator_ctor, which"),
}


@pytest.mark.parametrize("name", VALUES)
def test_what_is_no_data_is_refused(
    name: str, save: Callable[..., bytes], refuses: Callable[[bytes, str], None]
) -> None:
    value, reason = VALUES[name]
    refuses(save(value), reason)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"absent\.pt cannot be read"):
        torch_file.load(tmp_path / "absent.pt")
    with pytest.raises(HarBenchError, match="is a folder; name a file"):
        torch_file.load(tmp_path)
