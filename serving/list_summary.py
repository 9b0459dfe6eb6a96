"""The page beside a list, for marketers: who is on it, what it offers, costs and brings, what was withheld and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from serving.api_action_codes import ActionCode
from serving.api_offer_codes import Trigger, WithheldCode
from serving.decisioning.windows import zone_named
from serving.engine import Engine
from serving.list_options import NO_TRIGGER, NO_TRIGGER_TEXT, NOT_LINKED, NOT_LINKED_TEXT
from serving.list_tally import Sum, Tally
from serving.state.holds import Spending

_IN_WORDS = {
    **{each.value: each.explanation for each in ActionCode},
    **{each.value: each.explanation for each in WithheldCode},
    **{NOT_LINKED: NOT_LINKED_TEXT, NO_TRIGGER: NO_TRIGGER_TEXT},
}
_LEFT_TO_ORDER = WithheldCode.RANKED_BELOW.value
_NO_OFFER = "without an offer"
_TRIGGERS = {
    Trigger.REWARD_EXPIRING: "a reward or challenge about to end",
    Trigger.CART: "something left in the basket",
    Trigger.BACK_IN_STOCK: "back in stock",
    Trigger.FIRST_PURCHASE: "first purchase in a category",
    Trigger.WISHLIST: "on the wish list",
    Trigger.REPLENISH: "due to buy again",
    Trigger.LAUNCH: "new in a category of theirs",
    Trigger.CHURN_RISK: "at risk of leaving",
}


@dataclass(frozen=True)
class About:
    """Which list a summary is of."""

    kind: str
    at: datetime
    file: str
    is_issued: bool
    has_rules: bool


def summary_html(about: About, tally: Tally, engine: Engine, gone: Mapping[str, Spending]) -> str:
    """Return the page; it names no customer, and needs nothing from anywhere else."""
    manifest = engine.bundle.manifest
    money = _Money(manifest.currency)
    title = "Offers" if about.kind == "offers" else "Next best actions"
    zone = zone_named(manifest.time_zone)
    local = about.at.astimezone(zone) if zone is not None else about.at
    parts = [
        f"<h1>{title} <small>{local:%A, %-d %B %Y, %H:%M}</small></h1>",
        f"<p class=lead>{_lead(about, tally, money)}</p>",
        _cards(tally, money),
        _offers(tally, engine, money),
        _budgets(tally, engine, gone, money) if about.has_rules else "",
        _who(tally),
        _withheld(tally, about.kind),
        f"<footer>{escape(about.file)} · model {escape(manifest.version)} · {escape(manifest.source_name)}</footer>",
    ]
    return _PAGE.format(title=f"{title}, {local:%Y-%m-%d}", style=_STYLE, body="\n".join(parts))


class _Money:
    """Writes amounts in the shop's currency."""

    def __init__(self, currency: str) -> None:
        self._currency = escape(currency)

    def __call__(self, amount: float) -> str:
        return f"{amount:,.2f}&nbsp;{self._currency}".replace("-", "−")


def _lead(about: About, tally: Tally, money: _Money) -> str:
    total = tally.total
    things = "offers" if about.kind == "offers" else "actions"
    state = (
        "This list has been issued: its messages count as sent, and its budgets are reserved."
        if about.is_issued
        else "This is a draft: nothing has been sent, and no budget is reserved."
    )
    if not about.has_rules:
        state = "This is the ranking alone: no rule, cap, consent, holdout or budget was looked at. Do not send it."
    if not total.n:
        return f"Of {tally.n_asked:,} customers nobody gets anything. {state}"
    sentences = (
        f"Of {tally.n_asked:,} customers {tally.n_customers:,} get {total.n:,} {things}.",
        f"About {total.redemptions:,.0f} redemptions are expected, which cost {money(total.cost)} in rewards and add",
        f"{money(total.margin)} of margin: after {money(total.fatigue)} for the goodwill that messages use up,",
        f"{money(total.value)} should remain.",
        state,
    )
    return " ".join(sentences)


def _cards(tally: Tally, money: _Money) -> str:
    total = tally.total
    facts = [
        ("customers on the list", f"{tally.n_customers:,}", f"of {tally.n_asked:,}"),
        ("expected redemptions", f"{total.redemptions:,.0f}", f"from {total.n:,} rows"),
        ("expected reward cost", money(total.cost), "paid when redeemed"),
        ("expected return", money(total.value), "margin less rewards and goodwill"),
    ]
    cells = "".join(f"<div><b>{value}</b><span>{name}</span><i>{more}</i></div>" for name, value, more in facts)
    return f"<section class=cards>{cells}</section>"


def _offers(tally: Tally, engine: Engine, money: _Money) -> str:
    rows = sorted(tally.what.items(), key=lambda each: (-each[1].value, each[0]))
    if not rows:
        return ""
    offers = engine.bundle.offers
    kinds = dict(zip(offers.id, zip(offers.kind, offers.value.tolist(), strict=True), strict=True))
    heads = ("", "rows", "redemptions", "reward cost", "added margin", "goodwill", "return")
    body = [
        (_named(name, kinds.get(name), money), f"{each.n:,}", f"{each.redemptions:,.1f}", *map(money, _amounts(each)))
        for name, each in rows
    ]
    told = Counter({_TRIGGERS.get(Trigger(name), name): n for name, n in tally.triggers.items()})
    triggers = _bars("By what is true of them", told) if told else ""
    return f"<h2>What</h2>{_table(heads, body)}{triggers}"


def _named(offer_id: str, kind: tuple[str, float] | None, money: _Money) -> str:
    """Return an offer's name, with what the customer gets beneath it."""
    if kind is None:
        return escape(offer_id or _NO_OFFER)
    name, value = kind
    worth = "" if math.isnan(value) else f", worth {money(value)}"
    return f"{escape(offer_id)}<small>{escape(name.replace('_', ' '))}{worth}</small>"


def _amounts(each: Sum) -> tuple[float, ...]:
    return each.cost, each.margin, each.fatigue, each.value


def _budgets(tally: Tally, engine: Engine, gone: Mapping[str, Spending], money: _Money) -> str:
    """Return what of each budget was gone before, what the list reserves, and what is left."""
    body = []
    for offer_id, budget in engine.budgets.items():
        before = gone.get(offer_id, Spending()).gone
        now = tally.reserved[offer_id] * (engine.offer_cost(offer_id) or 0.0)
        turned_away = tally.withheld[offer_id, WithheldCode.BUDGET_SPENT.value]
        shares = [100.0 * min(part / budget, 1.0) if budget else 0.0 for part in (before, now)]
        bar = f'<div class=budget><i style="width:{shares[0]:.1f}%"></i><b style="width:{shares[1]:.1f}%"></b></div>'
        left = max(budget - before - now, 0.0)
        cells = (money(budget), money(before), money(now), money(left), f"{turned_away:,}", bar)
        body.append((escape(offer_id), *cells))
    if not body:
        return ""
    heads = ("", "budget", "gone before", "this list", "left", "customers it did not reach", "")
    note = "<p>Where a budget is too small for all, it goes to those from whom the most is expected.</p>"
    return f"<h2>Budgets</h2>{note}{_table(heads, body)}"


def _who(tally: Tally) -> str:
    parts = [("Channels", tally.channels), ("Segments", tally.segments), ("How they answer", tally.tiers)]
    shown = "".join(f"<div>{_bars(name, counts)}</div>" for name, counts in parts if counts)
    return f"<h2>Who</h2><section class=columns>{shown}</section>" if shown else ""


def _withheld(tally: Tally, kind: str) -> str:
    """Return what was withheld, by reason, each with the offers that it befell most."""
    reasons: Counter[str] = Counter()
    offers: dict[str, Counter[str]] = {}
    for (offer_id, code), n in tally.withheld.items():
        reasons[code] += n
        if offer_id:
            offers.setdefault(code, Counter())[offer_id] += n
    body: list[tuple[str, ...]] = [
        (f"{n:,}", escape(_IN_WORDS.get(code, code)), ", ".join(_counted(offers.get(code, Counter()))))
        for code, n in sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
        if code != _LEFT_TO_ORDER
    ]
    if not body:
        return ""
    each = (
        "customer and offer, by the first rule that kept it back" if kind == "offers" else "customer without an action"
    )
    heads: tuple[str, ...] = ("times", "why", "offers")
    if not offers:
        heads, body = heads[:2], [cells[:2] for cells in body]
    table = _table(heads, body, n_texts=len(heads) - 1)
    return f"<h2>Withheld, and why</h2><p>Counted once for each {each}.</p>{table}"


def _counted(counts: Counter[str]) -> Iterable[str]:
    shown = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    yield from (f"{escape(name)}&nbsp;({n:,})" for name, n in shown[:5])
    if len(shown) > 5:
        yield f"{len(shown) - 5} more"


def _bars(name: str, counts: Counter[str]) -> str:
    total, most = sum(counts.values()), max(counts.values())
    rows = (
        f'<tr><td>{escape(each)}<td class=bar><i style="width:{100 * n / most:.1f}%"></i><td>{n:,}'
        f"<td>{100 * n / total:.0f}%"
        for each, n in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    )
    return f"<h3>{escape(name)}</h3><table class=bars>{''.join(rows)}</table>"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]], *, n_texts: int = 0) -> str:
    """Return a table; the last `n_texts` columns are text, as is the first one where there is none."""
    first_number = 1 if n_texts == 0 else 0
    last_number = len(heads) - n_texts

    def row(cells: Sequence[str], tag: str) -> str:
        kinds = ("n" if first_number <= place < last_number else "t" for place in range(len(cells)))
        return "<tr>" + "".join(f"<{tag} class={kind}>{cell}" for kind, cell in zip(kinds, cells, strict=True))

    rows = "".join(row(cells, "td") for cells in body)
    return f"<div class=wide><table><thead>{row(heads, 'th')}</thead><tbody>{rows}</tbody></table></div>"


_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6878;--line:#dfe4ea;--paper:#fff;--wash:#f4f6f9;--main:#2f6f4f;
--past:#b9c3cf}
@media(prefers-color-scheme:dark){:root{--ink:#e7ebf0;--soft:#9aa6b5;--line:#333c48;--paper:#171c23;--wash:#1f262f;
--main:#67b58d;--past:#566373}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2.5rem auto;
padding:0 1.25rem}
h1{font-size:1.9rem;margin:0}h1 small{display:block;font-size:1rem;font-weight:400;color:var(--soft)}
h2{font-size:1.2rem;margin:2.4rem 0 .5rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
h3{font-size:.95rem;margin:1.2rem 0 .3rem;color:var(--soft);font-weight:600}
.lead{font-size:1.08rem;max-width:48rem}p{margin:.5rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:.9rem;margin-top:1.2rem}
.cards div{background:var(--wash);border-radius:.6rem;padding:.9rem 1rem;display:flex;flex-direction:column}
.cards b{font-size:1.45rem}.cards i{color:var(--soft);font-style:normal;font-size:.85rem}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:0 2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-size:.82rem;color:var(--soft);font-weight:600}.n{text-align:right;white-space:nowrap}.t{text-align:left}
td small{display:block;color:var(--soft);font-size:.82rem}
.bars td{border:0;padding:.15rem .5rem .15rem 0}.bars td:nth-child(n+3){text-align:right;
color:var(--soft)}.bars td.bar{width:28%;min-width:4rem}
.bar i{display:block;height:.75rem;margin-top:.4rem;background:var(--main);
border-radius:.2rem;min-width:2px}
.budget{display:flex;height:.75rem;min-width:8rem;margin-top:.4rem;background:var(--wash);border-radius:.2rem;
overflow:hidden}.budget i{background:var(--past)}.budget b{background:var(--main)}
footer{margin:2.5rem 0 1rem;color:var(--soft);font-size:.85rem}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body>
{body}
</body></html>
"""
