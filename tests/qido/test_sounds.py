import pytest

from dicomweb_gateway.qido.names import name_words
from dicomweb_gateway.qido.sounds import sound_of


def sounds(name):
    return [sound_of(word) for word in name_words(name)]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        # kept in indexes: a change here needs a migration
        ("Doe^John", ["T", "JN"]),
        ("Müller^Jörg", ["MLR", "JRK"]),
        ("Łukasz^Peña", ["LKSS", "PN"]),
        ("O'Brien", ["OBRN"]),
        ("O’Brien", ["OBRN"]),
        ("Dr.", ["TR"]),
        ("Гусева^山田^やまだ^홍", [""] * 4),
        ("x1 23", ["", ""]),
        ("me*er m?ller *", ["", "", ""]),
        ("a" * 65, [""]),
        ("xk" * 32, ["SK" + "KSK" * 31]),
    ],
)
def test_codes(name, codes):
    assert sounds(name) == codes


@pytest.mark.parametrize(
    "names",
    [
        "Meyer Meier Maier Mayer Mayr",
        "Schmidt Schmitt Schmid",
        "Fischer Fisher",
        "Müller Mueller Muller",
        "Smith Smyth",
        "Stephen Steven Stefan",
        "Catherine Kathryn Katarina",
        "Thomas Tomas Tomás",
        "Walther Walter",
        "Johnson Jonson Johnsson",
        "Tschaikowski Chaikowski",
        "Czerny Cherny",
        "Hernández Hernandes",
        "Philip Filip",
        "O'Brien OBrien",
    ],
)
def test_names_that_sound_alike(names):
    assert len(set(sounds(names))) == 1


@pytest.mark.parametrize("names", ["Smith Schmidt", "Meyer Müller", "John James", "Garcia Gomez"])
def test_names_that_do_not(names):
    assert len(set(sounds(names))) == 2
