"""HTML from Python: text is escaped, numbers can be read back."""

import html


class Html(str):
    """Text that is HTML already."""


def element(name, /, *children, **attributes) -> Html:
    """An element; strings among its children are text.

    Attributes: an underscore at the end of a name falls away, others are hyphens;
    those that are None are left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in ("img", "meta", "link"):
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children) -> Html:
    """HTML of strings, and of lists of them."""
    parts = []
    for child in children:
        if isinstance(child, (list, tuple)):
            child = join(child)
        is_html = isinstance(child, Html)
        parts.append(child if is_html else html.escape(str(child)))
    return Html("".join(parts))


def number(value, form="{:,}") -> Html:
    """A number as people read it, with its whole value beside it."""
    return element("data", form.format(value), value=repr(value))


def percent(value) -> Html:
    """A share as a percentage."""
    return number(value, "{:.2%}")


def table(caption, header, rows) -> Html:
    """A table that scrolls where it is too wide; the first column names the row."""
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


def figure(image, caption) -> Html:
    """A picture and its caption."""
    return element("figure", image, element("figcaption", caption))


def section(name, title, *children) -> Html:
    """A section with a heading that links may point to."""
    heading = element("h2", title, id=f"{name}-title")
    return element(
        "section", heading, children, id=name, aria_labelledby=f"{name}-title"
    )
