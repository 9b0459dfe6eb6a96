"""Feature groups computed slowly and obviously, one line of the shop after the other, as the SQL's measure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import mean, median_low, stdev

from features import columns as c
from features.asof import Moment
from features.tables import TableSet


@dataclass(frozen=True)
class Bought:
    """A line before the moment, net of the returns before the moment."""

    customer: int
    order: int
    product: int
    us: int
    day: int
    quantity: float
    amount: float
    discount: float
    is_purchase: bool


def known_lines(tables: TableSet, moment: Moment) -> list[Bought]:
    back: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in tables.read("returns").itertuples():
        if row.returned_us < moment.us and row.line_key == row.line_key:  # a NaN is no line
            back[int(row.line_key)][0] += row.quantity
            back[int(row.line_key)][1] += row.amount
    merchandise = dict(tables.read("products")[["product_row", "is_merchandise"]].itertuples(index=False))
    found = []
    for row in tables.read("lines").itertuples():
        if row.ordered_us >= moment.us:
            continue
        quantity, amount, discount = row.quantity, row.amount, row.discount
        if row.line_key in back:
            quantity = max(row.quantity - back[row.line_key][0], 0)
            amount = max(row.amount - back[row.line_key][1], 0)
            discount = round(row.discount * quantity / row.quantity, 4)
        is_purchase = bool(merchandise[row.product_row] and quantity > 1e-9)
        found.append(
            Bought(row.customer_row, row.order_row, row.product_row, row.ordered_us, row.ordered_day, quantity, amount,
                   discount, is_purchase)
        )  # fmt: skip
    return found


def orders_of(lines: Iterable[Bought]) -> dict[int, list[list[Bought]]]:
    """Return each customer's orders, earliest first, as lists of lines."""
    by_order: dict[int, list[Bought]] = defaultdict(list)
    for each in lines:
        by_order[each.order].append(each)
    by_customer: dict[int, list[list[Bought]]] = defaultdict(list)
    for order in sorted(by_order.values(), key=lambda lines: (min(line.us for line in lines), lines[0].order)):
        by_customer[order[0].customer].append(order)
    return by_customer


def gaps_of(days: Sequence[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(days)]


def day_of(order: Sequence[Bought]) -> int:
    return min(each.day for each in order)


def customers(tables: TableSet, moment: Moment) -> dict[int, dict[str, float | None]]:
    found: dict[int, dict[str, float | None]] = {}
    for customer, orders in orders_of(known_lines(tables, moment)).items():
        days = [day_of(order) for order in orders]
        gaps = gaps_of(days)
        lines = [each for order in orders for each in order]
        bought = [each for each in lines if each.is_purchase]
        tenure = moment.day - days[0]
        per_day = {
            weeks: sum(moment.day - day <= 7 * weeks for day in days) / min(7 * weeks, max(tenure, 1))
            for weeks in (4, 12)
        }
        money = sum(each.amount + each.discount for each in bought)
        found[customer] = {
            c.N_BASKETS: len(orders),
            c.N_LINES: len(lines),
            c.N_BASKETS_H56: sum(2 ** (-(moment.day - day) / 56) for day in days),
            c.RECENCY_DAYS: moment.day - days[-1],
            c.TENURE_DAYS: tenure,
            c.GAP_MEAN_DAYS: mean(gaps) if gaps else None,
            c.GAP_STD_DAYS: stdev(gaps) if len(gaps) > 1 else None,
            c.GAP_LAST_DAYS: gaps[-1] if gaps else None,
            c.GAP_RATIO: (moment.day - days[-1]) / mean(gaps) if sum(gaps) else None,
            c.SPEND: sum(each.amount for each in lines),
            c.SPEND_12W: sum(each.amount for each in lines if moment.day - each.day <= 84),
            c.BASKET_TREND_4W_12W: per_day[4] / per_day[12] if per_day[12] else None,
            c.N_PRODUCTS: len({each.product for each in bought}),
            c.DISCOUNT_SHARE: sum(each.discount for each in bought) / money if money else None,
        }
    return found


def customer_products(tables: TableSet, moment: Moment) -> dict[tuple[int, int], dict[str, float | None]]:
    lines = [each for each in known_lines(tables, moment) if each.is_purchase]
    paid: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for each in lines:
        paid[each.product][0] += each.amount
        paid[each.product][1] += each.quantity
    found: dict[tuple[int, int], dict[str, float | None]] = {}
    for customer, orders in orders_of(lines).items():
        places: dict[int, list[int]] = defaultdict(list)
        for place, order in enumerate(orders):
            for product in {each.product for each in order}:
                places[product].append(place)
        for product, at in places.items():
            days = [day_of(orders[place]) for place in at]
            gaps = gaps_of(days)
            mine = [[each for each in orders[place] if each.product == product] for place in at]
            quantities = [sum(each.quantity for each in order) for order in mine]
            amount = sum(each.amount for order in mine for each in order)
            recency = moment.day - days[-1]
            found[customer, product] = {
                c.N_BASKETS: len(at),
                c.N_BASKETS_H14: sum(2 ** (-(moment.day - day) / 14) for day in days),
                c.RECENCY_DAYS: recency,
                c.GAP_MEAN_DAYS: mean(gaps) if gaps else None,
                c.GAP_STD_DAYS: stdev(gaps) if len(gaps) > 1 else None,
                c.DUE_RATIO: recency / mean(gaps) if sum(gaps) else None,
                c.BASKET_SHARE: len(at) / (len(orders) - at[0]),
                c.IN_LAST_3: sum(place >= len(orders) - 3 for place in at),
                c.BASKETS_SINCE: len(orders) - 1 - at[-1],
                c.QUANTITY_USUAL: max(1, median_low(quantities)),
                c.UNIT_PRICE_MEAN: amount / sum(quantities),
                c.PRICE_RATIO: amount / sum(quantities) / (paid[product][0] / paid[product][1])
                if paid[product][0]
                else None,
            }
    return found


def products(tables: TableSet, moment: Moment) -> dict[int, dict[str, float | None]]:
    lines = [each for each in known_lines(tables, moment) if each.is_purchase]
    active = {each.customer for each in lines if moment.day - each.day <= 28}
    mine: dict[int, list[Bought]] = defaultdict(list)
    for each in lines:
        mine[each.product].append(each)
    found: dict[int, dict[str, float | None]] = {}
    for product, bought in mine.items():
        orders: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for each in bought:
            orders[each.customer].add((each.order, moment.day - each.day))
        ages = {customer: sorted(age for _, age in bought_in) for customer, bought_in in orders.items()}
        had_it = {customer for customer, found_ages in ages.items() if found_ages[-1] > 28}
        newcomers = active - had_it
        weekly = [
            sum(any(7 * week < age <= 7 * week + 7 for age in found_ages) for found_ages in ages.values())
            for week in range(4)
        ]
        gaps = [gap for found_ages in ages.values() for gap in gaps_of(found_ages)]
        found[product] = {
            c.N_CUSTOMERS: len(ages),
            c.N_BASKETS: sum(map(len, ages.values())),
            c.REBUY_RATE: sum(len(each) > 1 for each in ages.values()) / len(ages),
            c.GAP_MEAN_DAYS: mean(gaps) if gaps else None,
            c.ADOPTION_4W: len(ages.keys() & newcomers) / len(newcomers) if newcomers else None,
            c.WEEKLY_RATE: sum(weekly) / 4 / len(active),
            c.PRICE_MEAN: sum(each.amount for each in bought) / sum(each.quantity for each in bought),
        }
    return found


def product_pairs(tables: TableSet, moment: Moment, enough: int) -> dict[tuple[int, int], dict[str, float | None]]:
    """Return the pairs with `enough` evidence of one kind; the other kind counts 0 when there is not enough of it."""
    both: dict[tuple[int, int], int] = defaultdict(int)
    weight: dict[tuple[int, int], float] = defaultdict(float)
    following: dict[tuple[int, int], int] = defaultdict(int)
    for orders in orders_of(each for each in known_lines(tables, moment) if each.is_purchase).values():
        baskets = [{each.product for each in order} for order in orders]
        for basket in baskets:
            for one, other in combinations(sorted(basket), 2):
                both[one, other] += 1
                weight[one, other] += len(basket) ** -0.6
        for basket, after in pairwise(baskets):
            for one in basket:
                for other in after - {one}:
                    following[one, other] += 1
    found: dict[tuple[int, int], dict[str, float | None]] = {}
    seen = {pair for pair, n in both.items() if n >= enough}
    seen |= {(other, one) for one, other in seen}
    seen |= {pair for pair, n in following.items() if n >= enough}
    for one, other in seen:
        pair = (min(one, other), max(one, other))
        is_both, is_next = both[pair] >= enough, following[one, other] >= enough
        found[one, other] = {
            c.N_BOTH: both[pair] if is_both else 0,
            c.WEIGHT_BOTH: weight[pair] if is_both else 0,
            c.N_NEXT: following[one, other] if is_next else 0,
        }
    return found


def product_household_pairs(
    tables: TableSet, moment: Moment, enough: int
) -> dict[tuple[int, int], dict[str, float | None]]:
    """Return how many customers bought both of a pair, where `enough` did; of few products, so that all are kept."""
    households: dict[tuple[int, int], int] = defaultdict(int)
    for orders in orders_of(each for each in known_lines(tables, moment) if each.is_purchase).values():
        owned = {each.product for order in orders for each in order}
        for pair in combinations(sorted(owned), 2):
            households[pair] += 1
    return {pair: {c.N_HOUSEHOLDS: n} for pair, n in households.items() if n >= enough}
