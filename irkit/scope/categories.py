"""What kinds of data a passage holds: by entity types, by the corpus's own labels, by words.

The word lists are small and cover the common forms of a dozen European languages.  They are there
so that a passage about a diagnosis, a union or a faith is put before a person, not to decide on
its own: a metaphor can trip them, a paraphrase can pass them.  GDPR Art. 9 names the special
categories, Art. 10 criminal convictions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from irkit.analyzers.pii_numbers import COUNTRY_OF
from irkit.analyzers.secrets import SECRETS

#: GDPR Art. 9(1) and 10.
SPECIAL = frozenset(
    {
        "health", "religion", "trade_union", "political", "sexual_life", "ethnic_origin",
        "biometric_genetic", "criminal",
    }
)  # fmt: skip

_OF_ENTITY: dict[str, str] = {
    "EMAIL_ADDRESS": "contact", "PHONE_NUMBER": "contact", "IBAN_CODE": "financial",
    "CREDIT_CARD": "financial", "CRYPTO": "financial", "DATE_OF_BIRTH": "identity",
    "UK_NINO": "identity", "UK_NHS": "health", "DE_HEALTH_INSURANCE": "health",
    "US_MBI": "health", "UK_UPN": "child", "MEDICAL_LICENSE": "employment",
    "IP_ADDRESS": "online", "PASSPORT": "identity", "DRIVER_LICENSE": "identity",
    "GOVERNMENT_ID": "identity", "TAX_ID": "identity", "BANK_ACCOUNT": "financial",
}  # fmt: skip

_WORDS: dict[str, str] = {
    "health": (
        r"diagnos\w*|patient\w*|disease|illness|cancer|tumou?r\w*|diabet\w*|depress(?:ion|ive)\w*|"
        r"hepat\w+|hiv\b|aids\b|asthma\w*|epilep\w*|allerg\w+|pregnan\w*|surgery|surgeon|therap\w+|"
        r"medicat\w*|prescri\w+|milligrams?|dosage|blood pressure|hypertension|schizophren\w*|"
        r"bipolar|anxiety|psych(?:olog|iatr)\w*|burnout|sick leave|wheelchair|hard of hearing|"
        r"disab(?:led|ility)\w*|coeliac|migraine|insulin|vaccin\w*|clinic\w*|"
        r"hospital\w*|symptom\w*|"
        r"krank\w*|diagnose\w*|schwerbehinder\w*|bandscheib\w*|schwanger\w*|arzt\w*|maladie|"
        r"médecin|grossesse|ordonnance|enfermedad|médico|embaraz\w+|malattia|medico|ipertens\w+|"
        r"hipertens\w+|hernie|hernia|ziekte|huisarts|choroba|cukrzyc\w*|nadciśnieni\w*|lekarz\w*|"
        r"sairau\w*|masennu\w*|verenpain\w*|sjuk\w*|läkare\w*|депреси\w*|диабет\w*|хипертони\w*|"
        r"диагноз\w*|пациент\w*|лекар\w*|διαβήτη\w*|κατάθλιψη\w*|υπέρταση\w*|διάγνωσ\w*|ασθεν\w+|"
        r"γιατρ\w+"
    ),
    "religion": (
        r"church tax|kirchensteuer|religio\w*|parish\w*|catholic\w*|protestant\w*|orthodox church|"
        r"muslim\w*|islam\w*|mosque|jewish|judaism|synagogue|hindu\w*|buddhis\w*|"
        r"baptis\w+|katholi\w*|"
        r"evangelisch\w*|catholique|musulman\w*|juif|juive|católic\w*|cattolic\w*|ramadan|"
        r"yom kippur|bar mitzvah|θρησκ\w+|ορθόδοξ\w+|вероизповедани\w*|yom-kippur|eid\b"
    ),
    "trade_union": (
        r"trade union\w*|labou?r union\w*|\w+ union member\w*|union (?:dues|official|rep)\w*|"
        r"union member\w*|(?:member of|dues to) the \w+(?: \w+)? union|works council|"
        r"shop steward|collective bargaining|"
        r"gewerkschaft\w*|betriebsrat\w*|syndicat|syndiqué\w*|délégué syndical|sindicat\w*|"
        r"afiliado a (?:un|el) sindicato|sindacat\w*|vakbond\w*|ondernemingsraad|"
        r"związ\w+ zawodow\w+|ammattiliit\w*|fackför\w*|fackligt|fagforening\w*|"
        r"odbor\w* organizac\w*|"
        r"szakszervezet\w*|профсъюз\w*|профсоюз\w*|συνδικ\w+"
    ),
    "political": (
        r"party member\w*|member of the \w+ party|political (?:opinion|belief|view|affiliation)s?|"
        r"voted for|activist\w*|political asylum|"
        r"parteimitglied\w*|parteibuch|politische \w*(?:meinung|überzeugung|gesinnung)\w*|"
        r"parti politique|opinions? politiques?|encarté\w*|partido político|"
        r"opinion(?:es)? políticas?|"
        r"militante d\w+ partido|partito politico|opinion[ei] politic\w+|iscritto al partito|"
        r"opini(?:ão|ões) política\w*|filiado a\w* partido|politieke (?:opvatting|voorkeur)\w*|"
        r"partijlid\w*|poglądy polityczne|partijos nar\w+|poliittinen (?:mielipide|vakaumus)|"
        r"politisk (?:åsikt|overbevisning)\w*|политически възгледи|член на партия|"
        r"πολιτικ\w+ πεποιθ\w+"
    ),
    "sexual_life": (
        r"sexual (?:orientation|preference|life|history|health)|homosexual\w*|bisexual\w*|lesbian|"
        r"gay (?:man|woman|couple|husband|wife)|transgender\w*|gender reassignment|"
        r"same-sex partner|"
        r"sexuelle\w* (?:orientierung|neigung)\w*|homosexuell\w*|schwul\w*|lesbisch\w*|"
        r"orientation sexuelle|vie sexuelle|homosexuel\w*|lesbienne\w*|orientación sexual|"
        r"vida sexual|orientamento sessuale|vita sessuale|omosessual\w*|lesbica|"
        r"orientação sexual|seksuele (?:geaardheid|voorkeur)|homoseksu\w*|orientacja seksualna|"
        r"sexuell läggning|seksuaalinen suuntautuminen|сексуална ориентация|"
        r"σεξουαλικ\w+ προσανατολ\w+"
    ),
    "ethnic_origin": (
        r"ethnic (?:origin|background|group|minority)|ethnicity|racial origin|"
        r"of roma (?:origin|descent)|"
        r"ethnische\w* herkunft|origine ethnique|origen étnico|origine etnica|origem étnica|"
        r"etnische afkomst|pochodzenie etniczne|etniskt ursprung|етнически произход|"
        r"εθνοτικ\w+ καταγωγ\w+"
    ),
    "biometric_genetic": (
        r"fingerprint (?:scan|template|record)s?|iris scan|retina scan|"
        r"face (?:template|embedding)s?|"
        r"facial recognition template|voice ?print|biometric\w*|"
        r"genetic (?:test|marker|mutation|data)\w*|"
        r"dna (?:test|sample|profile)\w*|genom\w*|brca[12]|carrier of the \w+ gene|"
        r"fingerabdr[uü]ck\w*|biometrisch\w*|gentest\w*|genetisch\w*|empreintes? digitales?|"
        r"biométri\w*|test génétique|huella\w* (?:dactilar|digital)\w*|prueba genética|"
        r"impront\w+ digital\w+|biometric\w+|test genetico|impress(?:ão|ões) digita\w+|"
        r"vingerafdruk\w*|odcisk\w* palc\w+|пръстови отпечатъци|δακτυλικ\w+ αποτυπ\w+"
    ),
    "criminal": (
        r"convict(?:ed|ion)\w*|"
        r"criminal (?:record|offence|offense|charge|proceedings)s?|prison sentence|"
        r"probation officer|on parole|arrest(?:ed for| warrant)|sex offender|restraining order|"
        r"vorstraf\w*|vorbestraft\w*|führungszeugnis|haftstrafe|bewährungsstrafe|"
        r"casier judiciaire|condamné\w* (?:pour|à)|peine de prison|antecedentes penales|"
        r"condenad[oa] (?:por|a)|precedenti penali|casellario giudiziale|condannat[oa] (?:per|a)|"
        r"antecedentes criminais|registo criminal|strafblad|veroordeeld (?:voor|wegens|tot)|"
        r"karalność|skazan[yą] (?:za|na)|rikosrekister\w*|belastningsregist\w*|straffeattest\w*|"
        r"осъден\w* за|свидетелство за съдимост|ποινικ\w+ μητρώ\w+|καταδικ\w+"
    ),
    "financial": (
        r"iban\b|bank account|account number|credit card|card number|salary|gross pay|net pay|"
        r"mortgage|loan of|garnish\w*|overdraft|refund of|invoice\w*|gehalt\w*|salaire|sueldo|"
        r"stipendio|kontonummer|wynagrodzeni\w*|μισθ\w+|заплат\w*"
    ),
    "employment": (
        r"salary|payroll|personnel file|staff number|employee\w*|employed as|appraisal|"
        r"written warning|works council|contract (?:ends|is renewed)|notice period|"
        r"gehalt\w*|personalakte\w*|arbeitsvertrag\w*"
    ),
    "child": (
        r"pupil\w*|nursery file|school file|guardian\w*|kindergarten\w*|schoolchild\w*|"
        r"aged (?:[1-9]|1[0-7])\b|(?:[1-9]|1[0-7]) years old|(?:[1-9]|1[0-7])-year-old|"
        r"minor child\w*|primary school|kinderg\w+|schüler\w*|schulkind\w*|minderjährig\w*|"
        r"élève\w*|enfant mineur|école maternelle|alumn[oa] de primaria|menor de edad|"
        r"alunn[oi] della|minorenne|minore di età|aluno do|menor de idade|"
        r"leerling\w*|minderjarig\w*|"
        r"małoletni\w*|uczeń|uczennic\w+|alaikäi\w+|minderårig\w*|μαθητ\w+|ανήλικ\w+|ученик\w*|"
        r"непълнолет\w+"
    ),
    "credentials": r"password\w*|passphrase|api[ _]key|private key|access token|secret key",
}  # fmt: skip
_SEARCH = {name: re.compile(rf"\b(?:{words})", re.IGNORECASE) for name, words in _WORDS.items()}

#: Words in a document's ``kind`` and the category they stand for.
_OF_KIND = (
    ("clinic", "health"), ("medical", "health"), ("patient", "health"), ("health", "health"),
    ("hr_", "employment"), ("personnel", "employment"), ("payroll", "employment"),
    ("child", "child"), ("school", "child"), ("bank", "financial"), ("invoice", "financial"),
    ("payment", "financial"), ("config", "credentials"), ("credential", "credentials"),
)  # fmt: skip


def categories(text: str, entities: Iterable[str], kind: str | None) -> list[str]:
    """Name the categories of a passage, in order.

    Args:
        text: the passage.
        entities: entity types found in it.
        kind: the source document's own label, where the corpus has one.
    """
    found = set(_of_text(text)) | entity_categories(entities)
    for word, category in _OF_KIND:
        if kind and word in kind.lower():
            found.add(category)
    return sorted(found)


@lru_cache(maxsize=4096)
def _of_text(text: str) -> frozenset[str]:
    """Categories by words; one passage comes out of a model many times."""
    return frozenset(name for name, search in _SEARCH.items() if search.search(text))


def entity_categories(entities: Iterable[str]) -> set[str]:
    """Name the categories that entity types stand for."""
    found: set[str] = set()
    for entity in entities:
        if entity in SECRETS:
            found.add("credentials")
        elif entity in _OF_ENTITY:
            found.add(_OF_ENTITY[entity])
        elif entity in COUNTRY_OF:
            found.add("identity")
    return found


def is_special(names: Iterable[str]) -> bool:
    """True where a category is one of GDPR Art. 9 or 10."""
    return not SPECIAL.isdisjoint(names)
