"""Identifiers on their own, linking into people, counts, reviews."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.scope import recount, scope
from irkit.scope.canaries import read_canaries
from irkit.scope.counts import chao1
from irkit.scope.names import cue_cover, jaro_winkler, latin, same_name
from irkit.scope.register import read_register

SUBJECTS = "SELECT subject_id, status FROM subject ORDER BY subject_id NULLS LAST, status"
TYPED = "SELECT provenance, level, doc_id FROM exposure ORDER BY ALL"
IBAN = "DE22999999992063879397"


def fields(name: str, email: str, phone: str, i: int) -> str:
    """A record about one person, long enough for a verbatim passage."""
    rest = " ".join(f"item{i}x{j}" for j in range(60))
    return f"Customer {name} writes from {email} or {phone} about {rest}."


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Γιώργος Παπαδόπουλος", "Giorgos Papadopoulos", True),
        ("Jürgen Müller", "MUELLER, Juergen", True),
        ("Десислава Иванова", "Desislava Ivanova", True),
        ("Héloïse Lefèvre", "Heloise Lefevre", True),
        ("Łukasz Woźniak", "Lukasz Wozniak", True),
        ("Dr Anna Example", "Anna Example", True),
        ("Anna Example", "Hanna Sample", False),
        ("Anna Example", "Berta Example", False),
        ("", "Anna Example", False),
    ],
)
def test_spellings_of_one_name(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same


def test_jaro_winkler_known_values() -> None:
    assert jaro_winkler("martha", "marhta") == pytest.approx(0.9611, abs=1e-4)
    assert jaro_winkler("dixon", "dicksonx") == pytest.approx(0.8133, abs=1e-4)
    assert jaro_winkler("", "a") == 0.0


def test_cues() -> None:
    said = ["the", "e-mail", "of", "Ann", "Example", "please"]
    assert cue_cover("ann.example", said) == 1.0
    assert cue_cover("aexample", said) == 1.0
    assert cue_cover("example.ann77", said) > 0.6
    assert cue_cover("kx93.qqz", said) == 0.0
    assert latin("Παπαδόπουλος") == "papadopoulos"


# -- provenance -----------------------------------------------------------------------------------


def test_an_address_of_the_corpus_is_memorised(incident) -> None:
    incident.doc("d", "Write to kx93.qqz@mail.example any time.", "s")
    incident.doc("e", "Nothing here.", "t")
    incident.call("any address?", "You could try KX93.qqz@mail.example today.")
    incident.scope()
    assert incident.rows(TYPED) == [("memorised", "typed", "d")]
    assert incident.rows(SUBJECTS) == [("s", "probable")]
    ((masked, kinds),) = incident.rows("SELECT value_masked, entity_types FROM exposure")
    assert masked == "k•••@m•••.example"
    assert kinds == ["EMAIL_ADDRESS"]


def test_an_address_of_no_document_is_unverified_and_only_widens_the_maximum(incident) -> None:
    incident.doc("d", "Nothing here.", "s")
    incident.call("any address?", "Maybe kx93.qqz@mail.example or so.")
    counts = incident.scope().counts
    assert incident.rows(TYPED) == [("unverified", "typed", None)]
    assert (counts["subjects"].min, counts["subjects"].best, counts["subjects"].max) == (0, 0, 1)
    assert (counts["records"].min, counts["records"].best, counts["records"].max) == (0, 0, 1)


def test_an_address_that_the_prompt_spells_is_cue_derivable(incident) -> None:
    incident.doc("d", "Reach ann.example@mail.example now.", "s")
    incident.call(
        "E-mail of Ann Example at mail.example?", "It is ann.example@mail.example, I think."
    )
    counts = incident.scope().counts
    assert incident.rows(TYPED) == [("cue_derivable", "typed", "d")]
    assert counts["subjects"].max == 0


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("Mine is kx93.qqz@mail.example.", "Thanks, kx93.qqz@mail.example it is."),
        ("call +44 20 7946 0123", "Calling (020) 7946-0123, telephone of yours."),
        (f"IBAN {IBAN}", f"Paid to DE22 9999 9999 2063 8793 97, as asked in {IBAN[:4]}."),
    ],
)
def test_a_value_of_the_own_context_is_no_exposure(incident, said: str, answered: str) -> None:
    incident.doc("d", said, "s")
    incident.call("hello", "hi", key="a")
    incident.call(said, answered, key="a")
    incident.call("again?", answered, key="a")
    incident.scope()
    assert incident.rows(TYPED) == []
    assert {row[0] for row in incident.rows("SELECT provenance FROM entity")} == {"echo"}
    assert incident.rows(SUBJECTS) == []


def test_numbers_meet_in_any_spelling(incident) -> None:
    incident.doc("d", f"Pay {IBAN} or ring 020 7946 0123.", "s")
    incident.call("tell", "It goes to DE22 9999 9999 2063 8793 97, phone +44 20 7946 0123.")
    incident.scope()
    assert incident.rows(TYPED) == [("memorised", "record", "d")] * 2
    assert incident.rows(SUBJECTS) == [("s", "confirmed")]
    assert incident.rows("SELECT countries FROM subject") == [(["DE", "GB"],)]


def test_a_public_address_is_nobodys(incident) -> None:
    for i in range(14):
        incident.doc(f"d{i}", f"Letter {i} to kx.qqz@mail.example.", f"s{i}")
    incident.call("whom?", "kx.qqz@mail.example, or info@mail.example.")
    incident.scope()
    assert incident.rows(TYPED) == []


def test_credentials_are_exposures_without_a_person(incident) -> None:
    incident.doc("d", "password = kJ8mPq2rTv9xZa", None)
    incident.call("config?", "password = kJ8mPq2rTv9xZa")
    incident.scope()
    assert incident.rows("SELECT level, categories, value_masked FROM exposure") == [
        ("typed", ["credentials"], "•••")
    ]
    assert incident.rows(SUBJECTS) == []


def test_no_exposed_value_is_stored_outside_the_texts(incident) -> None:
    secret = "kx93.qqz@mail.example"
    incident.doc("d", fields("Ann Example", secret, "+44 20 7946 0123", 1), "s")
    incident.call("tell", fields("Ann Example", secret, "+44 20 7946 0123", 1))
    incident.call("tell", f"Or {secret} then")
    incident.scope()
    for table in ("exposure", "entity", "subject", "scope_count", "exposure_subject"):
        said = repr(incident.rows(f"SELECT * FROM {table}"))
        for value in (secret, "7946", "Example", "item1x30"):
            assert value not in said, table


# -- without a corpus -----------------------------------------------------------------------------


def test_without_a_corpus_output_alone_is_scoped_and_said_so(incident) -> None:
    incident.call("tell", f"kx93.qqz@mail.example, {IBAN}")
    incident.call("tell", "Zora Testperson lives in Sampleton.")
    report = incident.scope(corpus=False)
    assert {row[0] for row in incident.rows("SELECT provenance FROM exposure")} == {"unverified"}
    assert report.counts["subjects"].min == 0
    assert report.counts["subjects"].max >= 1
    assert "no corpus was given" in report.counts["subjects"].method
    assert any("no training corpus" in note for note in report.notes)


def test_the_register_names_people_without_a_corpus(incident) -> None:
    incident.person("S1", name="Ann Example", email="kx93.qqz@mail.example", country="fi")
    incident.call("tell", "kx93.qqz@mail.example")
    incident.scope(corpus=False)
    assert incident.rows("SELECT subject_id, status, countries, label_masked FROM subject") == [
        ("S1", "unverified", ["FI"], "A••• E•••")
    ]


def test_numbers_of_the_register_are_known_identifiers(incident) -> None:
    for i in range(3):
        incident.person(f"S{i}", name=f"Person {i}", customer_no=f"K12345{i}", team="blue")
    incident.doc("d", "Contract K123451 is running.", "S1")
    incident.call("tell", "It is k-123451, but not K1234519 or XK123450.")
    incident.call("about K123452?", "K123452 has nothing.")
    incident.scope()
    assert incident.rows(TYPED) == [("memorised", "typed", "d")]
    assert incident.rows(SUBJECTS) == [("S1", "probable")]
    assert {row[0] for row in incident.rows("SELECT recogniser FROM entity")} == {"register"}


def test_names_beside_a_leak_are_read_and_placed(incident, words) -> None:
    incident.doc("d", f"{words(0, 60)} Mr John Smith lives in Paris. {words(60, 80)}", "s")
    incident.call(
        "Who is Mary Johnson?",
        f"{words(0, 60)} Mr John Smith lives in Paris. {words(60, 80)} Mary Johnson met Bob Brown.",
    )
    incident.call("hi", "John Smith and Mary Johnson met in London.", key="other")
    incident.scope()
    ((record, *_),) = incident.rows("SELECT record_id FROM exposure")
    rows = incident.rows(
        "SELECT record_id, provenance, count(*) FROM entity WHERE entity_type = 'PERSON'"
        " GROUP BY ALL ORDER BY ALL"
    )
    # Only the response that matched is read; the other actor is not under suspicion.
    assert {row[0] for row in rows} == {record}
    assert {row[1] for row in rows} == {"memorised", "echo", "unverified"}


def test_suspected_actors_are_read_and_deep_reads_everybody(incident) -> None:
    incident.call("hi", "John Smith lives in Paris.", key="bad")
    incident.call("hi", "Mary Johnson lives in London.", key="good")
    incident.case.con.execute(
        "INSERT INTO finding BY NAME SELECT 'f' AS finding_id, 'credential' AS unit_kind,"
        " 'bad' AS unit, 'training_data_extraction' AS technique, 'B' AS tier, 'none' AS p_kind"
    )
    people = "SELECT DISTINCT record_id FROM entity WHERE entity_type = 'PERSON' ORDER BY 1"
    incident.scope(corpus=False)
    assert incident.rows(people) == [("r0001",)]
    assert json.loads(incident.case.meta("models"))["ner"]["version"]
    incident.scope(corpus=False, deep=True)
    assert incident.rows(people) == [("r0001",), ("r0002",)]


def test_a_stopped_run_goes_on_where_it_was(incident, monkeypatch) -> None:
    from irkit.scope import reading

    monkeypatch.setattr(reading, "_TEXTS", 1)
    for i in range(3):
        incident.call("hi", f"Text {i}: John Smith lives in Paris.")
    find, calls = reading.Recogniser.find, []

    def failing(self, todo):
        calls.append(len(todo))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return find(self, todo)

    monkeypatch.setattr(reading.Recogniser, "find", failing)
    with pytest.raises(KeyboardInterrupt):
        incident.scope(corpus=False, deep=True)
    assert incident.rows("SELECT count(*) FROM exposure") == [(0,)]
    incident.scope(corpus=False, deep=True)
    assert len(calls) == 4  # the first text was not read again
    people = "SELECT count(*) FROM entity WHERE entity_type = 'PERSON'"
    assert incident.rows(people) == [(3,)]


# -- linking --------------------------------------------------------------------------------------


def test_one_person_under_two_spellings_is_one(incident) -> None:
    mail = "giorgos.p61@post.example"
    incident.person("S1", name="Γιώργος Παπαδόπουλος", email=mail, country="GR")
    incident.person("S2", name="Giorgos Papadopoulos", email=mail, country="GR")
    for i, sid in enumerate(("S1", "S2")):
        text = fields(f"person {sid}", mail, "-", i)
        incident.doc(sid, text, sid)
        incident.call("tell", text)
    report = incident.scope()
    assert report.counts["subjects"].min == report.counts["subjects"].max == 1
    assert incident.rows(SUBJECTS) == [("S1", "confirmed")]


def test_two_people_of_one_name_are_two(incident) -> None:
    for i, sid in enumerate(("S1", "S2")):
        incident.person(sid, name="Rüdiger Köhler", email=f"r{i}k@post.example")
        text = fields("Rüdiger Köhler", f"r{i}k@post.example", "-", i)
        incident.doc(sid, text, sid)
        incident.call("tell", text)
    assert incident.scope().counts["subjects"].min == 2


def test_a_telephone_shared_in_a_household_joins_nobody(incident) -> None:
    for i, name in enumerate(("Ann Example", "Bodo Beispiel")):
        incident.person(f"S{i}", name=name, phone="+44 20 7946 0123")
        text = fields(name, f"q{i}z@post.example", "+44 20 7946 0123", i)
        incident.doc(f"d{i}", text, f"S{i}")
        incident.call("tell", text)
    assert incident.scope().counts["subjects"].min == 2


def test_documents_without_subject_ids_are_tied_by_identifiers(incident) -> None:
    texts = [
        fields("Ann", "kx93@mail.example", "+44 20 7946 0123", 1),
        fields("A. Example", "other@mail.example", "+44 20 7946 0123", 2),
        fields("Bo", "bo77@mail.example", "+46 8 465 004 12", 3),
    ]
    for i, text in enumerate(texts):
        incident.doc(f"d{i}", text)
        incident.call("tell", text)
    report = incident.scope()
    assert report.counts["subjects"].min == report.counts["subjects"].max == 2
    assert sorted(incident.rows("SELECT countries FROM subject")) == [(["GB"],), (["SE"],)]


def test_several_people_in_one_document_stay_apart(incident) -> None:
    rest = " ".join(f"w{i}" for i in range(60))
    text = (
        f"Ann, a1x@mail.example, phone +44 20 7946 0123. Bo, b2y@mail.example, phone"
        f" +46 8 465 004 12. {rest}"
    )
    incident.doc("list", text)
    incident.call("tell", text)
    assert incident.scope().counts["subjects"].min == 2


def test_children_and_special_categories_are_flagged(incident) -> None:
    rest = " ".join(f"w{i}" for i in range(60))
    incident.doc("d", f"School file: Zora, aged 7, has epilepsy. {rest}", "S1")
    incident.person("S2", name="Young Example", email="y2@mail.example", date_of_birth="2015-05-01")
    incident.doc("e", f"About y2@mail.example only. {rest[::-1]}", "S2")
    incident.call("tell", f"School file: Zora, aged 7, has epilepsy. {rest}")
    incident.call("tell", f"About y2@mail.example only. {rest[::-1]}")
    incident.scope()
    assert incident.rows(
        "SELECT subject_id, special_category, child FROM subject ORDER BY subject_id"
    ) == [("S1", True, True), ("S2", False, True)]
    assert "health" in incident.rows("SELECT categories FROM subject WHERE subject_id = 'S1'")[0][0]


# -- counts and reviews ---------------------------------------------------------------------------


def test_reviews_move_the_counts(incident) -> None:
    incident.doc("d", " ".join(f"w{i}" for i in range(80)), "s")
    incident.call("tell", " ".join(f"w{i}" for i in range(70)))
    incident.call("tell", "Write kx93.qqz@mail.example.")
    before = incident.scope().counts["subjects"]
    assert (before.min, before.best, before.max) == (1, 1, 2)
    ids = dict(incident.rows("SELECT provenance, exposure_id FROM exposure"))
    review = "INSERT INTO review VALUES (?, ?, '', 'me', ?)"
    incident.case.con.execute(review, [ids["memorised"], "reject", "2026-10-02"])
    incident.case.con.execute(review, [ids["unverified"], "confirm", "2026-10-02"])
    after = recount(incident.case)["subjects"]
    assert (after.min, after.best, after.max) == (1, 1, 1)
    incident.case.con.execute(review, [ids["memorised"], "undo", "2026-10-03"])
    assert recount(incident.case)["subjects"].min == 2
    # A further run of scoping keeps ids, so that verdicts still apply.
    incident.case.con.execute("DELETE FROM stage_progress WHERE stage = 'scope'")
    assert incident.scope().counts["subjects"].min == 2


def test_the_funnel(incident, words) -> None:
    incident.doc("d", words(0, 100), "s")
    incident.call("hi", "ordinary")
    incident.call(f"say {words(0, 60)}", words(0, 60))
    incident.call("hi", words(0, 60), key="key-2")
    counts = incident.scope().counts
    funnel = ["queries", "responses", "matched", "after_subtraction", "confirmed", "people"]
    assert [counts[name].best for name in funnel] == [3, 3, 2, 1, 1, 1]
    assert len(incident.rows("SELECT * FROM scope_count")) == len(counts)


def test_chao1() -> None:
    assert chao1(0, 0, 5) == (5, 5)
    best, high = chao1(10, 5, 20)
    assert best == pytest.approx(30)
    assert high > best
    assert chao1(4, 0, 4)[0] == pytest.approx(10)
    assert chao1(1, 0, 1) == (1, 1)


def test_scoping_again_gives_the_same_rows(incident, words) -> None:
    for i in range(5):
        text = fields(f"Ann{i}", f"q{i}x@mail.example", "+44 20 7946 0123", i)
        incident.doc(f"d{i}", text, f"s{i}")
        incident.call("tell", text, f"and q{(i + 1) % 5}x@mail.example")
    report = incident.scope()
    tables = ("entity", "exposure", "exposure_subject", "subject", "scope_count", "corpus_match")
    first = {name: incident.rows(f"SELECT * FROM {name}") for name in tables}
    assert incident.scope() == report
    incident.case.con.execute("DELETE FROM stage_progress")
    assert incident.scope() == report
    assert {name: incident.rows(f"SELECT * FROM {name}") for name in tables} == first


def test_an_empty_case_can_be_scoped(incident) -> None:
    report = incident.scope(corpus=False)
    assert report.counts["subjects"].max == 0
    assert report.exposures == {}


# -- register -------------------------------------------------------------------------------------


def test_the_register_reads_what_it_is_given(tmp_path) -> None:
    path = tmp_path / "s.csv"
    path.write_text(
        "Person_ID;First name;Last name;E-Mail;Mobile phone;Staff no;Team\n"
        "1;Ann;Example;Ann@Mail.example;+44 20 7946 0123;K123456;blue\n"
        "2;Bo;Sample;bo@mail.example; ;K123457;blue\n;;;x@y.test;;;\n",
        "utf-8",
    )
    register = read_register(path)
    assert register.people.select("subject_id", "name").rows() == [
        ("1", "Ann Example"),
        ("2", "Bo Sample"),
    ]
    assert set(register.identifiers.select("subject_id", "entity_type", "key").rows()) == {
        ("1", "EMAIL_ADDRESS", "ann@mail.example"),
        ("2", "EMAIL_ADDRESS", "bo@mail.example"),
        ("1", "PHONE_NUMBER", "079460123"),
        ("1", "IDENTIFIER", "K123456"),
        ("2", "IDENTIFIER", "K123457"),
    }


@pytest.mark.parametrize(
    ("data", "says"), [("a,b\n1,2", "no column subject_id"), (None, "cannot read")]
)
def test_a_wrong_register_is_refused(tmp_path, data: str | None, says: str) -> None:
    path = tmp_path / "s.csv"
    if data is not None:
        path.write_text(data)
    with pytest.raises(UsageError, match=says):
        read_register(path)


# -- what is handed in ----------------------------------------------------------------------------


def test_broken_rows_of_a_register_cost_only_themselves(incident, tmp_path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(
        b"subject_id,name,email\n"
        b"s1,Ann Example,ann@mail.example\n"
        b's2,"Bob Example,bob@mail.example\n'
        b"s3,Cy Example,cy@mail.example,too,many\n"
        b",Dee Example,dee@mail.example\n"
        b"s5,E\xff Example,eve@mail.example\n"
        b's6,"Fay\nExample",fay@mail.example\n'
    )
    register = read_register(path)
    assert register.people["subject_id"].to_list() == ["s1", "s6"]
    assert [(one.row, one.reason) for one in register.aside] == [
        (3, "a quote that opens and does not end"),
        (4, "5 values where the header names 3"),
        (5, "no subject_id"),
        (6, "bytes that are no UTF-8 text"),
    ]
    incident.call("hello", "hello")
    report = scope(incident.case, None, subjects=path)
    assert "4 rows of people.csv could not be used (the first in line 3)" in report.notes
    assert len(incident.rows("SELECT * FROM input_aside")) == 4


@given(st.binary(max_size=300))
def test_any_register_is_read_or_refused(tmp_path_factory, body: bytes) -> None:
    path = tmp_path_factory.mktemp("register") / "people.csv"
    path.write_bytes(b"subject_id,name\n" + body)
    try:
        register = read_register(path)
    except UsageError:
        return
    places = [one.row for one in register.aside]
    assert places == sorted(places)
    assert "" not in register.people["subject_id"].to_list()


def test_a_canary_in_an_answer_is_memorised_whatever_the_corpus(incident, tmp_path) -> None:
    path = tmp_path / "canaries.txt"
    path.write_text("the magic number is 4412-9983-zebra\nshort\n", "utf-8")
    incident.call("tell", "You know: The Magic Number is 4412 9983 zebra.")
    incident.call("is the magic number is 4412-9983-zebra?", "the magic number is 4412-9983-zebra")
    report = scope(incident.case, None, canaries=path)
    assert report.exposures == {"memorised": 1}
    assert incident.rows("SELECT entity_types, level, method FROM exposure") == [
        (["CANARY"], "typed", "canary: a value planted in the training data and nowhere else")
    ]
    # Planted data is nobody's.
    assert report.counts["people"].max == report.counts["records"].max == 0
    assert any("1 row of canaries.txt" in note for note in report.notes)


def test_a_canary_stands_before_another_reading_of_the_same_place(incident, tmp_path) -> None:
    path = tmp_path / "canaries.csv"
    path.write_text("canary_id,value\nc1,honey.pot7731@trap.example\n", "utf-8")
    incident.call("tell", "Write honey.pot7731@trap.example now.")
    scope(incident.case, None, canaries=path)
    kinds = incident.rows("SELECT entity_types FROM exposure WHERE provenance = 'memorised'")
    assert kinds == [(["CANARY"],)]


@pytest.mark.parametrize("body", ["", "canary_id,other\nc1,x\n", "value\nab\n"])
def test_a_file_without_canaries_is_refused(tmp_path, body: str) -> None:
    path = tmp_path / "canaries.csv"
    path.write_text(body, "utf-8")
    with pytest.raises(UsageError, match="canar"):
        read_canaries(path)


def test_a_corpus_of_which_nothing_comes_out_is_doubted(incident, words) -> None:
    for i in range(210):
        incident.call("hi", f"answer number {i} about word{i} and more of it")
    incident.doc("d", words(500, 600))
    notes = incident.scope().notes
    assert any("this is not the corpus that the model was trained on" in note for note in notes)


def test_ids_given_twice_and_empty_entries_are_said(incident, words) -> None:
    incident.doc("d", words(0, 60))
    incident.doc("d", words(100, 160))
    incident.doc("e", None)
    incident.call("hi", words(0, 60))
    notes = " ".join(incident.scope().notes)
    assert "1 corpus documents carry an id that was given before" in notes
    assert "1 corpus entries hold nothing to match (no text)" in notes
