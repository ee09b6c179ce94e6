"""What every answer has in common: versions, headers, errors."""

import logging
import re
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from linkspan.api.bodies.networks import Failure
from linkspan.api.calls import NEWEST, OLDEST, Version, answer, shown
from linkspan.api.errors import failure_of, status_of
from linkspan.model.errors import InvalidError, LinkspanError

log = logging.getLogger(__name__)

_VERSION = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?.*")
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


def api_version(text: str | None) -> Version:
    """The version in a path, or the newest; Docker's texts for those that are not served."""
    if text is None:
        return NEWEST
    match = _VERSION.fullmatch(text)
    version = (int(match[1]), int(match[2] or 0)) if match else (0, 0)
    if version < OLDEST:
        raise InvalidError(
            f"client version {text} is too old. Minimum supported API version is {shown(OLDEST)}, "
            "please upgrade your client to a newer version",
            field="version",
            value=text,
        )
    if version > NEWEST:
        raise InvalidError(
            f"client version {text} is too new. Maximum supported API version is {shown(NEWEST)}",
            field="version",
            value=text,
        )
    return version


class Unheard(web.StreamResponse):
    """What is answered to a client that has gone away: raised to aiohttp, the same error would be logged as ours."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Tell aiohttp that there is nobody to write to; it drops the connection without a word."""
        raise ConnectionResetError("the client has gone")


@web.middleware
async def errors_as_answers(request: web.Request, handler: Plain) -> web.StreamResponse:
    """Every error is a JSON object with a message; what nobody foresaw is logged, and does not end the daemon."""
    try:
        return await handler(request)
    except LinkspanError as error:
        return _refuse(request, answer(failure_of(error), status_of(error)))
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return answer(Failure(message="page not found"), 404)
    except web.HTTPException as error:
        return answer(Failure(message=error.reason), error.status)
    except ConnectionError:
        return Unheard()
    except Exception as error:
        log.exception("%s %s failed in an unexpected way", request.method, request.path)
        return _refuse(request, answer(Failure(message=f"unexpected error: {error}"), 500))


def _refuse(request: web.Request, refusal: web.Response) -> web.Response:
    """An error in the middle of a stream cannot be told any more: the connection ends instead."""
    if request.writer.output_size:
        request.protocol.force_close()
        raise ConnectionResetError("the stream failed after its head was sent")
    return refusal


def common_headers(server: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The headers of every answer."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers[hdrs.SERVER] = server
        headers["Api-Version"] = shown(NEWEST)
        headers["Docker-Experimental"] = "false"
        headers["Ostype"] = "linux"
        if headers.get(hdrs.CONTENT_TYPE) == "application/octet-stream":  # what aiohttp says of an empty body
            del headers[hdrs.CONTENT_TYPE]

    return add
