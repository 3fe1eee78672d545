"""How a report becomes one HTML file: template, style and script put together, with nothing outside the file."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import Any

from stackopt.errors import MissingPackage

_HERE = "stackopt.comparison"


def page(template: str, context: dict[str, Any], *, package: str = _HERE) -> str:
    """A page from a template of ours; the same context gives the same text.

    Parameters
    ----------
    template : str
        Name of the file in `package`. It may import ``report_macros.html.j2`` and finds `style`, `script` and `script_hash`.
    context : dict
        Escaped by the engine, but for what is `Markup`.
    package : str
        Where the template is.

    Raises
    ------
    MissingPackage
        If jinja2 is not installed.
    """
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined
        from markupsafe import Markup, escape
    except ImportError:
        raise MissingPackage("package", feature="a report", package="stackopt[report]") from None
    shared = resources.files(_HERE)
    script = shared.joinpath("report.js").read_text("utf-8")
    style = shared.joinpath("report.css").read_text("utf-8")
    files = {
        "report_macros.html.j2": shared.joinpath("report_macros.html.j2").read_text("utf-8"),
        template: resources.files(package).joinpath(template).read_text("utf-8"),
    }
    environment = Environment(loader=DictLoader(files), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["ticks"] = lambda text: Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
    environment.filters["css"] = lambda text: Markup("".join(f"\\{ord(c):x} " for c in str(text)))  # inside a CSS string, whatever it holds
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    own = {"script": Markup(script), "style": Markup(style), "script_hash": f"sha256-{digest}"}  # our own files
    return environment.get_template(template).render(**context, **own)
