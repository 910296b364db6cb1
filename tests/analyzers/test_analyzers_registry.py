"""Detectors register themselves; a plug-in that fails becomes a warning."""

from __future__ import annotations

from irkit.analyzers import load_detectors as public_load
from irkit.analyzers.registry import load_detectors
from irkit.model import Technique


class _Plugin:
    def __init__(self, name, error=None):
        self.name, self._error = name, error

    def load(self):
        if self._error:
            raise self._error


def test_every_detector_declares_what_it_needs_and_where_it_errs():
    registry = load_detectors(entry_points=[])
    assert {"D2", "D3", "D4", "D5", "D6", "D7", "D10", "D11", "D12"} <= set(registry.detectors)
    names = [d.spec.name for d in registry.detectors.values()]
    assert len(set(names)) == len(names)
    for detector in registry.detectors.values():
        spec = detector.spec
        for text in (spec.title, spec.looks_for, spec.statistic, spec.threshold_source, spec.cost):
            assert text
        assert spec.known_false_positives
        assert spec.atlas and all(tag.startswith("AML.") for tag in spec.atlas)
        assert spec.nist_aml and spec.owasp and spec.version
        for statistic in spec.statistics:
            assert statistic.key.startswith(spec.id + ".")
            assert statistic.weights
            assert all(isinstance(t, Technique) and w > 0 for t, w in statistic.weights.items())


def test_statistics_and_signatures_keep_one_order():
    first, second = load_detectors(entry_points=[]), public_load()
    assert [s.key for _, s in first.statistics()] == [s.key for _, s in second.statistics()]
    keys = [s.key for _, s in first.signatures()]
    assert len(set(keys)) == len(keys)
    ids = list(first.detectors)
    assert ids == sorted(ids, key=lambda key: int(key[1:]))


def test_a_broken_plugin_is_a_warning():
    registry = load_detectors(
        entry_points=[_Plugin("zz_bad", ImportError("no such thing")), _Plugin("aa_fine")]
    )
    assert [(w.plugin, w.reason) for w in registry.warnings] == [
        ("zz_bad", "ImportError: no such thing")
    ]
    assert "D2" in registry.detectors
