from dicomweb_gateway.index.parsed import ParsedTexts


def text(number: int, size: int = 100) -> str:
    return f'{{"{number:08}":{{"vr":"LO","Value":["{"x" * (size - 38)}"]}}}}'


def test_a_text_is_parsed_once():
    parsed = ParsedTexts()
    first = parsed(text(1))
    assert first == {"00000001": {"vr": "LO", "Value": ["x" * 62]}}
    assert parsed(text(1)) is first
    assert parsed(text(2)) != first


def test_what_is_asked_for_stays_and_the_rest_goes():
    parsed = ParsedTexts(most_characters=1000)
    wanted, other = parsed(text(0)), parsed(text(1))
    for number in range(2, 200):
        parsed(text(number))
        assert parsed(text(0)) is wanted
    assert parsed(text(1)) is not other


def test_no_more_is_kept_than_two_generations():
    parsed = ParsedTexts(most_characters=1000)
    for number in range(200):
        parsed(text(number))
    held = [*parsed._young, *parsed._old]
    assert sum(map(len, held)) <= 2000


def test_a_large_text_does_not_push_out_the_others():
    parsed = ParsedTexts(most_characters=200_000)
    small, large = parsed(text(1)), parsed(text(2, 70_000))
    assert parsed(text(2, 70_000)) == large
    assert parsed(text(2, 70_000)) is not large
    assert parsed(text(1)) is small
