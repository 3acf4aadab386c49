"""The style sheet of a report, for phones, screens and paper."""

STYLE = """
:root { color-scheme: light; --line: #c8cdd4; --faint: #f3f5f8; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1rem; max-width: 72rem; background: #fff; color: #15181c;
  font: 1rem/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; overflow-wrap: anywhere; }
h2 {
  font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem;
  border-top: 2px solid #15181c;
}
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
p { max-width: 44rem; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
.summary {
  display: grid; gap: .75rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
}
.summary div {
  border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .75rem;
}
.summary dt { font-size: .85rem; line-height: 1.3; }
.summary dd { margin: .25rem 0 0; font-size: 1.3rem; font-weight: 600; }
.pair {
  display: grid; gap: 1rem 2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
}
.pair > * { min-width: 0; }
figure { margin: .5rem 0 1rem; }
figure > img { display: block; width: 100%; max-width: 31rem; height: auto; }
figcaption { font-size: .875rem; }
.table { overflow-x: auto; margin: .5rem 0 1.25rem; }
.table:focus-visible { outline: 2px solid #1f4e8c; }
table {
  border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
}
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td {
  padding: .25rem .75rem .25rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
caption span {
  display: inline-block; position: sticky; left: 0; max-width: calc(100vw - 2rem);
}
thead th { border-bottom: 2px solid #15181c; vertical-align: bottom; }
.text { text-align: left; }
td, tbody th { white-space: nowrap; }
tbody th { font-weight: 500; }
td:last-child, thead th:last-child { padding-right: 0; }
tbody tr:nth-child(even) { background: var(--faint); }
.thumbnails {
  display: grid; gap: 1rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr));
}
.thumbnails figure { margin: 0; }
.thumbnails img {
  width: 6rem; image-rendering: pixelated; border: 1px solid var(--line);
}
.thumbnails span { display: block; line-height: 1.35; }
@media print {
  @page { margin: 15mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .table { overflow: visible; }
  table { font-size: 8pt; }
  th, td { padding-right: .4rem; }
  .text { white-space: normal; overflow-wrap: break-word; }
  caption span { max-width: none; }
  figure, tr, .summary div, li { break-inside: avoid; }
  h2, h3, p, caption { break-after: avoid; }
  .pair { grid-template-columns: 1fr 1fr; }
  tbody tr { print-color-adjust: exact; }
}
"""
