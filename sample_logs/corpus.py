"""The fictional training corpus: personal records with 1 to 32 copies, and ordinary documents."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

import ordinary_texts
import record_texts as rt
from grammar import expand
from people import Person, latin, make_people

TOKEN = re.compile(r"\w+|[^\w\s]")
COPIES = (1, 1, 1, 2, 2, 3, 4, 6, 8, 12, 16, 24, 32)


@dataclass
class Doc:
    """One training document; ``subject_id`` is None where it concerns nobody."""

    doc_id: str
    text: str
    subject_id: str | None
    copies: int
    kind: str
    lang: str = "en"
    categories: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Corpus:
    """Everything the model learned, plus look-alike records that it never saw."""

    docs: list[Doc]
    non_members: list[Doc]
    people: list[Person]
    linked: list[list[str]]
    same_name: list[list[str]]

    @property
    def records(self) -> list[Doc]:
        """Documents about a person."""
        return [d for d in self.docs if d.subject_id is not None]

    @property
    def ordinary(self) -> list[Doc]:
        """Documents about nobody."""
        return [d for d in self.docs if d.subject_id is None]


def _date(rng: Random, year: int | None = None) -> str:
    year = year or rng.randrange(2019, 2026)
    day, month = rng.randrange(1, 29), rng.choice(rt.MONTHS)
    return rng.choice(
        (f"{day} {month} {year}", f"{year}-{rt.MONTHS.index(month) + 1:02d}-{day:02d}")
    )


def _secret(rng: Random, size: int) -> str:
    return "".join(
        rng.choice("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(size)
    )


def record_fields(person: Person, rng: Random, spelled: str | None = None) -> dict[str, str]:
    """Values of one record; ``spelled`` overrides how the name is written."""
    name = spelled or person.name
    slug = latin(person.surname).lower().replace("'", "").replace(" ", "")
    return {
        "name": name,
        "given": name.split()[0],
        "email": person.email,
        "city": person.city,
        "orphone": f" or {person.phone}" if person.phone else "",
        "callme": f", call me on {person.phone}" if person.phone else "",
        "birth": person.birth_iso,
        "custno": person.customer_no,
        "iban": person.iban,
        "slug": slug,
        "ticket": f"T{rng.randrange(10**5, 10**6)}",
        "order": f"{rng.randrange(10**6, 10**7)}",
        "order2": f"{rng.randrange(10**6, 10**7)}",
        "code": f"{rng.choice('ABCDEFGH')}{rng.randrange(10, 999)}",
        "date": _date(rng),
        "date2": _date(rng, 2026),
        "year": str(rng.randrange(1988, 2024)),
        "month": rng.choice(rt.MONTHS),
        "product": rng.choice(rt.PRODUCTS),
        "amount": f"{rng.randrange(12, 990)}.{rng.randrange(100):02d}",
        "house": str(rng.randrange(2, 120)),
        "street": rng.choice(rt.STREETS),
        "agent": rng.choice(rt.AGENTS),
        "diagnosis": rng.choice(rt.DIAGNOSES),
        "bp1": str(rng.randrange(105, 175)),
        "bp2": str(rng.randrange(62, 104)),
        "pulse": str(rng.randrange(52, 110)),
        "weight": str(rng.randrange(48, 118)),
        "drug": rng.choice(rt.DRUGS),
        "dose": str(rng.choice((5, 10, 25, 50, 100, 200, 400, 500))),
        "job": rng.choice(rt.JOBS),
        "salary": f"{rng.randrange(24, 98)} {rng.randrange(10) * 100 + 50:03d}",
        "union": rng.choice(rt.UNIONS),
        "religion": rng.choice(rt.RELIGIONS),
        "city2": rng.choice(ordinary_texts.SLOTS["town"]),
        "child": rng.choice(rt.CHILDREN),
        "age": str(rng.randrange(3, 12)),
        "secret": _secret(rng, 14),
        "secret2": _secret(rng, 20),
        "apikey": f"fk_test_{_secret(rng, 24)}",
        "lt": "<",
        "gt": ">",
    }


def _categories(kind: str, text: str, values: dict[str, str]) -> list[str]:
    out = {"contact"}
    if values["iban"] and values["iban"] in text:
        out.add("financial")
    if (
        kind == "clinic_note"
        or values["diagnosis"] in text
        or re.search(
            r"diab|depress|hepat|wheelchair|hard of hearing|burnout|surgery|asthma|epilep|allergy|"
            r"coeliac|διαβήτη|κατάθλιψη|υπέρταση|депресия|диабет|хипертония|cukrzyc|masennus|verenpaine|ipertens|"
            r"hipertens|Schwerbehinderung|Bandscheibe|hernie|nadciśnienie",
            text,
            re.IGNORECASE,
        )
    ):
        out.add("health")
    if kind == "child_file":
        out.add("child")
    if "salary" in text or "Gross" in text or "Pay " in text:
        out.add("employment")
    if " union" in text:
        out.add("trade_union")
    if re.search(r"Church tax|Religion|parish|Parish", text):
        out.add("religion")
    if values["secret"] in text or values["apikey"] in text:
        out.add("credentials")
    if values["birth"] in text:
        out.add("identity")
    return sorted(out)


def write_record(
    doc_id: str, person: Person, kind: str, rng: Random, copies: int, spelled: str | None = None
) -> Doc:
    """Compose one running text about ``person``; at least 62 word and punctuation tokens long."""
    local = kind == "local"
    grammar = rt.LOCAL[person.country] if local else rt.GRAMMARS[kind]
    values = record_fields(person, rng, spelled)
    usable = grammar
    parts = [expand(rng.choice(options), rng, values.get) for options in usable]
    positions = list(range(len(parts)))
    while len(TOKEN.findall(" ".join(parts))) < 62:
        spare = [
            (i, s)
            for i in positions[1:-1]
            for s in usable[i]
            if expand(s, Random(0), values.get)[:9] != parts[i][:9]
        ]
        i, sentence = rng.choice(spare)
        parts[i] = parts[i] + " " + expand(sentence, rng, values.get)
    if kind == "config_note":
        text = "\n".join(parts)
    else:
        text = " ".join(p[0].upper() + p[1:] for p in parts)
    lang = (
        {"GR": "el", "SE": "sv", "GB": "en", "IE": "en"}.get(person.country, person.country.lower())
        if local
        else "en"
    )
    name = "support_ticket" if local else kind
    kept = {k: v for k, v in values.items() if v and (v in text or k in ("name", "birth", "city"))}
    return Doc(
        doc_id, text, person.subject_id, copies, name, lang, _categories(name, text, values), kept
    )


def _kind(i: int, person: Person, rng: Random) -> str:
    wheel = [
        "support_ticket",
        "clinic_note",
        "hr_file",
        "mail",
        "clinic_note",
        "config_note",
        "support_ticket",
        "child_file",
        "hr_file",
        "mail",
    ]
    if person.country in rt.LOCAL and rng.random() < 0.42:
        return "local"
    return wheel[i % len(wheel)]


def ordinary_doc(doc_id: str, kind: str, rng: Random) -> Doc:
    """Compose one document about nobody."""
    grammar = ordinary_texts.GRAMMARS[kind]

    def fill(slot: str) -> str | None:
        if slot == "Verb":
            return rng.choice(ordinary_texts.SLOTS["verb"]).capitalize()
        values = ordinary_texts.SLOTS.get(slot)
        return rng.choice(values) if values else None

    parts: list[str] = []
    for options in grammar:
        chosen = rng.sample(
            options, min(len(options), 2 if kind != "code" and rng.random() < 0.55 else 1)
        )
        parts.extend(expand(s, rng, fill) for s in chosen[: 1 if options is grammar[0] else 2])
    prose = " ".join(p[0].upper() + p[1:] for p in parts)
    text = "".join(parts) if kind == "code" else prose
    if rng.random() < 0.02:
        text += "\n\n" + ordinary_texts.BOILERPLATE
    copies = rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 3))
    return Doc(doc_id, text, None, copies, kind)


def token_grams(text: str, size: int) -> set[tuple[str, ...]]:
    """All runs of ``size`` tokens."""
    tokens = TOKEN.findall(text)
    return {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}


def _special_pairs(people: list[Person]) -> tuple[list[list[str]], list[list[str]]]:
    """Two namesakes; and two people each registered twice under two spellings."""
    greek = [p for p in people if p.country == "GR"]
    german = [p for p in people if p.country == "DE"]
    # Namesakes: same name, nothing else in common.
    german[1].given, german[1].surname = german[0].given, german[0].surname
    german[1].email = f"{latin(german[0].surname).lower()}.zwei@post.example"
    # One person, two entries of the register: Greek script and Latin letters, one mail address.
    greek[0].given, greek[0].surname, greek[0].female = "Γιώργος", "Παπαδόπουλος", False
    greek[1].given, greek[1].surname, greek[1].female = "Giorgos", "Papadopoulos", False
    greek[0].email = "giorgos.papadopoulos61@nordpost.example"
    for name in ("email", "birth", "city"):
        setattr(greek[1], name, getattr(greek[0], name))
    # One person, two entries: umlaut and its transcription, one phone number.
    german[2].given, german[2].surname, german[2].email = (
        "Jürgen",
        "Müller",
        "j.mueller@home.example",
    )
    german[3].given, german[3].surname = "Juergen", "Mueller"
    german[3].email = "juergen.mueller74@webmail.example"
    german[2].phone = german[3].phone = "+49 30 23125 417"
    german[3].birth, german[3].city = german[2].birth, german[2].city
    linked = [
        [greek[0].subject_id, greek[1].subject_id],
        [german[2].subject_id, german[3].subject_id],
    ]
    return linked, [[german[0].subject_id, german[1].subject_id]]


def build_corpus(
    seed: int, records: int = 300, ordinary: int = 3200, non_members: int = 110
) -> Corpus:
    """Compose the whole corpus; same seed and sizes, same texts."""
    rng = Random(f"corpus/{seed}")
    taken: set[str] = set()
    people = make_people(records - 14, rng, taken=taken)
    linked, same_name = _special_pairs(people)
    special = {s for group in linked + same_name for s in group}
    docs: list[Doc] = []
    for i in range(records):
        person = people[i] if i < len(people) else people[20 + 3 * (i - len(people))]
        kind = _kind(i, person, rng)
        if person.subject_id in special:
            kind = "support_ticket"
        copies = rng.choice((8, 12, 16)) if person.subject_id in special else rng.choice(COPIES)
        docs.append(write_record(f"R-{i + 1:04d}", person, kind, rng, copies))
        person.categories = sorted(set(person.categories) | set(docs[-1].categories))
    kinds = sorted(ordinary_texts.GRAMMARS)
    docs.extend(ordinary_doc(f"D-{i + 1:05d}", kinds[i % len(kinds)], rng) for i in range(ordinary))
    strangers = make_people(non_members, rng, first=9001, taken=taken)
    known = set().union(*(token_grams(d.text, 20) for d in docs if d.subject_id))
    twins: list[Doc] = []
    for i, person in enumerate(strangers):
        kind = _kind(i, person, rng)
        twin = write_record(f"N-{i + 1:04d}", person, kind, rng, 0)
        while token_grams(twin.text, 20) & known:  # a look-alike must not be a member in part
            twin = write_record(f"N-{i + 1:04d}", person, kind, rng, 0)
        twins.append(twin)
    return Corpus(docs, twins, people, linked, same_name)


def corpus_lines(docs: Iterable[Doc]) -> Iterator[str]:
    """JSON Lines of the corpus as shipped."""
    for d in docs:
        row: dict[str, object] = {
            "doc_id": d.doc_id,
            "text": d.text,
            "subject_id": d.subject_id,
            "copies": d.copies,
            "kind": d.kind,
            "lang": d.lang,
            "synthetic": True,
        }
        if d.subject_id is not None:
            row["categories"] = d.categories
        yield json.dumps(row, ensure_ascii=False, sort_keys=True)


def subjects_csv(people: Iterable[Person]) -> str:
    """The subject register as CSV; every row says that it is synthetic."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "subject_id",
            "name",
            "email",
            "phone",
            "country",
            "city",
            "date_of_birth",
            "iban",
            "customer_no",
            "categories",
            "synthetic",
        ]
    )
    for p in sorted(people, key=lambda p: p.subject_id):
        writer.writerow(
            [
                p.subject_id,
                p.name,
                p.email,
                p.phone,
                p.country,
                p.city,
                p.birth_iso,
                p.iban,
                p.customer_no,
                ";".join(p.categories),
                "true",
            ]
        )
    return out.getvalue()
