"""``copyagent json-schema``: the shapes of what ``--json`` prints, for whoever reads it by program."""

import json

import click

from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.near_names import near


@click.command("json-schema")
@click.argument("name", required=False)
def json_schema(name: str | None) -> None:
    """Print the JSON Schema of the documents called NAME, or list all kinds of documents.

    It needs neither settings nor an agent.
    """
    # What the schemas are made of is most of the program, which no other command should wait for.
    from copyagent.schemas.catalogue import DOCUMENTS

    if name is None:
        for document in DOCUMENTS.values():
            form = "one a line" if document.lines else "one document"
            by = ", ".join(document.by) or document.title
            click.echo(f"{document.name} {document.version} ({form}): {by}")
        return
    if name not in DOCUMENTS:
        meant = near(name, DOCUMENTS)
        hint = f"did you mean {meant}? " if meant else ""
        raise NameUnknown(f"no kind of document {name!r}; {hint}copyagent json-schema lists them")
    click.echo(json.dumps(DOCUMENTS[name].schema(), indent=1))
