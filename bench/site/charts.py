"""What each figure shows, defined once; pages and scripts only fill the named data sets.

Each function returns a definition whose data sets are empty but for one row of nulls, and says what rows they take.
"""

from typing import Any

import altair as alt

WIDTH, HEIGHT = 460, 280
SHARES = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
_STROKES = alt.Legend(columns=1, symbolOpacity=1, symbolType="stroke", symbolStrokeWidth=3, symbolSize=300)
LINES = "split(datum.label, ', ')"
"""Puts the parts of an entry's title below each other, which leaves room for the figure on a phone."""
SIGNED = "datum.value == 0 ? '0 %' : format(datum.value, '+~p')"
FRONTS = ["front, measured", "front, ranked"]
SERIES = [f"var(--c{number})" for number in range(1, 7)]
DASHES = [dash for dash in ([1, 0], [6, 3], [2, 2]) for _ in SERIES]
"""Of lines that share a colour; more than three times as many as there are colours are not told apart."""


def _data(name: str) -> alt.InlineData:
    return alt.InlineData(values=[{}], name=name)


def _colour(field: str) -> alt.Color:
    """Colour by a field, in the order of the rows."""
    return alt.Color(f"{field}:N", title=None, sort=None, legend=_STROKES).scale(range=SERIES)


def _share(field: str, title: str, **scale: Any) -> alt.Y:
    return alt.Y(f"{field}:Q", title=title, axis=alt.Axis(format="~p", tickCount=6)).scale(**scale)


def pareto(size: str, spelt: str) -> Any:
    """Plot robust accuracy against size, as ``spelt`` formats it; hollow points carry no rank.

    ``points``: x, robust, low, high, name, standing (ranked or unranked), kind (dense or pruned), address.
    ``front``: x and robust of the entries that no smaller one beats, smallest first, of (all measured or ranked ones).
    ``trails``: x and robust from a dense network to what was pruned from it, trail (one a recipe), rung.
    """
    x = alt.X("x:Q", title=size, axis=alt.Axis(format=f"~{spelt}", tickCount=6)).scale(
        type="log", nice=False, padding=12
    )
    base = alt.Chart(_data("points"))
    whiskers = base.mark_rule(strokeWidth=1, opacity=0.35).encode(
        x=x, y=_share("low", "robust accuracy", zero=True), y2="high:Q", color=alt.value("var(--muted)")
    )
    points = base.mark_point(strokeWidth=1.6).encode(
        x=x,
        y=_share("robust", "robust accuracy"),
        shape=alt.Shape("kind:N", title=None, legend=alt.Legend(symbolFillColor="transparent")).scale(
            domain=["pruned", "dense"], range=["circle", "square"]
        ),
        stroke=alt.value("var(--accent)"),
        fill=alt.Fill("standing:N", title=None).scale(
            domain=["ranked", "unranked"], range=["var(--accent)", "var(--paper)"]
        ),
        tooltip=[
            alt.Tooltip("name:N", title="entry"),
            alt.Tooltip("robust:Q", title="robust", format=".1%"),
            alt.Tooltip("x:Q", title=size, format=f".3~{spelt}"),
            alt.Tooltip("standing:N", title="standing"),
        ],
    )
    dashes = alt.Legend(symbolType="stroke", symbolDash=[4, 3], symbolStrokeWidth=1.4)
    line = (
        alt.Chart(_data("front"))
        .mark_line(interpolate="step-after", strokeDash=[4, 3], strokeWidth=1.4)
        .encode(
            x=x,
            y="robust:Q",
            stroke=alt.Stroke("of:N", title=None, legend=dashes).scale(
                domain=FRONTS, range=["var(--muted)", "var(--accent)"]
            ),
        )
    )
    trails = (
        alt.Chart(_data("trails"))
        .mark_line(strokeWidth=1, opacity=0.4)
        .encode(x=x, y="robust:Q", detail="trail:N", order="rung:Q", color=alt.value("var(--muted)"))
    )
    return alt.layer(trails, whiskers, line, points).properties(width=WIDTH, height=HEIGHT)


def curves(norm: str) -> Any:
    """Plot the share of points with a distance above epsilon, with 95 % intervals; the norm may be left out.

    The axis is that of the square root, since networks differ at radii that are small beside the last one.

    ``curves``: epsilon (a number), says (as written), robust, low, high, series.
    ``headline``: epsilon of the radius that ranks, and says.
    """
    x = alt.X("epsilon:Q", title=f"{norm} distance ε, root scale".strip(), axis=alt.Axis(tickCount=6)).scale(
        type="sqrt", nice=False
    )
    colour = _colour("series")
    base = alt.Chart(_data("curves"))
    band = base.mark_area(opacity=0.12).encode(x=x, y=_share("low", "points beyond ε"), y2="high:Q", color=colour)
    line = base.mark_line(point=alt.OverlayMarkDef(size=24)).encode(
        x=x,
        y=_share("robust", "points beyond ε", domain=[0, 1]),
        color=colour,
        tooltip=["series:N", alt.Tooltip("says:N", title="ε"), alt.Tooltip("robust:Q", format=".1%", title="robust")],
    )
    radius = alt.Chart(_data("headline"))
    rule = radius.mark_rule(strokeDash=[2, 3]).encode(x="epsilon:Q", color=alt.value("var(--muted)"))
    said = radius.mark_text(align="left", dx=4, color="var(--muted)").encode(
        x="epsilon:Q", y=alt.value(8), text="says:N"
    )
    return alt.layer(band, rule, said, line).properties(width=WIDTH, height=HEIGHT)


def ladder() -> Any:
    """Plot robust accuracy over compression, one line a recipe, with the parent's level and the sweet spots.

    ``ladder``: compression, robust, low, high, recipe, name. ``parent``: robust, low, high of the dense parent.
    ``spots``: compression and robust of each recipe's sweet spot.
    """
    x = alt.X("compression:Q", title="compression rate (1 / density)", axis=alt.Axis(format="~r", tickCount=5)).scale(
        type="log", base=2, nice=False, padding=14
    )
    colour = _colour("recipe")
    dense = alt.Chart(_data("parent"))
    level = dense.mark_rule(strokeDash=[5, 3], strokeWidth=1.3).encode(
        y=_share("robust", "robust accuracy", zero=True), color=alt.value("var(--muted)")
    )
    room = dense.mark_rect(opacity=0.12).encode(y="low:Q", y2="high:Q", color=alt.value("var(--muted)"))
    base = alt.Chart(_data("ladder"))
    # in both layers, or there were a legend for each of the two
    dash = alt.StrokeDash("recipe:N", title=None, sort=None, legend=_STROKES).scale(range=DASHES)
    whiskers = base.mark_rule(opacity=0.45).encode(x=x, y="low:Q", y2="high:Q", color=colour, strokeDash=dash)
    line = base.mark_line(point=alt.OverlayMarkDef(size=40)).encode(
        x=x,
        y="robust:Q",
        color=colour,
        strokeDash=dash,
        tooltip=[
            alt.Tooltip("name:N", title="entry"),
            "recipe:N",
            alt.Tooltip("compression:Q", format=".3~r"),
            alt.Tooltip("robust:Q", format=".1%"),
        ],
    )
    stars = (
        alt.Chart(_data("spots"))
        .mark_point(shape="diamond", size=170, strokeWidth=1.8, filled=False)
        .encode(x=x, y="robust:Q", color=alt.value("var(--ink)"))
    )
    return alt.layer(room, level, whiskers, line, stars).properties(width=WIDTH, height=HEIGHT)


def learning() -> Any:
    """Plot what a network had learnt after every epoch: the loss, and the shares that it told rightly, by ``seen``.

    ``losses``: epoch, loss. ``shares``: epoch, share, seen.
    """
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, tickCount=6)).scale(nice=False)
    loss = (
        alt.Chart(_data("losses"))
        .mark_line(point=alt.OverlayMarkDef(size=20))
        .encode(x=x, y=alt.Y("loss:Q", title="training loss"), color=alt.value("var(--muted)"))
    )
    share = (
        alt.Chart(_data("shares"))
        .mark_line(point=alt.OverlayMarkDef(size=20))
        .encode(x=x, y=_share("share", "accuracy", zero=False), color=_colour("seen"))
    )
    return alt.hconcat(*(part.properties(width=WIDTH - 200, height=HEIGHT - 80) for part in (loss, share)))


def waterfall() -> Any:
    """Plot what each attack of the cascade takes away, from the correct points to the robust ones.

    ``stages``, top to bottom: stage, low, high, kind (standing or broken), count, says.
    """
    y = alt.Y("stage:N", title=None, sort=None, axis=alt.Axis(labelColor="var(--ink)", labelLimit=150))
    colour = alt.Color("kind:N", title=None).scale(domain=["standing", "broken"], range=["var(--accent)", "var(--c2)"])
    base = alt.Chart(_data("stages"))
    bars = base.mark_bar(height={"band": 0.7}).encode(
        y=y,
        x=alt.X("low:Q", title="share of all points", axis=SHARES).scale(domain=[0, 1.12]),
        x2="high:Q",
        color=colour,
        tooltip=["stage:N", "count:Q", "kind:N"],
    )
    labels = base.mark_text(align="left", dx=5).encode(y=y, x="high:Q", text="says:N")
    return alt.layer(bars, labels).properties(width=WIDTH - 80, height=alt.Step(26))


def layers() -> Any:
    """Plot the density of every prunable layer, input first.

    ``layers``, top to bottom: layer, density, weights, says.
    """
    y = alt.Y("layer:N", title=None, sort=None, axis=alt.Axis(labelLimit=150, labelColor="var(--ink)"))
    base = alt.Chart(_data("layers"))
    x = alt.X("density:Q", title="non-zero weights", axis=SHARES).scale(domain=[0, 1.12])
    bars = base.mark_bar(height={"band": 0.7}).encode(
        y=y, x=x, tooltip=["layer:N", alt.Tooltip("density:Q", format=".2%"), alt.Tooltip("weights:Q", format=",")]
    )
    labels = base.mark_text(align="left", dx=5).encode(y=y, x=x, text="says:N")
    return alt.layer(bars, labels).properties(width=WIDTH - 80, height=alt.Step(18))


def scenario() -> Any:
    """Plot A(p) = (1 − p) · clean + p · robust, with the crossings of the best lines.

    ``lines``: p, accuracy, series. ``crossings``: p, accuracy and says where the winner changes.
    ``best``: p and accuracy along the upper edge, drawn wide. ``here``: the share p that the reader looks at.
    """
    x = alt.X("p:Q", title="share of attacked traffic p", axis=alt.Axis(format="~p", tickCount=5)).scale(domain=[0, 1])
    colour = _colour("series")
    line = (
        alt.Chart(_data("lines"))
        .mark_line()
        .encode(
            x=x,
            y=_share("accuracy", "accuracy A(p)", zero=False),
            color=colour,
            tooltip=["series:N", alt.Tooltip("p:Q", format=".0%"), alt.Tooltip("accuracy:Q", format=".1%")],
        )
    )
    marks = (
        alt.Chart(_data("crossings"))
        .mark_point(size=70, strokeWidth=1.6, fill="var(--paper)")
        .encode(
            x=x,
            y="accuracy:Q",
            stroke=alt.value("var(--ink)"),
            tooltip=[alt.Tooltip("says:N", title="winner changes"), alt.Tooltip("p:Q", format=".1%")],
        )
    )
    edge = (
        alt.Chart(_data("best"))
        .mark_line(strokeWidth=9, opacity=0.18, strokeCap="round")
        .encode(x=x, y="accuracy:Q", order="p:Q", color=alt.value("var(--ink)"))
    )
    rule = alt.Chart(_data("here")).mark_rule(strokeDash=[2, 3]).encode(x="p:Q")
    return alt.layer(edge, rule, line, marks).properties(width=620, height=320)


def differences() -> Any:
    """Plot paired differences in robust accuracy as bars from zero, with their 95 % intervals.

    ``differences``, top to bottom: name, difference, low, high, verdict (better, worse, not separated), says.
    ``zero``: at, the line of no difference.
    """
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=230, labelColor="var(--ink)", labelExpr=LINES))
    x = alt.X("low:Q", title="difference in robust accuracy", axis=alt.Axis(labelExpr=SIGNED, tickCount=5))
    colour = alt.Color("verdict:N", title=None, legend=alt.Legend(columns=1, symbolOpacity=1)).scale(
        domain=["better", "worse", "not separated"], range=["var(--c3)", "var(--c2)", "var(--muted)"]
    )
    base = alt.Chart(_data("differences"))
    zero = alt.Chart(_data("zero")).mark_rule().encode(x="at:Q")
    whiskers = base.mark_rule(strokeWidth=2).encode(y=y, x=x, x2="high:Q", color=colour)
    bars = base.mark_bar(height={"band": 0.55}, opacity=0.35).encode(
        y=y, x="difference:Q", x2=alt.datum(0), color=colour
    )
    points = base.mark_point(filled=True, size=50, opacity=1).encode(
        y=y,
        x="difference:Q",
        color=colour,
        tooltip=["name:N", alt.Tooltip("difference:Q", format="+.1%"), "verdict:N", alt.Tooltip("says:N", title="p")],
    )
    return alt.layer(bars, zero, whiskers, points).properties(width=WIDTH - 100, height=alt.Step(48))
