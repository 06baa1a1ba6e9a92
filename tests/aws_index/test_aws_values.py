import pytest

from dicomweb_gateway.index.aws_values import stored_text, stored_values, whole_number


@pytest.mark.parametrize(
    ("stored", "text"),
    [(None, None), ("", None), ("None", None), ("None ", None), (" M ", "M"), ("Nonesuch", "Nonesuch")],
)
def test_text(stored, text):
    assert stored_text(stored) == text


@pytest.mark.parametrize(
    ("stored", "values"),
    [
        (None, []),
        ("None", []),
        ("[]", []),
        ("40", ["40"]),
        ("40\\-600", ["40", "-600"]),
        ("['40']", ["40"]),
        ("['ORIGINAL', 'PRIMARY ', '', '0011']", ["ORIGINAL", "PRIMARY", "", "0011"]),
        ("['-600.000000', ", ["-600.000000"]),
        ("['-600.000000', '", ["-600.000000"]),
        ("['-600.000000', '15", ["-600.000000", "15"]),
        ("[\"O'Neill\", 'b']", ["O'Neill", "b"]),
    ],
)
def test_lists(stored, values):
    assert stored_values(stored) == values


@pytest.mark.parametrize(("stored", "number"), [("1 ", 1), (" -3", -3), ("None", None), ("1.5", None)])
def test_numbers(stored, number):
    assert whole_number(stored) == number
