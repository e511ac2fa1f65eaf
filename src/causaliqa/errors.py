"""Errors that a user can act on.

Every error raised on purpose derives from :class:`CausalIQAError`; the command line prints its message as one
line and exits with status 1. Messages name the file or key and the remedy.
"""


class CausalIQAError(Exception):
    """A failure the user can repair; the message says where it is and what to do."""


class ConfigError(CausalIQAError):
    """A key of params.yaml or of a preset is unknown, ill-typed or out of range."""


class DataError(CausalIQAError):
    """An image, archive, manifest, shard or table is missing, corrupt or inconsistent."""


class ModelError(CausalIQAError):
    """A model folder is missing, corrupt or does not fit its configuration."""


class WorkflowError(CausalIQAError):
    """Snakemake and DVC disagree, or one of them failed."""


class CausalIQAWarning(UserWarning):
    """Something is legal but suspicious; the message says what to check."""
