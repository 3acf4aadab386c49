"""Writes HTML: text is escaped, and numbers keep their full precision."""

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """A string that is HTML, so it is not escaped."""


def element(name: str, /, *children, **attributes) -> Html:
    """An element; plain strings among its children are escaped.

    In names of attributes, a trailing underscore is removed, and others become
    hyphens. Attributes that are None are left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in ("img", "meta", "link"):
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable) -> Html:
    """Joins strings, and lists of strings, to HTML."""
    parts = []
    for child in children:
        if isinstance(child, (list, tuple)):
            child = join(child)
        is_html = isinstance(child, Html)
        parts.append(child if is_html else html.escape(str(child)))
    return Html("".join(parts))


def number(value: float, form: str = "{:,}") -> Html:
    """A formatted number in a `data` element with its exact value."""
    return element("data", form.format(value), value=repr(value))


def percent(value: float) -> Html:
    """A share as a percentage."""
    return number(value, "{:.2%}")


def table(caption: str, header: Sequence, rows: Iterable[Sequence]) -> Html:
    """A table that scrolls if it is too wide; the first column has row headers."""
    kinds = [
        None if any(isinstance(cell, Html) for cell in column) else "text"
        for column in zip(*rows, strict=True)
    ]
    head = [
        element("th", name, scope="col", class_=kind)
        for name, kind in zip(header, kinds, strict=True)
    ]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", class_="text"),
            [
                element("td", cell, class_=kind)
                for cell, kind in zip(row[1:], kinds[1:], strict=True)
            ],
        )
        for row in rows
    ]
    content = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", head)),
        element("tbody", body),
    )
    return element(
        "div", content, class_="table", role="region", tabindex=0, aria_label=caption
    )


def figure(image: str | Sequence[str], caption: str) -> Html:
    """A picture and its caption."""
    return element("figure", image, element("figcaption", caption))


def section(name: str, title: str, *children) -> Html:
    """A section with a heading that links can point to."""
    heading = element("h2", title, id=f"{name}-title")
    return element(
        "section", heading, children, id=name, aria_labelledby=f"{name}-title"
    )
