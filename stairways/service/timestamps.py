"""Time stamps of checkpoints by a third party, as RFC 3161 has them.

A time-stamp authority signs that it saw the SHA-256 of a checkpoint at a certain time. What it
answers is kept as a file beside the checkpoint; ``openssl ts -verify`` checks it.
"""

import hashlib
import http.client
import secrets
import urllib.error
import urllib.request

from stairways.errors import SealError

_SHA256 = bytes.fromhex("300d06096086480165030402010500")  # AlgorithmIdentifier, DER
_GRANTED = (0, 1)
_LARGEST_ANSWER = 1_000_000


def request_for(content: bytes, nonce: int) -> bytes:
    """Return the DER of a TimeStampReq (RFC 3161, section 2.4.1) that asks for certificates."""
    imprint = _der(0x30, _SHA256 + _der(0x04, hashlib.sha256(content).digest()))
    return _der(0x30, _integer(1) + imprint + _integer(nonce) + _der(0x01, b"\xff"))


def time_stamp(content: bytes, url: str, *, seconds: float = 30.0) -> bytes:
    """Return the authority's TimeStampResp for ``content``.

    Raises ``SealError`` if the authority at ``url`` does not answer, does not grant it, or answers
    for something else, such as an earlier request that somebody in between kept. The signature in
    the answer is for ``openssl ts -verify`` to check, with the authority's certificate.
    """
    if not url.startswith(("http://", "https://")):
        raise SealError(f"{url} is no address of a time-stamp authority: use http:// or https://.")
    nonce = secrets.randbits(63)
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url,
        data=request_for(content, nonce),
        headers={"Content-Type": "application/timestamp-query"},
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 - as above
            response: bytes = answer.read(_LARGEST_ANSWER)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise SealError(f"The time-stamp authority {url} does not answer: {error}.") from error
    if _status(response) not in _GRANTED:
        raise SealError(f"The time-stamp authority {url} granted no time stamp.")
    asked = hashlib.sha256(content).digest(), _integer(nonce)
    if not all(part in response for part in asked):
        raise SealError(f"The time-stamp authority {url} answered something else than was asked.")
    return response


def _status(response: bytes) -> int | None:
    """Return the PKIStatus of a TimeStampResp, None if it is none."""
    try:
        info = _content(_content(response, 0x30), 0x30)
        status = _content(info, 0x02)
    except (IndexError, ValueError):
        return None
    return int.from_bytes(status, "big")


def _content(der: bytes, tag: int) -> bytes:
    """Return what the first DER element holds; raises ``ValueError`` if it has another tag."""
    if der[0] != tag:
        raise ValueError(f"tag {der[0]} instead of {tag}")
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    return der[start : start + length]


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - the short form of DER
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
