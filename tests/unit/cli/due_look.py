"""A look, as the ledger has it, that asks for a retraining."""

DUE = """{
  "report": {"model": "prices", "watched": "data", "champion_version": 1, "champion_since": "2026-01-01T00:00:00Z",
             "as_of": "2026-02-01T00:00:00Z", "window_start": "2026-01-25T00:00:00Z",
             "window_end": "2026-02-01T00:00:00Z"},
  "decision": {"judgement": {"verdict": "failed", "results": []}, "is_drifting": true, "reasons": ["drift"],
               "sentence": "wind moved"},
  "is_due": true, "champion_since": 1}"""
