"""The shapes of every document that ``--json`` prints, as JSON Schema (draft 2020-12)."""
