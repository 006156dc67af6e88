"""How Sphinx builds these pages."""

import sys
from pathlib import Path
from typing import Any

from croton._version import __version__

sys.path.insert(0, str(Path(__file__).parent))

import reference

project = "Croton"
author = "The Croton developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Croton"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
# A default is shown as it is written, not as a value: a table would fill the page.
autodoc_preserve_defaults = True


def setup(app: Any) -> None:
    """Write the tables of the reference before anything is read."""
    app.connect("builder-inited", lambda app: reference.write(Path(app.srcdir) / "api/generated"))
