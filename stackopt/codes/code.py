"""One entry of the error index."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """One entry of the error index.

    Attributes
    ----------
    law : str
        What must hold; may have placeholders.
    help : str
        The default remedy.
    explanation : str
        Why the law exists, for the documentation.
    """

    law: str
    help: str
    explanation: str
