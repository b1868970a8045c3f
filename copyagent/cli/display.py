"""Status and explanation for people: tables and plain sentences, colours only on a terminal."""

import textwrap
from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vtsfs.contract.releases import other_release
from vtsfs.contract.units import format_count, format_duration, format_size

Document = dict[str, Any]

#: Tapes that need attention are listed up to this number; the rest is counted.
MOST_LISTED = 20


def overview(document: Document, width: int) -> RenderableType:
    """Show a status document, *width* columns wide: pools, links, copies, what needs attention."""
    parts: list[RenderableType] = [
        Text(f"{document['system']}  {document['at']}  copyagent {document['version']}"),
        *_releases(document),
        *_settings(document.get("settings", {})),
        *_licence(document.get("licence", {})),
        _pools(document["pools"]),
        _links(document),
    ]
    if document["copies"]:
        parts.append(_copies(document["copies"]))
    if document["attention"]:
        left_out = document.get("attention_left_out", 0)
        parts.append(_attention(document["attention"], left_out, width))
    elif not all(vault["swept"] for vault in document["vaults"]):
        parts.append(Text("Not every vault has been looked at yet: more may be unprotected."))
    elif not any(vault.get("unread_pools") for vault in document["vaults"]):
        parts.append(Text("Every known tape of the watched pools is protected.", style="green"))
    return Group(*_spaced(parts))


def _releases(document: Document) -> list[RenderableType]:
    """Say what runs that is not what is installed, and what it takes; usually there is nothing to say."""
    installed = document.get("installed")
    agent = other_release(document["version"], installed)
    overlays = {
        vault["vault"]: other_release(vault.get("version", ""), installed)
        for vault in document["vaults"]
        if vault["attached"]
    }
    lines = [f"{agent}: it takes over when the agent is started again"] if agent else []
    lines += [
        f"Overlay of {vault}: {other}: it takes over when the vault is attached anew"
        for vault, other in overlays.items()
        if other
    ]
    return [Text(line, style="yellow") for line in lines]


def _settings(document: Document) -> list[RenderableType]:
    """Say what of the settings file is not in force; usually there is nothing to say."""
    lines = []
    if document.get("not_in_force"):
        lines.append(
            f"The settings file on disk is not in force: {document['not_in_force']}. "
            "Mend it (copyagent check), then: copyagent reload"
        )
    if document.get("waiting_for_restart"):
        keys = ", ".join(document["waiting_for_restart"])
        lines.append(f"Not in force before the agent is started again: {keys}")
    return [Text(line, style="yellow") for line in lines]


def _licence(document: Document) -> list[RenderableType]:
    """Say how it stands with the licence where somebody has to act; usually there is nothing to say."""
    if not document or document["standing"] in ("not required", "valid"):
        return []
    if not document["copying"]:
        text = f"NOTHING IS COPIED: {document['why']}. {document['next']}"
        return [Text(text, style="bold red")]
    return [Text(f"Licence: {document['why']}. {document['next']}", style="yellow")]


def explanation(document: Document, width: int) -> RenderableType:
    """Show everything about one tape, in the order in which it came about, *width* columns wide."""
    shield = "protected" if document["protected"] else "NOT PROTECTED"
    since = document["unprotected_since"]
    size = document["size"]
    lines = [
        f"{document['tape']}  {shield}{f' since {since}' if since else ''}",
        f"  generation {document['generation']}, "
        + ("content unknown" if size is None else f"{size} bytes, changed {document['modified']}"),
        "",
        "Evidence not judged yet",
        *_evidence(document["evidence"]),
        "",
        "Last verdict",
        *verdict_lines(document["verdict"]),
        "",
        "Copies",
    ]
    for copy in document["copies"]:
        lines += _copy(copy)
    lines += ["", "History"]
    lines += [f"  {entry['at']}  {entry['what']}" for entry in document["history"]]
    return Text("\n".join(folded(line, width) for line in lines))


def folded(line: str, width: int) -> str:
    """Fold a long line under its own indentation, never within a word: digests stay whole."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )


def _spaced(parts: Iterable[RenderableType]) -> list[RenderableType]:
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text("")]
    return spaced[:-1]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _pools(pools: list[Document]) -> Table:
    table = _table("Pool", "Target", "Tapes", "Protected", "Unprotected", "Oldest", "States")
    for pool in pools:
        behind = pool["unprotected"]
        table.add_row(
            pool["pool"],
            pool["target"],
            str(pool["tapes"]),
            str(pool["protected"]),
            Text(str(behind), style="red" if behind else ""),
            Text(_age(pool), style="red" if pool.get("behind_since") else ""),
            ", ".join(f"{count} {state}" for state, count in sorted(pool["states"].items())),
        )
    return table


def _age(pool: Document) -> str:
    age = pool["oldest_unprotected_s"]
    shown = "-" if age is None else format_duration(age)
    return f"{shown} BEHIND" if pool.get("behind_since") else shown


def _links(document: Document) -> Table:
    table = _table("Link", "State", "Since", "Remark")
    for vault in document["vaults"]:
        remarks = [vault["trouble"]]
        if not vault["attached"]:
            remarks.append(f"next: vtsfs attach {vault['vault']}")
        if vault.get("unread_pools"):
            remarks.append(f"CANNOT BE READ: {', '.join(vault['unread_pools'])}")
        if vault["not_tapes"]:
            names = ", ".join(vault["not_tapes_examples"])
            remarks.append(f"{vault['not_tapes']} names are not tapes, not copied: {names}")
        remark = "; ".join(filter(None, remarks))
        _link(table, f"vault {vault['vault']}", vault["attached"], vault["since"], remark)
    for host in document["hosts"]:
        _link(table, f"host {host['host']}", host["up"], host["since"], _host_remark(host))
    for target in document["targets"]:
        name, remark = f"target {target['target']}", _target_remark(target, document["pools"])
        _link(table, name, target["up"], target["since"], remark)
    return table


def _target_remark(target: Document, pools: list[Document]) -> str:
    """Tell why less is copied to a target than could be: trouble, pauses, its window."""
    remarks = [target["trouble"]]
    window = target.get("window")
    if window:
        turns, left = "closes" if window["open"] else "opens", format_duration(window["turns_in_s"])
        remarks.append(f"window {window['hours']}, {turns} in {left}")
    paused = [("", target.get("paused"))]
    paused += [
        (f"{pool['pool']} ", pool.get("paused"))
        for pool in pools
        if pool["target"] == target["target"]
    ]
    for what, pause in paused:
        if pause:
            until = f" until {pause['until']}" if pause["until"] else ""
            remarks.append(f"{what}PAUSED{until} by {pause['by']}: {pause['because']}")
    return "; ".join(filter(None, remarks))


def _host_remark(host: Document) -> str:
    """Tell in short how a host's link fares; ``ems status`` has the rest."""
    if host["trouble"]:
        return str(host["trouble"])
    silent = host.get("silent_s")
    last = host["last_event"] or "never"
    remarks = [
        f"{format_count(host['events'], 'event')}, last {last}"
        + (f" ({format_duration(silent)} ago)" if silent is not None else "")
    ]
    unread, garbage = host.get("unrecognised", 0), host.get("garbage_lines", 0)
    if unread or garbage:
        remarks.append(f"{format_count(unread, 'tape event')} not understood")
        remarks.append(f"{format_count(garbage, 'line')} belonged to no event")
    if host.get("gaps"):
        remarks.append(f"events may have been missed {format_count(host['gaps'], 'time')}")
    if host.get("caught_up") is False:
        remarks.append("not caught up yet")
    return "; ".join(remarks)


def _link(table: Table, name: str, up: bool, since: str | None, remark: str) -> None:
    state = Text("up", style="green") if up else Text("DOWN", style="red")
    table.add_row(name, state, since or "-", remark.strip())


def _copies(copies: list[Document]) -> Table:
    table = _table("Copying", "Target", "Phase", "Done", "Rate", "Left")
    for copy in copies:
        done = format_size(copy["done"])
        if copy["total"]:
            share = 100 * copy["done"] // copy["total"]
            done = f"{done} of {format_size(copy['total'])} ({share} %)"
        left = "-" if copy["left_s"] is None else format_duration(copy["left_s"])
        rate = f"{format_size(copy['rate'])}/s"
        table.add_row(copy["tape"], copy["target"], copy["phase"], done, rate, left)
    return table


def _attention(entries: list[Document], left_out: int, width: int) -> Text:
    """List what is not protected as blocks: commands in it stay whole, whatever the width."""
    lines = ["Not protected"]
    for entry in entries[:MOST_LISTED]:
        why = f": {entry['why']}" if entry["why"] else ""
        lines.append(f"  {entry['tape']} to {entry['target']}: {state_of(entry)}{why}")
        lines.append(f"      next: {entry['next']}")
    more = max(len(entries) - MOST_LISTED, 0) + left_out
    if more:
        lines.append(f"  ... and {more} more: copyagent tapes --unprotected")
    return Text("\n".join(folded(line, width) for line in lines))


def state_of(copy: Document) -> str:
    """Name a copy's state, and of a failure whether it can pass by itself."""
    trouble = copy.get("trouble")
    return f"{copy['state']}, {trouble}" if trouble in {"transient", "permanent"} else copy["state"]


def _evidence(evidence: Document) -> list[str]:
    lines = [f"  open now: {_session(session)}" for session in evidence["open"]]
    lines += [f"  overlay: {_session(session)}" for session in evidence["overlay"]]
    lines += [f"  changed: {cause}" for cause in evidence["changes"]]
    if evidence["host"] is not None:
        lines.append(f"  host: {_host(evidence['host'])}")
    return lines or ["  none"]


def _session(session: Document) -> str:
    opened = f"opened for {session['access']} {session['opened']}"
    if not session["closed"]:
        return f"{opened}, still open"
    if session["interrupted"]:
        return f"{opened}, INTERRUPTED before {session['closed']}: what was written is not known"
    wrote = f"{session['bytes']} bytes written" if session["wrote"] else "nothing written"
    return f"{opened}, closed {session['closed']}, {wrote}"


def _host(mount: Document) -> str:
    # A job without a label names a drive, and the settings say which tape that stands for.
    what = f"volume {mount['volume']}" if "/" not in mount["volume"] else f"drive {mount['drive']}"
    said = [f"{mount['host']} {what}", mount["ring"] or "ring unknown"]
    said += [
        f"{step} {mount[step]}"
        for step in ("requested", "mounted", "opened", "dismounted")
        if mount[step]
    ]
    if mount["link_lost_since"]:
        said.append("the link was lost since")
    return ", ".join(said)


def verdict_lines(verdict: Document | None) -> list[str]:
    """Show a verdict with the evidence that it rests on."""
    if verdict is None:
        return ["  none"]
    lines = [
        f"  {verdict['verdict']} ({verdict['at']}, generation {verdict['generation']})",
        f"  the overlay said: {verdict['overlay_said']}; the host said: {verdict['host_said']}",
    ]
    lines += [f"  overlay: {_session(session)}" for session in verdict["sessions"]]
    lines += [f"  changed: {cause}" for cause in verdict["changes"]]
    if verdict["host_mount"] is not None:
        lines.append(f"  host: {_host(verdict['host_mount'])}")
    return lines


def how_proven(verified: str) -> str:
    """Say in words how a copy was compared; *verified* is what documents say of it."""
    return "found equal when it was adopted" if verified == "adopted" else f"verified by {verified}"


def _copy(copy: Document) -> list[str]:
    why = f": {copy['why']}" if copy["why"] else ""
    lines = [f"  {copy['target']}: {state_of(copy)}{why}", f"    next: {copy['next']}"]
    if copy.get("since"):
        lines.append(f"    so since: {copy['since']}")
    if copy.get("kept_back"):
        kept = copy["kept_back"]
        lines.append(f"    kept back by {kept['by']} since {kept['since']}: {kept['because']}")
    if copy.get("commands"):
        lines.append(f"    commands that do something now: {', '.join(copy['commands'])}")
    if copy.get("asked"):
        lines.append(f"    asked for: {copy['asked']}")
    published = copy.get("published")
    if published:
        lines += [
            (
                f"    published: generation {published['generation']}, {published['size']} bytes, "
                f"{published['at']}, {how_proven(published['verified'])}"
            ),
        ]
        if published["sha256"]:
            lines.append(f"    sha256: {published['sha256']}")
    return lines
