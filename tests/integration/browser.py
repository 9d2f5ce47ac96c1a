"""Debian's Chromium, driven over WebDriver."""

import json
import os
import socket
import subprocess
import urllib.error
import urllib.request

from pond import until


class Driver:
    """WebDriver (W3C) over plain HTTP, as much as is needed."""

    def __init__(self, folder):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
        self.process = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": folder})
        try:
            until("the driver", self.is_ready, 30)
            made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    f"--user-data-dir={folder}/profile"]}}}})
            self.session = "/session/" + made["sessionId"]
        except BaseException:
            self.end()
            raise

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def __call__(self, method, path, body=None):
        return self.call(method, self.session + path, body)

    def script(self, source, *arguments):
        return self("POST", "/execute/sync", {"script": source, "args": list(arguments)})

    def await_script(self, source, *arguments):
        return self("POST", "/execute/async", {"script": source, "args": list(arguments)})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self("DELETE", "")
        finally:
            self.end()

    def end(self):
        self.process.terminate()
        self.process.wait(20)
