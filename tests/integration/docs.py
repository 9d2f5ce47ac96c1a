"""/docs in Debian's Chromium: the reference is shown, and its playground calls the gateway it came from."""

import http.client
import json
import tempfile

from browser import Driver
from pond import Pond, run, until
from reference import DOCS

# Shadow roots hide what RapiDoc draws: `deep` looks into all of them.
DEEP = """
    function* deep(root, selector) {
        yield* root.querySelectorAll(selector);
        for (const each of root.querySelectorAll("*"))
            if (each.shadowRoot) yield* deep(each.shadowRoot, selector);
    }
    const first = (selector) => deep(document, selector).next().value;
"""
WATCH = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", (event) =>
        refused.push([event.effectiveDirective, event.blockedURI, event.sourceFile, event.sample]));
"""


class Page:
    def __init__(self, driver, url):
        self.driver = driver
        driver("POST", "/goog/cdp/execute", {
            "cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": WATCH}})
        driver("POST", "/timeouts", {"script": 55000})  # a page of 60 operations is drawn meanwhile
        driver("POST", "/url", {"url": url})
        until("the reference", lambda: self.do("return first('api-request') !== undefined"), 60)

    def do(self, script, *arguments):
        return self.driver.script(DEEP + script, *arguments)

    def open_operation(self, method, path):
        """Shows one operation, and waits for the button that tries it."""
        self.do("location.hash = arguments[0]", f"{method}-{path}")
        until(f"{method} {path}", lambda: self.do(
            "const part = [...deep(document, 'api-request')].find((each) =>"
            " each.method === arguments[0] && each.path === arguments[1]);"
            "return Boolean(part && part.shadowRoot.querySelector('.m-btn.primary'))", method, path))

    def answer(self, method, path, body=None):
        """What the playground shows after a call."""
        self.open_operation(method, path)
        self.do("""
            const part = [...deep(document, 'api-request')].find((each) =>
                each.method === arguments[0] && each.path === arguments[1]);
            if (arguments[2] !== null) part.shadowRoot.querySelector('textarea').value = arguments[2];
            part.shadowRoot.querySelector('.m-btn.primary').click()""", method, path, body)
        shown = until("an answer", lambda: self.do("""
            const part = [...deep(document, 'api-request')].find((each) =>
                each.method === arguments[0] && each.path === arguments[1]);
            const status = /Response Status:[^0-9]*(\\d{3})/.exec(part.shadowRoot.textContent);
            try { JSON.parse(part.responseText); } catch { return null; }  // it is still being read
            return status && [status[1], part.responseUrl, part.responseText]""", method, path))
        return int(shown[0]), shown[1], json.loads(shown[2])


def the_playground_calls_the_gateway_that_it_came_from():
    with Pond("alice") as pond, tempfile.TemporaryDirectory(
            prefix="duckweb-", ignore_cleanup_errors=True) as folder, Driver(folder) as driver:
        base = f"http://localhost:{pond.alice.gateway_port}"
        page = Page(driver, base + "/docs")
        assert page.do("return document.title") == "Space Duck: the Beak API"

        status, url, answer = page.answer("get", "/beak/")
        assert status == 200 and url == base + "/beak/", (status, url)
        assert answer["node_id"] == pond.alice.id, answer

        lay = {"email": "reader@example.com", "display_name": "Reader"}
        status, _, answer = page.answer("post", "/beak/hatch", json.dumps(lay))
        assert status == 202 and answer["status"] == "verify", (status, answer)
        assert pond.alice.mail_code("reader@example.com")

        status, _, answer = page.answer("get", "/beak/sessions")
        assert status == 401 and answer["error"], (status, answer)

        assert page.do("return refused") == [], page.do("return refused")
        loaded = page.do("return performance.getEntriesByType('resource').map((each) => each.name)")
        assert loaded and all(each.startswith(base + "/") for each in loaded), loaded


def the_type_of_a_problem_leads_to_its_meaning():
    with Pond("alice") as pond, tempfile.TemporaryDirectory(
            prefix="duckweb-", ignore_cleanup_errors=True) as folder, Driver(folder) as driver:
        base = f"http://localhost:{pond.alice.gateway_port}"
        line = http.client.HTTPConnection("127.0.0.1", pond.alice.gateway_port, timeout=20)
        line.request("GET", "/beak/inbox")
        problem = json.load(line.getresponse())
        assert problem["type"] == "/docs#no_bearer", problem
        page = Page(driver, base + problem["type"])
        shown = """
            const place = document.getElementById(arguments[0])?.getBoundingClientRect();
            // A page scrolls by whole pixels: what it brings to its top may lie a part of one above.
            return Boolean(place) && place.height > 0 && place.top > -1 && place.bottom < innerHeight + 1"""
        until("the error in sight", lambda: page.do(shown, "no_bearer"), 60)
        page.do("location.hash = 'bad_bearer'")
        until("another in sight", lambda: page.do(shown, "bad_bearer"), 60)


def the_pages_policy_keeps_foreign_scripts_and_hosts_out():
    with Pond("alice") as pond, tempfile.TemporaryDirectory(
            prefix="duckweb-", ignore_cleanup_errors=True) as folder, Driver(folder) as driver:
        page = Page(driver, f"http://localhost:{pond.alice.gateway_port}/docs")
        page.do("""
            window.ran = false;
            const inside = document.createElement("script");
            inside.textContent = "window.ran = true";
            document.body.append(inside);
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/pixel.png";
            document.body.append(image);
            fetch("http://127.0.0.1:9/").catch(() => {});
            setTimeout(() => new Function("window.ran = true")());  // not in a call of the driver's""")
        wanted = {"script-src-elem", "script-src", "img-src", "connect-src"}
        until("the refusals", lambda: wanted <= {each[0] for each in page.do("return refused")})
        assert page.do("return window.ran") is False


def a_build_without_docs_says_so_plainly():
    with Pond("alice") as pond:
        line = http.client.HTTPConnection("127.0.0.1", pond.alice.gateway_port, timeout=20)
        line.request("GET", "/docs")
        answer = line.getresponse()
        assert answer.status == 404 and json.load(answer)["error"] == "no_such_path"
        assert "/docs" not in pond.alice.http("GET", "/openapi.json")["paths"]


if DOCS:
    run(the_playground_calls_the_gateway_that_it_came_from,
        the_type_of_a_problem_leads_to_its_meaning,
        the_pages_policy_keeps_foreign_scripts_and_hosts_out)
else:
    run(a_build_without_docs_says_so_plainly)
