"""Themes whose meaning survives colour blindness, and the symbols that stand beside every colour.

Blue and orange are the pair that all common forms of colour blindness keep apart (Okabe and Ito,
"Color Universal Design", 2008); red against green is never used.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="irkit",
    primary="#5aa9e6",
    secondary="#8fc1ea",
    accent="#f2a541",
    warning="#f2c14e",
    error="#ff8552",
    success="#7cc6f2",
    foreground="#dde5ee",
    background="#0d1218",
    surface="#131a23",
    panel="#1d2733",
    dark=True,
    variables={
        "block-cursor-background": "#2f5d8a",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-blurred-background": "#24384d",
        "block-cursor-blurred-foreground": "#dde5ee",
        "footer-key-foreground": "#f2c14e",
        "footer-background": "#1d2733",
        "border": "#3b5168",
        "border-blurred": "#2a3947",
        "input-selection-background": "#5aa9e6 35%",
        "muted": "#93a1b1",
    },
)

LIGHT = Theme(
    name="irkit-light",
    primary="#0b5fa5",
    secondary="#2d6ea3",
    accent="#a65300",
    warning="#8a5a00",
    error="#b23c00",
    success="#00629b",
    foreground="#17202a",
    background="#fbfcfd",
    surface="#f1f4f7",
    panel="#e3e9ef",
    dark=False,
    variables={
        "block-cursor-background": "#0b5fa5",
        "block-cursor-foreground": "#ffffff",
        "footer-key-foreground": "#a65300",
        "border": "#8fa3b5",
        "border-blurred": "#c3cfd9",
        "muted": "#53616e",
    },
)

CONTRAST = Theme(
    name="irkit-contrast",
    primary="#66ccff",
    secondary="#ffffff",
    accent="#ffd000",
    warning="#ffd000",
    error="#ffb070",
    success="#66ccff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables={
        "block-cursor-background": "#ffffff",
        "block-cursor-foreground": "#000000",
        "footer-key-foreground": "#ffd000",
        "border": "#ffffff",
        "border-blurred": "#a0a0a0",
        "muted": "#d8d8d8",
    },
)

THEMES = (DARK, LIGHT, CONTRAST)

#: Symbol and word for every state that also has a colour; (symbol, word, style variable).
TIER = {
    "A": ("◆", "A strong", "bold $accent"),
    "B": ("▲", "B likely", "$warning"),
    "C": ("△", "C weak", "$secondary"),
    "D": ("·", "D note", "$muted"),
}
PROVENANCE = {
    "memorised": ("■", "memorised", "bold $accent"),
    "unverified": ("?", "unverified", "$warning"),
    "cue_derivable": ("~", "cue-derivable", "$secondary"),
    "echo": ("=", "echo", "$muted"),
    "probe": ("»", "probe", "$primary"),
}
#: Of what the evidence shows and where it ends: symbol, word, style.
STANDING = {
    "harm": ("◆", "harm", "bold $accent"),
    "doubt": ("!", "doubt", "bold $warning"),
    "note": ("·", "note", "$muted"),
}
EVIDENCE = {
    "verified": ("✓", "verified", "$success"),
    "mismatch": ("✗", "MISMATCH", "bold $error"),
    "unverifiable": ("?", "unverifiable", "bold $warning"),
}
DETECTOR = {
    "FOUND": ("◆", "found", "bold $accent"),
    "NO_FINDINGS": ("–", "nothing", "$muted"),
    "NOT_APPLICABLE": ("∅", "not applicable", "$muted"),
    "ERROR": ("✗", "error", "bold $error"),
}
VERDICT = {
    "confirm": ("✓", "confirmed", "$success"),
    "reject": ("✗", "rejected", "$muted"),
    "unsure": ("?", "unsure", "$warning"),
    None: ("·", "open", "$muted"),
}
APPLIES = {
    "yes": ("●", "applies", "bold $accent"),
    "unknown": ("?", "unknown", "$warning"),
    "no": ("○", "does not apply", "$muted"),
}
URGENCY = {
    "over": ("‼", "bold $error"),
    "soon": ("!", "bold $warning"),
    "ahead": ("◷", "$foreground"),
}
STEP = {
    "done": ("✓", "done", "$success"),
    "in_progress": ("◐", "in progress", "$warning"),
    "open": ("○", "open", "bold $accent"),
    "blocked": ("▪", "waits", "$muted"),
    "not_applicable": ("–", "not needed", "$muted"),
}
SUBJECT = {
    "confirmed": ("■", "confirmed", "bold $accent"),
    "probable": ("▲", "probable", "$warning"),
    "unverified": ("?", "unverified", "$muted"),
}
