"""Special categories, criminal data and children's data are named in several languages."""

from __future__ import annotations

import pytest

from irkit.scope.categories import SPECIAL, categories, is_special


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("She was diagnosed with epilepsy in March.", "health"),
        ("Er ist seit Mai krankgeschrieben.", "health"),
        ("Elle est syndiquée depuis dix ans, déléguée au syndicat.", "trade_union"),
        ("Pertenece a un sindicato de la empresa.", "trade_union"),
        ("Jest członkiem związku: należy do związki zawodowe.", "trade_union"),
        ("His political opinions are on file.", "political"),
        ("Sie ist Parteimitglied seit 1999.", "political"),
        ("Iscritto al partito dal 1999.", "political"),
        ("The note mentions her sexual orientation.", "sexual_life"),
        ("Die sexuelle Orientierung ist vermerkt.", "sexual_life"),
        ("Su orientación sexual consta en el expediente.", "sexual_life"),
        ("Ethnic origin is recorded as given by the applicant.", "ethnic_origin"),
        ("Un test génétique a été fait.", "biometric_genetic"),
        ("Seine Fingerabdrücke sind gespeichert.", "biometric_genetic"),
        ("A carrier of the BRCA1 gene.", "biometric_genetic"),
        ("He has a criminal record from 2011.", "criminal"),
        ("Der Bewerber ist vorbestraft.", "criminal"),
        ("Son casier judiciaire est vide.", "criminal"),
        ("Zij heeft een strafblad.", "criminal"),
        ("Ποινικό μητρώο: λευκό.", "criminal"),
        ("Der Schüler ist minderjährig.", "child"),
        ("Es menor de edad.", "child"),
        ("De leerling is minderjarig.", "child"),
    ],
)
def test_categories_by_words(text: str, category: str) -> None:
    assert category in categories(text, [], None)
    assert is_special([category]) is (category in SPECIAL)


@pytest.mark.parametrize(
    "text",
    [
        "The European Union met on Tuesday.",
        "Mix the flour with the butter and let the dough rest.",
        "The party starts at nine; bring a friend.",
        "La réunion est reportée à lundi.",
        "Der Bericht liegt im Ordner.",
    ],
)
def test_ordinary_text_has_no_special_category(text: str) -> None:
    assert not is_special(categories(text, [], None))


def test_numbers_tell_categories() -> None:
    assert categories("", ["US_MBI"], None) == ["health"]
    assert categories("", ["UK_UPN"], None) == ["child"]
    assert categories("", ["DRIVER_LICENSE", "BANK_ACCOUNT"], None) == ["financial", "identity"]
