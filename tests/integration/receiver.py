"""A receiver of webhooks on loopback, for the tests: it answers as each test wishes and keeps all
that came."""

import http.server
import json
import threading


class Receiver:
    """`answer` is called with (path, headers, event) and returns a status, or (status, headers)."""

    def __init__(self, answer=lambda path, headers, event: 204):
        receiver = self
        self.came, self.changed = [], threading.Condition()
        self.answer = answer

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                event = json.loads(body)
                status, more = receiver._answer(self.path, headers, event)
                with receiver.changed:
                    receiver.came.append((self.path, headers, body, event, status))
                    receiver.changed.notify_all()
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def _answer(self, path, headers, event):
        said = self.answer(path, headers, event)
        return said if isinstance(said, tuple) else (said, {})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path="/", host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def wait(self, count, fits=lambda came: True, seconds=30):
        """The first `count` that fit, as soon as they are there."""
        def fitting():
            return [came for came in self.came if fits(came)]

        with self.changed:
            if not self.changed.wait_for(lambda: len(fitting()) >= count, seconds):
                raise AssertionError(f"{len(fitting())} of {count} came: {self.came}")
            return fitting()[:count]
