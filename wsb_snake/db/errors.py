"""What can go wrong with the database, by what the caller does next. Each text is one line."""


class DatabaseError(Exception):
    """Root of this tree."""


class DatabaseUnavailable(DatabaseError):
    """It cannot be opened now (disk full, read-only, damaged, held): go on without entries, open again."""


class DatabaseTooNew(DatabaseError):
    """A newer version of this program wrote it: stop."""


class DatabaseClosed(DatabaseError):
    """Handed over after ``close``: it will not be written."""
