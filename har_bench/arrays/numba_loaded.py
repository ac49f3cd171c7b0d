"""What compiled loops need, loaded by the import of this module; for a process of which others are copies."""

from numba.core.registry import cpu_target

cpu_target.target_context.refresh()
