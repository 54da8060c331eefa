"""Every error the benchmark raises on purpose.

BenchError                   1  something failed at run time
├── UsageError               2  the command line names something wrong
│   └── InfeasibleError      2  no mask or plan of this recipe reaches the sparsity asked for
├── InputError               3  an input is missing or invalid
│   ├── AbsentError          3  an input is not on this machine, and a run would fetch it
│   ├── ProtocolError        3  a protocol file breaks the rules for rules
│   └── SubmissionError      3  a submission is malformed or inconsistent
├── ArtefactError            4  a weights file is unsafe or does not match
├── DisagreementError        5  a verification disagrees with the claim
├── IncompleteError          6  the run stopped early and can be resumed
└── ContractError            1  an attack, a recipe or a model broke its contract

The classes are cut by who can fix the problem; ``exit_code`` tells a script the same. The command line prints a
BenchError as one sentence; any other exception is a bug and shows its traceback.
"""

from typing import ClassVar


class BenchError(Exception):
    """Something failed at run time; the message says what, and what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(BenchError):
    """The command line names something that does not exist or does not fit."""

    exit_code = 2


class InfeasibleError(UsageError):
    """The recipe cannot reach the sparsity asked for on this network: an outcome, never missed silently."""


class InputError(BenchError):
    """An input file or data set is missing or invalid."""

    exit_code = 3


class AbsentError(InputError):
    """An input is not on this machine; a run fetches it where there is a network, and a dry run fetches nothing."""


class ProtocolError(InputError):
    """A protocol file has unknown keys, inexact radii or unknown attacks."""


class SubmissionError(InputError):
    """A submission file is malformed or inconsistent."""


class ArtefactError(BenchError):
    """A weights file is unsafe to open or does not match what was asked for."""

    exit_code = 4


class DisagreementError(BenchError):
    """A verification does not reproduce what a submission claims."""

    exit_code = 5


class IncompleteError(BenchError):
    """The run stopped before its end; the same command resumes it."""

    exit_code = 6


class ContractError(BenchError):
    """A component broke its contract, so there is no number."""
