"""Errors a caller can act on. Each message says what happened and what to do next.

A fault in data under audit is a finding, a value, and never one of these.
"""


class StairwaysError(Exception):
    """Something could not be done; the message is fit for a person's eyes."""


class WrongVersionError(StairwaysError):
    """A stream did not stand at the version the writer expected."""


class LeaseLostError(StairwaysError):
    """Another process has taken over what this one was doing; it wrote nothing more."""


class LeaseHeldError(StairwaysError):
    """Another process is doing that already; the message names it."""


class HaltedError(StairwaysError):
    """A person has halted all training and serving, or what was said about that does not fit."""


class TrainingStoppedError(StairwaysError):
    """Training stopped between two rollouts because it was told to; it can go on."""


class NoSuchScheduleError(StairwaysError):
    """The log knows no schedule of that name, or not in the state that was asked for."""


class LogBusyError(StairwaysError):
    """Another process is writing to the log and did not finish in time."""


class LogUnavailableError(StairwaysError):
    """The database of the log does not open, or went away."""


class SchemaMismatchError(StairwaysError):
    """The database has a newer or foreign schema, or lacks its guards."""


class NotCanonicalError(StairwaysError):
    """A value has no canonical form: NaN, infinity, a whole number beyond 2**53."""


class UnknownEventError(StairwaysError):
    """A stored event has a type or schema version this version cannot read."""


class BlobMissingError(StairwaysError):
    """A blob that an event names is not in the store, or is not what its digest says."""


class SealError(StairwaysError):
    """A key, a signed note, a checkpoint or a proof is not what its format says."""


class ProofWrongError(SealError):
    """A proof does not prove its record: one of them was changed, or nobody trusted signed it."""


class BarsRefusedError(StairwaysError):
    """Market data cannot be used: the message names file, row and reason."""


class SettingsError(StairwaysError):
    """A setting is unknown, unreadable or out of its range."""


class NoSuchRunError(StairwaysError):
    """The log holds no run of that name."""


class NoSuchEventError(StairwaysError):
    """The log holds no event at that position, or none of that cycle."""


class QueryRefusedError(StairwaysError):
    """A question in SQL is not allowed, is wrong, took too long or has too many rows."""


class ExportError(StairwaysError):
    """An export cannot be made: something is there already, is missing, or the disk refuses."""


class SpaceMismatchError(StairwaysError):
    """A model has another observation or action space than the environment."""


class TrainingFailedError(StairwaysError):
    """Training cannot go on: a loss or a parameter is not a finite number."""


class NoSuchDataError(StairwaysError):
    """The log holds no bars of that name or digest."""


class ModelRefusedError(StairwaysError):
    """A model cannot be imported: the message names the file and the reason."""


class RetentionError(StairwaysError):
    """Payloads must stay where they are, or a hold cannot be placed or lifted."""


class PushFailedError(StairwaysError):
    """Metrics did not reach the Pushgateway."""


class MetricsUnavailableError(StairwaysError):
    """Metrics cannot be served where the settings say."""
