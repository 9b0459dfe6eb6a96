"""Shops near a customer: how far, and whether they are open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from serving.bundle_format import Stores
from serving.decisioning.windows import zone_named

EARTH_KM = 6371.0088
"""The mean radius of the earth (IUGG)."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ShopNear:
    """A shop (its row) and how far it is, at most; None where that is not known, as `closes` where its hours aren't."""

    store: int
    km: float | None
    closes: datetime | None


class Hours(NamedTuple):
    """Local minutes of the day; closing at or before opening is on the next day, both the same is all day."""

    opens: int
    closes: int

    def closing(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the shop that is open at `at` closes, None where it is closed."""
        local = at.astimezone(zone)
        for days_back in (0, 1):  # yesterday's hours may run past midnight
            day = local.replace(hour=0, minute=0, second=0, microsecond=0) - days_back * _DAY
            length = (self.closes - self.opens) % (24 * 60) or 24 * 60
            opening = _at_minute(day, self.opens)
            closing = _at_minute(day, self.opens + length)
            if opening <= local < closing:
                return closing
        return None


class ShopsNear:
    """Finds shops of one bundle by place."""

    def __init__(self, stores: Stores, zone: ZoneInfo) -> None:
        """`zone` is that of shops that have none of their own."""
        self._latitude = np.radians(stores.latitude.astype(np.float64))
        self._longitude = np.radians(stores.longitude.astype(np.float64))
        self._hours = [
            Hours(int(opens), int(closes)) for opens, closes in zip(stores.opens, stores.closes, strict=True)
        ]
        self._zones = [zone_named(name) or zone for name in stores.time_zone]

    def within(self, latitude: float, longitude: float, km: float) -> list[tuple[int, float]]:
        """Return the rows of shops at most so far away, with their distance in km, the nearest first."""
        distances = haversine_km(math.radians(latitude), math.radians(longitude), self._latitude, self._longitude)
        near = np.flatnonzero(distances <= km)  # an unknown place is NaN, and never near
        return sorted(((int(row), float(distances[row])) for row in near), key=lambda pair: (pair[1], pair[0]))

    def knows_hours(self, store: int) -> bool:
        """Return whether the hours of a shop are known."""
        return min(self._hours[store]) >= 0

    def closing(self, store: int, at: datetime) -> datetime | None:
        """Return when a shop that is open at `at` closes; None where it is closed, or its hours are not known."""
        return self._hours[store].closing(at, self._zones[store]) if self.knows_hours(store) else None


def haversine_km(
    latitude: float,
    longitude: float,
    latitudes: np.typing.NDArray[np.float64],
    longitudes: np.typing.NDArray[np.float64],
) -> np.typing.NDArray[np.float64]:
    """Return great-circle distances in km from one place to many, all in radians; NaN where a place is not known."""
    inner = np.sin((latitudes - latitude) / 2) ** 2
    inner += math.cos(latitude) * np.cos(latitudes) * np.sin((longitudes - longitude) / 2) ** 2
    distances: npt.NDArray[np.float64] = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(inner, 0.0, 1.0)))
    return distances


def _at_minute(day: datetime, minute: int) -> datetime:
    """Return the local moment so many minutes after midnight, by the clock on the wall."""
    return day + timedelta(minutes=minute)
