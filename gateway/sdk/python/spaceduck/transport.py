"""HTTP to one gateway: kept connections, time-outs, and repeats where they are safe.

What is repeated: requests that do nothing twice (GET, or POST with an Idempotency-Key), after no
answer and after 5xx; and any request that was certainly not carried out: no connection, or 429 with
the time after which to come again."""

from __future__ import annotations

from collections.abc import Mapping
import http.client
import itertools
import random
import selectors
import ssl
import threading
import time
from typing import NamedTuple
import urllib.parse
import urllib.request

from .errors import Problem, TimedOut, Unreachable, problem_of

IDLE_MAX = 8  # connections kept for later
PAUSE_FIRST_S, PAUSE_MAX_S = 0.5, 8.0

sleep = time.sleep  # for tests


class Request(NamedTuple):
    method: str
    path: str  # with its query
    headers: Mapping[str, str]
    body: bytes | None
    is_repeatable: bool
    wait: float  # seconds that the gateway may take for it, by our own wish


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    def __init__(self, api_base: str, *, timeout: float, retries: int, retry_after_max: float,
                 tls: ssl.SSLContext | None = None) -> None:
        base = urllib.parse.urlsplit(api_base)
        if base.scheme not in ("http", "https") or not base.hostname or base.username or base.query:
            raise ValueError("api_base is like https://host[:port][/path]")
        self.is_tls, self.host, self.port = base.scheme == "https", base.hostname, base.port
        self.prefix = base.path.rstrip("/")
        self.timeout, self.retries, self.retry_after_max = timeout, retries, retry_after_max
        self.tls = tls or (ssl.create_default_context() if self.is_tls else None)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def send(self, request: Request) -> Answer:
        """The answer, if it is a success; raises Problem or Unreachable."""
        for tries in itertools.count(1):
            asked = None
            try:
                answer = self._once(request)
                if answer.status < 300:
                    return answer
                problem = problem_of(answer.status, answer.headers, answer.body)
                problem.tries = tries
                asked = problem.retry_after
                if tries > self.retries or not self._heals(problem, request):
                    raise problem
            except Unreachable as error:
                if tries > self.retries or not (request.is_repeatable or error.is_unsent):
                    raise
            sleep(pause(tries) if asked is None else asked)
        raise AssertionError("not reached")

    def _heals(self, problem: Problem, request: Request) -> bool:
        """Can the same request fare better after a pause?"""
        if problem.retry_after is not None and problem.retry_after > self.retry_after_max:
            return False
        if problem.status == 429:
            return problem.retry_after is not None
        is_under_way = problem.status == 409 and problem.field == "Idempotency-Key"
        return request.is_repeatable and (is_under_way or problem.status in (408, 500, 502, 503, 504))

    def _once(self, request: Request) -> Answer:
        connection = self._take()
        try:
            response = self._ask(connection, request)
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(error) from error
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return answer

    def open_stream(self, request: Request) -> http.client.HTTPResponse:
        """An answer whose body is still to be read, line by line; closing it closes the connection."""
        connection = self._connect()
        try:
            response = self._ask(connection, request)
            if response.status >= 300:
                raise problem_of(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(error) from error
        except BaseException:
            connection.close()
            raise
        return response

    def _ask(self, connection: http.client.HTTPConnection,
             request: Request) -> http.client.HTTPResponse:
        if connection.sock is None:
            connection.timeout = self.timeout
            try:
                connection.connect()
            except OSError as error:
                raise _unreachable(error, is_unsent=True) from error
        assert connection.sock is not None
        connection.sock.settimeout(self.timeout + request.wait)
        connection.request(request.method, self.prefix + request.path, request.body,
                           dict(request.headers))
        return connection.getresponse()

    def _take(self) -> http.client.HTTPConnection:
        """A kept connection that the gateway has not closed meanwhile, or a new one."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            with selectors.DefaultSelector() as selector:
                selector.register(connection.sock, selectors.EVENT_READ)
                if not selector.select(0):
                    return connection
            connection.close()

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if not self.is_tls:
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        proxy = None
        if not urllib.request.proxy_bypass(self.host):
            proxy = urllib.request.getproxies().get("https")
        if not proxy:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout,
                                               context=self.tls)
        way = urllib.parse.urlsplit(proxy)
        tunnel = http.client.HTTPSConnection(way.hostname or "", way.port, timeout=self.timeout,
                                             context=self.tls)
        tunnel.set_tunnel(self.host, self.port)
        return tunnel


def pause(tries: int) -> float:
    """Exponential, with jitter, so that many who failed at once do not come back at once."""
    return min(PAUSE_MAX_S, PAUSE_FIRST_S * 2.0 ** (tries - 1)) * random.uniform(0.5, 1.0)


def _unreachable(error: Exception, *, is_unsent: bool = False) -> Unreachable:
    if isinstance(error, TimeoutError):
        return TimedOut("no answer in time", is_unsent=is_unsent)
    return Unreachable(f"no answer: {error!r}", is_unsent=is_unsent)
