"""Where a copy lies, and which records other settings mean something to."""

from copyagent.core.book import Book
from copyagent.core.monitored import place_of, tell_what_left, wake_where_settings_changed
from tests.support.histories import OTHER_TARGET, TAPE, TARGET, make_settings


def test_a_place_is_host_directory_and_pool() -> None:
    book = Book(make_settings())
    assert place_of(book, TAPE, TARGET) == "dr.example.com:/VAULT00/BILL"
    assert place_of(book, TAPE, OTHER_TARGET) == ""


def test_where_nothing_is_at_rest_nothing_is_woken_and_nothing_told() -> None:
    book = Book(make_settings())
    assert wake_where_settings_changed(book) == []
    assert tell_what_left(book) == []
    assert book.commands == []
