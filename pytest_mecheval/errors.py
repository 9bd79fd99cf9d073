"""Every exception this package raises on purpose; texts name the place, the problem and the way out.

MechevalError
├── UsageError            the command line, claim file or bundle cannot be used as given (pytest exit 4)
│   ├── BundleError       the bundle folder: missing, hostile path, unreadable file
│   ├── ClaimFileError    one or more problems in a claim file, all of them in one message
│   └── StaleClaimsError  the documents changed after the claims were written
├── SubjectError          the bundle's model or data cannot be used: a verdict (NOT_TESTABLE), not our fault
├── HarnessError          our measuring engine failed its own controls or crashed: a pytest error
└── CheckError            a check kind is written wrongly; raised at import, for its author
ClaimNotSupported (AssertionError)   the one exception that makes a claim's test fail
"""


class MechevalError(Exception):
    """Anything this package raises on purpose."""


class UsageError(MechevalError):
    """The command line, the claim file or the bundle cannot be used as given."""


class BundleError(UsageError):
    """The bundle folder cannot be read safely."""


class ClaimFileError(UsageError):
    """A claim file has problems; `problems` holds every one of them, one line each."""

    def __init__(self, problems: list[str] | tuple[str, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StaleClaimsError(UsageError):
    """A document changed after its claims were written."""


class SubjectError(MechevalError):
    """The bundle's model or data cannot be measured; becomes NOT_TESTABLE with this text."""


class HarnessError(MechevalError):
    """The measuring engine failed; never a verdict about a claim."""


class CheckError(MechevalError):
    """A check kind is incomplete; the text says what its module lacks."""


class ClaimNotSupported(AssertionError):
    """A decision other than SUPPORTED, as five readable lines."""


def named(error: OSError) -> str:
    """The system's words after the place they are about, without number and quotes.

    >>> named(FileNotFoundError(2, "No such file or directory", "notes.md"))
    'notes.md: no such file or directory'
    """
    if error.strerror is None:
        return str(error)
    words = error.strerror[:1].lower() + error.strerror[1:]
    places = [str(place) for place in (error.filename, error.filename2) if place is not None]
    return ": ".join([" and ".join(places), words]) if places else words
