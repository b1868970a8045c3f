"""The event-log catalogue: every message's ID, severity, text and the operator's next step.

A message ID has six digits: severity (2 Info, 4 Warning, 6 Error, 8 Critical), a two-digit
subsystem (20 EMS, 24 data replication) and a three-digit event (Virtual TapeServer Configuration
Guide, event log chapter). Our events start at 100 in each subsystem. IDs are never given a new
meaning. A log line has room for 177 characters of text, so the next step goes to the journal,
``copyagent explain`` and ``vts-autocopy(7)`` instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

#: Limit of the text field of a log line (Configuration Guide, event log chapter).
TEXT_LIMIT = 177


class Severity(IntEnum):
    """The first digit of a message ID."""

    INFO = 2
    WARNING = 4
    ERROR = 6
    CRITICAL = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One entry: *text* has ``{named}`` fields, *next_step* tells the operator what to do."""

    id: int
    text: str
    next_step: str

    @property
    def severity(self) -> Severity:
        """The severity, which the ID itself carries."""
        return Severity(self.id // 100_000)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields in *text*, in order."""
        return tuple(part.split("}")[0] for part in self.text.split("{")[1:])

    def render(self, fields: Mapping[str, object], *, limit: int = TEXT_LIMIT) -> str:
        """Fill *text* in, on one line and within *limit* characters.

        The longest field is cut first (its middle goes), because the fixed words carry the meaning
        and a name's beginning and end identify it.
        """
        values = {name: one_line(str(fields[name])) for name in self.fields}
        text = self.text.format_map(values)
        while len(text) > limit:
            longest = max(values, key=lambda name: len(values[name]), default="")
            room = max(len(values.get(longest, "")) - (len(text) - limit), 8)
            if room >= len(values.get(longest, "")):
                return text[:limit]
            head = room // 2
            values[longest] = f"{values[longest][:head]}~{values[longest][-(room - head - 1) :]}"
            text = self.text.format_map(values)
        return text


def one_line(text: str) -> str:
    """Return *text* as a field of the log: bars and control characters become single blanks."""
    return " ".join("".join(" " if c == "|" or not c.isprintable() else c for c in text).split())


LINK_UP = Message(220101, "EMS link to {host} is up", "Nothing to do.")
LINK_LOST = Message(
    420102,
    "EMS link to {host} lost: {cause}",
    "Copies go on by the overlay alone. Check the host's server and the network, or the file; "
    "copyagent ems test {host} shows how far a log-in comes. The link is tried again by itself.",
)
EMS_GAP = Message(
    420103,
    "EMS events of {host} may have been missed: {cause}",
    "Nothing to do: mounts in that time are judged by the overlay alone. If it comes again and "
    "again, mend the cause: see catch_up and distributor in vts-autocopy.yaml(5).",
)
LOGIN_REFUSED = Message(
    620104,
    "EMS log-in to {host} refused: {cause}",
    "Check ems.hosts in the settings: user, password_file, login; then whether the host has frozen "
    "the user. After a change here: copyagent reload.",
)
HOST_KEY_REJECTED = Message(
    620105,
    "EMS link to {host} not made, the host's key is not accepted: {cause}",
    "Somebody may stand between. If the host got a new key, compare it over another channel, then "
    "put it into the known_hosts file of ems.hosts; the link is tried again by itself.",
)
HOST_ASKED = Message(
    220110, "{host} asked by VTSPolicy for a copy of {where}: {outcome}", "Nothing to do."
)
HOST_ASKED_WRONGLY = Message(
    420111,
    "VTSPolicy IDR of {host} refused: {cause}",
    "Mend the command at the host; its form is in vts-autocopy(7). It is told at most once an hour; "
    "copyagent events shows every command.",
)
HOST_ASKED_TOO_OFTEN = Message(
    420112,
    "VTSPolicy IDR of {host} refused: more than {limit} an hour, {count} refused so far",
    "See who sends them, and that nobody forges them: copyagent events. If they are wanted: "
    "ems.hosts.{host}.policy.per_hour in the settings.",
)
POLICY_LEFT_ALONE = Message(
    220113,
    "VTSPolicy command of {host} left alone, {why}: {command}",
    "Nothing to do, unless it was meant for AutoCopy: only IDR is, and only where "
    "ems.hosts.{host}.policy.enabled is true.",
)
HOST_NOT_TOLD = Message(
    420114,
    "{host} cannot be told of alarms, {waiting} wait, {dropped} dropped: {cause}",
    "Copies and the host's events go on without it. Check ems.hosts.{host}.notify in the settings and "
    "try its command by hand at a TACL prompt; copyagent ems status shows how it stands.",
)
HOST_TOLD_AGAIN = Message(220115, "{host} is told of alarms again", "Nothing to do.")
COPIED = Message(224101, "{tape} copied to {target}: {size} in {took}", "Nothing to do.")
ATTEMPT_FAILED = Message(
    424110,
    "Copy of {tape} to {target} failed, attempt {attempt} of {attempts}: {cause}",
    "It is tried again by itself. If the cause does not pass, mend it: copyagent explain TAPE",
)
GAVE_UP = Message(
    624111,
    "Copy of {tape} to {target} FAILED after {attempts} attempts: {cause}",
    "The target has no copy of the tape as it is now. If the target was down, it is tried again by "
    "itself when the target answers (retry.rearm); else mend the cause, then: "
    "copyagent retry --failed",
)
CONFLICT = Message(
    624120,
    "{tape} held: written, but the host asked for it with NO RING: {detail}",
    "Find out who wrote it (copyagent explain TAPE). If the content is right: "
    "copyagent release TAPE --because TEXT",
)
INTERRUPTED = Message(
    624121,
    "{tape} held: the overlay ended while it was being written",
    "The tape may be incomplete; the target keeps its last good copy. Run the backup again, or "
    "release it: copyagent release TAPE --because TEXT",
)
TARGET_CHANGED = Message(
    624122,
    "{tape} held: its copy at {target} was changed by somebody else: {detail}",
    "Look at the file at the target; it stays until you decide. To replace it: "
    "copyagent release TAPE --overwrite-target --because TEXT",
)
TARGET_UNKNOWN = Message(
    624123,
    "{tape} held: {target} has a file of that name which was not copied from here: {detail}",
    "Look at the file at the target; it stays until you decide. To replace it: "
    "copyagent release TAPE --overwrite-target --because TEXT",
)
LABEL_ELSEWHERE = Message(
    624124,
    "{tape} held: {target} has its label in another place: {detail}",
    "One label must not name two tapes there. If that file is this tape, have it moved: "
    "copyagent relocate TAPE --because TEXT. If not, rename or remove it at the target, then: "
    "copyagent retry TAPE",
)
SAME_STORAGE = Message(
    624125,
    "Copies to {target} held, first {tape}: {detail}",
    "What would be copied lies there already: that is no second copy. Check targets.*.vaults, and "
    "what is mounted there; then: copyagent retry TAPE",
)
NOT_EQUAL = Message(
    624138,
    "{pool}: what {target} has is not equal and was not adopted, first {tape}: {detail}",
    "Nothing was changed there. copyagent status lists them. To copy one: copyagent retry TAPE; to "
    "replace what is there: copyagent release TAPE --overwrite-target --because TEXT",
)
ROLLED_BACK = Message(
    424139,
    "{tape} rolled back at {target}: {detail}",
    "The copy stays so until a newer generation is complete, or: copyagent release TAPE --because TEXT",
)
SOURCE_UNFIT = Message(
    624127,
    "{tape} held: {detail}",
    "A tape is a regular, readable file with one name. Mend that, then: copyagent retry TAPE",
)
HELD_BY_OPERATOR = Message(
    424146,
    "{tape} held: it has changed, and its copy to {target} is kept back by {detail}",
    "Nothing is copied until the operator's hold is over: copyagent release TAPE --because TEXT",
)
HELD_BY_POLICY = Message(
    624128,
    "{tape} held: {verdict}, and the settings say hold",
    "See copyagent explain TAPE, then: copyagent release TAPE --because TEXT",
)
LABEL_TWICE = Message(
    624129,
    "{tape} held: the host names its label, which is also that of {detail}",
    "A host names a label, not a file. Rename one of the tapes, or say in ems.hosts which vaults each "
    "host uses; then: copyagent release TAPE --because TEXT",
)
KEPT = Message(
    224126,
    "{tape} was {how} here; its copy at {target} is kept",
    "Nothing to do. Delete the copy at the target by hand if it is not wanted.",
)
OVERLAY_ONLY = Message(
    424130,
    "{pool}: tapes copied on the overlay's word alone, first {tape}: {detail}",
    "Check that the host's events arrive: copyagent status; the copies themselves are good.",
)
CHANGED_WITHOUT_MOUNT = Message(
    424131,
    "{pool}: tapes changed without a mount, first {tape}: {detail}",
    "Find out who writes to the vault beside the tape engine; the tapes are copied.",
)
STILL_OPEN = Message(
    424132,
    "{tape} is still open for writing although the host has dismounted it",
    "Check the tape engine; vtsfs status names the process that has it open. The tape is copied "
    "when its last writer closes it.",
)
MOUNTED_TOO_LONG = Message(
    424133,
    "{tape} has been with the host for {age}; it is copied as it is now",
    "Check the host's job; the dismount event may have been lost.",
)
FENCED = Message(
    424134,
    "Copies to {target} wait: it is fenced (IN-SERVICE in its staging directory)",
    "The target is in service. When it is not: copyagent unfence {target} --because TEXT, or remove the "
    "file IN-SERVICE there; copies then go on by themselves.",
)
COPY_WRONG = Message(
    624144,
    "The copy of {tape} at {target} is NOT what was published there: {detail}",
    "It is compared again and held as target changed. Find out what changed it, a storage fault or "
    "somebody; then replace it: copyagent release TAPE --overwrite-target --because TEXT",
)
FOREIGN_AGENT = Message(
    624143,
    "Copies to {target} wait, another agent works there: {cause}",
    "Two systems of one name must not copy to one target. If that agent is no more, and this one "
    "takes its place: copyagent take-over {target} --because TEXT. Else change system.name.",
)
LATE_NO_RING = Message(
    424136,
    "{tape} was copied on the overlay's word, then the host asked for it with NO RING: {detail}",
    "If that request was for the mount that wrote, find out who wrote. If it was for the next one, "
    "there is nothing to do.",
)
POOL_UNREADABLE = Message(
    624137,
    "Pool {pool} cannot be read; nothing new is known of its tapes",
    "See that the vault's storage is there and that the pool's directory exists and can be read. It "
    "is looked at again every minute.",
)
HOST_KEY = Message(
    624135,
    "Copies to {target} wait: {cause}",
    "Ask the target's owner for the fingerprint of its host key. If the key was changed and it "
    "fits: put the new key into known_hosts; copies then go on by themselves. If it does not fit, "
    "somebody else answers there: find out who.",
)
NOT_COVERED = Message(
    824140,
    "Vault {vault} not covered by the overlay: {detail}",
    "Stop the tape engine: what it writes is not seen, and may not even reach the vault. Take off what "
    "is mounted over it, if anything is (findmnt), then: vtsfs attach {vault}. The vault is swept then.",
)
COVERED_AGAIN = Message(
    224145,
    "Vault {vault} is covered by the overlay again, after {took}",
    "Nothing to do: a sweep finds, and has copied, what was written into the vault meanwhile.",
)
OUTBOX_FAILURE = Message(
    824141,
    "Outbox of vault {vault} cannot be written: {cause}",
    "Make room for, or repair, the state directory. Tapes are served; a sweep will find changes.",
)
HANDLER_FAILED = Message(
    824142,
    "Vault {vault}: an unexpected error answered as an I/O error: {cause}",
    "The vault goes on. Send the traceback, from the journal or vtsfs-{vault}.log, to the makers.",
)
FALLEN_BEHIND = Message(
    424150,
    "{pool} has fallen behind at {target}: {count} copies are owed, that of {tape} for {age}",
    "See what keeps them: copyagent status, then copyagent explain TAPE. It is told again every hour "
    "until no copy is owed for half of behind_after.",
)
CAUGHT_UP = Message(224151, "{pool} has caught up at {target}, after {took}", "Nothing to do.")
MORE_FAILED = Message(
    624154,
    "{where}: {count} more failed with {id} ({cause}): {tapes}",
    "They have the cause of the one that was told with that ID, or are of the same kind; mend it as it "
    "says there. copyagent status lists the tapes, copyagent history --failed has each of them.",
)
MORE_HELD = Message(
    624155,
    "{where}: {count} more held with {id} ({cause}): {tapes}",
    "Each waits for your word, as the message with that ID says. copyagent status lists the tapes, "
    "copyagent history --failed has each of them.",
)
MORE_WARNINGS = Message(
    424156,
    "{where}: {count} more warnings {id} ({cause}): {tapes}",
    "See the message that was told with that ID. copyagent status lists the tapes that lack a copy.",
)
HOOK_FAILED = Message(
    424153,
    "The notify command failed, {waiting} messages wait for it: {cause}",
    "Every message is in the event log all the same. Try the command by hand as the agent's user; what "
    "it is given is told under notify in vts-autocopy.yaml(5). Each message is tried three times.",
)
HOOK_WORKS = Message(224157, "The notify command works again", "Nothing to do.")
HOOK_LEFT_OUT = Message(
    424158,
    "{count} messages were not told by the notify command, because it failed or too many waited",
    "Read them in the event log.",
)
PAUSE_OVER = Message(
    224152, "The pause of {about} by {user} is over, copies go on", "Nothing to do."
)
UNLICENSED = Message(
    624160,
    "Nothing is copied, no valid licence: {detail}",
    "Mounts and dismounts are recorded and judged; what is to be copied waits, and counts as "
    "unprotected. copyagent licence show tells what is missing; with copyagent licence install FILE "
    "all that waits is copied by itself.",
)
LICENCE_EXPIRES = Message(
    424161,
    "Licence {serial} expires on {expires}, {left}",
    "Order the next one, then: copyagent licence install FILE. It is told once a day; for 14 days "
    "after that day copying goes on.",
)
LICENCE_EXPIRED = Message(
    624162,
    "Licence EXPIRED on {expires}; copies are made until {grace_ends}, and none after",
    "Get the next one, then: copyagent licence install FILE. It is told once a day.",
)
LICENSED_AGAIN = Message(
    224163,
    "Copies are made again, {detail}; {count} that waited for a licence go on",
    "Nothing to do.",
)
LICENCE_CLOCK = Message(
    424164,
    "The clock says {clock}, and {latest} was before; the licence is judged by the later",
    "Set the clock right. If the later time was the wrong one, a licence that is issued anew makes up "
    "for it: see LICENCE in vts-autocopy(7).",
)
OPERATOR_ACTION = Message(
    224170,
    "{user}: {action} {object}: {because} [{mark}]",
    "Nothing to do; this is the record of what was done. The mark in brackets, after the old and new "
    "state, is that of its entry: copyagent history --verify compares the two.",
)
AGENT_STARTED = Message(224171, "Copy agent {version} started: {detail}", "Nothing to do.")
AGENT_STOPPED = Message(224172, "Copy agent stopped: {detail}", "Nothing to do.")
ATTACHED = Message(
    224173,
    "Vault {vault} attached at {mountpoint} by {user}: {because} [{old} -> attached]",
    "Nothing to do.",
)
DETACHED = Message(
    224174, "Vault {vault} detached by {user}: {because} [attached -> detached]", "Nothing to do."
)
SWEPT = Message(
    224175,
    "Vault {vault} swept: {tapes} tapes, {changed} changed, {gone} gone, {ignored} not tapes",
    "Nothing to do. If tapes are counted as not tapes, for their names: see naming: in the settings.",
)
HISTORY_NOTED = Message(
    224185,
    "The history of copies has reached entry {number} [{mark}]",
    "Nothing to do. The mark in brackets stands for all entries up to its number: copyagent history "
    "--verify compares the two.",
)
UNSYNCED = Message(
    424176,
    "{pool}: {count} tapes were there before AutoCopy and have no copy",
    "They were there before the pool, or its target, was configured. To copy them for the first "
    "time: copyagent sync {pool}",
)
EVENTS_UNWRITTEN = Message(
    424177,
    "Event log could not be written: {count} messages are missing here",
    "Read the missing messages in the journal; watch the room on the log's file system.",
)
METRICS_UNAVAILABLE = Message(
    424190,
    "Figures for monitoring cannot be offered on {place}: {cause}",
    "Copies go on. See what else uses that port or path, or change metrics.listen in the settings; it "
    "is tried again every 30 seconds, and told again every hour.",
)
ENCRYPTED_REFUSED = Message(
    624180,
    "{tape} refused to the tape engine: encrypted with key {key}, {cause}",
    "To use the tape here: encryption.enabled, and the key's server under encryption.key_servers; "
    "after a change of the settings attach the vault again. A key that a server has by now counts "
    "at the next open. Further refusals of the tape are written after an hour; vtsfs status counts "
    "them.",
)
SETTINGS_REFUSED = Message(
    624182,
    "Settings not taken over from {file}, problems: {count}, first: {problem}",
    "The former settings stay in force. Mend the file: copyagent check tells every problem; then: "
    "copyagent reload. An agent that is started with such a file ends at once.",
)
LEFT_AUTOCOPY = Message(
    424183,
    "{pool} is not copied to {target} any more; {count} tapes there are not protected as they are now",
    "If that was meant, there is nothing to do. If not, put the pool back under autocopy: in the "
    "settings, then: copyagent reload; what was owed is owed again.",
)
SETTINGS_AWAIT = Message(
    424184,
    "Settings that changed and are not in force before the agent is started again: {keys}",
    "When it suits, end the agent and start it. Copies that run then go on from where they were.",
)

CATALOGUE: Mapping[int, Message] = {
    message.id: message for message in list(globals().values()) if isinstance(message, Message)
}


def next_step(message: Message, fields: Mapping[str, object]) -> str:
    """Return the operator's next step with the names of *fields* filled in."""
    text = message.next_step
    for name, value in fields.items():
        text = text.replace("{" + name + "}", str(value))
    return text if "tape" not in fields else text.replace("TAPE", str(fields["tape"]))
