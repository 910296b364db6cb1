"""Country names and organisation names that need no model.

Country names are those of ISO 3166 in English with their common short forms, and the endonyms and
neighbours' forms of European countries; names that are also given names or ordinary words (Chad,
Georgia, Jordan, Turkey) count only in capitals at their start, and where a person's name stands
they count as that.  Organisations are told by their legal form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_COUNTRIES = """
Afghanistan|Albania|Algeria|Andorra|Angola|Anguilla|Antigua and Barbuda|Argentina|Armenia|Aruba
Australia|Austria|Azerbaijan|Bahamas|Bahrain|Bangladesh|Barbados|Belarus|Belgium|Belize|Benin
Bermuda|Bhutan|Bolivia|Bosnia and Herzegovina|Botswana|Brazil|Brunei|Bulgaria|Burkina Faso|Burundi
Cambodia|Cameroon|Canada|Cape Verde|Cabo Verde|Cayman Islands|Central African Republic|Chile
People's Republic of China|China|Colombia|Comoros|Cook Islands|Costa Rica|Croatia|Cuba|Curaçao
Cyprus|Czech Republic|Czechia|Democratic Republic of the Congo|Republic of the Congo|Congo|Denmark
Djibouti|Dominica|Dominican Republic|East Timor|Ecuador|Egypt|El Salvador|Equatorial Guinea|Eritrea
Estonia|Eswatini|Swaziland|Ethiopia|Falkland Islands|Faroe Islands|Fiji|Finland|France
French Guiana|French Polynesia|Gabon|Gambia|Germany|Ghana|Gibraltar|Greece|Greenland|Grenada
Guadeloupe|Guam|Guatemala|Guernsey|Guinea-Bissau|Guinea|Guyana|Haiti|Honduras|Hong Kong|Hungary
Iceland|India|Indonesia|Iran|Iraq|Ireland|Isle of Man|Israel|Italy|Ivory Coast|Jamaica|Japan
Kazakhstan|Kenya|Kiribati|Kosovo|Kuwait|Kyrgyzstan|Laos|Latvia|Lebanon|Lesotho|Liberia|Libya
Liechtenstein|Lithuania|Luxembourg|Macao|North Macedonia|Macedonia|Madagascar|Malawi|Malaysia
Maldives|Malta|Marshall Islands|Martinique|Mauritania|Mauritius|Mayotte|Mexico|Micronesia|Moldova
Monaco|Mongolia|Montenegro|Montserrat|Morocco|Mozambique|Myanmar|Burma|Namibia|Nauru|Nepal
Kingdom of the Netherlands|Netherlands|New Caledonia|New Zealand|Nicaragua|Nigeria|Niue
North Korea|South Korea|Norway|Oman|Pakistan|Palau|Palestine|Panama|Papua New Guinea|Paraguay|Peru
Philippines|Pitcairn Islands|Poland|Portugal|Puerto Rico|Qatar|Romania|Russia|Russian Federation
Rwanda|Saint Helena|Saint Kitts and Nevis|Saint Lucia|Saint Vincent and the Grenadines|Samoa
San Marino|São Tomé and Príncipe|Saudi Arabia|Senegal|Serbia|Seychelles|Sierra Leone|Singapore
Slovakia|Slovenia|Solomon Islands|Somalia|South Africa|South Sudan|Spain|Sri Lanka|Sudan|Suriname
Svalbard|Sweden|Switzerland|Syria|Taiwan|Tajikistan|Tanzania|Thailand|Togo|Tokelau|Tonga
Trinidad and Tobago|Tunisia|Turkmenistan|Türkiye|Tuvalu|Uganda|Ukraine|United Arab Emirates
United Kingdom|United States of America|United States|Uruguay|Uzbekistan|Vanuatu|Vatican City
Venezuela|Vietnam|Viet Nam|Virgin Islands|Western Sahara|Yemen|Zambia|Zimbabwe|England|Scotland
Northern Ireland
Österreich|Belgien|België|Belgique|Dänemark|Danmark|Deutschland|Allemagne|Alemania|Germania
Alemanha|Duitsland|Frankreich|Francia|França|Frankrijk|Griechenland|Ελλάδα|България|Irland|Irlanda
Irlande|Italien|Italia|Italie|Itália|Niederlande|Nederland|Pays-Bas|Norwegen|Norge|Polen|Polska
Pologne|Polonia|Rumänien|România|Schweiz|Suisse|Svizzera|Schweden|Sverige|Spanien|España|Espagne
Spagna|Espanha|Spanje|Tschechien|Česko|Slovensko|Slovenija|Hrvatska|Magyarország|Ungarn|Suomi
Finnland|Eesti|Latvija|Lietuva|Türkei|Turquie|Turquía|Ísland|Vereinigtes Königreich|Royaume-Uni
Reino Unido|Regno Unito|Estados Unidos|États-Unis|Vereinigte Staaten|Stati Uniti|Україна|Россия
"""
#: Names that are written as ordinary words or given names as well.
_AMBIGUOUS = "Chad|Georgia|Jordan|Mali|Niger|Turkey|Jersey|Réunion|Wales|USA|U.S.A.|UAE|UK"


@lru_cache(maxsize=1)
def _countries() -> tuple[re.Pattern[str], frozenset[str]]:
    names = sorted({n for line in _COUNTRIES.split("\n") for n in line.split("|") if n}, key=len)
    every = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in reversed(names))
    strict = "|".join(map(re.escape, _AMBIGUOUS.split("|")))
    pattern = re.compile(rf"(?<![\w@.-])(?:(?i:{every})|{strict})(?![\w@]|\.\w)")
    return pattern, frozenset(name.casefold() for name in names)


def countries(text: str) -> Iterator[tuple[int, int]]:
    """Find names of countries."""
    for found in _countries()[0].finditer(text):
        yield found.start(), found.end()


def is_country(value: str) -> bool:
    """True where a value is the name of a country and of nothing else that is common."""
    return " ".join(value.casefold().split()) in _countries()[1]


#: Left out: forms that are also points of the compass or postal codes of states (SE, AB, NV, SA).
_FORM = (
    r"Ltd|Limited|Inc|Incorporated|LLC|L\.L\.C|LLP|PLC|plc|Corp|Corporation|GmbH|mbH|AG|OHG"
    r"|e\.V|S\.A|SARL|S\.à r\.l|S\.p\.A|SpA|S\.r\.l|Srl|S\.L|Lda|Ltda|B\.V|BV|N\.V|A/S"
    r"|ApS|Oy|Oyj|ASA|sp\. z o\.o|s\.r\.o|a\.s|Kft|Zrt|d\.o\.o|ООД|ЕООД|АД|ΑΕ|ΕΠΕ"
)
_WORD = r"[A-ZÀ-ÞΑ-ΩА-Я][\w&'’-]*"
_ORGANISATION = re.compile(
    rf"(?<!\w){_WORD}(?:(?:,? (?:and|und|et|y|e|en|&) |, | ){_WORD}){{0,4}},? (?:{_FORM})(?!\w)\.?"
    rf"|(?<!\w){_WORD}(?:, {_WORD}){{0,3}},? (?:and|&) (?:Sons|Daughters|Partners|Associates"
    rf"|Co)(?!\w)"
)


def organisations(text: str) -> Iterator[tuple[int, int]]:
    """Find names of organisations by their legal form."""
    for found in _ORGANISATION.finditer(text):
        yield found.start(), found.end()
