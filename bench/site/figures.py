"""How exact numbers are spelt for readers."""

from fractions import Fraction

from bench.submission.ranks import bounds
from bench.submission.score import Interval
from bench.threats import Norm

SYMBOLS = {Norm.LINF: "L∞", Norm.L2: "L2", Norm.L0: "L0"}
_WORDS = {
    Norm.LINF: "every channel value may change by at most {epsilon}",
    Norm.L2: "the change may have Euclidean length at most {epsilon}",
    Norm.L0: "at most {epsilon} pixels may change, each by any amount",
}


def percent(share: Fraction | float, digits: int = 1) -> str:
    """Spell a share in percent, without the sign: ``61.2``."""
    return f"{_hundredfold(share):.{digits}f}"


def signed(share: Fraction | float, digits: int = 1) -> str:
    """Spell a difference in percentage points with its sign: ``+1.2``, ``−0.4``."""
    text = f"{_hundredfold(share):+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def _hundredfold(share: Fraction | float) -> float:
    """Return what a share is in percent; of a fraction exactly rounded, without making another one."""
    return 100 * share.numerator / share.denominator if isinstance(share, Fraction) else float(share * 100)


def interval(ends: Interval, digits: int = 1) -> str:
    """Spell an interval in percent: ``57.0–65.3``."""
    return f"{percent(ends.low, digits)}–{percent(ends.high, digits)}"


def thousands(count: int) -> str:
    """Spell a count with thin spaces: ``1 234 567``."""
    return f"{count:,}".replace(",", "\u202f")


def metric(count: int) -> str:
    """Spell a size with three digits and a metric prefix: ``1.23 M``."""
    for bound, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= bound:
            return f"{count / bound:.3g}\u202f{unit}" if count / bound < 999.5 else f"{count / bound:.0f}\u202f{unit}"
    return str(count)


def duration(seconds: float) -> str:
    """Spell a time of a pass with three digits: ``41.2 µs``, ``1.5 ms``, ``2.04 s``."""
    scaled, unit = next(
        (seconds * scale, unit)
        for scale, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
        if seconds * scale >= 0.9995 or unit == "ns"
    )
    return f"{scaled:.3g}\u202f{unit}"


def p_value(value: float) -> str:
    """Spell a p-value: ``0.03``, ``< 0.001``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def symbol(norm: Norm) -> str:
    """Return the norm as it is printed: ``L∞``."""
    return SYMBOLS[norm]


def threat(norm: Norm, epsilon: Fraction | str) -> str:
    """Name a threat model as it is printed: ``L∞ 8/255``, ``L0 5 pixels``."""
    unit = "" if norm is not Norm.L0 else " pixel" if str(epsilon) == "1" else " pixels"
    return f"{SYMBOLS[norm]} {epsilon}{unit}"


def under(title: str, norm: Norm, epsilon: Fraction | str) -> str:
    """Name a board by the title of its rules and its threat model: ``CIFAR-10, L∞ 8/255``."""
    return f"{title}, {threat(norm, epsilon)}"


def times(compression: Fraction | None) -> str:
    """Spell a compression rate: ``10×``; a dash where there is none."""
    return f"{float(compression):.3g}×" if compression else "–"


def in_words(norm: Norm, epsilon: Fraction | str) -> str:
    """Say what a threat model allows."""
    return _WORDS[norm].format(epsilon=epsilon)


def band_label(number: int) -> str:
    """Spell a band: ``below 50 %``, ``50–75 %``, ``99 % and more``."""
    low, high = (f"{float(100 * edge):g}" for edge in bounds(number))
    return f"below {high} %" if low == "0" else f"{low} % and more" if high == "100" else f"{low}–{high} %"


def counted(count: int, what: str) -> str:
    """Say how many there are of something."""
    return f"{count} {what}{'' if count == 1 else 's'}"
