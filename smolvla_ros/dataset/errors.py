# Copyright 2026 The smolvla_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors of this room. Their messages name the file, what is wrong, and the remedy."""


class DataError(ValueError):
    """Recorded data cannot be read, written or converted."""


class BagError(DataError):
    """A bag cannot be read or written."""


class EpisodeError(DataError):
    """A bag cannot be converted to an episode."""


class DatasetError(DataError):
    """A LeRobot dataset cannot be read or written."""


class VideoError(DataError):
    """A video cannot be read or written."""


class EncoderError(RuntimeError):
    """An encoder does not start: a fault of this computer or of the options, not of the data."""


class HubError(DataError):
    """A dataset cannot be sent to the hub or fetched from it."""


class RecordingError(RuntimeError):
    """An episode cannot be written, marked or recovered."""
