"""The HTML representation of a fitted estimator: what "auto" came to."""

from __future__ import annotations

import html
from typing import Any

from ._params import brief
from ._parts import is_name
from ._per_layer import shown
from ._plan import Plan

TABLE = """
<div class="estimator-table">
    <details open>
        <summary>What "auto" came to</summary>
        <table class="parameters-table">
            <tbody>
{rows}
            </tbody>
        </table>
    </details>
</div>
"""
ROW = """
                <tr class="default">
                    <td class="param">{name}</td>
                    <td class="value">{value}</td>
                </tr>
"""


class WithAutomatic:
    """Fitted attributes as scikit-learn shows them, below the values that "auto" stood for."""

    def __init__(self, attributes: Any, found: dict[str, Any]) -> None:
        self.attributes, self.found = attributes, found

    def __len__(self) -> int:
        return len(self.attributes)

    def _repr_html_inner(self) -> str:
        return table_of(self.found) + self.attributes._repr_html_inner()


def resolved(plan: Plan) -> dict[str, Any]:
    """The parameters that were "auto" at the time of the fit, and what they came to."""
    precision = "bfloat16" if plan.low_precision else plan.dtype
    # Those that the plan does not hold by their own name.
    found = {**vars(plan), "precision": precision, "compile": bool(plan.captures)}
    asked = [n for n in plan.settings.defaults if is_name(plan.settings.given(n), "auto")]
    return {name: shown(found[name]) for name in asked}


def table_of(found: dict[str, Any]) -> str:
    """A table as scikit-learn's, which is open; empty where nothing was "auto"."""
    if not found:
        return ""
    rows = [
        ROW.format(name=html.escape(name), value=html.escape(as_text(value)))
        for name, value in found.items()
    ]
    return TABLE.format(rows="".join(rows))


def as_text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else brief(value)
