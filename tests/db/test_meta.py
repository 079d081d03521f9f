"""The stamp that says whose database this is."""

from wsb_snake.db.database import Database
from wsb_snake.db.meta import Stamp, get_meta, read_stamp, set_meta, write_stamp


def test_a_new_database_belongs_to_nobody(database: Database) -> None:
    with database.get_connection() as conn:
        assert read_stamp(conn) is None


def test_the_stamp_is_read_back(database: Database) -> None:
    database.transact(lambda conn: write_stamp(conn, Stamp("paper", "PA123"))).result(10)
    with database.get_connection() as conn:
        assert read_stamp(conn) == Stamp("paper", "PA123")


def test_a_fact_is_replaced(database: Database) -> None:
    database.transact(lambda conn: set_meta(conn, "k", "old"))
    database.transact(lambda conn: set_meta(conn, "k", "new")).result(10)
    with database.get_connection() as conn:
        assert get_meta(conn, "k") == "new"
        assert get_meta(conn, "absent") is None
