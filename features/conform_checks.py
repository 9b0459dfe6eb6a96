"""The contract as SQL: every column parsed and every breach named, in one streaming pass over a raw table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.contracts import CONSENTS, MAX_ID_LENGTH, Column, Contract, Kind, rough
from features.sources.base import ROW, RawTable, literal, quoted

REASON = "_reason"
SOURCE_ROW = "_source_row"
RAW = "raw "
REASON_SEPARATOR = "; "

# Joined to a TIME column's name: epoch microseconds where a time was given, the date where only a date was.
US = "_us"
ON = "_on"

_WHOLE_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_FLOATS = ("FLOAT", "DOUBLE")
_DATE_TEXT = r"\d{4}-\d{2}-\d{2}"
_TIME_TEXT = _DATE_TEXT + r"[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)? ?([Zz]|[+-]\d{2}(:?\d{2})?)?"
_CLOCK_TEXT = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?|24:00(:00)?"
_FIRST_TIME, _END_OF_TIME = "timestamp '1970-01-01'", "timestamp '2200-01-01'"


@dataclass(frozen=True)
class ParsedColumn:
    """The SQL of one column: `values` maps each name to an expression, `breaches` a reason to what is then true."""

    values: Mapping[str, str]
    breaches: Mapping[str, str]


def check_sql(contract: Contract, raw: RawTable) -> str:
    """Return the SELECT of a checked table: `_row`, the parsed columns, `_reason` (null: good), `_source_row`."""
    texts = [f"{_as_text(column, raw)} as {quoted(column.name)}" for column in contract.columns]
    parsed = {column.name: parse_column(column, _type_of(column, raw)) for column in contract.columns}
    values = [f"{sql} as {quoted(name)}" for each in parsed.values() for name, sql in each.values.items()]
    breaches = [
        f"case when {claim} then {literal(reason)} end as b{number}"
        for number, (reason, claim) in enumerate(_all_breaches(contract, parsed))
    ]
    reasons = ", ".join(f"b{number}" for number in range(len(breaches))) or "null"
    # The row as it came is packed for bad rows only: inside the CASE, from columns that are carried along without a
    # copy.
    carried = ", ".join(quoted(RAW + name) for name in raw.columns)
    renamed = ", ".join(f"{quoted(name)} as {quoted(RAW + name)}" for name in raw.columns)
    packed = ", ".join(f"{quoted(name)} := cast({quoted(RAW + name)} as varchar)" for name in raw.columns)
    kept = ", ".join(quoted(name) for column in contract.columns for name in kept_as(column))
    return f"""
        select {ROW}, {kept}, {REASON}, case when {REASON} is not null then struct_pack({packed}) end as {SOURCE_ROW}
        from (select *, nullif(concat_ws({literal(REASON_SEPARATOR)}, {reasons}), '') as {REASON}
        from (select *, {", ".join(breaches) or "null as b0"}
        from (select {ROW}, {carried}, {", ".join(values)}, {", ".join(_present(column) for column in contract.columns)}
        from (select {ROW}, {renamed}, {", ".join(texts)} from ({raw.scan})))))"""


def kept_as(column: Column) -> dict[str, str]:
    """Return the names under which a checked table keeps a column, with their SQL types."""
    if column.kind is Kind.TIME:
        return {column.name + US: "bigint", column.name + ON: "date"}
    numbers = (Kind.NUMBER, Kind.AMOUNT_ON_HAND)
    return {column.name: "double" if column.kind in numbers else "boolean" if column.kind is Kind.FLAG else "varchar"}


def _all_breaches(contract: Contract, parsed: Mapping[str, ParsedColumn]) -> list[tuple[str, str]]:
    """Return every (reason, claim) of a table: those of its columns, then its rules."""
    own = [pair for each in parsed.values() for pair in each.breaches.items()]
    return own + [(rule.reason, rule.broken_when) for rule in contract.rules]


def _present(column: Column) -> str:
    """Return the flag that the source gave something in this column."""
    return f"{quoted(column.name)} is not null as {quoted('has ' + column.name)}"


def _type_of(column: Column, raw: RawTable) -> str:
    """Return the DuckDB type under which a column is parsed: VARCHAR unless the source's own type says more."""
    given = raw.columns.get(column.name, "VARCHAR").upper()
    if column.kind is Kind.TIME and (given.startswith("TIMESTAMP") or given == "DATE"):
        return given
    if column.kind is Kind.NUMBER and _is_number(given):
        return "DOUBLE"
    return "VARCHAR"


def _is_number(given: str) -> bool:
    return given in _WHOLE_NUMBERS or given in _FLOATS or given.startswith("DECIMAL")


def _as_text(column: Column, raw: RawTable) -> str:
    """Return the SQL of a column before it is parsed: null where missing or empty, trimmed unless its type is kept."""
    if column.name not in raw.columns:
        return "cast(null as varchar)"
    given = raw.columns[column.name].upper()
    own = quoted(column.name)
    if _type_of(column, raw) != "VARCHAR":
        return (
            f"case when isnan(cast({own} as double)) then null else cast({own} as double) end"
            if _is_number(given)
            else own
        )
    if given in _FLOATS:
        whole = f"cast(cast({own} as bigint) as varchar)"
        is_whole = f"{own} = floor({own}) and abs({own}) < 9e15"
        return f"case when isnan({own}) then null when {is_whole} then {whole} else cast({own} as varchar) end"
    if given.endswith("]") or given.startswith(("STRUCT", "MAP", "JSON")):
        return f"nullif(cast(to_json({own}) as varchar), 'null')"
    return f"nullif(trim(cast({own} as varchar)), '')"


def parse_column(column: Column, given: str) -> ParsedColumn:
    """Return the SQL that reads a column's text (or its own type, where that is kept)."""
    own, present = quoted(column.name), quoted("has " + column.name)
    values = _values(column, own, given)
    breaches: dict[str, str] = {}
    if column.required:
        breaches[f"{column.name} is empty"] = f"not {present}"
    not_understood = " and ".join(f"{quoted(name)} is null" for name in kept_as(column))
    if column.kind not in (Kind.ID, Kind.TEXT):
        breaches[f"{column.name} is not {column.kind.value}"] = f"{present} and {not_understood}"
    if column.kind is Kind.ID:
        breaches[f"{column.name} is longer than {MAX_ID_LENGTH} characters"] = f"length({own}) > {MAX_ID_LENGTH}"
    if column.choices:
        allowed = ", ".join(literal(choice) for choice in column.choices)
        breaches[f"{column.name} is none of {', '.join(column.choices)}"] = f"{own} not in ({allowed})"
    if column.low is not None:
        breaches[f"{column.name} is below {column.low:g}"] = f"{own} < {column.low!r}"
    if column.high is not None:
        breaches[f"{column.name} is above {column.high:g}"] = f"{own} > {column.high!r}"
    return ParsedColumn(values, breaches)


def _values(column: Column, own: str, given: str) -> dict[str, str]:
    """Return the SQL of each name that a column is kept under; null where the text can't be read as its kind."""
    if column.kind is Kind.TIME:
        return _time_values(column, own, given)
    return {
        column.name: _SIMPLE[column.kind](own) if given == "VARCHAR" else f"case when isfinite({own}) then {own} end"
    }


def _number(own: str) -> str:
    # DuckDB reads what a pattern would allow, and 1_000: twice as fast as asking the pattern first.
    number = f"try_cast({own} as double)"
    return f"case when isfinite({number}) and not contains({own}, '_') then {number} end"


def _flag(own: str) -> str:
    yes, no = "('true', 't', '1')", "('false', 'f', '0')"
    return f"case when lower({own}) in {yes} then true when lower({own}) in {no} then false end"


def _on_hand(own: str) -> str:
    count = f"case when {_number(own)} >= 0 then {_number(own)} end"
    return f"case lower({own}) when 'true' then 1.0 when 'false' then 0.0 else {count} end"


def _json_of(own: str, kind: str) -> str:
    """Return the text where it is JSON of one kind; `json_valid` comes first, since `json_type` raises without it."""
    return f"case when json_valid({own}) then case when json_type({own}) = '{kind}' then {own} end end"


def _consent(own: str) -> str:
    wrong = " or ".join(f"coalesce(json_type({own}, '$.{key}'), 'NULL') not in ('BOOLEAN', 'NULL')" for key in CONSENTS)
    is_object = f"json_valid({own}) and json_type({own}) = 'OBJECT'"
    return f"case when {is_object} then case when {wrong} then null else {own} end end"


def _strings(own: str) -> str:
    wrong = "json_type(x) not in ('VARCHAR', 'UBIGINT', 'BIGINT')"
    items = f"cast(json_extract({own}, '$[*]') as json[])"
    plain = f"case when len(list_filter({items}, lambda x: {wrong})) = 0 then {own} end"
    return f"case when json_valid({own}) then case when json_type({own}) = 'ARRAY' then {plain} end end"


def _zone(own: str) -> str:
    return f"case when {own} in (select zone from known_zones) then {own} end"


def _clock(own: str) -> str:
    return f"case when regexp_full_match({own}, {literal(_CLOCK_TEXT)}) then left({own}, 5) end"


_SIMPLE = {
    Kind.ID: lambda own: own,
    Kind.TEXT: lambda own: own,
    Kind.NUMBER: _number,
    Kind.FLAG: _flag,
    Kind.AMOUNT_ON_HAND: _on_hand,
    Kind.OBJECT: lambda own: _json_of(own, "OBJECT"),
    Kind.CONSENT: _consent,
    Kind.STRINGS: _strings,
    Kind.ZONE: _zone,
    Kind.CLOCK: _clock,
}


def _time_values(column: Column, own: str, given: str) -> dict[str, str]:
    """Return microseconds where a time was given, a date where only a date was, and a rough TIMESTAMP for rules."""
    if given == "DATE":
        stamp, day = "cast(null as timestamp)", own
    elif given.startswith("TIMESTAMP"):
        stamp, day = f"try_cast({own} as timestamp)", "cast(null as date)"
    else:
        # DuckDB's TIMESTAMP leaves an offset unread: only TIMESTAMPTZ (the session's zone is UTC) takes it off.
        spelt = rf"regexp_replace(replace(upper({own}), ',', '.'), ' ([-+Z])', '\1')"
        moment = f"coalesce(try_cast({own} as timestamptz), try_cast({spelt} as timestamptz))"
        stamp = f"case when regexp_full_match({own}, {literal(_TIME_TEXT)}) then timezone('UTC', {moment}) end"
        day = f"case when regexp_full_match({own}, {literal(_DATE_TEXT)}) then try_cast({own} as date) end"
    stamp = f"case when {stamp} >= {_FIRST_TIME} and {stamp} < {_END_OF_TIME} then {stamp} end"
    day = f"case when {day} >= {_FIRST_TIME} and {day} < {_END_OF_TIME} then {day} end"
    last = (
        f"cast({day} as timestamp) + interval 1 day - interval 1 microsecond"
        if column.ends_day
        else f"cast({day} as timestamp)"
    )
    return {
        column.name + US: f"epoch_us({stamp})",
        column.name + ON: day,
        rough(column.name): f"coalesce({stamp}, {last})",
    }
