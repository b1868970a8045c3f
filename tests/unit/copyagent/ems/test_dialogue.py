import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import (
    MAX_CAME,
    MAX_STARTING,
    Action,
    Dialogue,
    LinkFailure,
    LoginPlan,
    Phase,
    SendLine,
    Started,
    StepPassed,
    expects_prompt,
    without_echo,
)
from copyagent.ems.login_types import (
    DEFAULT_DISTRIBUTOR,
    LOGIN_TYPES,
    login_of,
    with_steps_replaced,
)
from copyagent.ems.secret import Secret
from vtsfs.contract.settings_ems import EmsHost

SECRET = "s3cret-Pass"
BANNER = "WELCOME TO dev2\n\nAvailable Services:\n\nTACL EXIT\n"
EVENT = "06-09-14 22:00:01 \\DEV2.$ZSVR TANDEM.TAPE.G06 000600 $ZSVR: 0042 MOUNT\n"
START = DEFAULT_DISTRIBUTOR


def plan(
    login: str = "TACL", *, distributor: str = START, password: str = SECRET, user: str = "VTS.EMS"
) -> LoginPlan:
    return LoginPlan(LOGIN_TYPES[login], user, Secret(password), distributor, 5.0)


class Talk:
    """Feeds a dialogue and keeps what it typed and how it ended."""

    def __init__(self, of: LoginPlan) -> None:
        self.dialogue = Dialogue(of, 0.0)
        self.typed: list[str] = []
        self.passed: list[str] = []
        self.end: Started | LinkFailure | None = None
        self.now = 0.0

    def hear(self, *texts: str) -> "Talk":
        for text in texts:
            self.now += 0.125
            self.keep(self.dialogue.receive(text, self.now))
        return self

    def wait(self, seconds: float = 5.0) -> "Talk":
        self.now += seconds
        self.keep(self.dialogue.tick(self.now))
        return self

    def keep(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, SendLine):
                self.typed.append(action.secret.reveal())
            elif isinstance(action, StepPassed):
                self.passed.append(action.step)
            else:
                assert self.end is None
                self.end = action

    def failure(self) -> LinkFailure:
        assert isinstance(self.end, LinkFailure)
        assert SECRET.lower() not in repr(self.end).lower()
        assert SECRET.lower() not in self.end.sentence("DEV2").lower()
        return self.end


LOGINS = {
    "TACL": [BANNER, "Enter Choice> ", "TACL 1> ", "Password: ", "\nWelcome\nTACL 1> "],
    "XYGATE": ["Enter Choice> ", "TACL 1> ", "Password:", "\n$SYSTEM.VTS 1> "],
    "TACLS": ["Enter Choice> ", "Login: ", "Password: ", "\nTACL 1> "],
    "SAFEGUARD": ["Enter Choice> ", "TACL 1> ", "User name: ", "Password: ", "\n12> "],
}
TYPED = {
    "TACL": ["TACL", "LOGON VTS.EMS", SECRET, START],
    "XYGATE": ["TACL", "LOGON VTS.EMS", SECRET, START],
    "TACLS": ["TACL", "VTS.EMS", SECRET, START],
    "SAFEGUARD": ["TACL", "logon", "VTS.EMS", SECRET, START],
}


@pytest.mark.parametrize("login", LOGINS)
def test_each_type_logs_on_and_starts_the_distributor(login: str) -> None:
    talk = Talk(plan(login)).hear(*LOGINS[login])
    assert talk.typed == TYPED[login]
    assert talk.dialogue.phase is Phase.STARTING
    assert talk.hear(f"{START}\n").end is None
    assert talk.hear(EVENT).end == Started(f"{START}\n{EVENT}")
    assert talk.hear("more").wait().typed == TYPED[login]


@pytest.mark.parametrize("login", LOGINS)
def test_it_is_the_same_byte_by_byte(login: str) -> None:
    talk = Talk(plan(login))
    for text in LOGINS[login]:
        for byte in text:
            talk.hear(byte)
    assert talk.typed == TYPED[login]


@pytest.mark.parametrize("login", ["TACL", "XYGATE", "TACLS", "SAFEGUARD"])
def test_a_host_without_services_shows_the_next_prompt_at_once(login: str) -> None:
    talk = Talk(plan(login)).hear(
        "TACL (T9205)\n", *LOGINS[login][-4 if login == "SAFEGUARD" else -3 :]
    )
    assert talk.typed == TYPED[login][1:]


def test_a_distributor_that_says_nothing_counts_as_running() -> None:
    talk = Talk(plan()).hear(*LOGINS["TACL"], f"{START}\n").wait(4.0)
    assert talk.end is None
    assert talk.wait(1.0).end == Started(f"{START}\n")


@pytest.mark.parametrize(
    "text", ["*ERROR* Name of file or process not found\n", "\n*ERROR* illegal\nTACL 2> "]
)
def test_a_refused_distributor_is_a_failure_of_its_own(text: str) -> None:
    failure = Talk(plan()).hear(*LOGINS["TACL"], text).failure()
    assert failure.trouble is LinkTrouble.DISTRIBUTOR_FAILED
    assert "*ERROR*" in failure.sentence("DEV2")


def test_no_event_is_lost_when_a_flood_follows_the_start_at_once() -> None:
    flood = EVENT * 2000
    assert Talk(plan()).hear(*LOGINS["TACL"], f"{START}\n" + flood).end == Started(
        f"{START}\n" + flood
    )


def test_what_an_event_says_is_no_answer_to_the_start() -> None:
    text = EVENT + "        *ERROR* of some other program\n"
    assert Talk(plan()).hear(*LOGINS["TACL"], text).end == Started(text)
    refused = Talk(plan()).hear(*LOGINS["TACL"], "*ERROR* illegal\n" + EVENT)
    assert refused.failure().trouble is LinkTrouble.DISTRIBUTOR_FAILED


def test_a_refusal_is_found_under_a_long_text() -> None:
    came = "\n*ERROR* Invalid password\n" + "Have a nice day.\n" * 1000 + "TACL 2> "
    talk = Talk(plan()).hear(*LOGINS["TACL"][:4], came)
    assert talk.failure().trouble is LinkTrouble.LOGIN_REFUSED


def test_a_prompt_that_comes_back_means_that_nothing_runs() -> None:
    talk = Talk(plan()).hear(*LOGINS["TACL"], "\nTACL 2> ").wait()
    assert talk.failure().trouble is LinkTrouble.DISTRIBUTOR_FAILED


def test_a_prompt_is_expected_after_nowait() -> None:
    started = "EMSDIST /NAME, NOWAIT/ TYPE P, COLLECTOR $0, TEXTOUT [#MYTERM]"
    talk = Talk(plan(distributor=started)).hear(*LOGINS["TACL"], "\nTACL 2> ").wait()
    assert isinstance(talk.end, Started)
    assert expects_prompt(started)
    assert not expects_prompt(START)
    assert not expects_prompt("EMSDIST /NAME $NOWAIT1/ TYPE P")


@pytest.mark.parametrize("cut", [False, True])
def test_a_refused_log_on(cut: bool) -> None:
    came = "\n*ERROR* Invalid username or password\nTACL 2> "
    talk = Talk(plan()).hear(*LOGINS["TACL"][:4], *(came if cut else [came]))
    failure = talk.failure()
    assert failure.trouble is LinkTrouble.LOGIN_REFUSED
    assert "VTS.EMS" in failure.sentence("DEV2")
    assert "Invalid username" in failure.came
    assert talk.typed == ["TACL", "LOGON VTS.EMS", SECRET]


def test_a_refusal_without_a_line_end_is_found_when_time_is_up() -> None:
    talk = Talk(plan()).hear(*LOGINS["TACL"][:4], "\nLogon failed").wait()
    assert talk.failure().trouble is LinkTrouble.LOGIN_REFUSED


def test_news_about_refused_attempts_is_no_refusal() -> None:
    news = "\nInvalid logon attempts since the last log-on: 3\nTACL 1> "
    assert Talk(plan()).hear(*LOGINS["TACL"][:4], news).typed[-1] == START


@pytest.mark.parametrize(("heard", "step"), [(0, "service prompt"), (2, "user prompt")])
def test_no_answer_in_time(heard: int, step: str) -> None:
    failure = Talk(plan()).hear(*LOGINS["TACL"][:heard], "one moment\n").wait().failure()
    assert (failure.trouble, failure.step) == (LinkTrouble.TIMED_OUT, step)
    assert step in failure.expected
    assert failure.came == "one moment"


def test_each_step_has_its_own_time() -> None:
    talk = Talk(plan("XYGATE"))
    for text in LOGINS["XYGATE"]:
        talk.wait(4.0).hear(text)
    assert talk.typed == TYPED["XYGATE"]
    assert talk.end is None


def test_an_unexpected_prompt_says_what_was_expected_and_what_came() -> None:
    failure = Talk(plan()).hear("Enter Choice> ", "\nTerminal type? ").wait().failure()
    assert failure.trouble is LinkTrouble.UNEXPECTED_PROMPT
    assert failure.expected.startswith("user prompt /")
    assert failure.came == "Terminal type?"
    sentence = failure.sentence("DEV2")
    for part in ("DEV2", "unexpected prompt", "expected user prompt", "Terminal type?", "Check"):
        assert part in sentence


@pytest.mark.parametrize(
    "echo", [SECRET, SECRET.upper(), SECRET[:4], f"{SECRET}\n{SECRET}", f"x\n{SECRET.upper()}"]
)
def test_the_password_is_in_no_message_when_the_host_echoes_it(echo: str) -> None:
    for ending in ("", "\n", "\n*ERROR* Invalid password\n", "\nWhat now? "):
        talk = Talk(plan()).hear(*LOGINS["TACL"][:4], echo + ending).wait()
        assert echo[-4:] not in talk.failure().sentence("DEV2")
        lost = Talk(plan()).hear(*LOGINS["TACL"][:4], echo + ending)
        if lost.end is None:
            failure = lost.dialogue.connection_lost()
            assert failure.trouble is LinkTrouble.DISCONNECTED
            assert echo[-4:] not in failure.sentence("DEV2")


def test_a_flood_cannot_bring_half_a_password_into_a_message() -> None:
    for size in range(MAX_STARTING - 15, MAX_STARTING + 1):
        talk = Talk(plan()).hear(*LOGINS["TACL"], SECRET + "\n" * size, "*ERROR* no\n")
        failure = talk.failure()
        assert SECRET[-4:] not in failure.sentence("DEV2")
        assert failure.came.endswith("*ERROR* no")


def test_what_came_is_short_and_printable() -> None:
    failure = Talk(plan()).hear("\x1b[2J\x07" + "x" * 5000 + "?").wait().failure()
    assert len(failure.came) <= MAX_CAME
    assert failure.came.isprintable()


def test_values_that_look_like_placeholders_are_typed_as_they_are() -> None:
    talk = Talk(plan(user="%password%", password="%username%")).hear(*LOGINS["TACL"][:5])
    assert talk.typed == ["TACL", "LOGON %password%", "%username%", START]


def test_a_lost_connection_says_how_far_it_had_come() -> None:
    talk = Talk(plan()).hear("Enter Choice> ", "\nGoodbye.\n")
    failure = talk.dialogue.connection_lost()
    assert "user prompt" in failure.step
    assert failure.came == "Goodbye."
    assert talk.hear("TACL 1> ").typed == ["TACL"]


def test_the_steps_are_told_in_order() -> None:
    talk = Talk(plan("SAFEGUARD")).hear(*LOGINS["SAFEGUARD"])
    assert talk.passed == [step.title for step in LOGIN_TYPES["SAFEGUARD"].steps]
    assert talk.dialogue.is_logged_on
    skipped = Talk(plan("SAFEGUARD")).hear(*LOGINS["SAFEGUARD"][1:3])
    assert skipped.passed == ["TACL prompt", "user prompt"]
    assert not skipped.dialogue.is_logged_on


def test_without_a_distributor_the_prompt_is_the_end() -> None:
    talk = Talk(plan(distributor="")).hear(*LOGINS["TACL"])
    assert talk.end == Started("")
    assert talk.typed == TYPED["TACL"][:-1]
    assert talk.passed[-1] == "prompt after the log-on"


def test_a_terminal_that_safeguard_controls() -> None:
    talk = Talk(plan("SAFEGUARD")).hear("SAFEGUARD 1> ", "User name: ", "Password: ", "\n1> ")
    assert talk.typed == TYPED["SAFEGUARD"][1:]
    direct = Talk(plan("TACL")).hear("SAFEGUARD 1> ", "Password: ", "\n1> ")
    assert direct.typed == TYPED["TACL"][1:]


@pytest.mark.parametrize(
    "came",
    [
        "\n*ERROR* Invalid username or password\nSAFEGUARD 2> ",
        "\nPassword expired\nEnter new password: ",
        "\nReenter new password: ",
        "\nZugang verweigert\nPassword: ",
        "\nSorry.\nSAFEGUARD 2> ",
        "\nNo.\nUser name: ",
    ],
)
def test_whoever_asks_again_has_refused_and_is_told_nothing_more(came: str) -> None:
    talk = Talk(plan("SAFEGUARD")).hear(*LOGINS["SAFEGUARD"][:4], came).wait()
    assert talk.failure().trouble is LinkTrouble.LOGIN_REFUSED
    before = list(talk.typed)
    for text in (*LOGINS["SAFEGUARD"], "Password: ", "TACL 1> "):
        talk.hear(text).wait()
    assert talk.typed == before == TYPED["SAFEGUARD"][:4]


@pytest.mark.parametrize("came", ["Not logged on", "Expecting: LOGON, PAUSE or TIME"])
def test_a_distributor_for_want_of_a_log_on_is_a_refused_log_on(came: str) -> None:
    talk = Talk(plan()).hear(*LOGINS["TACL"], f"{START}\n{came}\nTACL 2> ")
    assert talk.failure().trouble is LinkTrouble.LOGIN_REFUSED


@pytest.mark.parametrize(
    "asked",
    [
        ["Password: "],
        ["Enter Choice> ", "Password: "],
        ["Enter Choice> ", "TACL 1> ", "Enter new password: "],
        ["Enter Choice> ", "TACL 1> ", "Verify password: "],
        ["Enter Choice> ", "TACL 1> ", "Password: \nSubject: "],
        ["Enter Choice> ", "TACL 1> ", "Password: for what? "],
        [*LOGINS["TACL"], "Password: "],
        [*LOGINS["TACL"], EVENT, "Password: "],
    ],
)
def test_the_password_is_typed_nowhere_but_where_it_is_asked_for(asked: list[str]) -> None:
    talk = Talk(plan()).hear(*asked).wait()
    assert talk.typed.count(SECRET) == asked.count("Password: ") - (asked[-1] == "Password: ")


def test_a_prompt_for_a_password_of_a_user_is_one() -> None:
    talk = Talk(plan()).hear("TACL 1> ", "LOGON VTS.EMS\nPassword for VTS.EMS: ")
    assert talk.typed[-1] == SECRET


def test_a_site_that_words_a_prompt_anew_means_what_it_says() -> None:
    login = with_steps_replaced(LOGIN_TYPES["TACL"], {"password": "(?i)verify: *$"}, {})
    of = LoginPlan(login, "VTS.EMS", Secret(SECRET), START)
    assert Talk(of).hear("TACL 1> ", "Password: ").typed[-1] != SECRET
    assert Talk(of).hear("TACL 1> ", "Verify: ").typed[-1] == SECRET


def after_ssh(login: str = "TACL", **host: object) -> LoginPlan:
    entry = {"access": "ssh", "address": "h", "known_hosts": "/k", "user": "VTS.EMS", **host}
    return LoginPlan(
        login_of(EmsHost.model_validate({"login": login, **entry}), {}),
        "VTS.EMS",
        Secret(SECRET if "password_file" in host else ""),
        START,
    )


@pytest.mark.parametrize("login", LOGIN_TYPES)
@pytest.mark.parametrize(
    ("shown", "typed"),
    [
        (["$SYSTEM.VTS 1> "], [START]),
        (["Enter Choice> ", "1> "], ["TACL", START]),
        (["Enter Choice> ", "$SYSTEM VTS 1> "], ["TACL", START]),
    ],
)
def test_after_ssh_there_may_be_nothing_to_log_on_to(
    login: str, shown: list[str], typed: list[str]
) -> None:
    for of in (after_ssh(login, password_file="/p"), after_ssh(login, key="/k")):
        assert Talk(of).hear(*shown).typed == typed


@pytest.mark.parametrize("login", LOGINS)
def test_after_ssh_a_host_may_ask_for_everything_again(login: str) -> None:
    assert Talk(after_ssh(login, password_file="/p")).hear(*LOGINS[login]).typed == TYPED[login]


def test_after_ssh_with_a_key_alone_any_prompt_will_do_and_no_password_is_there() -> None:
    assert Talk(after_ssh(key="/k")).hear("TACL 1> ").typed == [START]
    asked = Talk(after_ssh(key="/k")).hear("Password: ").wait()
    assert (asked.typed, asked.failure().trouble) == ([], LinkTrouble.UNEXPECTED_PROMPT)


def test_what_takes_too_long_is_named() -> None:
    dialogue = Dialogue(plan(), 0.0)
    failure = dialogue.took_too_long()
    assert failure.step == "searching for the service prompt takes too long"
    assert "Enter Choice" in failure.expected
    assert dialogue.receive("Enter Choice> ", 1.0) == []


WRAPS = st.sampled_from(["", "\r\n", "\n        ", "\0", "\b", " ", "\x1b[1m", "\x1b[0m"])


@settings(deadline=None)
@given(
    # None of these words stands in what we say ourselves.
    st.text(st.sampled_from("Q#7zJ%$(.*^Ü|é"), min_size=4, max_size=16),
    st.data(),
)
def test_no_random_password_comes_into_a_failure_however_it_is_echoed(
    password: str, data: st.DataObject
) -> None:
    def echo() -> str:
        start = data.draw(st.integers(0, len(password) - 4))
        changed = data.draw(st.sampled_from([password, password.upper(), password.lower()]))
        return "".join(c + data.draw(WRAPS) for c in changed[start:])

    piece = st.one_of(
        st.text(max_size=10),
        st.sampled_from(["\n", "*ERROR* no\n", *LOGINS["TACL"], *LOGINS["SAFEGUARD"], EVENT]),
        st.builds(echo),
    )
    login = data.draw(st.sampled_from(sorted(LOGINS)))
    talk = Talk(plan(login, password=password))
    before = data.draw(st.integers(0, len(LOGINS[login])))
    for text in (*LOGINS[login][:before], *data.draw(st.lists(piece, max_size=8))):
        for cut in (text[:3], text[3:]):
            talk.hear(cut)
        talk.wait(data.draw(st.sampled_from([0.0, 5.0])))
    if talk.end is None:
        talk.keep([talk.dialogue.connection_lost()])
    assert sum(password in line for line in talk.typed) <= 1
    if password in talk.typed:
        assert "password prompt" in talk.passed
        assert talk.typed.index(password) == talk.passed.index("password prompt")
        assert "user prompt" in talk.passed[: talk.passed.index("password prompt")]
    if isinstance(talk.end, LinkFailure):
        sentence = talk.end.sentence("DEV2")
        for shown in (sentence, repr(talk.end)):
            read = "".join(shown.split()).replace("?", "").replace("|", "").casefold()
            folded = password.replace("|", "").casefold()
            for at in range(len(folded) - 3):
                assert "|" in password or folded[at : at + 4] not in read


@settings(deadline=None)
@given(st.data())
def test_random_text_never_raises_nor_shows_the_password(data: st.DataObject) -> None:
    piece = st.one_of(
        st.text(max_size=30),
        st.sampled_from([SECRET, "\n", *LOGINS["TACL"], *LOGINS["SAFEGUARD"], EVENT, "*ERROR*\n"]),
    )
    talk = Talk(plan(data.draw(st.sampled_from(sorted(LOGINS)))))
    for text in data.draw(st.lists(piece, max_size=20)):
        talk.hear(text).wait(data.draw(st.sampled_from([0.0, 5.0])))
    assert len(re.findall(re.escape(SECRET), " ".join(talk.typed))) <= 1
    if isinstance(talk.end, LinkFailure):
        talk.failure()


@pytest.mark.parametrize(
    ("came", "left"),
    [
        ("RUN X /NAME/ A, B\r\nEVENT", "\r\nEVENT"),
        ("RUN X /NAME\r\n/ A, B\n", "\n"),
        ("\r\nRUN X /NAME/ A,", "\r\nRUN X /NAME/ A,"),
        ("RUN Y /NAME/ A, B\n", "RUN Y /NAME/ A, B\n"),
        ("EVENT", "EVENT"),
    ],
)
def test_the_echo_of_what_was_typed_is_nothing_that_the_host_said(came: str, left: str) -> None:
    assert without_echo(came, "RUN X /NAME/ A, B") == left
