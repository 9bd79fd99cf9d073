"""Links from a finished page into an Allure report, put where the page has a marker for them.

Text of a bundle cannot form a marker: it is escaped, and a marker is an HTML comment.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from markupsafe import escape

_CLAIM = re.compile(r"<!--allure:(.*?)-->")
_REPORT = "<!--allure-report-->"


def link_allure(page: str, tests: Mapping[str, str], report: str) -> str:
    """The page with a link per claim that has a test in the report, and one to the report itself.

    Args:
        page: a `summary.html`.
        tests: `bundle/claim` to the part of the address behind `#`.
        report: relative address of the report's page.
    """

    def linked(marker: re.Match[str]) -> str:
        place = tests.get(marker[1])
        if place is None:
            return ""
        return f' <a class="al" href="{escape(report)}#{quote(place)}">Allure</a>'

    whole = page.replace(_REPORT, f' <a href="{escape(report)}">Allure report</a>')
    return _CLAIM.sub(linked, whole)
