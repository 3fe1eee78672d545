"""Which array library computes: the arrays decide (the Python array API standard)."""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace(*arrays: Any) -> Any:
    """The array-API namespace of the first array that is not NumPy's, else NumPy.

    Python scalars and None say nothing. PyTorch tensors do not name their namespace; for them `array_api_compat` is asked.

    Raises
    ------
    MissingPackage
        If a PyTorch tensor is passed and array_api_compat is not installed.
    """
    for array in arrays:
        if isinstance(array, np.ndarray | np.generic | int | float | complex) or array is None:
            continue
        if hasattr(array, "__array_namespace__"):
            return array.__array_namespace__()
        if type(array).__module__.split(".")[0] == "torch":
            try:
                import array_api_compat.torch as xp
            except ImportError:
                from stackopt.errors import MissingPackage

                raise MissingPackage("package", feature="PyTorch tensors", package="array-api-compat") from None
            return xp
    return np


def beside(array: Any) -> dict[str, Any]:
    """The keyword that puts a new array on the device of `array`; none for NumPy."""
    return {} if isinstance(array, np.ndarray) or not hasattr(array, "device") else {"device": array.device}
