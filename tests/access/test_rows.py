"""Names that go into the files of tokens and users, and come out again."""

import pytest

from dicomweb_gateway.access.rows import checked_name
from dicomweb_gateway.access.tokens import StaticTokens, add_token
from dicomweb_gateway.access.users import read_users, set_user
from dicomweb_gateway.errors import SettingsError


@pytest.mark.parametrize(
    "name", ["", " ", "a:b", "a,b", 'a"b', "a\nb", "a\x00", " a", "a ", "x" * 256, "a\u202eb"]
)
def test_names_that_are_none(tmp_path, name):
    with pytest.raises(ValueError, match="name"):
        checked_name(name)
    with pytest.raises(SettingsError):
        add_token(tmp_path / "t", name, (), (), None)
    with pytest.raises(SettingsError):
        add_token(tmp_path / "t", "good", (name,), (), None)


@pytest.mark.parametrize(
    "name", ["a", "anna@example.org", "Anna Müller", "CN=anna\\x", "名前", "😀", "x" * 255]
)
def test_names_go_into_the_file_and_back(tmp_path, name):
    token = add_token(tmp_path / "t", name, (name,), (), 3)
    assert StaticTokens(tmp_path / "t").caller_of(token).name == name
    set_user(tmp_path / "u", name, "long enough", (name,))
    assert [(row.name, row.groups) for row in read_users(tmp_path / "u")] == [(name, (name,))]
