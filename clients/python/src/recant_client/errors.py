"""What can go wrong. Everything that a client raises on purpose is a `RecantError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import ErasureState, Written


class RecantError(Exception):
    """The root of all errors of this package."""


class NoAnswerError(RecantError):
    """The service could not be reached, or the connection ended before the answer did.

    `sent` says whether the request may have reached the service, which may then have carried it out.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class UnexpectedAnswer(RecantError):
    """The answer is not one that a recant service gives: check the URL and what is in between."""


class Problem(RecantError):
    """The service refused, with problem details (RFC 9457).

    `code` is stable and says what kind of problem it is; `detail` says how to mend the request, and
    never repeats what was sent. The subclass tells what to do about it, so that `except` need not
    know every code.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        #: Seconds after which the service asks to be tried again.
        self.retry_after = retry_after
        #: What finds this request in the log of the service.
        self.request_id = request_id


class InvalidRequest(Problem):
    """The request is wrong: repeating it as it is will not help."""


class InvalidFilter(InvalidRequest):
    """The expression of `filter` is wrong; the detail has line and column."""


class IdempotencyKeyReused(InvalidRequest):
    """The idempotency key belongs to another request."""


class Unauthenticated(Problem):
    """The call needs an API key."""


class Forbidden(Problem):
    """The API key lacks the role for this call, or there are no keys and the caller is not local."""


class NotFound(Problem):
    """There is no such thing."""


class ItemNotFound(NotFound):
    """The item is not known."""


class UserNotFound(NotFound):
    """Nothing is held of the user."""


class ErasureNotFound(NotFound):
    """There is no such erasure, or another key requested it."""


class ReceiptNotFound(NotFound):
    """The erasure was certified before receipts were signed."""


class RouteNotFound(NotFound):
    """The service does not have this call: it is older than this client, or the URL is wrong."""


class ReceiptNotReady(Problem):
    """The erasure is not certified yet."""


class Unavailable(Problem):
    """Not now: the service is busy, starting or stopping, or the key has sent more than it may.

    Raised when retries did not help.
    """


class ServiceFailed(Problem):
    """The service failed; its log says more, under the request id."""


class NoSpace(ServiceFailed):
    """The disk of the service is full, or the log that its nodes share."""


_BY_CODE: dict[str, type[Problem]] = {
    "invalid_filter": InvalidFilter,
    "idempotency_key_reused": IdempotencyKeyReused,
    "item_not_found": ItemNotFound,
    "user_not_found": UserNotFound,
    "erasure_not_found": ErasureNotFound,
    "receipt_not_found": ReceiptNotFound,
    "route_not_found": RouteNotFound,
    "receipt_not_ready": ReceiptNotReady,
    "no_space": NoSpace,
    "log_full": NoSpace,
}

_BY_STATUS: dict[int, type[Problem]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def problem_class(status: int, code: str) -> type[Problem]:
    """The class of a problem: by its code, else by its status."""
    general = InvalidRequest if status < 500 else ServiceFailed
    return _BY_CODE.get(code) or _BY_STATUS.get(status) or general


class RowsRejected(RecantError):
    """Rows were not taken; `written` says which and why. The others were."""

    def __init__(self, written: Written) -> None:
        first = written.rejected[0]
        count = len(written.rejected)
        super().__init__(f"{count} rows were not taken; row {first.index}: {first.reason}")
        self.written = written


class WriteInterrupted(RecantError):
    """A stream of rows came to a stop: `written` is what became of the rows before.

    The cause (`__cause__`) is why. Of the batch under way, `unknown` rows may have been taken or not.
    """

    def __init__(self, written: Written, unknown: int) -> None:
        super().__init__(
            f"stopped after {written.rows} rows; {unknown} more were under way and may have been taken"
        )
        self.written = written
        self.unknown = unknown


class WaitTimeout(RecantError):
    """The erasure did not come so far in time. It goes on; `state` is the last that was seen."""

    def __init__(self, wanted: str, state: ErasureState) -> None:
        why = f": {state.failure}" if state.failure else ""
        super().__init__(f"the erasure is {state.status}, not {wanted} yet{why}")
        self.state = state


class ReceiptError(RecantError):
    """A receipt does not hold. The message says why, and repeats nothing of it."""
