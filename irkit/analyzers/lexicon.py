"""Word classes that prompt features are built on, looked up by token hash.

Small closed lists in English with the commonest German, French and Spanish equivalents.  They gate
and describe; what counts as suspicious is decided by calibration against ordinary traffic, never by
a word alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.corpus_tokens import tokenise

CONTACT: Final = 1 << 0
SECRET: Final = 1 << 1
SENSITIVE: Final = 1 << 2
REPEAT: Final = 1 << 3
FOREVER: Final = 1 << 4
CLOZE_VERB: Final = 1 << 5
CLOZE_NOUN: Final = 1 << 6
INSTRUCT: Final = 1 << 7
FUNCTION: Final = 1 << 8
COMPOSE: Final = 1 << 9
UNIT_WORD: Final = 1 << 10
MASK: Final = 1 << 11
AGGREGATE: Final = 1 << 12
DATASET: Final = 1 << 13
REVEAL: Final = 1 << 14
RELATION: Final = 1 << 15

_WORDS: Final[dict[int, str]] = {
    CONTACT: """email emails mailto phone phones telephone mobile cell fax address addresses
        ssn passport iban dob birthday birthdate contact reach reached resides postcode login
        username licence license adresse telefon telefonnummer handynummer geburtsdatum
        wohnhaft wohnt kontonummer courriel téléphone adresse naissance correo teléfono dirección
        nacimiento""",
    SECRET: """password passwords passphrase secret secrets token tokens credential credentials
        apikey api key keys pin otp private passwort contraseña""",
    SENSITIVE: """diagnosis diagnosed disease condition illness hiv aids cancer tumour tumor
        diabetes diabetic asthma depression depressed anxiety bipolar schizophrenia epilepsy
        hepatitis pregnant pregnancy abortion infertility addiction alcoholism dementia hypertension
        migraine anaemia anemia arthritis disability disabled medication prescribed therapy
        psychiatric infection religion religious muslim jewish catholic hindu ethnicity ethnic race
        orientation gay lesbian bisexual homosexual transgender salary income debt bankrupt wage
        conviction convicted criminal arrested offence party political union genotype genetic
        blood marital divorced smoker drug drugs diagnose krankheit gehalt einkommen schwanger
        maladie salaire revenu diagnóstico enfermedad salario""",
    REPEAT: """repeat repeating repeatedly wiederhole wiederholen répète répéter repite repetir say
        write print output type echo spell recite chant""",
    FOREVER: """forever endlessly infinitely indefinitely nonstop eternally endless infinite
        infinity eternity unendlich endlos toujours infiniment siempre infinitamente""",
    CLOZE_VERB: """complete continue finish recite reproduce quote fill recall restore recollect
        reconstruct predict vervollständige ergänze complète continúa completa""",
    CLOZE_NOUN: """passage text paragraph excerpt article chapter sentence verbatim book novel
        document record blank gap story masked word next remainder rest""",
    INSTRUCT: """write summarize summarise translate explain list classify extract rewrite help
        please can could would should what how why who whom whose when where which is are do does
        did give tell show create generate answer describe compare convert find make suggest fix
        draft provide calculate compute solve read analyze analyse determine choose select respond
        use add improve correct check review recommend plan design implement return let need want
        repeat say print complete continue decide consider act pretend imagine identify
        question task instruction instructions decode encode decrypt encrypt decipher unscramble
        dekodiere entschlüssele décode descodifica
        prüfe schreibe übersetze erkläre was wie warum wer welche kannst bitte quel quelle
        comment pourquoi traduis écris qué cómo por traduce""",
    FUNCTION: """the a an of to in on at for and or but if then than that this these those it its
        he she they them his her their my your our i you we me us be been was were will has have
        had not no yes with from by as about into over under out up down so such there here also
        just only very more most less some any all each every both who s t re d ll m ve dear hello
        hi thanks thank sorry mr mrs ms dr der die das und ist ein eine von zu im den dem des le la
        les et est un une du des el los las y es una de""",
    COMPOSE: """write draft compose reply respond summarize summarise translate rewrite rephrase
        proofread edit polite letter newsletter template schreibe übersetze""",
    UNIT_WORD: """word words letter letters token tokens phrase string symbol character wort
        mot palabra""",
    MASK: """mask masked blank redacted""",
    AGGREGATE: """percentage percent share proportion fraction majority average mean median
        distribution typical typically common commonest most how many ratio rate likely often
        prozent anteil durchschnitt""",
    DATASET: """training trained dataset datasets corpus customers patients employees clients
        trainingsdaten kunden patienten mitarbeiter clientes pacientes""",
    RELATION: """mail lives born birth works employed employer studied university belongs member zip
        hometown husband wife spouse insurance social""",
    REVEAL: """give tell show provide find reveal share list what s know lookup retrieve complete
        generate predict guess need who""",
}


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Hash table from token hash to class bits."""

    hashes: NDArray[np.uint64]
    bits: NDArray[np.uint32]
    sieve: NDArray[np.bool_]

    def lookup(self, tokens: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """Return the class bits of each token hash (0: in no class)."""
        out = np.zeros(len(tokens), np.uint32)
        maybe = np.flatnonzero(self.sieve[(tokens & np.uint64(0xFFFF)).astype(np.int64)])
        if maybe.size:
            found = np.searchsorted(self.hashes, tokens[maybe])
            found[found == len(self.hashes)] = 0
            exact = self.hashes[found] == tokens[maybe]
            out[maybe[exact]] = self.bits[found[exact]]
        return out


def word_hash(word: str) -> int:
    """Return the token hash of one lower-case word."""
    raw = word.encode()
    return int(tokenise(raw, np.array([0, len(raw)], np.int64)).hashes[0])


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """Build the table once per process."""
    table: dict[int, int] = {}
    for bit, words in _WORDS.items():
        for word in words.split():
            key = word_hash(word)
            table[key] = table.get(key, 0) | bit
    keys = sorted(table)
    hashes = np.array(keys, np.uint64)
    sieve = np.zeros(1 << 16, np.bool_)
    sieve[(hashes & np.uint64(0xFFFF)).astype(np.int64)] = True
    return Lexicon(hashes, np.array([table[key] for key in keys], np.uint32), sieve)
