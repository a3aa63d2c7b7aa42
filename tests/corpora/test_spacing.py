"""Natural spacing by rule: what is taken out, and that spans keep their text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytespan.corpora.spacing import close_up
from bytespan.spans import Document, Span


@pytest.mark.parametrize(
    ("spaced", "natural"),
    [
        ("Angela Merkel ( CDU ) besuchte Paris .", "Angela Merkel (CDU) besuchte Paris."),
        ('He said , " I do n\'t know " , and left .', 'He said, "I don\'t know", and left.'),
        ("¿ Quién es « Ana » ?", "¿Quién es «Ana»?"),
        ("我 在 台北 。", "我在台北。"),
        ("ذهب إلى القاهرة ، ثم عاد ؟", "ذهب إلى القاهرة، ثم عاد؟"),
        ("Peter 's 50 % share : 1 , 2 ...", "Peter's 50% share: 1, 2..."),
        ("a.b - c , d/e", "a.b - c, d/e"),
        ('a lone " stays', 'a lone " stays'),
    ],
)
def test_spaces_go_where_natural_text_has_none(spaced: str, natural: str) -> None:
    assert close_up(Document(spaced.encode())).text == natural


def test_bytes_that_are_not_utf_8_stay_as_they_are() -> None:
    document = Document(b"\xff , a .")
    assert close_up(document) is document


TOKENS = ["Ana", "São", "台北", "(", ")", ",", ".", '"', "«", "»", "n't", "%", "🎉"]


@given(st.lists(st.sampled_from(TOKENS), min_size=1))
def test_every_span_keeps_its_text_but_for_spaces(tokens: list[str]) -> None:
    text, spans = "", []
    for token in tokens:
        text += " " if text else ""
        start = len(text.encode())
        text += token
        spans.append(Span(start, len(text.encode()), "X"))
    document = Document(text.encode(), {"tokens": spans})
    closed = close_up(document)
    assert [span.text for span in closed.tokens] == [span.text for span in document.tokens]
    assert closed.text.replace(" ", "") == text.replace(" ", "")
