"""The ratios of `benchmark.py` as bars: how long ours takes, as a part of what the peer takes."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np

from scripts import style

COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY, style.GREY, style.BLACK)


def picture(rows: list[dict[str, Any]]) -> bytes:
    """Return the bytes of a PNG: a bar a row, from 1 to the median of its ratios, and a line for their range."""
    with mpl.rc_context(style.RC):
        machines = "; ".join(dict.fromkeys(row["machine"] for row in rows))
        figure, axes = style.new(11, max(3.0, 1.6 + 0.24 * len(rows)), f"pairs of timings on {machines}")
        places = np.arange(len(rows))
        comparisons = list(dict.fromkeys(row["comparison"] for row in rows))
        colours = [COLOURS[comparisons.index(row["comparison"]) % len(COLOURS)] for row in rows]
        ratios, low, high = (np.array([row[key] for row in rows]) for key in ("ratio", "lowest", "highest"))
        axes.barh(places, ratios - 1, left=1, color=colours, height=0.7)
        axes.hlines(places, low, high, color="#555555", linewidth=1)
        axes.axvline(1, color=style.BLACK, linewidth=1)
        axes.set_yticks(places, [f"{row['task']}, against {row['peer']}" for row in rows], fontsize=7)
        for place, ratio, end in zip(places, ratios, np.maximum(high, 1), strict=True):
            axes.text(end * 1.06, place, fraction(ratio), va="center", fontsize=7, color="#555555")
        axes.set(xscale="log", xlim=(0.8 * min(0.5, low.min()), 2 * max(2, high.max())), ylim=(len(rows) - 0.5, -0.5))
        axes.xaxis.set_major_formatter(lambda x, _: fraction(x))
        axes.set_xlabel("time of ours / time of the peer: median and range")
        threads = ", ".join(dict.fromkeys(row["threads"] for row in rows))
        axes.set_title(f"left of 1 ours is faster (threads of BLAS: {threads})", loc="left")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def fraction(ratio: float) -> str:
    """Return a ratio as a reader takes it in: 1/20, 0.75, 1.2.

    >>> fraction(0.05), fraction(0.75), fraction(1.0)
    ('1/20', '0.75', '1')
    """
    return f"1/{1 / ratio:,.0f}" if ratio < 0.11 else f"{ratio:.2g}"
