"""The tables, as migrations: each entry takes the database from the version before to its own.

Money is TEXT (Decimal), times are ISO-8601 UTC TEXT, JSON is TEXT. Never edit an entry that has
landed; append a new one.
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL);
    CREATE TABLE offsets (consumer TEXT PRIMARY KEY, seq INTEGER NOT NULL);

    CREATE TABLE orders (
        client_order_id TEXT PRIMARY KEY,
        position_id TEXT NOT NULL, purpose TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
        intent TEXT NOT NULL, type TEXT NOT NULL, qty INTEGER NOT NULL, limit_price TEXT,
        status TEXT NOT NULL, attempt INTEGER NOT NULL, reason TEXT NOT NULL, broker_id TEXT,
        created_at TEXT NOT NULL, sent_at TEXT, ended_at TEXT, cancel_asked_at TEXT,
        filled_qty INTEGER NOT NULL, filled_avg_price TEXT, decision_price TEXT, note TEXT NOT NULL);
    CREATE INDEX orders_by_position ON orders (position_id);
    CREATE INDEX orders_by_day ON orders (created_at);

    CREATE TABLE fills (
        client_order_id TEXT NOT NULL, cumulative_qty INTEGER NOT NULL,
        position_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
        qty INTEGER NOT NULL, price TEXT NOT NULL, at TEXT NOT NULL,
        PRIMARY KEY (client_order_id, cumulative_qty));

    CREATE TABLE positions (
        position_id TEXT PRIMARY KEY,
        symbol TEXT NOT NULL, underlying TEXT NOT NULL, expiry TEXT NOT NULL,
        origin TEXT NOT NULL, engine TEXT NOT NULL, setup TEXT NOT NULL, signal_id TEXT,
        state TEXT NOT NULL, qty INTEGER NOT NULL, bought_qty INTEGER NOT NULL,
        entry_price TEXT, decision_price TEXT, plan TEXT NOT NULL,
        opened_at TEXT NOT NULL, closed_at TEXT, sold_qty INTEGER NOT NULL, exit_price TEXT,
        exit_reason TEXT, to_sell INTEGER NOT NULL, half_sold INTEGER NOT NULL,
        high_bid TEXT, best_mid TEXT, worst_mid TEXT, note TEXT NOT NULL);
    CREATE INDEX positions_by_state ON positions (state);

    CREATE TABLE signals (
        signal_id TEXT PRIMARY KEY, at TEXT NOT NULL, engine TEXT NOT NULL, setup TEXT NOT NULL,
        ticker TEXT NOT NULL, direction TEXT NOT NULL, confidence REAL NOT NULL, price REAL NOT NULL,
        evidence TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, position_id TEXT);
    CREATE INDEX signals_by_time ON signals (at);

    CREATE TABLE outcomes (
        position_id TEXT PRIMARY KEY, signal_id TEXT, event_seq INTEGER,
        engine TEXT NOT NULL, setup TEXT NOT NULL, symbol TEXT NOT NULL, underlying TEXT NOT NULL,
        opened_at TEXT NOT NULL, closed_at TEXT NOT NULL, qty INTEGER NOT NULL,
        entry_price TEXT NOT NULL, exit_price TEXT NOT NULL,
        gross_pnl TEXT NOT NULL, fees TEXT NOT NULL, net_pnl TEXT NOT NULL,
        entry_slippage TEXT, exit_slippage TEXT, mfe TEXT, mae TEXT, r_multiple REAL,
        exit_reason TEXT NOT NULL, holding_s REAL NOT NULL, session_window TEXT NOT NULL, regime TEXT);
    CREATE INDEX outcomes_by_time ON outcomes (closed_at);

    CREATE TABLE paper_trades (
        paper_id TEXT PRIMARY KEY, signal_id TEXT NOT NULL, symbol TEXT NOT NULL, opened_at TEXT NOT NULL,
        entry_price TEXT NOT NULL, closed_at TEXT, exit_price TEXT, exit_reason TEXT, why_not TEXT NOT NULL);

    CREATE TABLE alerts (
        number INTEGER PRIMARY KEY AUTOINCREMENT, dedupe_key TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL, kind TEXT NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, sent_at TEXT);
    CREATE INDEX alerts_by_state ON alerts (state);

    CREATE TABLE pauses (reason TEXT PRIMARY KEY, since TEXT NOT NULL, detail TEXT NOT NULL, until TEXT);

    CREATE TABLE eod_runs (
        session TEXT PRIMARY KEY, ran_at TEXT NOT NULL, closing INTEGER NOT NULL,
        proven_at TEXT, withdrawn_at TEXT, detail TEXT NOT NULL);

    CREATE TABLE engine_state (engine TEXT PRIMARY KEY, at TEXT NOT NULL, state TEXT NOT NULL);

    CREATE TABLE model_weights (
        feature TEXT NOT NULL, version INTEGER NOT NULL, weight REAL NOT NULL, trades INTEGER NOT NULL,
        at TEXT NOT NULL, why TEXT NOT NULL, PRIMARY KEY (feature, version));
    CREATE TABLE pattern_memory (
        pattern_id TEXT PRIMARY KEY, position_id TEXT NOT NULL, at TEXT NOT NULL,
        window TEXT NOT NULL, net_r REAL NOT NULL);
    CREATE TABLE time_performance (
        cell TEXT PRIMARY KEY, trades INTEGER NOT NULL, sum_r REAL NOT NULL, sum_r2 REAL NOT NULL,
        at TEXT NOT NULL);
    CREATE TABLE daily_summaries (
        session TEXT PRIMARY KEY, trades INTEGER NOT NULL, wins INTEGER NOT NULL, losses INTEGER NOT NULL,
        net_pnl TEXT NOT NULL, fees TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL);
    CREATE TABLE trade_performance (
        engine TEXT NOT NULL, setup TEXT NOT NULL, exit_reason TEXT NOT NULL, trades INTEGER NOT NULL,
        wins INTEGER NOT NULL, net_pnl TEXT NOT NULL, sum_r REAL NOT NULL,
        PRIMARY KEY (engine, setup, exit_reason));
    """,
    """
    ALTER TABLE model_weights ADD COLUMN cause TEXT NOT NULL DEFAULT '';
    ALTER TABLE model_weights ADD COLUMN raw REAL NOT NULL DEFAULT 0.0;
    ALTER TABLE model_weights ADD COLUMN mean_r REAL NOT NULL DEFAULT 0.0;
    CREATE INDEX model_weights_by_time ON model_weights (at, version);
    CREATE INDEX model_weights_by_cause ON model_weights (cause);
    ALTER TABLE pattern_memory ADD COLUMN engine TEXT NOT NULL DEFAULT '';
    CREATE INDEX pattern_memory_by_time ON pattern_memory (at);
    ALTER TABLE time_performance ADD COLUMN clumped REAL NOT NULL DEFAULT 0.0;
    CREATE TABLE time_cells (position_id TEXT PRIMARY KEY, cell TEXT NOT NULL);
    CREATE INDEX time_cells_by_cell ON time_cells (cell);

    ALTER TABLE paper_trades ADD COLUMN engine TEXT NOT NULL DEFAULT '';
    ALTER TABLE paper_trades ADD COLUMN setup TEXT NOT NULL DEFAULT '';
    ALTER TABLE paper_trades ADD COLUMN plan TEXT NOT NULL DEFAULT '';
    ALTER TABLE paper_trades ADD COLUMN high_bid TEXT;
    ALTER TABLE paper_trades ADD COLUMN fees TEXT;
    ALTER TABLE paper_trades ADD COLUMN net_r REAL;
    CREATE INDEX paper_trades_by_time ON paper_trades (opened_at);
    """,
    """
    CREATE INDEX paper_trades_by_end ON paper_trades (closed_at);
    CREATE INDEX fills_by_position ON fills (position_id);
    """,
    """
    CREATE INDEX events_by_time ON events (at);
    CREATE INDEX alerts_by_time ON alerts (at);
    CREATE INDEX signals_by_ticker ON signals (ticker, at);
    CREATE INDEX positions_by_end ON positions (closed_at);
    CREATE INDEX positions_by_signal ON positions (signal_id);
    CREATE INDEX outcomes_by_signal ON outcomes (signal_id);
    CREATE INDEX paper_trades_by_signal ON paper_trades (signal_id);
    CREATE INDEX daily_summaries_by_time ON daily_summaries (at);
    """,
)
