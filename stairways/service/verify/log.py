"""Verify a whole log: rehash every record, never trust a stored hash, name what is wrong.

Memory stays flat: the log is read in ranges. On several processors the ranges are rehashed
by processes of their own, each with its own connection.
"""

import gc
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

from stairways import codec
from stairways.core.events import LogVerified
from stairways.core.merkle import EMPTY_ROOT
from stairways.core.values import Digest, Position, StreamName, without_password
from stairways.errors import LogUnavailableError
from stairways.service.verify.appends import AppendWalk, Claim
from stairways.service.verify.blobs import check_blobs, missing_blobs
from stairways.service.verify.checkpoints import (
    Sealed,
    check_sealed,
    check_signed,
    stored_checkpoints,
)
from stairways.service.verify.diagnosis import explained
from stairways.service.verify.events import RANGE, Rehashed, rehash
from stairways.service.verify.findings import Finding, Findings, shown
from stairways.service.verify.indexes import Fingerprint, check_indexes
from stairways.service.verify.segments import check_segments
from stairways.service.verify.surroundings import check_surroundings
from stairways.service.verify.tree import RootCheck, TreeFold
from stairways.store.contract import Context, Encoded, EventStore
from stairways.store.raw import Bounds, RawLog, UnreadableRowsError
from stairways.store.records import collector_off
from stairways.store.seal import Checkpoint, PublicKey

PROCESSES_FROM = 500_000
"""Events from which on further processes are worth their start."""

_AHEAD = 4
"""Ranges that wait for each further process, so that it never waits for this one."""

_WAITING = 128
"""Ranges that may be ready before an earlier one is; where all are damaged, 35 MB."""

MISSING_TAIL = 2**16
"""How many missing positions behind the last event are looked at one by one."""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What verifying a log found. ``root`` was computed anew over all ``size`` records."""

    size: int
    root: Digest
    blobs: int
    checkpoints: int
    findings: Sequence[Finding]  # the first ones, by position
    found: int  # all of them
    rehashed: bool = True  # False if there was nothing to rehash, for want of tables

    @property
    def clean(self) -> bool:
        """Say whether nothing was found."""
        return self.found == 0

    @property
    def first_position(self) -> Position | None:
        """Return the first bad position, None if there is none or no event is concerned."""
        position = self.findings[0].position if self.findings else None
        return None if position is None else Position(position)


class Part(NamedTuple):
    """A range of the log, and what its tree is to be held against."""

    claims: Sequence[Claim]
    checks: Sequence[RootCheck]
    wanted: Sequence[int]

    @property
    def ends(self) -> Sequence[int]:
        """Return the positions at which the edge of the tree is needed, in order."""
        return sorted({check.last for check in self.checks} | set(self.wanted))


def verify_log(
    url: str,
    *,
    against: Sequence[Checkpoint] = (),
    keys: Sequence[PublicKey] = (),
    processes: int | None = None,
    progress: OnProgress | None = None,
) -> VerifyReport:
    """Rehash the log at ``url`` and return what is wrong with it.

    ``against`` are checkpoints that somebody outside kept: the log must be a continuation of
    each. With ``keys`` every stored checkpoint must be signed by one of them. Raises
    ``LogUnavailableError`` or ``SchemaMismatchError`` if it cannot look.
    """
    try:
        with RawLog(url) as log, collector_off():
            return _verified(log, against, keys, processes, progress)
    except UnreadableRowsError as error:
        raise LogUnavailableError(
            f"The log {without_password(url)} cannot be read: {error}. It is damaged, or no log: "
            "keep it as it is for whoever finds out why, and restore a backup."
        ) from error


def _verified(
    log: RawLog,
    against: Sequence[Checkpoint],
    keys: Sequence[PublicKey],
    processes: int | None,
    progress: OnProgress | None,
) -> VerifyReport:
    findings = Findings()
    if missing := log.missing_tables():
        return _without_tables(missing)
    stored = stored_checkpoints(log, keys)
    findings.extend(stored.findings)
    sealed = [*stored.sealed, *(Sealed("kept checkpoint", kept) for kept in against)]
    findings.extend(check_surroundings(log))
    fold, size = _walk(log, sealed, findings, processes, progress)
    findings.extend(check_signed(log, size))
    blobs = check_blobs(log, findings)
    kept = findings.ordered()
    told = explained(log, kept)
    return VerifyReport(
        size=size,
        root=Digest(fold.computed.root().hex()),
        blobs=blobs,
        checkpoints=len(stored.sealed),
        findings=told,
        found=findings.count + len(told) - len(kept),
    )


def _walk(
    log: RawLog,
    sealed: Sequence[Sealed],
    findings: Findings,
    processes: int | None,
    progress: OnProgress | None,
) -> tuple[TreeFold, int]:
    """Rehash every record in order, hold the tree against all that claims to know it.

    Return the tree, and the position up to which it was walked.
    """
    bounds = log.bounds()
    size = _size(bounds)
    fold = TreeFold(findings)
    places = (*(one.checkpoint.size for one in sealed), bounds.size, bounds.last_event)
    wanted = {place for place in places if _is_size(place, size)}
    streams: dict[object, object] = dict(log.streams())
    walk = AppendWalk(streams, size)
    parts = _parts(walk.claims(log.appends(size)), sorted(wanted))
    present, indexed = log.blob_names(), Fingerprint()
    for part, rehashed in _rehash_all(log, parts, size, processes):
        fold.take(rehashed, part.checks, part.wanted)
        indexed = indexed.with_(rehashed.indexed)
        findings.extend(missing_blobs(rehashed.named, present))
        findings.extend(walk.findings)
        walk.findings.clear()
        if progress is not None:
            progress(rehashed.last, size)
    findings.extend(walk.findings)
    findings.extend(_unused_streams(streams, walk))
    _check_head(fold, bounds)
    findings.extend(check_sealed(sealed, fold.roots, size))
    findings.extend(check_segments(log, size, streams))
    findings.extend(check_indexes(log, indexed, size))
    return fold, size


def _without_tables(missing: Sequence[str]) -> VerifyReport:
    """Return the report on a log of which somebody dropped tables: there is nothing to rehash."""
    findings = [Finding(None, f"table {name}", "present", "missing") for name in missing]
    return VerifyReport(
        size=0,
        root=Digest(EMPTY_ROOT.hex()),
        blobs=0,
        checkpoints=0,
        findings=findings,
        found=len(findings),
        rehashed=False,
    )


def record_report(store: EventStore, report: VerifyReport, context: Context) -> None:
    """Append what a verification found: audits are audited."""
    event = LogVerified(
        size=report.size,
        root=report.root,
        findings=report.found,
        first_position=report.first_position,
        first_field=report.findings[0].field if report.findings else "",
    )
    encoded = Encoded(*codec.type_of(event), codec.encode(event))
    store.append(StreamName("operator"), None, [encoded], context)


def _is_size(value: object, largest: int) -> bool:
    return isinstance(value, int) and 0 < value <= largest


def _size(bounds: Bounds) -> int:
    """Return how far to walk: to the head and to the last row, if that is near."""
    ends = [end for end in (bounds.last_event, bounds.last_append) if isinstance(end, int)]
    last = max([0, *ends])
    if not isinstance(bounds.size, int) or bounds.size < 0:
        return last
    near, far = sorted((bounds.size, last))
    return far if far - near < MISSING_TAIL else near


def _parts(claims: Iterable[Claim], wanted: Sequence[int]) -> Iterator[Part]:
    """Cut claims into ranges of ``RANGE`` positions, aligned so that each is a subtree."""
    pieces = itertools.chain.from_iterable(map(_pieces, claims))
    for _, group in itertools.groupby(pieces, key=lambda piece: (piece.last - 1) // RANGE):
        here = list(group)
        first, last = here[0].first, here[-1].last
        checks = [RootCheck(p.first, p.last, p.root) for p in here if p.root is not None]
        yield Part(here, checks, [size for size in wanted if first <= size <= last])


def _pieces(claim: Claim) -> Iterator[Claim]:
    """Yield a claim cut at the borders of ranges; only the last piece has its root."""
    first = claim.first
    while first <= claim.last:
        last = min(claim.last, (first - 1) // RANGE * RANGE + RANGE)
        yield claim._replace(
            first=first, last=last, root=claim.root if last == claim.last else None
        )
        first = last + 1


def _rehash_all(
    log: RawLog, parts: Iterator[Part], size: int, processes: int | None
) -> Iterator[tuple[Part, Rehashed]]:
    """Yield each part with its rehashed range, in order; some are under way ahead.

    This process rehashes as well, from the first moment on: the others need half a second to start.
    """
    others = (processes or len(os.sched_getaffinity(0))) - 1
    if size < PROCESSES_FROM or not others:
        yield from ((part, rehash(log, part.claims, part.ends)) for part in parts)
        return
    spawn, given = get_context("spawn"), (log.url,)
    try:
        with ProcessPoolExecutor(others, spawn, _open_in_process, given) as pool:
            yield from _share_out(log, parts, pool, _AHEAD * others)
    except BrokenProcessPool as error:
        raise LogUnavailableError(
            "A process that rehashed the log ended before its work was done: it was killed, or "
            "memory ran out. Verify again, with --processes 1 if need be."
        ) from error


def _share_out(
    log: RawLog, parts: Iterable[Part], pool: Executor, ahead: int
) -> Iterator[tuple[Part, Rehashed]]:
    """Yield each part, in order; while the pool has up to ``ahead`` to do, do one here."""
    under_way = deque[tuple[Part, Future[Rehashed]]]()
    for part in parts:
        if sum(not future.done() for _, future in under_way) < ahead:
            future = pool.submit(_rehash_in_process, part.claims, part.ends)
        else:
            future = Future()
            future.set_result(rehash(log, part.claims, part.ends))
        under_way.append((part, future))
        while under_way and (under_way[0][1].done() or len(under_way) > _WAITING):
            done, first = under_way.popleft()
            yield done, first.result()
    for done, rest in under_way:
        yield done, rest.result()


_in_process = ExitStack()
_logs: list[RawLog] = []


def _open_in_process(url: str) -> None:
    gc.disable()  # as in collector_off
    _logs.append(_in_process.enter_context(RawLog(url)))


def _rehash_in_process(claims: Sequence[Claim], ends: Sequence[int]) -> Rehashed:
    return rehash(_logs[0], claims, ends)


def _unused_streams(streams: Mapping[object, object], walk: AppendWalk) -> Iterator[Finding]:
    for stream_id, name in streams.items():
        if stream_id not in walk.versions:
            yield Finding(None, "streams", "a stream with events", f"{stream_id}: {shown(name)}")


def _check_head(fold: TreeFold, bounds: Bounds) -> None:
    """Hold the head row against the tree and the ends of the tables."""
    last = bounds.last_event if isinstance(bounds.last_event, int) else 0
    if bounds.size == last:
        _check_head_root(fold, bounds)
        return
    fold.settle(None)
    findings = fold.findings
    if bounds.size is None:
        findings.add(Finding(None, "head", "one row", "missing"))
    elif {0: EMPTY_ROOT, **fold.roots}.get(last) == bounds.root:
        findings.drop_after(last)
        findings.add(Finding(None, "head.size", str(last), shown(bounds.size)))
    elif isinstance(bounds.size, int) and last > bounds.size:
        nothing = f"nothing behind the head's {bounds.size}"
        findings.add(Finding(bounds.size + 1, "events.position", nothing, str(last), last))
    else:
        findings.add(Finding(last + 1, "events.position", str(last + 1), "missing"))


def _check_head_root(fold: TreeFold, bounds: Bounds) -> None:
    root = bounds.root if isinstance(bounds.root, bytes) else None
    before = fold.findings.count
    agrees, made = fold.settle(root), fold.computed
    if agrees and bounds.edge != made.to_bytes():
        edge = made.to_bytes().hex()
        fold.findings.add(Finding(None, "head.edge", shown(edge), shown(bounds.edge)))
    elif not agrees and fold.findings.count == before:
        fold.findings.add(Finding(None, "head.root", made.root().hex(), shown(bounds.root)))
