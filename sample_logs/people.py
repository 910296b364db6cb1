"""Fictional people: names in several scripts, reserved mail domains, fictional phone ranges, IBANs.

Phone numbers come only from ranges that regulators set aside for fiction: Ofcom (020 7946 0xxx,
07700 900xxx), ComReg (020 91x xxxx), ARCEP (01 99 00 xx xx), BNetzA ((0)30 23125 xxx), PTS
(08-465 004 xx) and NANPA (555-01xx).  Countries without such a range get no number.  IBANs have a
valid ISO 7064 check but bank codes made of nines, which no bank holds.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from random import Random

#: given (male), given (female), surnames as (male form, female form) or one form, cities.
POOLS: dict[str, dict[str, str]] = {
    "DE": {
        "m": "Jürgen Lukas Matthias Sönke Björn Tobias Heiko Rüdiger Florian Emil Konrad Jörg",
        "f": "Anneliese Käthe Jana Friederike Ulrike Heike Sabine Lieselotte Mareike Gudrun",
        "s": "Müller Schäfer Grünwald Hoffstätter Köhler Brandes Weißhaupt Vogelsang Lindemann "
        "Petersen Rößler Achterberg Dornbusch Falkenhain",
        "c": "Lübeck Freiburg Kassel Rostock Bamberg Trier Göttingen",
    },
    "FR": {
        "m": "Étienne Gaëtan Lucien Théo Bastien Cédric Rémi Anatole Guillaume Fabrice",
        "f": "Héloïse Margaux Clémence Solène Amélie Noémie Géraldine Perrine Élodie",
        "s": "Lefèvre Beauchêne Garnier Delacourt Montreuil Périgord Vasseur Charpentier "
        "Rousselet Aubertin Bonnefoy Delorme",
        "c": "Nantes Dijon Grenoble Angers Rouen Limoges Poitiers",
    },
    "GR": {
        "m": "Γιώργος Νίκος Κώστας Δημήτρης Σπύρος Βασίλης Θανάσης Παναγιώτης Μανώλης",
        "f": "Ελένη Κατερίνα Σοφία Δέσποινα Ιωάννα Αγγελική Χρυσούλα Ευαγγελία Μαρία",
        "s": "Παπαδόπουλος/Παπαδοπούλου Γεωργίου/Γεωργίου Οικονόμου/Οικονόμου "
        "Κωνσταντινίδης/Κωνσταντινίδου Νικολάου/Νικολάου Αντωνίου/Αντωνίου "
        "Καραγιάννης/Καραγιάννη Λαμπρόπουλος/Λαμπροπούλου Σταθάκης/Σταθάκη "
        "Μαυρίδης/Μαυρίδου",
        "c": "Πάτρα Βόλος Ιωάννινα Χανιά Λάρισα Καβάλα Ρόδος",
    },
    "BG": {
        "m": "Георги Димитър Стоян Пламен Красимир Николай Боян Васил Тодор",
        "f": "Мария Десислава Радостина Ивелина Цветана Албена Йорданка Милена Снежана",
        "s": "Иванов/Иванова Петров/Петрова Стоянов/Стоянова Тодоров/Тодорова Колев/Колева "
        "Марков/Маркова Ангелов/Ангелова Дончев/Дончева Господинов/Господинова",
        "c": "Пловдив Варна Русе Плевен Сливен Добрич Шумен",
    },
    "PL": {
        "m": "Paweł Łukasz Grzegorz Zbigniew Wojciech Michał Stanisław Bartłomiej Jarosław",
        "f": "Małgorzata Agnieszka Bożena Żaneta Katarzyna Elżbieta Zofia Grażyna Wanda",
        "s": "Kowalczyk/Kowalczyk Wiśniewski/Wiśniewska Dąbrowski/Dąbrowska Woźniak/Woźniak "
        "Zieliński/Zielińska Szczepański/Szczepańska Błaszczyk/Błaszczyk Sobczak/Sobczak "
        "Jabłoński/Jabłońska",
        "c": "Łódź Gdynia Lublin Rzeszów Toruń Białystok Opole",
    },
    "ES": {
        "m": "Íñigo Álvaro Joaquín Ramón Andrés Sebastián Fermín Hernán Gonzalo",
        "f": "Begoña Inés Rocío Marisol Nuria Ángela Concepción Lucía Itziar",
        "s": "Fernández Ibáñez Muñoz Carrasco Peñalver Quintana Olmedo Villanueva Zubiri "
        "Cárdenas Echevarría",
        "c": "Murcia Gijón Huelva Logroño Cáceres Vitoria Lugo",
    },
    "IT": {
        "m": "Niccolò Giosuè Raffaele Tommaso Ettore Silvano Gennaro Luca Ottavio",
        "f": "Beatrice Donatella Fiorella Ginevra Loredana Piera Chiara Ornella Noemi",
        "s": "Bianchini Santoro Dell'Acqua Ferraresi Morandi Pellegrini Quaranta Tagliabue "
        "Zanetti Colonnese Marchetti",
        "c": "Padova Modena Perugia Lecce Trieste Pescara Cremona",
    },
    "FI": {
        "m": "Väinö Jukka Pekka Tapio Eero Kalevi Antero Mikko Ilmari",
        "f": "Päivi Aino Kyllikki Maarit Sirpa Helmi Tuuli Riitta Hilkka",
        "s": "Hämäläinen Mäkelä Korhonen Pöllänen Rautiainen Saarikivi Lehtonen Väisänen "
        "Törmänen Kettunen",
        "c": "Tampere Oulu Kuopio Jyväskylä Lahti Rovaniemi Vaasa",
    },
    "SE": {
        "m": "Göran Åke Torbjörn Håkan Linus Sören Viggo",
        "f": "Åsa Birgitta Gunilla Linnéa Kerstin Ylva Märta",
        "s": "Sjögren Åkerblom Lundqvist Hedström Nordfeldt Wikander Bergdahl",
        "c": "Uppsala Gävle Örebro Kalmar Lund Umeå",
    },
    "IE": {
        "m": "Cormac Eoin Fergal Declan Ruairí Oisín Lorcan",
        "f": "Aoife Niamh Gráinne Sinéad Orla Caoimhe Maeve",
        "s": "O'Sullivan Kinsella MacDermott Fitzgibbon Heffernan Brannigan Tierney",
        "c": "Galway Sligo Kilkenny Tralee Athlone Wexford",
    },
    "GB": {
        "m": "Alistair Gareth Nigel Rupert Desmond Callum Hamish",
        "f": "Philippa Bronwen Imogen Harriet Rosalind Tamsin Eilidh",
        "s": "Thornbury Ashworth Pemberton Llewellyn Hargreaves Winterbourne Okafor",
        "c": "Norwich Dundee Swansea Carlisle Exeter Lincoln",
    },
    "NL": {
        "m": "Joris Sjoerd Maarten Wouter Thijs Ruben Koen",
        "f": "Marijke Femke Annelies Saskia Liesbeth Tineke Jolijn",
        "s": "Vermeulen Hoekstra Brouwer Dijkgraaf Zonneveld Terpstra Kuijpers",
        "c": "Utrecht Deventer Leeuwarden Breda Zwolle Middelburg",
    },
}
#: How many of each 60 subjects live where.
SHARES: dict[str, int] = {
    "DE": 10,
    "FR": 7,
    "GR": 7,
    "BG": 6,
    "PL": 6,
    "ES": 5,
    "IT": 5,
    "FI": 4,
    "SE": 3,
    "IE": 3,
    "GB": 2,
    "NL": 2,
}
DOMAINS = (
    "mail.example post.example home.example family.test webmail.example example.org example.net "
    "example.com inbox.test nordpost.example"
)


def _words(text: str) -> list[str]:
    return text.split()


GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ",
        _words("a v g d e z i th i k l m n x o p r s t y f ch ps o s a e i i o y o i y i y"),
        strict=True,
    )
)
CYRILLIC = dict(
    zip(
        "абвгдежзийклмнопрстуфхцчшщъьюя",
        _words("a b v g d e zh z i y k l m n o p r s t u f h ts ch sh sht a y yu ya"),
        strict=True,
    )
)
UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ł": "l", "ø": "o", "å": "a"}


def latin(text: str) -> str:
    """Transliterate Greek and Bulgarian Cyrillic, and strip diacritics from Latin text."""
    out: list[str] = []
    for char in text.replace("ου", "ou").replace("ού", "ou").replace("Ου", "Ou"):
        low = char.lower()
        new = GREEK.get(low) or CYRILLIC.get(low) or UMLAUTS.get(low)
        if new is None:
            plain = unicodedata.normalize("NFKD", char)
            out.append("".join(c for c in plain if not unicodedata.combining(c)))
        else:
            out.append(new.capitalize() if char != low else new)
    return "".join(out)


@dataclass
class Person:
    """One fictional data subject."""

    subject_id: str
    given: str
    surname: str
    country: str
    city: str
    email: str
    phone: str
    birth: tuple[int, int, int]
    iban: str
    customer_no: str
    female: bool
    categories: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def name(self) -> str:
        """Full name as written in the person's own script."""
        return f"{self.given} {self.surname}"

    @property
    def birth_iso(self) -> str:
        """Date of birth as YYYY-MM-DD."""
        return "{:04d}-{:02d}-{:02d}".format(*self.birth)


def phone(country: str, rng: Random) -> str:
    """A number in a range reserved for fiction, or an empty string."""
    match country:
        case "DE":
            return f"+49 30 23125 {rng.randrange(1000):03d}"
        case "FR":
            return f"+33 1 99 00 {rng.randrange(100):02d} {rng.randrange(100):02d}"
        case "SE":
            return f"+46 8 465 004 {rng.randrange(100):02d}"
        case "IE":
            return f"+353 20 91{rng.randrange(10)} {rng.randrange(10000):04d}"
        case "GB":
            if rng.random() < 0.5:
                return f"+44 20 7946 0{rng.randrange(1000):03d}"
            return f"+44 7700 900{rng.randrange(1000):03d}"
        case _:
            return ""


def iban(country: str, rng: Random) -> str:
    """An IBAN with a valid check and a bank code of nines or Zs, which no bank holds."""
    account = "".join(str(rng.randrange(10)) for _ in range(10))
    body = {
        "BG": "ZZZZ9999" + "10" + account[:8],
        "DE": "99999999" + account,
        "ES": "99999999" + "00" + account,
        "FI": "999999" + account[:8],
        "FR": "9999999999" + account + "0" + "99",
        "GB": "ZZZZ999999" + account[:8],
        "GR": "9999999" + "000000" + account,
        "IE": "ZZZZ999999" + account[:8],
        "IT": "Z9999999999" + "00" + account,
        "NL": "ZZZZ" + account,
        "PL": "99999999" + "000000" + account,
        "SE": "9999" + "000000" + account,
    }[country]
    digits = "".join(str(int(c, 36)) for c in body + country + "00")
    return f"{country}{98 - int(digits) % 97:02d}{body}"


def make_person(number: int, country: str, rng: Random, taken: set[str]) -> Person:
    """Draw one person whose full name and mail address nobody in ``taken`` has."""
    pool = POOLS[country]
    while True:
        female = rng.random() < 0.5
        given = rng.choice(_words(pool["f" if female else "m"]))
        surname = rng.choice(_words(pool["s"]))
        if "/" in surname:
            surname = surname.split("/")[1 if female else 0]
        slug = f"{latin(given)}.{latin(surname)}".lower().replace("'", "")
        if rng.random() < 0.45:
            slug = f"{slug.split('.')[0][0]}{slug.split('.')[1]}{rng.randrange(10, 99)}"
        email = f"{slug}@{rng.choice(_words(DOMAINS))}"
        if f"{given} {surname}" in taken or email in taken:
            continue
        taken.update((f"{given} {surname}", email))
        birth = (rng.randrange(1944, 2004), rng.randrange(1, 13), rng.randrange(1, 29))
        return Person(
            f"S-{number:04d}",
            given,
            surname,
            country,
            rng.choice(_words(pool["c"])),
            email,
            phone(country, rng),
            birth,
            iban(country, rng),
            f"{rng.choice('KLMNPR')}{rng.randrange(10**5, 10**6)}",
            female,
        )


def make_people(
    count: int, rng: Random, first: int = 1, taken: set[str] | None = None
) -> list[Person]:
    """Draw ``count`` people over the countries of :data:`SHARES`."""
    taken = set() if taken is None else taken
    wheel = [c for c, n in SHARES.items() for _ in range(n)]
    return [make_person(first + i, wheel[(i * 7) % 60], rng, taken) for i in range(count)]
