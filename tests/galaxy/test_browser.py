"""What a person does in a browser: train by click, read the report, edit and run a workflow."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import PATIENCE, RESULTS, URL, History, Person, command_line
from playwright.sync_api import Locator, Page, expect, sync_playwright

FOLDER = Path(__file__).parents[2] / "galaxy_tools" / "workflows"
WORKFLOWS = {path.name.partition(".")[0]: path for path in FOLDER.rglob("*.gxwf.yml")}
WAIT = 120_000  # ms a page may take
WIDTH, HEIGHT = 1500, 1000  # of the window, in pixels
TALL = 3000  # of one that shows a whole page
OUTPUTS = ("model", "report", "report for download", "metrics", "test predictions", "split")


@pytest.fixture(scope="module")
def page(person: Person) -> Iterator[Page]:
    """A page of Debian's Chromium, where the user logged in."""
    program = shutil.which("chromium")
    assert program, "chromium is not installed"
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, as which CI runs; it sees nothing but our own server.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)
        page.goto(f"{URL}/login/start")
        page.locator("input[name=login]").fill(person.email)
        page.locator("input[name=password]").fill(person.password)
        page.locator("button[name=login]").click()
        expect(page.locator(".history-index")).to_be_visible()
        yield page
        keep(page, "last")  # what a test that failed had before it
        browser.close()


@pytest.fixture(scope="module")
def opened(page: Page, person: Person) -> History:
    """The history that the page shows."""
    shown = page.request.get(f"{URL}/history/current_history_json").json()
    return History(person.galaxy, shown["id"])


@pytest.fixture(scope="module")
def trained(page: Page, opened: History, inputs: Path) -> Page:
    """The page after the form of the tool that trains was filled, run, and its job had ended."""
    for name in ("positives.fa", "negatives.fa"):
        opened.upload(inputs / name)
    finish(page, "negatives.fa")
    page.goto(f"{URL}/?tool_id=enhancer_core_train")
    choose(page, "Positives", "1: positives.fa")
    choose(page, "Negatives", "2: negatives.fa")
    choose(page, "Network", "For one transcription factor, smaller")
    fill(page, "Restarts", 3)
    fill(page, "Epochs", 5)
    keep(page, "1-form", height=TALL)
    page.locator("#execute").first.click()
    for output in OUTPUTS:
        finish(page, f": {output}")
    keep(page, "2-history")
    return page


@pytest.fixture(scope="module")
def workflows(person: Person) -> dict[str, str]:
    """Our workflows, imported: the id of each by its name."""
    return {
        name: person.galaxy.workflows.import_workflow_dict(
            {"class": "GalaxyWorkflow", "yaml_content": path.read_text()}
        )["id"]
        for name, path in WORKFLOWS.items()
    }


def item(page: Page, name: str) -> Locator:
    """Find a dataset of the history panel by how its name ends."""
    return page.locator(".content-item").filter(has_text=re.compile(rf"{re.escape(name)}\s*$"))


def finish(page: Page, name: str) -> None:
    """Wait until a dataset is there, and see that its job succeeded."""
    expect(item(page, name)).to_have_attribute("data-state", "ok", timeout=1000 * PATIENCE)


def choose(page: Page, label: str, option: str) -> None:
    """Choose one option of a select field, and no other."""
    field = page.locator(f'[data-label="{label}"]')
    expect(field.locator(".multiselect")).to_be_visible()
    while field.locator(".multiselect__tag-icon").count():
        field.locator(".multiselect__tag-icon").first.click()
    field.locator(".multiselect").click()
    field.get_by_role("option", name=option).click()


def fill(page: Page, label: str, value: int) -> None:
    """Fill a number into a field."""
    page.locator(f'[data-label="{label}"] input[type=number]').fill(str(value))


def keep(page: Page, name: str, *, height: int = HEIGHT) -> None:
    """Keep a picture of the page for whoever looks at the results, a higher one if asked."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.screenshot(path=RESULTS / f"{name}.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def test_the_form_of_each_tool_opens_with_its_help_and_picture(page: Page, person: Person) -> None:
    tools = [tool["id"] for tool in person.galaxy.tools.get_tools()]
    ours = [tool for tool in tools if tool.startswith("enhancer_core_")]
    assert len(ours) >= 10
    for tool in ours:
        page.goto(f"{URL}/?tool_id={tool}")
        picture = page.locator(".form-help img")
        expect(picture).to_be_visible()
        keep(page, f"0-{tool}", height=TALL)
        assert picture.evaluate("image => image.naturalWidth") > 0


def pictures_and_tables(page: Page) -> tuple[int, int]:
    """Count the pictures of the page's middle, all of which must have rendered, and its tables."""
    middle = page.locator("#center")
    pictures = middle.locator("img")
    expect(pictures.nth(2)).to_be_visible()
    expect(middle.locator("table").first).to_be_visible()
    # The page is drawn before its pictures have come, and asks for them one after another: waiting
    # for a quiet network returns in between.
    page.wait_for_function(
        "[...document.querySelectorAll('#center img')].every(each => each.naturalWidth > 0)"
    )
    return pictures.count(), middle.locator("table").count()


def test_the_report_renders_its_plots_and_tables(trained: Page) -> None:
    item(trained, ": report").locator(".display-btn").click()
    pictures, tables = pictures_and_tables(trained)
    keep(trained, "3-report", height=TALL)
    assert pictures >= 5
    assert tables >= 5


def test_a_model_that_was_downloaded_by_click_predicts(
    trained: Page, inputs: Path, tmp_path: Path
) -> None:
    item(trained, ": model").locator(".content-title").click()
    expect(trained.locator(".download-btn")).to_be_visible()
    keep(trained, "4-model")
    with trained.expect_download() as download:
        trained.locator(".download-btn").click()
    download.value.save_as(tmp_path / "model.safetensors")
    command_line(
        *("predict", tmp_path / "model.safetensors", inputs / "positives.fa"),
        *("-o", tmp_path / "out.tsv"),
    )
    assert len((tmp_path / "out.tsv").read_text().splitlines()) == 201


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_a_workflow_opens_in_the_editor_and_is_ready_to_run(
    page: Page, person: Person, workflows: dict[str, str], name: str
) -> None:
    steps = person.galaxy.workflows.show_workflow(workflows[name])["steps"]
    page.goto(f"{URL}/workflows/edit?id={workflows[name]}")
    expect(page.locator(".workflow-node")).to_have_count(len(steps))
    keep(page, f"5-editor-{name}")
    page.goto(f"{URL}/workflows/run?id={workflows[name]}")
    expect(page.locator("#run-workflow")).to_be_visible()  # not: tools have changed, review them
    keep(page, f"6-run-{name}")


def test_a_workflow_runs_by_click_and_reports(
    page: Page, opened: History, workflows: dict[str, str], inputs: Path
) -> None:
    opened.upload(inputs / "positives.fa", name="enhancers.fa")
    page.goto(f"{URL}/workflows/run?id={workflows['sequences_to_predictions']}")
    choose(page, "Sequences", "enhancers.fa")
    fill(page, "Restarts", 2)
    fill(page, "Epochs", 3)
    keep(page, "7-run")
    page.locator("#run-workflow").click()
    finish(page, "Predictions")
    keep(page, "8-invocation")
    page.locator("#center").get_by_text("Report", exact=True).first.click()
    pictures, tables = pictures_and_tables(page)
    keep(page, "9-workflow-report", height=TALL)
    assert pictures >= 3
    assert tables >= 1
