"""The files of our pages: one digest for all of them, nothing else in reach."""

import re

import pytest

from dicomweb_gateway.web.pages import PAGES
from dicomweb_gateway.web.static_files import FOLDER, StaticFiles, own_files


def test_any_change_is_another_address(tmp_path):
    (tmp_path / "a.js").write_text("1")
    first = StaticFiles(tmp_path)
    assert StaticFiles(tmp_path).digest == first.digest
    assert first.address("a.js") == f"/static/{first.digest}/a.js"
    (tmp_path / "a.js").write_text("2")
    assert StaticFiles(tmp_path).digest != first.digest
    (tmp_path / "a.js").rename(tmp_path / "b.js")
    assert StaticFiles(tmp_path).digest != first.digest


def test_pieces_and_hidden_files_are_not_served(tmp_path):
    for name in ("page.html", ".hidden.js", "_notes.js"):
        (tmp_path / name).write_text("x")
    files = StaticFiles(tmp_path)
    assert files.piece("page.html") == "x"
    for name in ("page.html", ".hidden.js", "_notes.js", "../conftest.py", ""):
        assert files.find(name) is None
        with pytest.raises(KeyError):
            files.address(name)


def test_a_script_tells_all_that_it_imports(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.js").write_text('import { x } from "./deep/b.js";\nimport "./c.js";\n// from "./no.js";\n')
    (tmp_path / "deep" / "b.js").write_text(
        'import {\n  y,\n} from "../c.js";\nimport { z } from "./d.js";\n'
    )
    (tmp_path / "c.js").write_text("export const y = 1;\n")
    (tmp_path / "deep" / "d.js").write_text('import { x } from "./b.js";\n')
    files = StaticFiles(tmp_path)
    assert files.modules("a.js") == ["deep/b.js", "c.js", "deep/d.js"]
    assert files.modules("c.js") == []
    loaded = own_files().modules("stack.js")
    assert {"gateway.js", "stack/loader.js", "stack/differences.js"} <= set(loaded)
    assert all(own_files().find(one) for one in loaded)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_its_piece_and_its_script(name):
    assert "<h1" in own_files().piece(f"pages/{name}.html")
    assert own_files().find(f"{name}.js") is not None


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.*")), ids=lambda path: path.name)
def test_nothing_of_ours_needs_inline_code_or_other_hosts(path):
    text = path.read_text()
    if path.suffix == ".html":
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", text, re.IGNORECASE)
    if path.suffix == ".js":
        assert not re.search(
            r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", text
        )
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
