"""What is said about the links to the hosts."""

from tests.support.histories import link_lost, link_up, make_engine
from tests.support.playbook import Playbook
from vtsfs.contract import messages


def test_the_first_connection_missed_nothing_that_was_ours() -> None:
    with Playbook(make_engine()) as play:
        play >> link_up()
    assert play.times_said(messages.LINK_UP) == 1
    assert play.times_said(messages.EMS_GAP) == 0


def test_a_link_that_was_down_may_have_missed_events() -> None:
    with Playbook(make_engine()) as play:
        play >> link_up() >> link_lost()
        play.wait(90.0)
        play >> link_up() >> link_up()
    assert play.times_said(messages.LINK_LOST) == 1
    assert play.times_said(messages.EMS_GAP) == 1


def test_the_last_word_on_a_link_is_true_however_often_it_goes() -> None:
    with Playbook(make_engine()) as play:
        play >> link_up() >> link_lost() >> link_up() >> link_lost()
    assert play.times_said(messages.LINK_UP) == 2
    assert play.times_said(messages.LINK_LOST) == 2
