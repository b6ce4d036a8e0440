"""The views that sum up or unfold others, and what of them differs by database."""

from collections.abc import Sequence

from stairways.store.view import Column, OtherView

_EVERY_EVENT = (
    (Column("position", "whole"), "place in the log: 1, 2, 3 …"),
    (Column("stream", "text"), "for example `run-20261123-k7x2` or `model-default`"),
    (Column("version", "whole"), "place in the stream, from 1"),
    (Column("type", "text"), "see [events.md](events.md)"),
    (Column("schema", "whole"), "version of the type"),
    (Column("recorded_at", "time"), "when it was written"),
    (Column("actor", "text"), "who or what wrote it"),
    (Column("correlation", "text"), "the run or command it belongs to"),
    (Column("causation", "whole"), "position of the event that caused it, if one did"),
    (Column("append_id", "text"), "names the append it came with"),
    (Column("payload", "json"), "what it says; empty if it is in a sealed segment"),
    (Column("leaf", "text"), "hash of the whole record, hexadecimal (RFC 6962)"),
)

_OF_EVERY_EVENT = """
SELECT e.position AS position, s.name AS stream, a.version + e.position - a.first AS version,
       e.type AS type, {schema} AS schema, {recorded_at} AS recorded_at, a.actor AS actor,
       a.correlation AS correlation, a.causation AS causation, a.append_id AS append_id,
       {payload_text} AS payload, {leaf} AS leaf"""

OTHER_VIEWS: Sequence[OtherView] = (
    OtherView(
        "audit_events",
        "Every event of the log.",
        _EVERY_EVENT,
        _OF_EVERY_EVENT + "\n{appended}",
    ),
    OtherView(
        "audit_stream_events",
        "Every event again, found by its stream: for questions by stream, actor or time.",
        _EVERY_EVENT,
        _OF_EVERY_EVENT + "\n{of_streams}",
    ),
    OtherView(
        "audit_runs",
        "One row for each run: how it began, how it stands, what came of it.",
        (
            (Column("run", "text"), "name of the run"),
            (Column("model", "text"), "name under which it promotes"),
            (Column("status", "text"), "`running`, `finished`, `failed` or `stopped`"),
            (Column("started_at", "time"), "when it began"),
            (Column("started_by", "text"), "who began it"),
            (Column("seed", "whole"), "of all chance in it"),
            (Column("data", "text"), "digest of its bars"),
            (Column("simulated", "flag"), "whether they were made by chance"),
            (Column("code_version", "text"), "of Stairways"),
            (Column("code_digest", "text"), "of its source"),
            (Column("settings_digest", "text"), "of its settings"),
            (Column("steps", "whole"), "environment steps learned from"),
            (Column("promoted", "whole"), "models it promoted"),
            (Column("rolled_back", "whole"), "rollbacks"),
            (Column("resumed", "whole"), "how often it went on after an interruption"),
            (Column("reason", "text"), "why it failed or was stopped, if it was"),
            (Column("position", "whole"), "of its first event"),
        ),
        """
SELECT r.run AS run, r.model AS model,
       CASE WHEN {is_finished} THEN 'finished'
            WHEN coalesce(x.position, 0) > coalesce(u.position, 0)
                 AND coalesce(x.position, 0) > coalesce(h.position, 0) THEN 'failed'
            WHEN coalesce(h.position, 0) > coalesce(u.position, 0) THEN 'stopped'
            ELSE 'running' END AS status,
       r.recorded_at AS started_at, r.actor AS started_by, r.seed AS seed, r.data AS data,
       r.simulated AS simulated, r.code_version AS code_version, r.code_digest AS code_digest,
       r.settings_digest AS settings_digest, coalesce(f.steps, p.steps, 0) AS steps,
       coalesce(m.times, 0) AS promoted, coalesce(b.times, 0) AS rolled_back,
       coalesce(u.times, 0) AS resumed,
       CASE WHEN f.run IS NOT NULL THEN NULL
            WHEN coalesce(x.position, 0) > coalesce(u.position, 0)
                 AND coalesce(x.position, 0) > coalesce(h.position, 0) THEN x.reason
            WHEN coalesce(h.position, 0) > coalesce(u.position, 0) THEN h.reason END AS reason,
       r.position AS position
FROM audit_starts r
LEFT JOIN audit_finishes f ON f.run = r.run
LEFT JOIN (SELECT y.*, row_number() OVER (PARTITION BY y.run ORDER BY y.position DESC) AS place
           FROM audit_failures y) x ON x.run = r.run AND x.place = 1
LEFT JOIN (SELECT y.*, row_number() OVER (PARTITION BY y.run ORDER BY y.position DESC) AS place
           FROM audit_stops y) h ON h.run = r.run AND h.place = 1
LEFT JOIN (SELECT y.run, max(y.position) AS position, count(y.position) AS times
           FROM audit_resumptions y GROUP BY y.run) u ON u.run = r.run
LEFT JOIN (SELECT y.run, max(y.steps) AS steps FROM audit_updates y GROUP BY y.run) p
     ON p.run = r.run
LEFT JOIN (SELECT y.run, count(y.position) AS times FROM audit_promotions y GROUP BY y.run) m
     ON m.run = r.run
LEFT JOIN (SELECT y.run, count(y.position) AS times FROM audit_rollbacks y GROUP BY y.run) b
     ON b.run = r.run""",
    ),
    OtherView(
        "audit_cycles",
        "One row for each attempt at a cycle. Rates and results are those of the validation.",
        (
            (Column("run", "text"), "name of the run"),
            (Column("cycle", "whole"), "number of the cycle, from 1"),
            (Column("attempt", "whole"), "attempt at the cycle, from 1"),
            (Column("name", "text"), "name for people"),
            (Column("target", "real"), "hold rate aimed at"),
            (Column("learning_rate", "real"), "of the optimiser"),
            (Column("training_hold_rate", "real"), "of all its training decisions"),
            (Column("hold_rate", "real"), "share of validation decisions that held"),
            (Column("effectiveness", "real"), "1 - \\|hold rate - target\\| / 0.35"),
            (Column("profit", "real"), "of the ledger, as a share of starting capital"),
            (Column("drawdown", "real"), "deepest loss from a peak, as a share of the peak"),
            (Column("trades", "whole"), "orders filled on validation bars"),
            (Column("sharpe", "real"), "annualised"),
            (Column("divergence", "real"), "where it was rolled back for it"),
            (Column("verdict", "text"), "`promoted`, `rejected` or `rolled back`; empty if open"),
            (Column("reason", "text"), "of verdict or rollback"),
            (Column("overridden_by", "text"), "who decided against the gates, if somebody did"),
            (Column("parent", "text"), "digest of the parameters it began from"),
            (Column("parameters", "text"), "digest of those it ended with"),
            (Column("started_at", "time"), "when it began"),
            (Column("first_position", "whole"), "of its first event: of CycleStarted"),
            (Column("last_position", "whole"), "before the next attempt; empty for the newest"),
        ),
        """
SELECT c.run AS run, c.cycle AS cycle, c.attempt AS attempt, c.name AS name, c.target AS target,
       c.learning_rate AS learning_rate, t.hold_rate AS training_hold_rate,
       v.hold_rate AS hold_rate, v.effectiveness AS effectiveness, v.profit AS profit,
       v.drawdown AS drawdown, v.trades AS trades, v.sharpe AS sharpe, d.divergence AS divergence,
       CASE WHEN o.run IS NOT NULL AND {o_promoted} THEN 'promoted'
            WHEN o.run IS NOT NULL THEN 'rejected'
            WHEN g.run IS NOT NULL AND {g_promoted} THEN 'promoted'
            WHEN g.run IS NOT NULL THEN 'rejected'
            WHEN b.run IS NOT NULL THEN 'rolled back' END AS verdict,
       coalesce(o.why, g.reason, b.reason) AS reason, o.who AS overridden_by,
       c.parent AS parent, t.parameters AS parameters, c.recorded_at AS started_at,
       c.position AS first_position, c.following - 1 AS last_position
FROM (SELECT i.*, lead(i.position) OVER (PARTITION BY i.run ORDER BY i.position) AS following
      FROM audit_attempts i) c
LEFT JOIN audit_trainings t ON t.run = c.run AND t.cycle = c.cycle AND t.attempt = c.attempt
LEFT JOIN audit_evaluations v ON v.run = c.run AND v.cycle = c.cycle AND v.attempt = c.attempt
LEFT JOIN audit_divergences d ON d.run = c.run AND d.cycle = c.cycle AND d.attempt = c.attempt
LEFT JOIN audit_verdicts g ON g.run = c.run AND g.cycle = c.cycle AND g.attempt = c.attempt
LEFT JOIN audit_overrides o ON o.verdict = g.position
LEFT JOIN audit_rollbacks b ON b.run = c.run AND b.cycle = c.cycle AND b.attempt = c.attempt
     AND coalesce(b.ordered_by, '') = ''""",
    ),
    OtherView(
        "audit_settings",
        "One row for each setting of each run.",
        (
            (Column("run", "text"), "name of the run"),
            (Column("name", "text"), "see [settings.md](settings.md)"),
            (Column("value", "text"), "as the run recorded it"),
        ),
        """
SELECT r.run AS run, {setting_key} AS name, {setting_value} AS value
FROM audit_starts r{each_setting}""",
    ),
    OtherView(
        "audit_fills",
        "One row for each order of a symbol that was filled or cut, in training and validation.",
        (
            (Column("position", "whole"), "of the step"),
            (Column("run", "text"), "name of the run"),
            (Column("kind", "text"), "`training` or `validation`"),
            (Column("step", "whole"), "of the run, or of the validation"),
            (Column("lane", "whole"), "environment lane; 0 in validation"),
            (Column("bar", "whole"), "row of the bars the decision was made on"),
            (Column("bar_time", "time"), "start of that bar"),
            (Column("symbol_number", "whole"), "order of the symbol in the data set, from 1"),
            (Column("symbol", "text"), "empty if the bars are not registered in this log"),
            (Column("shares", "whole"), "bought; negative when sold"),
            (Column("price", "micros"), "at which they were filled"),
            (Column("cost", "micros"), "commission, ticket and impact"),
            (Column("clipped", "flag"), "whether the order met a limit and was cut"),
        ),
        """
SELECT t.position AS position, t.run AS run, t.kind AS kind, t.step AS step, t.lane AS lane,
       t.bar AS bar, t.bar_time AS bar_time, {number} AS symbol_number, {symbol} AS symbol,
       {shares} AS shares, {price} AS price, {cost} AS cost, {clipped} AS clipped
FROM (SELECT position, run, 'training' AS kind, step, lane, bar, bar_time, shares, prices, costs,
             clipped FROM audit_steps
      UNION ALL
      SELECT position, run, 'validation', step, 0, bar, bar_time, shares, prices, costs, clipped
      FROM audit_evaluation_steps) t{each_symbol}
WHERE {shares} <> 0 OR {is_clipped}""",
    ),
)

_SYMBOLS = """(SELECT d.symbols FROM audit_starts r JOIN audit_data_sets d ON d.digest = r.data
        WHERE r.run = t.run ORDER BY d.position LIMIT 1)"""
PARTS = {
    "sqlite": {
        "appended": """FROM events e
JOIN appends a ON a.first = (SELECT max(b.first) FROM appends b WHERE b.first <= e.position)
JOIN streams s ON s.id = a.stream""",
        "of_streams": """FROM streams s
JOIN appends a ON a.stream = s.id
JOIN events e ON e.position BETWEEN a.first AND a.last""",
        "is_finished": "likely(f.run IS NOT NULL)",
        "schema": "e.schema",
        "recorded_at": (
            "strftime('%Y-%m-%dT%H:%M:%S', a.recorded_at / 1000000, 'unixepoch')"
            " || printf('.%06dZ', a.recorded_at % 1000000)"
        ),
        "payload_text": "CAST(e.payload AS TEXT)",
        "leaf": "lower(hex(e.leaf))",
        "o_promoted": "likely(o.promoted = 1)",
        "g_promoted": "g.promoted = 1",
        "setting_key": "CAST(likely(x.key) AS TEXT)",
        "setting_value": "CAST(x.value AS TEXT)",
        "each_setting": ", json_each(r.settings) x",
        "number": "CAST(x.key AS INTEGER) + 1",
        "symbol": f"CAST(likely(json_extract({_SYMBOLS}, '$[' || x.key || ']')) AS TEXT)",
        "shares": "CAST(x.value AS INTEGER)",
        "price": "CAST(json_extract(t.prices, '$[' || x.key || ']') AS INTEGER)",
        "cost": "CAST(json_extract(t.costs, '$[' || x.key || ']') AS INTEGER)",
        "clipped": "CAST(json_extract(t.clipped, '$[' || x.key || ']') AS INTEGER)",
        "is_clipped": "json_extract(t.clipped, '$[' || x.key || ']')",
        "each_symbol": ", json_each(t.shares) x",
    },
    "postgresql": {
        "appended": """FROM events e
LEFT JOIN LATERAL (SELECT max(b.first) AS first FROM appends b WHERE b.first <= e.position) m
     ON true
LEFT JOIN appends a ON a.first = m.first
LEFT JOIN streams s ON s.id = a.stream""",
        "of_streams": """FROM streams s
JOIN appends a ON a.stream = s.id
LEFT JOIN events e ON e.position BETWEEN a.first AND a.last""",
        "is_finished": "f.run IS NOT NULL",
        "schema": "e.schema::bigint",
        "recorded_at": (
            "timestamptz '1970-01-01 00:00:00+00' + a.recorded_at * interval '1 microsecond'"
        ),
        "payload_text": "convert_from(e.payload, 'UTF8')",
        "leaf": "encode(e.leaf, 'hex')",
        "o_promoted": "o.promoted",
        "g_promoted": "g.promoted",
        "setting_key": "x.key",
        "setting_value": "x.value",
        "each_setting": " CROSS JOIN LATERAL jsonb_each_text(r.settings::jsonb) x",
        "number": "x.number",
        "symbol": f"{_SYMBOLS}::jsonb ->> (x.number - 1)::integer",
        "shares": "x.shares::bigint",
        "price": "(t.prices::jsonb ->> (x.number - 1)::integer)::bigint",
        "cost": "(t.costs::jsonb ->> (x.number - 1)::integer)::bigint",
        "clipped": "(t.clipped::jsonb ->> (x.number - 1)::integer)::boolean",
        "is_clipped": "(t.clipped::jsonb ->> (x.number - 1)::integer)::boolean",
        "each_symbol": (
            " CROSS JOIN LATERAL jsonb_array_elements_text(t.shares::jsonb)"
            " WITH ORDINALITY AS x(shares, number)"
        ),
    },
    "duckdb": {
        "appended": """FROM log.events e
ASOF JOIN log.appends a ON e.position >= a.first
JOIN log.streams s ON s.id = a.stream""",
        "of_streams": """FROM log.streams s
JOIN log.appends a ON a.stream = s.id
JOIN log.events e ON e.position BETWEEN a.first AND a.last""",
        "is_finished": "f.run IS NOT NULL",
        "schema": "CAST(e.schema AS BIGINT)",
        "recorded_at": "make_timestamptz(a.recorded_at)",
        "payload_text": "decode(e.payload)",
        "leaf": "lower(hex(e.leaf))",
        "o_promoted": "o.promoted",
        "g_promoted": "g.promoted",
        "setting_key": "x.key",
        "setting_value": "x.value ->> '$'",
        "each_setting": ", json_each(r.settings) x",
        "number": "CAST(x.key AS BIGINT) + 1",
        "symbol": f"{_SYMBOLS} ->> ('$[' || x.key || ']')",
        "shares": "CAST(x.value AS BIGINT)",
        "price": "CAST(t.prices ->> ('$[' || x.key || ']') AS BIGINT)",
        "cost": "CAST(t.costs ->> ('$[' || x.key || ']') AS BIGINT)",
        "clipped": "CAST(t.clipped ->> ('$[' || x.key || ']') AS BOOLEAN)",
        "is_clipped": "CAST(t.clipped ->> ('$[' || x.key || ']') AS BOOLEAN)",
        "each_symbol": ", json_each(t.shares) x",
    },
}
"""Each database's own words. SQLite's ``likely`` says nothing there; DuckDB, which would rather
run a view of SQLite itself and read JSON in it otherwise, does not know it and leaves it to SQLite.
"""
