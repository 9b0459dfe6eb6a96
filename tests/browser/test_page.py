"""The API page in a real browser, against a real server: what a newcomer does in the first ten minutes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from serving.http_calls import CALLS, TELLINGS
from serving.launch import Server
from tests.serving.running import publish, running

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    publish(home)
    with running(home, workers=1) as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs a browser: Debian's package chromium")
    with playwright.sync_playwright() as started:
        # The sandbox needs rights that a container does not have; the page is our own.
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: playwright.Browser, server: Server) -> Iterator[playwright.Page]:
    """The page for anna; a script error, a failed load or anything from another host fails the test."""
    page = browser.new_page()
    mishaps: list[str] = []
    page.on("pageerror", lambda error: mishaps.append(str(error)))
    page.on(
        "console", lambda line: mishaps.append(line.text) if line.type == "error" and "422" not in line.text else None
    )
    page.on("request", lambda asked: None if asked.url.startswith(server.url) else mishaps.append(asked.url))
    page.goto(f"{server.url}/?customer_id=anna")
    page.wait_for_selector("#status.ready")
    yield page
    page.close()
    assert mishaps == []


def test_every_call_is_there_with_its_fields_ranges_and_curl(page: playwright.Page) -> None:
    shown = zip(
        page.locator(".call h2 .verb").all_inner_texts(), page.locator(".call h2 .path").all_inner_texts(), strict=True
    )
    assert sorted(shown) == sorted((call.method, call.path) for call in (*CALLS, *TELLINGS))
    recommendations = page.locator("#recommendations")
    assert "whole number, 1 to 100" in recommendations.inner_text()
    assert "required" in recommendations.locator(".field", has_text="customer_id").inner_text()
    assert "/v1/recommendations" in recommendations.locator("pre").first.inner_text()


def test_a_challenge_is_shown_as_three_cards_with_reasons(page: playwright.Page) -> None:
    challenge = page.locator("#challenge")
    challenge.get_by_role("button", name="Send").click()
    challenge.locator(".card").first.wait_for()

    assert challenge.locator(".role").all_inner_texts() == ["HABIT", "HABIT", "STRETCH"]
    assert all(challenge.locator(".card p:not(.meta)").all_inner_texts())
    assert "200 in" in challenge.locator(".took").inner_text()


def test_the_curl_line_follows_the_form(page: playwright.Page) -> None:
    challenge = page.locator("#challenge")
    page.fill("#customer", "o'neil")
    page.fill("#challenge-basket", "milk-1, bread-1")

    line = challenge.locator("pre").first.inner_text()

    assert """o'\\''neil""" in line
    assert '"basket":["milk-1","bread-1"]' in line


def test_a_product_of_this_shop_is_filled_in_and_asked_about(page: playwright.Page) -> None:
    page.wait_for_function("document.querySelector('#also-bought-product_ids').value !== ''")
    also_bought = page.locator("#also-bought")
    also_bought.get_by_role("button", name="Send").click()

    also_bought.locator(".took", has_text="200 in").wait_for()


def test_what_is_told_and_what_is_kept_can_be_tried(page: playwright.Page) -> None:
    page.locator("#challenge").get_by_role("button", name="Send").click()
    page.locator("#challenge .took", has_text="200 in").wait_for()
    event = '[{"event_id": "page-1", "customer_id": "anna", "type": "view", "at": "2018-01-01T12:30:00Z"}]'
    page.fill("#events-events", event)
    page.locator("#events").get_by_role("button", name="Send").click()
    page.locator("#events .took", has_text="202 in").wait_for()
    page.locator("#get-decisions").get_by_role("button", name="Send").click()
    page.locator("#get-decisions .took", has_text="200 in").wait_for()
    page.locator("#get-customers").get_by_role("button", name="Send").click()
    page.locator("#get-customers .took", has_text="200 in").wait_for()

    assert '"accepted": 1' in page.locator("#events pre").last.inner_text()
    assert "page-1" in page.locator("#get-customers pre").last.inner_text()
    assert "Every field of events" in page.locator("#events").inner_text()


def test_an_id_in_a_path_is_encoded(page: playwright.Page) -> None:
    page.fill("#customer", "a/b'c")

    line = page.locator("#put-customers-consent pre").first.inner_text()

    assert line.startswith("curl -s -X PUT 'http://127.0.0.1:")
    assert "/v1/customers/a%2Fb%27c/consent'" in line


def test_a_wrong_field_is_marked_where_it_stands(page: playwright.Page) -> None:
    recommendations = page.locator("#recommendations")
    page.fill("#recommendations-k", "1000")
    recommendations.get_by_role("button", name="Send").click()
    recommendations.locator(".bad").wait_for()

    assert "less than or equal to 100" in recommendations.locator(".field", has_text="How many items").inner_text()
    assert page.locator("#recommendations-k").get_attribute("aria-invalid") == "true"


def test_text_of_an_answer_never_becomes_markup(page: playwright.Page) -> None:
    page.route(
        "**/v1/scores", lambda route: route.fulfill(json={"scores": [], "title": "<img src=x onerror=alert(1)>"})
    )
    scores = page.locator("#scores")
    scores.get_by_role("button", name="Send").click()
    scores.locator("pre", has_text="onerror").wait_for()

    assert scores.locator("img").count() == 0


def test_every_code_is_explained(page: playwright.Page) -> None:
    codes = page.locator("#codes")

    assert "habit_due" in codes.inner_text()
    assert "never_together" in codes.inner_text()


def test_on_a_telephone_nothing_sticks_out(page: playwright.Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_guides_stand_beside_the_api(page: playwright.Page) -> None:
    page.get_by_role("link", name="For marketing").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Guide for marketing"
    page.get_by_role("link", name="How answers are decided").first.click()
    assert page.url.endswith("/guides/decisions")
    page.get_by_role("link", name="The API").click()
    page.wait_for_selector("#status.ready")
