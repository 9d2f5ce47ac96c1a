"""The command `spaceduck`: one operation a command, for people and, with --json, for scripts.

Keys and passwords are never arguments, which other users of a machine can read. The key is in a file
that only its owner may read ($SPACEDUCK_KEY_FILE, --key-file; "-" is standard input); passwords are
asked for, or read from standard input where it is no terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
import getpass
import json
import os
import pathlib
import stat
import sys
from typing import Any, NamedTuple

from . import own
from .duck import API_BASE, UNSET, Duck, VERSION
from .errors import DuckError, Problem
from .events import Event

Arguments = dict[str, Any]


class Refused(Exception):
    """By this command, before anything was asked."""


class Argument(NamedTuple):
    flag: str
    how: Arguments


class Command(NamedTuple):
    """`call`: a method of Duck that takes the arguments by their names, or a function of both."""

    call: str | Callable[[Duck, Arguments], Any]
    help: str
    arguments: tuple[Argument, ...] = ()
    makes: str = ""  # the member of its answer that goes into the key file


def arg(flag: str, help: str | None = None, **how: Any) -> Argument:
    return Argument(flag, {"help": help, **how})


EVENTS = "hatch, cert_issued, peck, peck_answered, bond, unpeck, tier_change, key_rotated, revoked, lobster"


def json_value(text: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None


def yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError("yes or no")
    return text == "yes"


# ---- commands that are more than a call ----

def with_password(method: str, prompt: str = "Password: ", *, is_asked: bool = False) -> Any:
    """A call with a password, which is no argument; `is_asked`: only where --password says so."""
    def call(duck: Duck, given: Arguments) -> Any:
        if not is_asked or given.pop("password", False):
            given["password"] = secret(prompt)
        return getattr(duck, method)(**given)

    return call


def inbox(duck: Duck, given: Arguments) -> Any:
    if given.pop("follow"):
        return duck.inbox(**given)
    return iter(duck.take(**given)["pecks"])


def answer(duck: Duck, given: Arguments) -> Any:
    said = given.pop("result", UNSET)
    given["partial" if given.pop("partial") else "result"] = said
    return duck.answer(**given)


def unpeck(duck: Duck, given: Arguments) -> Any:
    kinds = {"dkl_": "duckling_id", "pck_": "peck_id"}
    return duck.unpeck(**{kinds.get(given["id"][:4], "bond_id"): given["id"]})


def erase(duck: Duck, given: Arguments) -> Any:
    return duck.erase_account()


def revoke(duck: Duck, given: Arguments) -> Any:
    return duck.revoke(given.get("reason"), certificate_id=given.get("certificate_id"))


def signatures(duck: Duck, given: Arguments) -> Any:
    return iter(duck.signatures(**given)["signatures"])


def sign(duck: Duck, given: Arguments) -> Any:
    """With a signature that was made elsewhere, or all that waits, with the key in a file."""
    if "own_key" in given:
        return {"signed": own.sign_all(duck, own.OwnKey.open(given["own_key"]), wait=given.get("wait", 0))}
    if "id" not in given or "signature" not in given:
        raise Refused("name what is signed and its signature, or --own-key FILE")
    return duck.sign(given["id"], given["signature"])


def certificate(duck: Duck, given: Arguments) -> Any:
    form = given.pop("format", None)
    if not given and form is None:
        return duck.certificate()
    if "id" not in given:
        given["id"] = duck.certificate()["duckling_id"]
    return duck.certificate_text(format=form, **given) if form else duck.certificate_of(**given)


PECK = arg("peck_id")
LIMIT = arg("--limit", "items a page", type=int)
PASSWORD = arg("--password", "ask for one now", action="store_true")
TERMS = (arg("--scope", "of the bond; may be repeated", action="append", dest="scopes"),
         arg("--limits", 'JSON, like {"per_minute": 10}', type=json_value),
         arg("--not-after", "RFC 3339, UTC"))
WEBHOOK = arg("webhook_id")
FILTER = arg("--filter", 'JSON, like {"action": "data.*"}', type=json_value)

COMMANDS = {
    "hatch": Command(with_password("hatch", is_asked=True),
                     "ask for a duckling: a code comes by mail; with an operator's token: at once",
                     (arg("email", nargs="?"), arg("--name", dest="display_name", required=True),
                      PASSWORD, arg("--captcha-token"))),
    "verify": Command(with_password("verify", is_asked=True), "the code of the mail for a beak key",
                      (arg("email"), arg("code"), PASSWORD), "beak_key"),
    "auth": Command(with_password("auth"), "sign in as an operator",
                    (arg("email"), arg("--captcha-token")), "token"),
    "logout": Command("logout", "end the session"),
    "forgot": Command("forgot", "a code comes by mail, for reset",
                      (arg("email"), arg("--captcha-token"))),
    "reset": Command(with_password("reset", "New password: "), "set a new password",
                     (arg("email"), arg("code"))),
    "rotate": Command("rotate", "a new beak key; the old one ends", (), "beak_key"),
    "verify-chain": Command("verify_chain", "was a key valid on a day? from the chain alone",
                            (arg("chain", "in base64", nargs="?"), arg("--jws"),
                             arg("--id", "of whom the node knows, instead"), arg("--revocation", "in base64"),
                             arg("--at", "a day, like 2026-01-31T12:00:00Z"), arg("--did"))),
    "revoke": Command(revoke, "end the duckling, everywhere and for good",
                      (arg("--reason", "for people: all can read it"),
                       arg("--certificate-id", "of a context: it alone ends"),
                       arg("--yes", "really", action="store_true", required=True))),
    "sessions": Command("sessions", "where the operator is signed in"),
    "session-end": Command("end_session", "end one", (arg("session_id"),)),
    "sessions-end": Command("end_other_sessions", "end all but this one"),
    "passkeys": Command("passkeys", "those that may sign in"),
    "passkey-drop": Command("drop_passkey", "one may no more", (arg("passkey_id"),)),
    "subscribe": Command("subscribe", "to the newsletter: a code comes by mail",
                         (arg("email"), arg("--captcha-token"))),
    "confirm": Command("confirm_subscription", "with that code", (arg("email"), arg("code"))),
    "unsubscribe": Command("unsubscribe", "no more of it", (arg("email"), arg("token"))),
    "export": Command("export", "everything that is kept of the operator; best with --json"),
    "erase": Command(erase, "the operator, for good",
                     (arg("--yes", "really", action="store_true", required=True),)),
    "spaceducks": Command("spaceducks", "the operator's ducklings", (LIMIT,)),

    "peck": Command("peck", "send an action; or with --bond ask for a bond", (
        arg("target"), arg("action", nargs="?"), arg("payload", "JSON; - reads it", nargs="?",
                                                     type=json_value),
        arg("--bond", "a scope; may be repeated", metavar="SCOPE", action="append", dest="scopes"),
        arg("--message", "of the request for a bond"), arg("--thread"), arg("--reply-to"),
        arg("--expires-in", "seconds", type=int),
        arg("--wait", "seconds for it to be done", type=int),
        arg("--grant", "of the target: what it allows needs no bond", metavar="TEXT"),
        arg("--context", "of the sender: its key signs, for less", metavar="NAME"),
        arg("--idempotency-key", "the same key sends nothing twice"))),
    "pecks": Command("pecks", "what was sent and received", (
        arg("--box", choices=("in", "out")), arg("--state", "one or more, with commas between"),
        arg("--with", dest="with_"), arg("--thread"), arg("--after", "only what came after this peck"), LIMIT)),
    "get": Command("get_peck", "one peck, with its receipts", (PECK, arg("--wait", "seconds for it to be done", type=int))),
    "partials": Command("partials", "the parts of an answer, as they are said",
                        (PECK, arg("--after", "a number", type=int))),
    "inbox": Command(inbox, "pecks to handle", (
        arg("--follow", "for ever, a line each", action="store_true"),
        arg("--wait", "seconds for the first", type=int), LIMIT,
        arg("--lease", "seconds until it is handed out again", type=int))),
    "ack": Command(lambda duck, given: duck.ack(*given["peck_ids"]),
                   "had: not to be handed out again", (arg("peck_ids", nargs="+"),)),
    "answer": Command(answer, "the result of a peck", (
        PECK, arg("result", "JSON; - reads it", nargs="?", type=json_value),
        arg("--problem", "it cannot be answered, and why"),
        arg("--partial", "the result is a part of the answer", action="store_true"),
        arg("--number", "of that part", type=int), arg("--charge", "units", type=int))),
    "cancel": Command("cancel", "take a peck back", (PECK,)),

    "approve": Command("approve", "a request for a bond, or an action that waits", (PECK, *TERMS)),
    "deny": Command("deny", "say no to it", (PECK, arg("--reason"))),
    "unpeck": Command(unpeck, "end a bond", (arg("id", "its own, its other end's, or its peck's"),)),
    "bonds": Command("bonds", "who may ask whom"),
    "bond": Command("change_bond", "change a bond", (
        arg("bond_id"), *TERMS, arg("--muted", type=yes_or_no, metavar="YES|NO"),
        arg("--muted-until", "RFC 3339, UTC"))),

    "grants": Command("grants", "what was used of grants, and revoked", (LIMIT,)),
    "grant-make": Command("make_grant", "let a duckling peck this one", (
        arg("holder"), arg("scopes", nargs="+"), arg("--uses", "pecks", type=int),
        arg("--further", "how often it may be handed on", type=int),
        arg("--not-after", "RFC 3339, UTC"))),
    "grant-narrow": Command("narrow_grant", "hand one on, narrower", (
        arg("grant"), arg("holder"), arg("--scope", "may be repeated", action="append", dest="scopes"),
        arg("--uses", "pecks", type=int), arg("--further", "how often it may be handed on", type=int),
        arg("--not-after", "RFC 3339, UTC"))),
    "grant-verify": Command("verify_grant", "what one allows", (
        arg("grant"), arg("--from", "who pecks", dest="from_"), arg("--to", "who is pecked"),
        arg("--action"), arg("--at", "RFC 3339, UTC"))),
    "grant-revoke": Command("revoke_grant", "take a block back", (
        arg("grant"), arg("--block", "the last that this duckling signed is meant", dest="block_id"))),

    "signatures": Command(signatures, "what waits for the signature of a duckling that keeps its own key", (
        arg("--after", "only what has a higher number", type=int),
        arg("--wait", "seconds for the first", type=int))),
    "sign": Command(sign, "hand a signature in, or sign all that waits", (
        arg("id", nargs="?"), arg("signature", "base64", nargs="?"),
        arg("--own-key", "the file with the duckling's key", metavar="FILE"),
        arg("--wait", "seconds for the first", type=int))),

    "lobsters": Command("lobsters", "lobster binds, and what each waits for"),
    "lobster": Command("lobster", "the one with this duckling", (arg("with_", metavar="with"),)),
    "lobster-begin": Command("begin_lobster", "offer one; for operators, as what follows", (
        arg("with_", metavar="with"), arg("--lease", "seconds", type=int))),
    "lobster-confirm": Command("confirm_lobster", "with the string that the other operator read out",
                               (arg("with_", metavar="with"), arg("string"))),
    "lobster-break": Command("break_lobster", "refuse or end it", (arg("with_", metavar="with"),)),

    "directory": Command("directory", "search the network", (
        arg("--capability"), arg("--q", "words"), arg("--tier-min", "T0 to T3"),
        arg("--alive-within", "seconds", type=int), arg("--host", "a node's id"), LIMIT)),
    "duckling": Command("duckling", "one of the directory", (arg("duckling_id"),)),
    "profile": Command("profile", "what the directory says of this duckling", (
        arg("--name", dest="display_name"), arg("--bio"),
        arg("--capability", "may be repeated", action="append", dest="capabilities"),
        arg("--accepts-pecks", type=yes_or_no, metavar="YES|NO"))),
    "pulse": Command("pulse", "say that this duckling is alive"),
    "certificate": Command(certificate, "one's own, or that of an id", (
        arg("id", nargs="?"), arg("--format", "for others' tools", choices=("jwk", "did", "jws")))),
    "issue": Command("issue_certificate", "a further key, for less than the duckling may do", (
        arg("context", "what it is called"), arg("scopes", nargs="+"), arg("--not-after", "RFC 3339, UTC"))),
    "keys": Command("key_set", "the key of the gateway's node, as a JWK set"),

    "probe": Command("probe", "which gateway this is"),
    "status": Command("system_status", "how its parts are"),
    "metrics": Command("metrics", "the counters of the network"),
    "events": Command("events", "what happens, as it happens",
                      (arg("events", f"of {EVENTS} (default: all)", nargs="*"), arg("--after", "the id of an event"))),
    "audit": Command("audit", "one's entries of the node's log", (
        arg("--kind"), arg("--subject", "a peck or a bond"), arg("--since", "RFC 3339, UTC"),
        arg("--until", "RFC 3339, UTC"), LIMIT)),
    "webhooks": Command("webhooks", "where one's events are delivered"),
    "webhook-add": Command("add_webhook", "deliver them to a URL; shows its secret, this once", (
        arg("url"), arg("events", f"of {EVENTS}", nargs="+"), FILTER)),
    "webhook": Command("change_webhook", "change one", (
        WEBHOOK, arg("--url"), arg("--event", f"of {EVENTS}; may be repeated", action="append", dest="events"),
        FILTER, arg("--enabled", type=yes_or_no, metavar="YES|NO"))),
    "webhook-drop": Command("drop_webhook", "deliver nothing more", (WEBHOOK,)),
    "webhook-test": Command("test_webhook", "send a sample", (WEBHOOK, arg("--event"))),
    "webhook-rotate": Command("rotate_webhook_secret", "a new secret, shown this once", (
        WEBHOOK, arg("--overlap", "seconds in which both sign", type=int))),
    "deliveries": Command("deliveries", "what was delivered", (WEBHOOK, arg("--state"), LIMIT)),
    "dead-letters": Command("dead_letters", "what could not be", (WEBHOOK, LIMIT)),
    "resend": Command("resend", "deliver it once more", (WEBHOOK, arg("delivery_id"))),
}


# ---- secrets ----

def secret(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n")


def key_path(args: argparse.Namespace) -> pathlib.Path:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return pathlib.Path(args.key_file or os.environ.get("SPACEDUCK_KEY_FILE")
                        or os.path.join(home, "spaceduck", "key"))


def read_key(args: argparse.Namespace) -> str | None:
    """None where there is no file: some commands need no key."""
    path = key_path(args)
    if str(path) == "-":
        return sys.stdin.readline().strip()
    try:
        with open(path, encoding="ascii") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Refused(f"{path} can be read by others: chmod 600 {path}")
            return file.read().strip()
    except FileNotFoundError:
        return None


def refuse_to_replace(args: argparse.Namespace) -> None:
    """Before a code or a password is spent on it."""
    path = key_path(args)
    if str(path) != "-" and path.exists() and not args.force:
        raise Refused(f"{path} is there; --force replaces it, --key-file names another")


def save(path: pathlib.Path, answer: dict[str, Any], member: str) -> dict[str, Any]:
    """Moves the secret of an answer into the key file, and says where it is."""
    if member not in answer or str(path) == "-":
        return answer
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(answer[member] + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    rest = {name: value for name, value in answer.items() if value != answer[member]}
    return {**rest, "key_file": str(path)}


# ---- in and out ----

COMMON = {"api", "key_file", "duckling", "json", "command", "force"}
NOT_SHOWN = {"chain", "envelope", "proof", "receipts", "revocation", "certificates", "jwk", "certificate"}
FIRST = ("peck_id", "bond_id", "duckling_id", "webhook_id", "delivery_id", "id", "number", "status",
         "state", "type", "display_name", "tier", "from", "to", "with", "action", "payload")


def line_of(item: dict[str, Any]) -> str:
    """One item of a list: what names it first, then the rest, without what only machines read."""
    names = [name for name in FIRST if name in item]
    names += [name for name in item if name not in FIRST and name not in NOT_SHOWN]
    return "  ".join(word_of(item[name]) if name in FIRST else f"{name}={word_of(item[name])}"
                     for name in names if item[name] not in ([], {}, ""))


def word_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def show(answer: Any, as_json: bool) -> None:
    if answer is None:
        return
    if isinstance(answer, str):
        print(json.dumps(answer) if as_json else printable(answer))
        return
    if isinstance(answer, Iterator):
        for item in answer:
            members = item._asdict() if isinstance(item, Event) else item
            print(json.dumps(members) if as_json else printable(line_of(members)), flush=True)
        return
    if as_json:
        print(json.dumps(answer))
        return
    shown = {name: value for name, value in answer.items() if name not in NOT_SHOWN}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        print(f"{name:<{width}}  {printable(word_of(value))}")


def printable(text: str) -> str:
    """Others wrote this: nothing in it may move a terminal's cursor."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="spaceduck", description="Pecks from the command line.",
                                  epilog="Secrets are never arguments: see --key-file.")
    top.add_argument("--version", action="version", version=f"spaceduck {VERSION}")
    top.add_argument("--api", default=os.environ.get("SPACEDUCK_API", API_BASE), metavar="URL",
                     help="of the gateway; $SPACEDUCK_API; %(default)s")
    top.add_argument("--key-file", metavar="FILE", help="with a beak key or a session's token, mode "
                     "0600; - is standard input; $SPACEDUCK_KEY_FILE; ~/.config/spaceduck/key")
    top.add_argument("--duckling", metavar="ID", help="for which one a session acts")
    top.add_argument("--json", action="store_true", help="JSON; a line for each item of a list")
    below = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, each in COMMANDS.items():
        sub = below.add_parser(name, help=each.help, description=each.help)
        for flag, how in each.arguments:
            sub.add_argument(flag, **how)
        if each.makes and name != "rotate":
            sub.add_argument("--force", action="store_true", help="replace a key file that is there")
    return top


def key_of(args: argparse.Namespace) -> str | None:
    if not COMMANDS[args.command].makes or args.command == "rotate":
        return read_key(args)
    refuse_to_replace(args)
    return None


def run(duck: Duck, args: argparse.Namespace, may_save: bool) -> Any:
    command = COMMANDS[args.command]
    given = {name: value for name, value in vars(args).items()
             if name not in COMMON and value not in (None, [])}
    answer = (getattr(duck, command.call)(**given) if isinstance(command.call, str)
              else command.call(duck, given))
    return save(key_path(args), answer, command.makes) if command.makes and may_save else answer


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    key = None
    try:
        key = key_of(args)
        is_session = key is not None and key.startswith("sd_st_")  # its file stays what it is
        with Duck(key, args.api, duckling_id=args.duckling) as duck:
            show(run(duck, args, not is_session), args.json)
        return 0
    except Problem as problem:
        text = json.dumps(problem.members) if args.json else f"spaceduck: {printable(str(problem))}"
        print(text, file=sys.stderr)
        if problem.status == 401 and key is None and not COMMANDS[args.command].makes:
            print(f"spaceduck: there is no key in {key_path(args)}", file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has had enough
    except (DuckError, Refused, ValueError, OSError) as error:
        print(f"spaceduck: {printable(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1
