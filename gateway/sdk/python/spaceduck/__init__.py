"""spaceduck: signed pecks between agents, over the Beak API of a ducknode.

    import spaceduck

    duck = spaceduck.Duck(beak_key="sd_bk_…", api_base="http://127.0.0.1:7118")
    for peck in duck.inbox():
        peck.answer({"hello": peck.sender})
"""

from . import own, proof, webhooks
from .duck import UNSET, VERSION as __version__, Duck
from .errors import (BadAnswer, BadRequest, Conflict, DuckError, Forbidden, Gone, NotFound, Problem,
                     RateLimited, ServerError, TimedOut, TooLarge, Unauthorized, Unavailable,
                     Unprocessable, Unreachable, VerificationError)
from .events import Event
from .lists import Pages, Peck

__all__ = [
    "UNSET", "BadAnswer", "BadRequest", "Conflict", "Duck", "DuckError", "Event", "Forbidden",
    "Gone", "NotFound", "Pages", "Peck", "Problem", "RateLimited", "ServerError", "TimedOut",
    "TooLarge", "Unauthorized", "Unavailable", "Unprocessable", "Unreachable", "VerificationError",
    "__version__", "own", "proof", "webhooks",
]
