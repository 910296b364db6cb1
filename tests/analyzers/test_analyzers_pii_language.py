"""Languages are guessed well enough to say where the models were not made for them."""

from __future__ import annotations

import pytest

from irkit.analyzers.pii_catalogue import recognisers
from irkit.analyzers.pii_language import guess, uncovered


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The minutes of the meeting are in the folder that you sent to us.", "en"),
        (
            "Die Unterlagen sind nicht in dem Ordner, und ich habe sie auch nicht für den Chef.",
            "de",
        ),
        ("Je ne sais pas si le dossier est dans le bureau avec les autres pour vous.", "fr"),
        ("El informe no está en la carpeta que se envió por la tarde para los clientes.", "es"),
        ("Il documento non è nella cartella che sono andato a prendere per la riunione.", "it"),
        ("O relatório não está na pasta que foi enviada para os clientes e as filiais.", "pt"),
        ("Het rapport is niet in de map die ik naar je heb gestuurd voor de klanten.", "nl"),
        ("Η αναφορά δεν είναι στον φάκελο που στείλατε.", "Greek"),
        ("Докладът не е в папката, която изпратихте.", "Cyrillic"),
        ("Raport nie jest w teczce, że to się nie udało przez co jest do poprawy.", "Polish"),
        ("Rapporten är inte i mappen som vi har och det är för att den är ny.", "Swedish"),
        ("Raportti ei ole kansiossa, joka on se että hän oli myös mutta en ja.", "Finnish"),
        ("12345 !!!", None),
        ("", None),
    ],
)
def test_guess(text: str, name: str | None) -> None:
    assert guess(text) == name


def test_what_no_model_covers() -> None:
    assert uncovered("Greek", "both")
    assert uncovered("de", "spacy") and not uncovered("de", "both")
    assert not uncovered("en", "spacy") and not uncovered(None, "both")


def test_every_recogniser_says_what_it_finds_and_where_it_errs() -> None:
    rows = recognisers()
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["title"] and row["finds"] and row["false_positives"] for row in rows)
    assert {"rampart", "spacy", "stdnum"} <= {row["id"] for row in rows}
