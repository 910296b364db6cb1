"""Credentials in model output: detect-secrets' patterns, and values that a word names as secret.

detect-secrets is written for source files, line by line; here its pattern plugins are run over
whole texts, which gives offsets.  Where a plugin's pattern would take quadratic time on hostile
text (JWT, npm, OpenAI, basic auth) or is bound to whole lines (Telegram), a bounded one stands
here, and its keyword plugin is replaced by one that reads prose and configuration alike ("the
password is ...", ``api_key = ...``) with an entropy gate.  Nothing is verified against a service.
"""

from __future__ import annotations

import importlib
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

#: detect-secrets plugin (module, class) and the entity type of what it finds.
_PLUGINS: tuple[tuple[str, str, str], ...] = (
    ("artifactory", "ArtifactoryDetector", "ACCESS_TOKEN"),
    ("aws", "AWSKeyDetector", "API_KEY"),
    ("azure_storage_key", "AzureStorageKeyDetector", "API_KEY"),
    ("github_token", "GitHubTokenDetector", "ACCESS_TOKEN"),
    ("gitlab_token", "GitLabTokenDetector", "ACCESS_TOKEN"),
    ("pypi_token", "PypiTokenDetector", "ACCESS_TOKEN"),
    ("sendgrid", "SendGridDetector", "API_KEY"),
    ("slack", "SlackDetector", "ACCESS_TOKEN"),
    ("square_oauth", "SquareOAuthDetector", "ACCESS_TOKEN"),
    ("stripe", "StripeDetector", "API_KEY"),
)

#: Bounded patterns of our own: entity type, recogniser, pattern (group 1 is the secret if there).
_OWN: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("PASSWORD", "irkit-url-password", re.compile(r"://[^\s\x00/:@]{1,64}:([^\s\x00/@]{3,128})@")),
    (
        "ACCESS_TOKEN",
        "irkit-jwt",
        re.compile(r"\beyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{8,2000}"),
    ),
    ("ACCESS_TOKEN", "irkit-npm", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("API_KEY", "irkit-openai", re.compile(r"\bsk-(?:[A-Za-z]{2,12}-)?[\w-]{32,200}")),
    ("ACCESS_TOKEN", "irkit-telegram", re.compile(r"\b\d{8,10}:[\w-]{35}(?![\w-])")),
)

#: Entity types of this module.
SECRETS = frozenset({"ACCESS_TOKEN", "API_KEY", "PASSWORD", "PRIVATE_KEY"})

#: What a piece of text must hold for :func:`find_named` (a Rust regular expression).
NAMED = (
    r"(?i)pass(?:word|wd|wort|phrase|code)|pwd|secret|token|(?:api|access|auth)[_ -]?key"
    r"|service key|contrase|mot de passe|κωδικ|парол|hasł|salasana|lösen|wachtw"
)
#: The same for :func:`find_tokens`.
TOKENS = (
    r"AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9]|(?i:aws)|eyJ|gh[pousr]_|gl[a-z]+-|GR1348941|xox[abeoprs]"
    r"|sk-|[sr]k_live|_(?:test|live|prod|key|sec)_|whs|npm_|pypi-|sq0|SG\.|AccountKey"
    r"|hooks\.slack|AKC|AP[0-9A-F]|\d:[0-9A-Za-z_-]{30}|://[^\s\x00/:@]+:[^\s\x00/@]+@"
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN ([A-Z ]*PRIVATE KEY(?: BLOCK)?)-----[^-\x00]{0,20000}(?:-----END \1-----)?"
)
_NAMED = re.compile(
    r"(?P<word>(?:pass(?:word|wd|wort|phrase|code)|pwd|secret|token|api[_ -]?key"
    r"|access[_ -]?key|auth[_ -]?key|service key|contraseña|contrasena|mot de passe|κωδικός|парола"
    r"|hasło|salasana|lösenord|wachtwoord)\w{0,12}\b)"
    r"(?P<link>[\"'`\]]{0,2}\s{0,3}(?:=>|:=|={1,3}|:|->|—|–|-)\s{0,3}|\s+(?:is|was|ist|est|es|è|on|är)"
    r"\s*:?\s+|\s+)(?P<quote>[\"'`]?)(?P<value>[^\s\x00\"'`,;<>()\[\]{}]{6,200})",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"(?<![A-Za-z0-9_])(?:[a-z]{2,8}_(?:test|live|prod|key|sec)_|whs_|whsec_)[A-Za-z0-9]{12,64}"
    r"(?![A-Za-z0-9])"
)
_PLACEHOLDER = re.compile(
    r"(?i)^[<{\[$%*x._-]*(?:your|my|the|example|sample|placeholder|changeme|redacted|hidden|secret"
    r"|password|token|null|none|true|false|undefined|string|here)[\w>}\]-]*$|^[*•x.]+$"
)
#: Bits per character above which a value is unlikely to be a word (measured on English words: under
#: 3.0 for nine in ten of 8 letters; random base62 of 12 characters gives about 3.4).
_ENTROPY = 2.8

#: start, end, entity type, recogniser, score, the secret itself.
Found = tuple[int, int, str, str, float, str]


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    found = list(_OWN)
    for module, name, entity in _PLUGINS:
        plugin = getattr(importlib.import_module(f"detect_secrets.plugins.{module}"), name)()
        found += [(entity, f"detect-secrets-{module}", pattern) for pattern in plugin.denylist]
    return tuple(found)


def find_blocks(text: str) -> Iterator[Found]:
    """Find private keys in PEM form."""
    for block in _KEY_BLOCK.finditer(text):
        yield block.start(), block.end(), "PRIVATE_KEY", "irkit-key-block", 1.0, block[0]


def find_tokens(text: str) -> Iterator[Found]:
    """Find credentials of a known form."""
    for entity, recogniser, pattern in _patterns():
        for match in pattern.finditer(text):
            group = next((i for i in range(len(match.groups()), 0, -1) if match[i]), 0)
            # Plugins capture either the secret or a part of its prefix.
            if group and len(match[group]) < 8 and not recogniser.startswith("irkit"):
                group = 0
            yield match.start(group), match.end(group), entity, recogniser, 1.0, match[group]
    for match in _GENERIC.finditer(text):
        if _random(match[0].rpartition("_")[2]):
            yield match.start(), match.end(), "API_KEY", "irkit-token", 0.9, match[0]


def find_named(text: str) -> Iterator[Found]:
    """Find values that a word names as secret."""
    for match in _NAMED.finditer(text):
        value = match["value"].rstrip(".:!?)…")
        assigned = bool(match["link"].strip())
        if len(value) < 6 or _PLACEHOLDER.match(value):
            continue
        if not (_random(value) or (match["quote"] and _mixed(value))):
            continue
        word = match["word"].lower()
        entity = "API_KEY" if "key" in word or "token" in word else "PASSWORD"
        start = match.start("value")
        score = 0.85 if assigned else 0.75
        yield start, start + len(value), entity, "irkit-named-secret", score, value


def _mixed(value: str) -> bool:
    kinds = (str.isdigit, str.islower, str.isupper, lambda c: not c.isalnum())
    return sum(any(map(kind, value)) for kind in kinds) >= 2


def _random(value: str) -> bool:
    """True where a value looks drawn at random rather than written."""
    if not _mixed(value) or not any(c.isdigit() for c in value):
        return False
    if re.fullmatch(r"[\d.,:/-]+|v?\d+(?:\.\d+)+\w*|https?://.*|\d{4}-\d\d-\d\d.*", value):
        return False
    counts = Counter(value)
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    return len(value) >= 8 and bits >= _ENTROPY
