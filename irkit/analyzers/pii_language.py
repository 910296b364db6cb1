"""Tell roughly in which language a text is, to say where the models were not made for it.

By script, and for Latin letters by the commonest words of each language.  A guess for counting, not
for choosing what is read: every text is read by the same models, and identifiers are found in all
of them.
"""

from __future__ import annotations

import re
from collections import Counter

from irkit.analyzers.pii_rampart import LANGUAGES

#: Letters looked at.
_SAMPLE = 1200
#: Scripts by code point, and what they are called.
_SCRIPTS = (
    ("Greek", re.compile("[\u0370-\u03ff\u1f00-\u1fff]")),
    ("Cyrillic", re.compile("[\u0400-\u052f]")),
    ("Hebrew", re.compile("[\u0590-\u05ff]")),
    ("Arabic", re.compile("[\u0600-\u06ff\u0750-\u077f]")),
    ("Indic", re.compile("[\u0900-\u0dff]")),
    ("Thai", re.compile("[\u0e00-\u0e7f]")),
    ("Georgian", re.compile("[\u10a0-\u10ff]")),
    ("Armenian", re.compile("[\u0530-\u058f]")),
    ("Japanese", re.compile("[\u3040-\u30ff]")),
    ("Korean", re.compile("[\uac00-\ud7af]")),
    ("Chinese", re.compile("[\u4e00-\u9fff]")),
)
_COMMON = {
    "en": "the of and to in is that it for was with as on are this be by you at not have from or",
    "de": "der die das und ist nicht ein eine zu mit sich auf für den von im dem ich wir auch es",
    "fr": "le la les des et est une un du dans pour que qui pas sur avec au ce il je vous nous",
    "es": "el la los las de que y en un una es por con para del se no su lo al como más",
    "it": "il lo gli di che e è un una per non con del della sono si le come nel alla anche",
    "pt": "o os as de que e um uma é para com não do da em se por mais na no dos ao são",
    "nl": "de het een en van is dat niet op te zijn met voor aan er ik je ook die naar bij",
    "Polish": "się nie jest na do że i w z to od po jak przez dla o co jego tym przy czy",
    "Czech or Slovak": "se je na že v a s z do jsem jako pro by ale o k tak jeho som sa na už aj",
    "Swedish": "och att det är som en på för av med den till inte har ett jag om vi kan så",
    "Danish or Norwegian": "og at det er en som på for af av med den til ikke har et jeg om vi så",
    "Finnish": "ja on ei että se hän oli ovat mutta myös kun niin kuin joka tai minä sen en olen",
    "Hungarian": "a az és hogy nem egy van is meg de ez volt csak már el még mint ha vagy kell",
    "Romanian": "și în de la cu nu este pe că o un din pentru care mai sau dar sunt fi al ale",
    "Turkish": "ve bir bu için ile de da çok ne gibi daha ama o var olarak kadar değil en mi",
    "Croatian, Bosnian or Serbian": "je i u na da se za od su s kao što nije koji ali iz bi sam ne",
    "Lithuanian or Latvian": "ir kad ar bet tai kaip yra iš un ka no par ir bija tas viņš uz nav",
    "Estonian": "ja on ei et see ta oli kui ka mis oma aga siis nii veel või need ma sa",
}
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]+")


def guess(text: str) -> str | None:
    """Name the language or script of a text; None where too little speaks for any.

    Returns:
        A code of :data:`~irkit.analyzers.pii_rampart.LANGUAGES`, or the name of a language or
        script outside them.
    """
    sample = text[:_SAMPLE]
    words = [word.casefold() for word in _WORD.findall(sample)]
    letters = sum(map(len, words))
    for name, pattern in _SCRIPTS:
        if letters >= 8 and 2 * len(pattern.findall(sample)) > letters:
            return name
    seen = Counter(words)
    scores = {name: sum(seen[word] for word in known) for name, known in _WORDS.items()}
    best = max(sorted(scores), key=lambda name: scores[name])
    rest = max(score for name, score in scores.items() if name != best)
    return best if scores[best] >= 3 and scores[best] > rest else None


def uncovered(name: str | None, engines: str) -> bool:
    """True where no model in use was made for a language."""
    if name is None:
        return False
    return name != "en" if engines == "spacy" else name not in LANGUAGES
