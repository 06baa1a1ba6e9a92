import pytest

from dicomweb_gateway.qido.names import fold_group, fold_name, name_words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("DOE^JOHN", "doe^john"),
        ("Doe^John^^^", "doe^john"),
        (" Doe ^ John ", "doe^john"),
        ("Doe^John\0", "doe^john"),
        ("^^", ""),
        ("Гусева^Анна", "гусева^анна"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("MU\u0308LLER", "m\u00fcller"),
        ("Straße", "strasse"),
    ],
)
def test_groups(text, folded):
    assert fold_group(text) == folded


def test_names_have_up_to_three_groups():
    assert fold_name("Yamada^Tarou=山田^太郎=やまだ^たろう") == ("yamada^tarou", "山田^太郎", "やまだ^たろう")
    assert fold_name("=山田") == ("", "山田")
    assert fold_name("a=b=c=d") == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Doe^John^^Dr", ("doe", "john", "dr")),
        ("Müller-Lüdenscheidt^Ärzt, Doe", ("muller", "ludenscheidt", "arzt", "doe")),
        ("MU\u0308LLER", ("muller",)),
        ("Straße Ødegård Łódź", ("strasse", "odegard", "lodz")),
        ("Гусёва^Анна", ("гусева", "анна")),
        ("ΣΊΣΥΦΟΣ", ("σισυφοσ",)),
        ("Hong^Gildong=洪^吉洞=홍^길동", ("hong", "gildong", "洪", "吉洞", "홍", "길동")),
        ("やまだ　たろう", ("やまだ", "たろう")),
        ("doe DOE Dóe", ("doe",)),
        ("^^= - ,", ()),
        ("", ()),
    ],
)
def test_words(text, words):
    assert name_words(text) == words
    assert name_words("=".join(fold_name(text))) == words
