"""Signing a finished packet: PAdES baseline B, offline, as the last step (extra ``sign``).

The signature is an incremental update: the signed file begins with the unsigned packet's bytes.
irkit checks that a signature is intact; whether its signer is to be trusted is for the reader's
own trust list.
"""

from __future__ import annotations

import hashlib
import io
import logging
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import StorageError, UsageError

if TYPE_CHECKING:
    from irkit.case import Case

# The library logs tracebacks for what irkit says in one sentence; without a handler Python would
# print them on the user's terminal.
for _name in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

#: Name of the signed file beside the packet.
SIGNED = "packet.signed.pdf"


def sign_packet(
    pdf: Path, key: Path, passphrase: bytes, *, reason: str = "", case: Case | None = None
) -> Path:
    """Sign a packet with a PKCS#12 key and write ``packet.signed.pdf`` beside it.

    Args:
        pdf: the finished packet.
        key: PKCS#12 file with key and certificate.
        passphrase: its passphrase, from a prompt or a file, never from the command line.
        reason: shown in the signature.
        case: where the act is recorded, if given and writable.

    Raises:
        UsageError: pyHanko is missing, or key, passphrase or packet cannot be used.
        StorageError: the signed file cannot be written.
    """
    try:
        signers: Any = import_module("pyhanko.sign.signers")
        fields: Any = import_module("pyhanko.sign.fields")
        writer: Any = import_module("pyhanko.pdf_utils.incremental_writer")
    except ImportError as error:
        raise UsageError(
            "signing needs the package pyHanko", "install irkit with the extra 'sign'"
        ) from error
    if not key.is_file():
        raise UsageError(f"{key}: no such key file", "give a PKCS#12 file (.p12, .pfx)")
    signer = signers.SimpleSigner.load_pkcs12(str(key), passphrase=passphrase)
    if signer is None:
        raise UsageError(f"{key}: cannot be opened", "wrong passphrase, or no PKCS#12 file")
    try:
        body = pdf.read_bytes()
        signed = signers.sign_pdf(
            writer.IncrementalPdfFileWriter(io.BytesIO(body)),
            signers.PdfSignatureMetadata(
                field_name="Controller",
                subfilter=fields.SigSeedSubFilter.PADES,
                reason=reason or None,
            ),
            signer=signer,
        ).getvalue()
    except OSError as error:
        raise UsageError(f"{pdf}: cannot be read: {error.strerror}") from error
    except Exception as error:
        # The library raises many types of its own for a PDF it cannot extend.
        raise UsageError(f"{pdf}: cannot be signed ({type(error).__name__})") from error
    out = pdf.with_name(SIGNED)
    digest = hashlib.sha256(signed).hexdigest()
    try:
        out.write_bytes(signed)
        out.with_name(SIGNED + ".sha256").write_text(f"{digest}  {SIGNED}\n", "utf-8")
    except OSError as error:
        raise StorageError(f"{out}: cannot be written: {error.strerror}") from error
    if case is not None and case.writable:
        case.custody.append("sign", file=SIGNED, sha256=digest, reason=reason)
    return out


def signature_state(pdf: bytes) -> tuple[bool | None, str]:
    """Check the signatures of a PDF: intact, broken, or None where it cannot be told.

    Returns:
        The state and a sentence; an unsigned PDF is None with "not signed".
    """
    if b"/ByteRange" not in pdf:
        return None, "not signed"
    try:
        reader: Any = import_module("pyhanko.pdf_utils.reader")
        validation: Any = import_module("pyhanko.sign.validation")
    except ImportError:
        return None, "signed; pyHanko is not installed, so the signature cannot be checked"
    try:
        # No trust list of this machine, no fetching: irkit never goes to the network.
        trust = import_module("pyhanko_certvalidator").ValidationContext(
            trust_roots=[], allow_fetching=False
        )
        found = reader.PdfFileReader(io.BytesIO(pdf)).embedded_signatures
        words, intact = [], bool(found)
        for signature in found:
            status = validation.validate_pdf_signature(signature, signer_validation_context=trust)
            good = bool(status.intact and status.valid) and signature.evaluate_signature_coverage(
            ).name in ("ENTIRE_FILE", "ENTIRE_REVISION")  # fmt: skip
            intact = intact and good
            name = status.signing_cert.subject.human_friendly
            words.append(f"{'intact' if good else 'BROKEN'}, signer {name}; trust not checked")
    except Exception as error:
        # A damaged signature fails in many ways inside the library; all mean the same here.
        return False, f"the signature cannot be read ({type(error).__name__})"
    return intact, "; ".join(words)
