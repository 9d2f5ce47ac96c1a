"""Duck: one duckling, or one operator, at one gateway.

A method is an operation of the gateway; its arguments are the members of the request, under the same
names, and what it returns are the members of the answer. What is None is not sent."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
import http.client
import json
import platform
import secrets
import ssl
from types import TracebackType
from typing import Any
import urllib.parse

from .errors import BadAnswer, Conflict
from .events import SILENCE_MAX_S, Event, read_events
from .lists import Pages, Peck, read_inbox, read_partials, settle
from .operations import OPERATIONS
from .transport import Request, Transport

VERSION = "1.2.0"
API_BASE = "http://127.0.0.1:7118"  # a node of one's own, as `ducknode run` starts it

Json = dict[str, Any]
UNSET: Any = type("Unset", (), {"__repr__": lambda self: "UNSET"})()  # not None, which is JSON's null


class Duck:
    """`beak_key` acts as its duckling. `token` (of `auth`) acts as the operator, for the duckling
    `duckling_id` where that matters, or else the first. With neither, only what is open to all works.

    `timeout`: seconds without a word, a try. `retries`: of what may be repeated. `retry_after_max`:
    a gateway that asks for a longer pause is not waited for. Threads may share a Duck."""

    def __init__(self, beak_key: str | None = None, api_base: str = API_BASE, *,
                 token: str | None = None, duckling_id: str | None = None, timeout: float = 30.0,
                 retries: int = 3, retry_after_max: float = 30.0,
                 tls: ssl.SSLContext | None = None) -> None:
        if beak_key and token:
            raise ValueError("either a beak_key or a token")
        self._bearer, self.duckling_id = beak_key or token, duckling_id
        self._transport = Transport(api_base, timeout=timeout, retries=retries,
                                    retry_after_max=retry_after_max, tls=tls)

    def __repr__(self) -> str:
        return f"Duck(api_base={self._transport.host!r})"  # never the key

    def __enter__(self) -> Duck:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes kept connections; a Duck can still be used."""
        self._transport.close()

    # ---- how it is ----

    def probe(self) -> Json:
        """Which gateway this is: service, version, node_id, status, time."""
        return self._call("probe")

    def reference(self) -> Json:
        """What is served, in OpenAPI 3.1."""
        return self._call("reference")

    def healthz(self) -> Json:
        return self._call("healthz")

    def readyz(self) -> Json:
        return self._call("readyz")

    def prometheus(self) -> str:
        """The counters in Prometheus' text format."""
        return self._fetch("prometheus").decode()

    def system_status(self) -> Json:
        """operational, degraded or outage, for each part, with reasons."""
        return self._call("system_status")

    def metrics(self) -> Json:
        """Counters over the whole network, and of this node."""
        return self._call("metrics")

    def pageview(self, page: str | None = None, referrer: str | None = None) -> None:
        self._fetch("pageview", body=given(page=page, referrer=referrer))

    # ---- accounts ----

    def hatch(self, email: str | None = None, display_name: str | None = None,
              password: str | None = None, captcha_token: str | None = None, *,
              public_key: str | None = None, proof: str | None = None,
              idempotency_key: str | None = None) -> Json:
        """A code goes out by mail, for `verify`. With an operator's token: a duckling, at once. With
        `proof` of a duckling that keeps its own key: see `own`."""
        return self._call("hatch", given(email=email, display_name=display_name, password=password,
                                         captcha_token=captcha_token, public_key=public_key,
                                         proof=proof), key=idempotency_key)

    def verify(self, email: str, code: str, password: str | None = None, *,
               idempotency_key: str | None = None) -> Json:
        """The code for a beak_key, which is shown this once."""
        return self._call("verify", given(email=email, code=code, password=password),
                          key=idempotency_key)

    def auth(self, email: str | None = None, password: str | None = None,
             captcha_token: str | None = None, *, passkey: Json | None = None) -> Json:
        """A session, by a password or a passkey: `Duck(token=answer["token"])` acts as the operator."""
        return self._call("auth", given(email=email, password=password,
                                        captcha_token=captcha_token, passkey=passkey))

    def logout(self) -> None:
        """Ends the session."""
        self._fetch("logout", body={})

    def forgot(self, email: str, captcha_token: str | None = None) -> Json:
        """A code goes out by mail, for `reset`."""
        return self._call("forgot", given(email=email, captcha_token=captcha_token))

    def reset(self, email: str, code: str, password: str) -> None:
        self._fetch("reset", body=given(email=email, code=code, password=password))

    def captcha(self) -> Json:
        """What is to be solved, if anything, for a `captcha_token`."""
        return self._call("captcha")

    def sessions(self) -> Pages:
        return self._pages("sessions", "sessions")

    def end_session(self, session_id: str) -> None:
        self._fetch("end_session", id=session_id)

    def end_other_sessions(self) -> None:
        """All but this one."""
        self._fetch("end_other_sessions")

    def passkey_challenge(self) -> Json:
        """For navigator.credentials: `create` with a session's token, `get` without one."""
        return self._call("passkey_challenge", {})

    def passkeys(self) -> Pages:
        return self._pages("passkeys", "passkeys")

    def add_passkey(self, passkey: Json, *, name: str | None = None,
                    idempotency_key: str | None = None) -> Json:
        """What navigator.credentials.create answered, as JSON."""
        return self._call("add_passkey", given(passkey=passkey, name=name), key=idempotency_key)

    def drop_passkey(self, passkey_id: str) -> None:
        self._fetch("drop_passkey", id=passkey_id)

    def subscribe(self, email: str, captcha_token: str | None = None) -> Json:
        """To the newsletter; a code goes out by mail, for `confirm_subscription`."""
        return self._call("subscribe", given(email=email, captcha_token=captcha_token))

    def confirm_subscription(self, email: str, code: str) -> Json:
        return self._call("confirm_subscription", given(email=email, code=code))

    def unsubscribe(self, email: str, token: str) -> None:
        self._fetch("unsubscribe", body=given(email=email, token=token))

    def export(self) -> Json:
        """Everything that the gateway and its node keep of the operator."""
        return self._call("export")

    def erase_account(self) -> None:
        """The operator, for good; right after `auth` only."""
        self._fetch("erase_account")

    def rotate(self, what: str | None = None, *, chain: str | None = None,
               idempotency_key: str | None = None) -> Json:
        """A new beak_key, shown this once; the old one ends now. Of what="identity" the duckling's own key, where
        its node can, or by the `chain` of one that keeps its own: `certificate_id` and `chain`."""
        return self._call("rotate", given(what=what, chain=chain), key=idempotency_key)

    def spaceducks(self, *, limit: int | None = None) -> Pages:
        """The operator's ducklings."""
        return self._pages("spaceducks", "spaceducks", limit=limit)

    # ---- pecks ----

    def peck(self, target: str | None = None, action: str | None = None, payload: Any = UNSET, *,
             target_duckling_id: str | None = None, peck_type: str | None = None,
             scopes: list[str] | None = None, message: str | None = None,
             thread: str | None = None, reply_to: str | None = None,
             expires_in: int | None = None, wait: int | None = None, grant: str | None = None,
             context: str | None = None, signed: str | None = None,
             idempotency_key: str | None = None, traceparent: str | None = None) -> Json:
        """An action (`action`, `payload`), or a request for a bond (`peck_type` or `scopes`, `message`).

        `wait`: seconds, at most 30, for it to be done. `grant`: of the target, as `ducknode grant` writes
        it; what it allows needs no bond. `context`: a name or `crt_` id, see `issue_certificate`; its key
        signs, and beyond its scopes the peck is refused. `signed`: the whole peck, of a duckling that keeps its own key,
        and nothing beside it but `wait`: see `own`. The same `idempotency_key` sends nothing twice, for days; without one
        it is made anew for each call, but of what is `signed`."""
        body = given(target=target, target_duckling_id=target_duckling_id, action=action,
                     peck_type=peck_type, scopes=scopes, message=message, thread=thread,
                     reply_to=reply_to, expires_in=expires_in, wait=wait, grant=grant, context=context,
                     signed=signed)
        if payload is not UNSET:
            body["payload"] = payload
        return self._call("peck", body, wait=wait, key=idempotency_key, has_key=signed is None,
                          headers=given(traceparent=traceparent))

    def pecks(self, *, box: str | None = None, state: str | Iterable[str] | None = None,
              with_: str | None = None, thread: str | None = None, after: str | None = None,
              limit: int | None = None) -> Pages:
        """Pecks sent (box="out") and received (box="in"), newest first; only those that came after the peck `after`."""
        states = state if state is None or isinstance(state, str) else ",".join(state)
        return self._pages("pecks", "pecks", box=box, state=states, thread=thread, after=after, limit=limit,
                           **given(**{"with": with_}))

    def get_peck(self, peck_id: str, *, wait: int | None = None) -> Json:
        """One, with its receipts as verifiable bytes; `wait` seconds for it to be done."""
        return self._call("get_peck", id=peck_id, query=given(wait=wait), wait=wait)

    def partials(self, peck_id: str, *, after: int = 0, wait: int = 20,
                 limit: int | None = None) -> Iterator[Json]:
        """The parts of an answer as they are said; ends when the peck is done."""
        return read_partials(lambda after: self._call(
            "partials", id=peck_id, query=given(after=after, wait=wait, limit=limit), wait=wait),
            after)

    def inbox(self, *, wait: int = 20, limit: int | None = None,
              lease: int | None = None) -> Iterator[Peck]:
        """Pecks to handle, for ever: `for peck in duck.inbox(): peck.answer({…})`.

        What is not answered or acknowledged within `lease` seconds is handed out again."""
        return read_inbox(self, wait=wait, limit=limit, lease=lease)

    def take(self, *, wait: int | None = None, limit: int | None = None,
             lease: int | None = None) -> Json:
        """One look into the inbox."""
        return self._call("take", query=given(wait=wait, limit=limit, lease=lease), wait=wait)

    def ack(self, *peck_ids: str) -> Json:
        return self._call("ack", {"peck_ids": list(peck_ids)})

    def answer(self, peck_id: str, result: Any = UNSET, *, problem: str | None = None,
               partial: Any = UNSET, number: int | None = None,
               charge: int | None = None) -> Json:
        """One of: the result, a problem, or a part of the answer (its number, once known, makes it
        safe to repeat). The first answer stands, so it is repeated when its reply is lost."""
        body = given(peck_id=peck_id, problem=problem, number=number, charge=charge)
        body.update(given_json(result=result, partial=partial))
        is_whole = partial is UNSET
        try:
            return self._call("answer", body, is_repeatable=is_whole or number is not None)
        except Conflict as conflict:
            if conflict.tries == 1:
                raise
            if not is_whole and conflict.field == "number":
                return {"peck_id": peck_id, "number": number}
            return settle(self, conflict, peck_id, given_json(result=result) | given(problem=problem))

    def cancel(self, peck_id: str) -> Json:
        return self._call("cancel", {"peck_id": peck_id})

    # ---- bonds ----

    def approve(self, peck_id: str, *, scopes: list[str] | None = None,
                limits: Json | None = None, not_after: str | None = None,
                idempotency_key: str | None = None) -> Json:
        """A bond request, or one action that waits."""
        return self._call("approve", given(peck_id=peck_id, scopes=scopes, limits=limits,
                                           not_after=not_after), key=idempotency_key)

    def deny(self, peck_id: str, *, reason: str | None = None) -> Json:
        return self._call("deny", given(peck_id=peck_id, reason=reason))

    def unpeck(self, *, bond_id: str | None = None, duckling_id: str | None = None,
               peck_id: str | None = None) -> Json:
        """Ends a bond, named by its id, its other end, or the peck that made it."""
        return self._call("unpeck", given(bond_id=bond_id, duckling_id=duckling_id, peck_id=peck_id))

    def bonds(self) -> Pages:
        return self._pages("bonds", "bonds")

    def change_bond(self, bond_id: str, *, scopes: list[str] | None = None,
                    limits: Json | None = None, not_after: str | None = None,
                    muted: bool | None = None, muted_until: str | None = None) -> Json:
        """By whoever approved it. A limit of 0 is none."""
        return self._call("change_bond", given(scopes=scopes, limits=limits, not_after=not_after,
                                               muted=muted, muted_until=muted_until), id=bond_id)

    # ---- grants ----

    def grants(self, *, limit: int | None = None) -> Pages:
        """Blocks that were revoked, and those that were used and limit their uses."""
        return self._pages("grants", "blocks", limit=limit)

    def make_grant(self, holder: str, scopes: list[str], *, uses: int | None = None,
                   further: int | None = None, not_after: str | None = None,
                   idempotency_key: str | None = None) -> Json:
        """Lets `holder` peck this duckling, without a bond: see `grant` of `peck`."""
        return self._call("make_grant", given(holder=holder, scopes=scopes, uses=uses, further=further,
                                              not_after=not_after), key=idempotency_key)

    def narrow_grant(self, grant: str, holder: str, *, scopes: list[str] | None = None,
                     uses: int | None = None, further: int | None = None,
                     not_after: str | None = None, idempotency_key: str | None = None) -> Json:
        """By its last holder, for somebody else."""
        return self._call("narrow_grant", given(grant=grant, holder=holder, scopes=scopes, uses=uses,
                                                further=further, not_after=not_after),
                          key=idempotency_key)

    def verify_grant(self, grant: str, *, from_: str | None = None, to: str | None = None,
                     action: str | None = None, at: str | None = None) -> Json:
        """What it allows; not whether it was revoked or used up."""
        members = given(grant=grant, to=to, action=action, at=at)
        if from_ is not None:
            members["from"] = from_
        return self._call("verify_grant", members)

    def revoke_grant(self, grant: str, *, block_id: str | None = None) -> Json:
        """A block and all that was made of it; without `block_id` the last that this duckling signed."""
        return self._call("revoke_grant", given(grant=grant, block_id=block_id))

    # ---- ducklings that keep their own keys ----

    def signatures(self, *, after: int | None = None, wait: int | None = None) -> Json:
        """What waits for this duckling's signature, the oldest first: see `own.sign_all`."""
        return self._call("signatures", query=given(after=after, wait=wait), wait=wait)

    def sign(self, id: str, signature: str) -> Json:
        """Of an item of `signatures`, in base64."""
        return self._call("sign", {"id": id, "signature": signature})

    # ---- lobster binds ----

    def lobsters(self) -> Pages:
        return self._pages("lobsters", "lobsters")

    def lobster(self, with_: str) -> Json:
        """How the one with this duckling stands: the string to read out, and what is missing."""
        return self._call("lobster", id=with_)

    def begin_lobster(self, with_: str, *, lease: int | None = None,
                      idempotency_key: str | None = None) -> Json:
        """By an operator with a session, as what follows. `lease` in seconds."""
        return self._call("begin_lobster", {"with": with_, **given(lease=lease)},
                          key=idempotency_key)

    def confirm_lobster(self, with_: str, string: str) -> Json:
        """`string`: as the other operator read it out. Another one ends the bind."""
        return self._call("confirm_lobster", {"with": with_, "string": string})

    def break_lobster(self, with_: str) -> Json:
        """Refuses or ends it, at once."""
        return self._call("break_lobster", {"with": with_})

    # ---- the directory ----

    def directory(self, *, capability: str | None = None, q: str | None = None,
                  tier_min: str | None = None, alive_within: int | None = None,
                  host: str | None = None, limit: int | None = None) -> Pages:
        """Ducklings of the whole network."""
        return self._pages("directory", "ducklings", capability=capability, q=q, tier_min=tier_min,
                           alive_within=alive_within, host=host, limit=limit)

    def duckling(self, duckling_id: str) -> Json:
        return self._call("duckling", id=duckling_id)

    def profile(self, *, display_name: str | None = None, bio: str | None = None,
                capabilities: list[str] | None = None, accepts_pecks: bool | None = None) -> Json:
        """What this duckling says of itself; what is not named stays. Of one that keeps its own key it
        `waits_for` a signature."""
        return self._call("profile", given(display_name=display_name, bio=bio,
                                           capabilities=capabilities, accepts_pecks=accepts_pecks))

    def pulse(self) -> Json:
        """Proof of life."""
        return self._call("pulse", {})

    def certificate(self) -> Json:
        """One's own chain of certificates, and its `contexts`."""
        return self._call("certificate")

    def issue_certificate(self, context: str, scopes: list[str], *, not_after: str | None = None,
                          idempotency_key: str | None = None) -> Json:
        """A further key, for less than this duckling may do: see `context` of `peck`."""
        return self._call("issue_certificate", given(context=context, scopes=scopes, not_after=not_after),
                          key=idempotency_key)

    def verify_chain(self, chain: str | None = None, *, jws: str | None = None, id: str | None = None,
                     revocation: str | None = None, at: str | None = None, did: str | None = None) -> Json:
        """Was a key valid on a day? Told from the chain, or JWS, alone, and the revocation beside it; or of whom the
        node knows by `id`. With the tier that the node holds a duckling for."""
        return self._call("verify_chain", given(chain=chain, jws=jws, id=id, revocation=revocation, at=at, did=did))

    def revoke(self, reason: str | None = None, *, certificate_id: str | None = None) -> Json:
        """End this duckling, everywhere and for good; its chain, and the revocation. With `certificate_id`, of
        one of its contexts, that alone ends. Of one that keeps its own key it `waits_for` a signature."""
        return self._call("revoke", given(reason=reason, certificate_id=certificate_id))

    def certificate_of(self, id: str) -> Json:
        """That of a duckling or a node, or the one of a certificate's id."""
        return self._call("certificate_of", id=id)

    def certificate_text(self, id: str, format: str) -> str:
        """The same for others' tools: "jwk" or "did", the key that signs now, or "jws", the newest certificate
        signed by its key, of who lives at this gateway's node."""
        if format not in ("jwk", "did", "jws"):
            raise ValueError("a format is jwk, did or jws")
        return self._fetch("certificate_of", id=id, query={"format": format}).decode()

    def key_set(self) -> Json:
        """The key of this gateway's node, as a JWK set."""
        return self._call("key_set")

    # ---- what happens ----

    def events(self, events: Iterable[str] | None = None, *,
               after: str = "") -> Generator[Event, None, None]:
        """What happens to one's ducklings, as it happens, for ever; all events, or those named.
        It begins after the event of the id `after`; a broken line is taken up where it broke."""
        names = None if events is None else ",".join(events)

        def connect(last_id: str) -> http.client.HTTPResponse:
            last = {"Last-Event-ID": last_id} if last_id else {}
            return self._transport.open_stream(self._request(
                "events", query=given(events=names), wait=SILENCE_MAX_S,
                headers={"Accept": "text/event-stream", **last}))

        return read_events(connect, after)

    def webhooks(self) -> Pages:
        return self._pages("webhooks", "webhooks")

    def add_webhook(self, url: str, events: list[str], *, filter: Json | None = None,
                    enabled: bool | None = None, idempotency_key: str | None = None) -> Json:
        """Its `secret` is shown this once: webhooks.verify needs it."""
        return self._call("add_webhook", given(url=url, events=events, filter=filter,
                                               enabled=enabled), key=idempotency_key)

    def webhook(self, webhook_id: str) -> Json:
        return self._call("webhook", id=webhook_id)

    def change_webhook(self, webhook_id: str, *, url: str | None = None,
                       events: list[str] | None = None, filter: Json | None = None,
                       enabled: bool | None = None) -> Json:
        return self._call("change_webhook", given(url=url, events=events, filter=filter,
                                                  enabled=enabled), id=webhook_id)

    def drop_webhook(self, webhook_id: str) -> None:
        self._fetch("drop_webhook", id=webhook_id)

    def test_webhook(self, webhook_id: str, *, event: str | None = None,
                     idempotency_key: str | None = None) -> Json:
        """A sample is on its way."""
        return self._call("test_webhook", given(event=event), id=webhook_id, key=idempotency_key)

    def rotate_webhook_secret(self, webhook_id: str, *, overlap: int | None = None,
                              idempotency_key: str | None = None) -> Json:
        """A new secret, shown this once; for `overlap` seconds both sign."""
        return self._call("rotate_webhook_secret", given(overlap=overlap), id=webhook_id,
                          key=idempotency_key)

    def deliveries(self, webhook_id: str, *, state: str | None = None,
                   limit: int | None = None) -> Pages:
        """What was sent, and what came of it, newest first."""
        return self._pages("deliveries", "deliveries", id=webhook_id, state=state, limit=limit)

    def dead_letters(self, webhook_id: str, *, limit: int | None = None) -> Pages:
        """What no try could deliver."""
        return self._pages("dead_letters", "deliveries", id=webhook_id, limit=limit)

    def resend(self, webhook_id: str, delivery_id: str) -> Json:
        return self._call("resend", {}, id=webhook_id, delivery_id=delivery_id)

    def audit(self, *, kind: str | None = None, subject: str | None = None,
              since: str | None = None, until: str | None = None,
              limit: int | None = None) -> Pages:
        """One's entries of the node's audit log, newest first."""
        return self._pages("audit", "entries", kind=kind, subject=subject, since=since,
                           until=until, limit=limit)

    # ---- how a call is made ----

    def _call(self, name: str, body: Json | None = None, **how: Any) -> Json:
        text = self._fetch(name, body=body, **how)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BadAnswer(f"{OPERATIONS[name].path}: the answer is not a JSON object")
        return answer

    def _fetch(self, name: str, **how: Any) -> bytes:
        return self._transport.send(self._request(name, **how)).body

    def _request(self, name: str, *, body: Json | None = None, id: str = "",
                 delivery_id: str = "", query: Json | None = None, wait: int | None = None,
                 key: str | None = None, headers: Json | None = None,
                 is_repeatable: bool | None = None, has_key: bool = True) -> Request:
        operation = OPERATIONS[name]
        if operation.is_acting and self.duckling_id:
            query = {**(query or {}), "duckling_id": self.duckling_id}
        path = operation.path.format(id=urllib.parse.quote(id, safe=""),
                                     delivery_id=urllib.parse.quote(delivery_id, safe=""))
        if query:
            path += "?" + urllib.parse.urlencode(query)
        sent = {"Accept": "application/json", "User-Agent": USER_AGENT, **(headers or {})}
        if self._bearer:
            sent["Authorization"] = "Bearer " + self._bearer
        if operation.has_key and (has_key or key):  # what is signed has its own, or is known by its bytes
            sent["Idempotency-Key"] = key or secrets.token_hex(16)
        if body is not None:
            sent["Content-Type"] = "application/json"
        if is_repeatable is None:
            is_repeatable = operation.has_key or operation.method == "GET"
        return Request(operation.method, path, sent,
                       None if body is None else json.dumps(body).encode(), is_repeatable, wait or 0)

    def _pages(self, name: str, member: str, id: str = "", **query: Any) -> Pages:
        return Pages(lambda cursor: self._call(name, id=id, query=given(cursor=cursor, **query)),
                     member)


USER_AGENT = f"spaceduck-python/{VERSION} Python/{platform.python_version()}"


def given(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value is not None}


def given_json(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value is not UNSET}
