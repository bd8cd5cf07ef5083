"""The report in a browser: its script against NumPy, its layout, its panel."""

import base64
import shutil
import threading

import numpy as np
import pages
import pytest
import report_runs
import shipped
from scipy import special

from kd_keras.reporting import server as page_server
from kd_keras.teachers import loading

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs a browser: chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument("--force-prefers-reduced-motion")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


def show(browser, url, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": 900,
            "deviceScaleFactor": 1,
            "mobile": False,
        },
    )
    browser.get(url)


def set_temperature(browser, temperature):
    """Moves the slider and waits until the bars are drawn."""
    browser.execute_async_script(
        """
        const [value, done] = arguments;
        const slider = document.getElementById("temperature");
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
        slider.dispatchEvent(new Event("change"));
        requestAnimationFrame(() => requestAnimationFrame(done));
        """,
        temperature,
    )


def bars(browser):
    """Widths of the bars as shares of the track, by image and role."""
    return browser.execute_script(
        """
        document.getElementById("more").click();
        const found = {};
        for (const card of document.querySelectorAll("#gallery .card")) {
          const shares = (role) => [...card.querySelectorAll(`.fill.${role}`)]
            .map((bar) => bar.getBoundingClientRect().width
              / (bar.parentNode.getBoundingClientRect().width - 1));
          found[card.dataset.index] = [shares("teacher"), shares("student")];
        }
        return found;
        """
    )


def map_of(browser, role):
    cells = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])]"
        ".map((cell) => Number(cell.textContent))",
        f"#map-{role} tbody td",
    )
    return np.array(cells).reshape(
        len(report_runs.CLASSES), len(report_runs.CLASSES)
    )


@pytest.fixture(scope="module")
def page_url(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page)
    return path.as_uri()


@pytest.mark.parametrize("temperature", [1.0, 7.5])
def test_bars_and_similarity_equal_numpy(browser, page_url, place, temperature):
    labels, logits = report_runs.predictions(place)
    show(browser, page_url, 1400)
    set_temperature(browser, temperature)
    soft = {
        role: special.softmax(logits[role] / temperature, -1)
        for role in ("teacher", "student")
    }
    found = bars(browser)
    assert len(found) >= 40
    for index, shares in found.items():
        for role, values in zip(("teacher", "student"), shares):
            np.testing.assert_allclose(
                values, soft[role][int(index)], atol=2e-3
            )
    for role, values in soft.items():
        means = [
            values[labels == i].mean(axis=0)
            for i in range(len(report_runs.CLASSES))
        ]
        np.testing.assert_allclose(
            map_of(browser, role), 100 * np.array(means), atol=0.51
        )
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("order", ["class", "confidence", "disagreement"])
def test_images_are_sorted_at_the_temperature(browser, page_url, place, order):
    labels, logits = report_runs.predictions(place)
    show(browser, page_url, 1400)
    browser.execute_script(
        "document.getElementById('sort').value = arguments[0]", order
    )
    set_temperature(browser, 5.0)
    soft = [
        special.softmax(logits[role] / 5.0, -1)
        for role in ("teacher", "student")
    ]
    key = {
        "class": labels,
        "confidence": soft[0].max(-1),
        "disagreement": -np.abs(soft[0] - soft[1]).sum(-1),
    }[order]
    shown = browser.execute_script(
        "return [...document.querySelectorAll('#gallery .card')]"
        ".map((card) => Number(card.dataset.index))"
    )
    assert (np.diff(key[shown]) >= -1e-4).all()
    assert len(set(key[shown])) > 1


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_the_width_and_logs_nothing(browser, page_url, width):
    show(browser, page_url, width)
    used, available = browser.execute_script(
        "const root = document.documentElement;"
        "return [root.scrollWidth, root.clientWidth]"
    )
    # A scroll bar takes some of the width.
    assert width - 20 <= available <= width
    assert used == available
    assert browser.execute_script(
        "return document.getElementById('panel').hidden"
    )
    assert browser.get_log("browser") == []


@pytest.fixture
def panel(browser, report):
    """The browser, at a page that is served with the runtime."""
    try:
        runtime = page_server.runtime_dir()
    except ValueError as error:
        pytest.skip(str(error))
    with page_server.make_server(report, runtime=runtime, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        show(browser, f"http://127.0.0.1:{server.server_port}/", 1400)
        yield browser
        server.shutdown()
    assert browser.get_log("browser") == []


def predicted(browser, act):
    """The predicted class and the bars after `act()`."""
    from selenium.webdriver.support.ui import WebDriverWait

    verdict = browser.find_element("id", "verdict")
    browser.execute_script("arguments[0].textContent = ''", verdict)
    act()
    WebDriverWait(browser, 60).until(lambda _: verdict.text not in ("", "…"))
    shares = browser.execute_script(
        "return [...document.querySelectorAll('#prediction .fill')]"
        ".map((bar) => Number(bar.style.getPropertyValue('--p')))"
    )
    return verdict.text, shares


@pytest.mark.parametrize("index", [3, 47])
def test_the_panel_predicts_as_python(panel, place, index):
    _, logits = report_runs.predictions(place)
    name = report_runs.CLASSES[index // len(report_runs.ORDER)]
    number = report_runs.ORDER[index % len(report_runs.ORDER)]
    file = place / "images" / "test" / name / f"{number}.png"
    verdict, shares = predicted(
        panel, lambda: panel.find_element("id", "file").send_keys(str(file))
    )
    expected = logits["student"][index]
    assert verdict == f"Prediction: {report_runs.CLASSES[expected.argmax()]}"
    np.testing.assert_allclose(
        shares, special.softmax(expected / report_runs.TEMPERATURE), atol=2e-3
    )
    # The image is in the test set, so it is its own nearest neighbour.
    first = panel.find_element("css selector", "#neighbours img")
    assert first.get_dom_attribute("src") == f"images/{index}.png"


def test_a_drawing_is_centred_and_classified(panel, place):
    from selenium.webdriver.common.action_chains import ActionChains

    drawing = panel.find_element("id", "drawing")
    # A stroke in the upper left corner.
    stroke = ActionChains(panel)
    stroke.move_to_element_with_offset(drawing, -100, -100).click_and_hold()
    stroke.move_by_offset(0, 60).move_by_offset(20, 0).release()
    verdict, shares = predicted(panel, stroke.perform)
    pixels = panel.execute_script(
        """
        const canvas = document.querySelector("#prediction canvas");
        const { width, height } = canvas;
        const data = canvas.getContext("2d").getImageData(0, 0, width, height);
        return [...data.data];
        """
    )
    image = np.array(pixels, np.uint8).reshape(8, 8, 4)[..., :1]
    assert image.max() > 100
    places = np.indices((8, 8)) + 0.5
    centre = np.average(places, axis=(1, 2), weights=image[..., 0])
    np.testing.assert_allclose(centre, 4, atol=0.3)
    logits = loading.load_classifier(place / "exports" / "student.onnx")(
        image[None]
    )[0]
    assert verdict == f"Prediction: {report_runs.CLASSES[logits.argmax()]}"
    np.testing.assert_allclose(
        shares, special.softmax(logits / report_runs.TEMPERATURE), atol=2e-3
    )


def test_the_documented_javascript_equals_python(panel):
    images, _ = shipped.cifar10_sample()
    path = shipped.SHIPPED / "cifar10_student_exports/cifar10_student.onnx"
    expected = loading.load_classifier(path)(images[:1])[0]
    rgba = np.concatenate([images[0], np.full((32, 32, 1), 255)], axis=-1)
    snippet = pages.only_block("docs/guides/deploy.md", "js")
    # Stand-ins for the files and the canvas of a page.
    model = base64.b64encode(path.read_bytes()).decode()
    found = panel.execute_async_script(
        """
        const [snippet, model, rgba, done] = arguments;
        const script = document.createElement("script");
        script.src = "runtime/ort.wasm.min.js";
        script.onload = async () => {
          ort.env.wasm.wasmPaths = new URL("runtime/", location.href).href;
          ort.env.wasm.numThreads = 1;
          const bytes = Uint8Array.from(atob(model), (c) => c.charCodeAt(0));
          const data = Uint8ClampedArray.from(rgba);
          const context = { getImageData: () => ({ data }) };
          const body = snippet.replace('"cifar10_student.onnx"', "bytes");
          const run = new Function("ort", "context", "bytes",
            `return (async () => { ${body}; return logits.data; })()`);
          try {
            done([...(await run(ort, context, bytes))]);
          } catch (error) {
            done(String(error));
          }
        };
        document.head.append(script);
        """,
        snippet,
        model,
        rgba.reshape(-1).tolist(),
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
