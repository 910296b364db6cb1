"""Identification numbers with their checks: one row per scheme, validated by python-stdnum.

A check digit alone proves little (one in ten or eleven random numbers passes), so schemes without
structure of their own count only next to a word that names them.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind of number.

    Attributes:
        entity: entity type, as Presidio names it where it knows the scheme.
        module: validator in python-stdnum.
        shape: what the compact form must look like.
        country: whose residents carry it.
        words: words that must stand near it; empty where its structure is proof enough.
    """

    entity: str
    module: str
    shape: re.Pattern[str]
    country: str
    words: tuple[str, ...] = ()


def _scheme(entity: str, module: str, shape: str, words: str = "") -> Scheme:
    country = {"in_": "IN", "is_": "IS"}.get(module.partition(".")[0], module[:2].upper())
    return Scheme(entity, module, re.compile(shape), country, tuple(words.split()))


#: Schemes in order of preference; the first that fits names the number.
SCHEMES: tuple[Scheme, ...] = (
    _scheme("IT_FISCAL_CODE", "it.codicefiscale", r"[A-Z]{6}\d\w[A-Z]\w{2}[A-Z]\w{3}[A-Z]"),
    _scheme("FI_PERSONAL_IDENTITY_CODE", "fi.hetu", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]"),
    _scheme("FR_NIR", "fr.nir", r"[12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)\d[\dAB]\d{8}"),
    _scheme("CH_AHV", "ch.ssn", r"756\d{10}"),
    _scheme("ES_NIE", "es.nie", r"[XYZ]\d{7}[A-Z]"),
    _scheme("ES_NIF", "es.dni", r"\d{8}[A-Z]", "dni nif documento identidad fiscal"),
    _scheme("IE_PPS", "ie.pps", r"\d{7}[A-W][A-IW]?", "pps ppsn pps-no"),
    _scheme(
        "US_SSN", "us.ssn", r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}",
        "ssn social security ssns",
    ),
    _scheme("UK_NHS", "gb.nhs", r"\d{10}", "nhs"),
    _scheme("PL_PESEL", "pl.pesel", r"\d{11}", "pesel"),
    _scheme("BG_EGN", "bg.egn", r"\d{10}", "egn егн ucn"),
    _scheme("GR_AMKA", "gr.amka", r"\d{11}", "amka αμκα"),
    _scheme("DE_TAX_ID", "de.idnr", r"[1-9]\d{10}", "steuer-id steueridentifikationsnummer idnr "
            "steuer-idnr steueridnr tax"),
    _scheme("SE_PERSONNUMMER", "se.personnummer", r"(?:\d{2})?\d{6}[-+]?\d{4}",
            "personnummer personnr pnr"),
    _scheme("DK_CPR", "dk.cpr", r"\d{6}-?\d{4}", "cpr cpr-nr cpr-nummer"),
    _scheme("NO_FODSELSNUMMER", "no.fodselsnummer", r"\d{11}", "fødselsnummer personnummer fnr"),
    _scheme("NL_BSN", "nl.bsn", r"\d{9}", "bsn burgerservicenummer sofinummer"),
    _scheme("BE_NN", "be.nn", r"\d{11}", "rijksregisternummer national registre insz niss"),
    _scheme("PT_NIF", "pt.nif", r"\d{9}", "nif contribuinte"),
    _scheme("RO_CNP", "ro.cnp", r"[1-9]\d{12}", "cnp"),
    _scheme("CZ_RC", "cz.rc", r"\d{6}/?\d{3,4}", "rodné rodne číslo cislo rč"),
    _scheme("AT_VNR", "at.vnr", r"\d{10}", "svnr sozialversicherungsnummer versicherungsnummer"),
    _scheme("LT_ASMENS", "lt.asmens", r"[3-6]\d{10}", "asmens kodas"),
    _scheme("EE_IK", "ee.ik", r"[1-8]\d{10}", "isikukood"),
    _scheme("HR_OIB", "hr.oib", r"\d{11}", "oib"),
    _scheme("SI_EMSO", "si.emso", r"\d{13}", "emšo emso"),
    _scheme("TR_NATIONAL_ID", "tr.tckimlik", r"[1-9]\d{10}", "tc kimlik"),
    _scheme("BR_CPF", "br.cpf", r"\d{11}", "cpf"),
    _scheme("IN_AADHAAR", "in_.aadhaar", r"[2-9]\d{11}", "aadhaar"),
    _scheme("MX_CURP", "mx.curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d"),
    _scheme("CN_RIC", "cn.ric", r"[1-8]\d{5}(?:19|20)\d{9}"),
    _scheme("KR_RRN", "kr.rrn", r"\d{6}-?\d{7}", "rrn resident 주민등록번호 주민번호"),
    _scheme("UK_UPN", "gb.upn", r"[A-Z]\d{12}", "upn pupil"),
    _scheme("UK_UTR", "gb.utr", r"\d{10}", "utr taxpayer"),
    _scheme("BE_NN", "be.bis", r"\d{11}", "bis registre rijksregisternummer niss insz"),
    _scheme("BG_PNF", "bg.pnf", r"\d{10}", "лнч лнч/лн lnch"),
    _scheme("SK_RC", "sk.rc", r"\d{6}/?\d{3,4}", "rodné rodne číslo cislo rč"),
    _scheme("IS_KENNITALA", "is_.kennitala", r"\d{6}-?\d{4}", "kennitala kt"),
    _scheme("FR_NIF", "fr.nif", r"[0-3]\d{12}", "fiscal fiscale spi"),
    _scheme("GR_AFM", "gr.vat", r"\d{9}", "αφμ α.φ.μ afm"),
    _scheme("PL_NIP", "pl.nip", r"\d{10}", "nip"),
    _scheme("UA_RNTRC", "ua.rntrc", r"\d{10}", "рнокпп іпн ідентифікаційний"),
    _scheme("RU_INN", "ru.inn", r"\d{12}", "инн inn"),
    _scheme("US_ITIN", "us.itin", r"9\d{8}", "itin"),
    _scheme("CA_SIN", "ca.sin", r"\d{9}", "sin social insurance nas"),
    _scheme("CL_RUT", "cl.rut", r"\d{7,8}-?[\dK]", "rut run"),
    _scheme("EC_CI", "ec.ci", r"\d{10}", "cédula cedula"),
    _scheme("AU_TFN", "au.tfn", r"\d{8,9}", "tfn tax-file-number"),
    _scheme("NZ_IRD", "nz.ird", r"\d{8,9}", "ird"),
    _scheme("ZA_ID_NUMBER", "za.idnr", r"\d{13}", "identity id-number id"),
    _scheme("IL_ID", "il.idnr", r"\d{9}", "teudat zehut זהות"),
    _scheme("JP_MY_NUMBER", "jp.in_", r"\d{12}", "my-number mynumber マイナンバー 個人番号"),
    _scheme("TH_TNIN", "th.pin", r"[1-8]\d{12}", "thai บัตรประชาชน เลขประจำตัวประชาชน"),
    _scheme("MY_NRIC", "my.nric", r"\d{6}-?\d{2}-?\d{4}", "nric mykad"),
    _scheme("PK_CNIC", "pk.cnic", r"\d{5}-?\d{7}-?\d", "cnic nadra"),
)  # fmt: skip

#: Countries by entity type, for estimating where a person lives.
COUNTRY_OF: dict[str, str] = {scheme.entity: scheme.country for scheme in SCHEMES} | {
    "UK_NHS": "GB",
    "UK_NINO": "GB",
    "UK_UPN": "GB",
    "DE_HEALTH_INSURANCE": "DE",
    "IN_PAN": "IN",
    "SG_NRIC_FIN": "SG",
    "US_MBI": "US",
    "UK_UTR": "GB",
}

_NINO = re.compile(r"(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z]\d{6}[A-D]")
_NINO_BANNED = frozenset(("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"))


@lru_cache(maxsize=64)
def _validator(module: str) -> Callable[[str], bool]:
    found: Any = importlib.import_module(f"stdnum.{module}")
    check: Callable[[str], bool] = found.is_valid
    return check


#: Schemes whose structure is proof enough, and those of plain digits by the word that names them.
_STRUCTURED = tuple(scheme for scheme in SCHEMES if not scheme.words)
_NAMED: dict[str, tuple[Scheme, ...]] = {
    word: tuple(s for s in SCHEMES if word in s.words)
    for word in sorted({word for scheme in SCHEMES for word in scheme.words})
}
_DATED = re.compile(r"(?:19|20)\d\d[-/.](?:0\d|1[0-2])[-/.](?:[0-2]\d|3[01])")


def identify(compact: str, nearby: frozenset[str]) -> Scheme | None:
    """Name the scheme of a number.

    Args:
        compact: the number in capitals without blanks (other separators as written).
        nearby: lower-case words around it.

    Returns:
        The first scheme whose shape, check and words fit, or None.
    """
    schemes = _STRUCTURED
    for word in nearby & _NAMED.keys():
        schemes += _NAMED[word]
    if len(schemes) > len(_STRUCTURED):
        schemes = tuple(scheme for scheme in SCHEMES if scheme in schemes)
    plain = re.sub(r"[./-]", "", compact)
    if _DATED.match(compact):
        return None
    for scheme in schemes:
        for form in (compact, plain):
            if not scheme.shape.fullmatch(form):
                continue
            try:
                if _validator(scheme.module)(form):
                    return scheme
            except (ValueError, IndexError, KeyError):
                break  # a shape that the validator itself cannot read
    return None


def is_nino(compact: str) -> bool:
    """True for a UK national insurance number (no check digit, but a narrow shape)."""
    return bool(_NINO.fullmatch(compact)) and compact[:2] not in _NINO_BANNED


@lru_cache(maxsize=20_000)
def is_iban(compact: str) -> bool:
    """True where country, length, structure and the ISO 7064 check of an IBAN are right."""
    from stdnum import iban

    return bool(iban.is_valid(compact, check_country=False))


@lru_cache(maxsize=20_000)
def is_card(digits: str) -> bool:
    """True for a payment card number: known prefix and length, Luhn check, not one digit over."""
    from stdnum import luhn

    known = re.fullmatch(
        r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
        r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}",
        digits,
    )
    return bool(known) and len(set(digits)) > 1 and bool(luhn.is_valid(digits))
