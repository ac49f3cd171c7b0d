"""How loops over arrays are compiled, and where their machine code is kept.

It is kept where numba looks for it: in the folder NUMBA_CACHE_DIR if that is set, else beside the code, else
in the user's folder of caches. Where none of these can be written, as in a container without a home, it is kept in a
folder of the user's own among the temporary files; where there is none either, each process compiles for itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, Generic, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")

DEFINED: set[str] = set()
"""The modules that hold such loops, of those that were imported."""

_MAKING = RLock()


class Kernel(Generic[Arguments, Returned]):
    """A loop over arrays that numba compiles when it is first called, by Python or by another such loop."""

    def __init__(self, function: Callable[Arguments, Returned]) -> None:
        self._function = function
        self._made: Any = None
        update_wrapper(self, function)
        DEFINED.add(function.__module__)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        """What the function returns."""
        return (self._made or self._compiled())(*args, **kwargs)  # type: ignore[no-any-return]

    def _compiled(self) -> Any:
        from numba import njit

        with _MAKING:  # numba refers to it weakly, so there must never be a second one
            if self._made is None:
                made = njit(nogil=True, error_model="numpy")(self._function)
                with suppress(Exception):  # a cache saves time, and nothing else
                    made._cache = _cache()(self._function)
                self._made = made
        return self._made

    @property
    def _numba_type_(self) -> Any:
        """What numba asks of a name that it finds in a loop."""
        return self._compiled()._numba_type_


def kernel(function: Callable[Arguments, Returned]) -> Kernel[Arguments, Returned]:
    """Compile a loop over arrays for this machine when it is first called; the machine code is kept on disk."""
    return Kernel(function)


def load_numba() -> None:
    """Load what the first loop that is called would load."""
    from numba.core.registry import cpu_target

    cpu_target.target_context.refresh()


@cache
def _cache() -> Any:
    """Numba's cache of machine code, but one that nothing found in it, and no full or closed disk, can break."""
    from numba.core import caching

    class Cache(caching.FunctionCache):  # type: ignore[misc]
        _impl_class = _sealed()

        def load_overload(self, types: Any, context: Any) -> Any:
            try:
                found = super().load_overload(types, context)
                # two processes that save at the same time may leave one's code under the name of the other's
                if found is None or found.signature.args == tuple(types):
                    return found
            except Exception:  # noqa: S110 - damage comes as any exception of pickle's
                pass
            with suppress(OSError):
                self.flush()
            return None

        def save_overload(self, types: Any, compiled: Any) -> None:
            with suppress(Exception):
                super().save_overload(types, compiled)

    return Cache


def _sealed() -> Any:
    """Machine code with a checksum: run when damaged, it would give wrong numbers or end the process."""
    import pickle
    from hashlib import sha256

    from numba.core import caching, serialize

    class Sealed(caching.CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (*caching.CompileResultCacheImpl._locator_classes, _locator())

        def get_filename_base(self, name: str, flags: str) -> str:
            return f"sealed-{super().get_filename_base(name, flags)}"

        def reduce(self, compiled: Any) -> tuple[bytes, bytes]:
            data = serialize.dumps(super().reduce(compiled))
            return sha256(data).digest(), data

        def rebuild(self, context: Any, sealed: tuple[bytes, bytes]) -> Any:
            digest, data = sealed
            if sha256(data).digest() != digest:
                raise ValueError("damaged")
            return super().rebuild(context, pickle.loads(data))  # noqa: S301 - as numba itself does

    return Sealed


def _locator() -> Any:
    """A place among the temporary files, where no other can be written."""
    from numba.core import caching

    class Locator(caching._SourceFileBackedLocatorMixin, caching._CacheLocator):  # type: ignore[misc]
        def __init__(self, function: Any, file: str) -> None:
            self._py_file, self._lineno = file, function.__code__.co_firstlineno

        def get_cache_path(self) -> str:
            return str(_own_temporary_folder() / self.get_suitable_cache_subpath(self._py_file))

    return Locator


def _own_temporary_folder() -> Path:
    """A folder that outlives the process, and that nobody else can write to: its files are run.

    Raises:
        OSError: there is none.
    """
    import tempfile

    if sys.platform == "win32":  # where every user has temporary files of his own
        return Path(tempfile.gettempdir(), "har-bench")
    path = Path(tempfile.gettempdir(), f"har-bench-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    held = path.lstat()
    if path.is_symlink() or held.st_uid != os.getuid() or held.st_mode & 0o022:
        raise PermissionError(f"{path} is not this user's alone")
    return path
