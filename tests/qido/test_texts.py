import pytest

from dicomweb_gateway.qido.texts import searchable


@pytest.mark.parametrize(
    ("text", "form"),
    [(" a b ", "a b"), ("a\tb\r\n", "a b"), ("\0", ""), ("a\x7f", "a"), ("\u3000ä\u3000", "\u3000ä\u3000")],
)
def test_control_characters_count_as_spaces(text, form):
    assert searchable(text) == form
