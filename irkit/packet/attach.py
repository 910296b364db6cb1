"""Second pass over the PDF: embed the packet's JSON, XMP metadata, viewer preferences.

reportlab draws, pikepdf attaches; with fixed dates and a content-derived file id the bytes are the
same for the same packet.  No PDF/A flag is set: irkit has not run a validator on the file.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pikepdf
from pikepdf import AttachedFileSpec, Dictionary, Name

from irkit.packet.model import Head


def attach(pdf: bytes, data: bytes, head: Head) -> bytes:
    """Embed ``packet.json`` as the PDF's associated data and set its metadata."""
    built = datetime.fromisoformat(head.built_at)
    date = pikepdf.models.metadata.encode_pdf_date(built)
    with pikepdf.open(io.BytesIO(pdf)) as document:
        spec = AttachedFileSpec(
            document,
            data,
            filename="packet.json",
            mime_type="application/json",
            description="The packet as data, same facts as the pages",
            relationship=Name("/Data"),
            creation_date=date,
            mod_date=date,
        )
        document.attachments["packet.json"] = spec
        document.Root.AF = document.make_indirect([document.attachments["packet.json"].obj])
        document.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
        document.Root.PageMode = Name("/UseOutlines")
        document.docinfo["/CreationDate"] = date
        document.docinfo["/ModDate"] = date
        with document.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as meta:
            _describe(meta, document, head)
        out = io.BytesIO()
        document.save(
            out,
            deterministic_id=True,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            linearize=False,
        )
    return out.getvalue()


def _describe(meta: Any, document: pikepdf.Pdf, head: Head) -> None:
    meta["dc:title"] = str(document.docinfo.get("/Title", "Breach notification packet"))
    meta["dc:creator"] = [head.controller]
    meta["dc:description"] = f"{head.phase} notification, packet {head.number}"
    meta["dc:language"] = [head.language]
    meta["dc:format"] = "application/pdf"
    meta["xmp:CreatorTool"] = head.tool
    meta["xmp:CreateDate"] = head.built_at
    meta["xmp:ModifyDate"] = head.built_at
    meta["pdf:Keywords"] = str(document.docinfo.get("/Keywords", ""))


def embedded_json(pdf: bytes) -> bytes | None:
    """Return the embedded ``packet.json`` of a PDF, or None."""
    try:
        with pikepdf.open(io.BytesIO(pdf)) as document:
            if "packet.json" not in document.attachments:
                return None
            return bytes(document.attachments["packet.json"].get_file().read_bytes())
    except (pikepdf.PdfError, ValueError, KeyError):
        return None
