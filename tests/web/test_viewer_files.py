"""OHIF's files: which are served, and how a build for the root is made to work below /viewer."""

import pytest

from dicomweb_gateway.web.viewer_files import ViewerFiles, rewrite
from tests.web.ohif_files import FILES, write_ohif


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_ohif(tmp_path_factory.mktemp("ohif")) / "dist"


@pytest.fixture(scope="module")
def files(folder):
    return ViewerFiles(folder)


@pytest.mark.parametrize(
    ("name", "media_type", "immutable"),
    [
        ("index.html", "text/html; charset=utf-8", False),
        ("app.bundle.0123456789abcdef.js", "text/javascript; charset=utf-8", True),
        ("app.bundle.css", "text/css; charset=utf-8", False),
        ("0123456789abcdef.wasm", "application/wasm", True),
        ("assets/icon.png", "image/png", False),
    ],
)
def test_types_and_names_that_change_with_the_content(files, name, media_type, immutable):
    found = files.find(name, "/viewer")
    assert (found.media_type, found.immutable) == (media_type, immutable)


@pytest.mark.parametrize("name", ["viewer", "callback", "segmentation", "viewer/aetitle", "tmtv/"])
def test_addresses_of_its_pages_are_the_page(files, name):
    assert files.find(name, "/viewer") == files.find("index.html", "/viewer")


@pytest.mark.parametrize(
    "name",
    [
        "missing.js",
        "assets/missing.png",
        "_redirects.txt",
        ".hidden",
        "app.bundle.0123456789abcdef.js.map",
        "../secret.txt",
        "..",
        "../..",
        "%2e%2e/secret",
        "../../etc/passwd.txt",
        "assets/../../secret.txt",
        "assets/../index.html",
        "/etc/hosts.txt",
        "app.bundle.0123456789abcdef.js/../../secret.txt",
    ],
)
def test_what_is_not_listed_is_not_there(files, folder, name):
    (folder.parent / "secret.txt").write_text("secret")
    assert files.find(name, "/viewer") is None


@pytest.mark.parametrize("name", ["_redirects", "etc/passwd"])
def test_names_without_an_end_are_at_most_the_page(files, name):
    assert files.find(name, "/viewer") == files.find("index.html", "/viewer")


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    folder = write_ohif(tmp_path) / "dist"
    (tmp_path / "secret.js").write_text("secret")
    (folder / "leak.js").symlink_to(tmp_path / "secret.js")
    assert ViewerFiles(folder).find("leak.js", "/viewer") is None


def test_a_build_for_the_root_is_moved(files):
    page = files.find("index.html", "/imaging/viewer").plain().decode()
    assert 'PUBLIC_URL="/imaging/viewer/"' in page
    assert 'src="/imaging/viewer/app-config.js"' in page
    assert 'content="/imaging/viewer/assets/browserconfig.xml"' in page
    script = files.find("app.bundle.0123456789abcdef.js", "/viewer").plain().decode()
    assert '__webpack_require__.p = "/viewer/"' in script
    assert 'import("/viewer/dicom-microscopy-viewer/viewer.min.js")' in script
    assert 'let a = "/studies"' in script
    style = files.find("app.bundle.css", "/viewer").plain()
    assert style == b"@font-face{src:url(/viewer/0123456789abcdef.woff2)}"
    manifest = files.find("manifest.json", "/viewer").plain()
    assert manifest == b'{"start_url": "/viewer/", "icons": [{"src": "/viewer/assets/icon.png"}]}'


def test_a_build_for_the_address_itself_stays():
    page = b'<script>window.PUBLIC_URL="/viewer/"</script><link href="/viewer/app.css">'
    assert rewrite(".html", page, "/viewer") == page


def test_minified_builds_are_moved_too():
    assert rewrite(".js", b'r.p="/",r.b=document', "/viewer") == b'r.p="/viewer/",r.b=document'
    assert rewrite(".html", b'<a href="//cdn.example/x">', "/viewer") == b'<a href="//cdn.example/x">'


def test_tags_tell_what_was_changed(tmp_path):
    folder = write_ohif(tmp_path) / "dist"
    before = [ViewerFiles(folder).find(name, "/viewer").tag for name in ("index.html", "assets/icon.png")]
    (folder / "index.html").write_text(FILES["index.html"] + "<!-- -->")
    (folder / "assets" / "icon.png").write_text("another picture")
    after = [ViewerFiles(folder).find(name, "/viewer").tag for name in ("index.html", "assets/icon.png")]
    assert all(one != other for one, other in zip(before, after, strict=True))
    moved = ViewerFiles(folder).find("index.html", "/imaging/viewer").tag
    assert moved != after[0]
