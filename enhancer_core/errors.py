"""What can be wrong with input: one class a kind, all of them `EnhancerError`.

A message is one line that says where, what was got and what is allowed. The command line prints it
and exits with status 2; any other exception is a bug of ours, and shows its traceback.
"""

from __future__ import annotations


class EnhancerError(ValueError):
    """Bad input; its message is one line fit for a user."""


class FileError(EnhancerError):
    """A file cannot be read, written, or is not of the format it should be."""


class SequenceError(EnhancerError):
    """A sequence has a letter, a length or a k that is not allowed."""


class IntervalError(EnhancerError):
    """An interval is malformed, or lies outside its chromosome."""


class MotifError(EnhancerError):
    """A motif matrix is malformed."""


class DatasetError(EnhancerError):
    """Sequences and labels cannot be made into a data set, or split as asked."""


class TrainingError(EnhancerError):
    """Training diverged: the loss or the weights are no longer finite."""


class ModelFileError(EnhancerError):
    """A model file is damaged, foreign, or newer than this release."""


class DeviceError(EnhancerError):
    """A device is asked for that this machine does not have."""
