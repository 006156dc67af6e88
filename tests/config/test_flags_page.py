"""docs/flags.md says what the flags are."""

import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def test_the_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("write_flags", ROOT / "tools/write_flags.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.PAGE.read_text(encoding="utf-8")
    assert tool.page(text) == text, "run: python tools/write_flags.py"
