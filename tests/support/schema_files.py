"""Writes the schemas of all documents into ``packaging/schemas``, from where others can take them.

``python -m tests.support.schema_files`` after a change; what it changes there is for a reviewer to see.
"""

import json
from pathlib import Path

from copyagent.schemas.catalogue import DOCUMENTS

FOLDER = Path(__file__).parents[2] / "packaging" / "schemas"


def main() -> None:
    """Write each anew, and remove what is of no document any more."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for document in DOCUMENTS.values():
        text = json.dumps(document.schema(), indent=1) + "\n"
        (FOLDER / document.file).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
