/// The page's style sheet, but for colours.
///
/// Like the script, it has none of the characters that XML reads: no less-than sign, no ampersand.
enum ReportStyle {
    /// Spacing, type and tables.
    static let layout = """

        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--ink);
          font: 15px/1.5 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
        main { max-width: 1256px; margin: 0 auto; padding: 40px 32px 64px; }
        h1, h2, h3, h4, p, dl, dd, ul, figure { margin: 0; padding: 0; }
        h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; overflow-wrap: anywhere; }
        h2 { font-size: 19px; line-height: 1.3; margin: 40px 0 14px; }
        h3 { font-size: 16px; line-height: 1.4; }
        h4 { font-size: 13px; font-weight: 600; }
        a { color: var(--accent); }
        .kind { color: var(--quiet); font-size: 13px; font-weight: 600; margin-bottom: 4px; }
        .quiet, .note { color: var(--quiet); font-size: 13px; }
        .module { font: 12px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas,
          "Liberation Mono", monospace; overflow-wrap: anywhere; unicode-bidi: isolate; }
        .warnings { margin-top: 24px; padding: 14px 18px; border-radius: 8px;
          border: 1px solid var(--alert-line); background: var(--alert-page); }
        .warnings h2 { font-size: 15px; margin: 0 0 4px; }
        .warnings ul { list-style: none; }
        .warnings li { overflow-wrap: anywhere; }
        .warnings strong, .warning strong { color: var(--alert); }
        .warning { display: block; font-weight: 400; font-size: 12px; color: var(--ink);
          overflow-wrap: anywhere; }
        .tiles { display: grid; gap: 12px; grid-template-columns: repeat(6, 1fr); }
        .tiles div, figure { background: var(--card); border: 1px solid var(--line);
          border-radius: 10px; }
        .tiles div { padding: 14px 16px; min-width: 0; }
        .tiles dt { font-size: 13px; color: var(--quiet); }
        .tiles dd { overflow-wrap: anywhere; line-height: 1.35; }
        .tiles .figure { font-size: 26px; font-weight: 600; line-height: 1.35;
          letter-spacing: -0.01em; }
        .tiles .quiet { font-size: 12px; }
        .unit { font-size: 15px; font-weight: 400; color: var(--quiet); letter-spacing: 0; }
        figure { padding: 20px 24px; margin-bottom: 16px; }
        figcaption { margin-bottom: 14px; }
        .panels { display: grid; gap: 20px 32px; grid-template-columns: 1fr 1fr; }
        .panel { min-width: 0; }
        .wide { grid-column: 1 / -1; }
        .panel-head { display: flex; flex-wrap: wrap; gap: 2px 20px; margin-bottom: 10px;
          align-items: center; }
        .listed { margin-top: 12px; }
        .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px;
          font-size: 13px; color: var(--ink); }
        .legend li { display: flex; align-items: center; gap: 6px; overflow-wrap: anywhere; }
        .legend svg { flex: none; }
        figure > .legend { margin-bottom: 12px; }
        .plot { overflow-x: auto; }
        .plot svg { display: block; width: 100%; height: auto; min-width: 400px; }
        .wide .plot svg, figure > .plot svg { min-width: 820px; }
        table { border-collapse: collapse; width: 100%; font-size: 12.5px; }
        th, td { text-align: left; vertical-align: baseline; padding: 6px 8px;
          border-bottom: 1px solid var(--line); }
        thead th { font-weight: 600; vertical-align: bottom; background: var(--page); }
        tbody th { font-weight: 400; }
        .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .facts { width: auto; min-width: 50%; font-size: 14px; }
        .facts th { color: var(--quiet); padding-left: 0; padding-right: 32px;
          white-space: nowrap; }
        .facts td { overflow-wrap: anywhere; }
        .groups th { color: var(--quiet); font-weight: 400; border-bottom: 0;
          padding-bottom: 0; }
        .groups th + th { text-align: center; }
        .scroll { overflow-x: auto; }
        .sortable tbody th { min-width: 190px; }
        .sortable tbody td { white-space: nowrap; }
        .sortable button { all: unset; cursor: pointer; color: inherit; white-space: nowrap; }
        .sortable button:hover { text-decoration: underline; }
        .sortable button:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent);
          outline-offset: 2px; }
        th[aria-sort] button { color: var(--accent); }
        th[aria-sort="ascending"] button::after { content: " \\2191"; }
        th[aria-sort="descending"] button::after { content: " \\2193"; }
        tbody tr:hover { background: var(--hover); }
        details { margin-top: 12px; font-size: 13px; }
        summary { cursor: pointer; color: var(--accent); padding: 4px 0; }
        details thead th { background: none; }
        svg text { font-size: 12px; fill: var(--quiet); }
        svg .axis-title, svg .value { fill: var(--ink); }
        .grid { stroke: var(--grid); }
        .band { stroke: var(--axis); stroke-dasharray: 2 4; }
        .axis { stroke: var(--axis); }
        .median { stroke: var(--ink); stroke-dasharray: 4 3; }
        .bar { fill: var(--accent); }
        .reach { fill: none; stroke: var(--axis); stroke-width: 1.5; }
        .series { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round;
          stroke-dasharray: var(--dash); }
        .mark, .candidate { fill: var(--c); stroke: var(--card); stroke-width: 1; }
        .mark:hover, .candidate:hover { stroke: var(--ink); stroke-width: 2; }
        .ring { fill: none; stroke: var(--ink); stroke-width: 1.8; }
        .k0 { --c: var(--c0); } .k1 { --c: var(--c1); --dash: 6 3; }
        .k2 { --c: var(--c2); --dash: 2 3; } .k3 { --c: var(--c3); --dash: 8 3 2 3; }
        .k4 { --c: var(--c4); } .k5 { --c: var(--c5); --dash: 6 3; }
        .k6 { --c: var(--c6); --dash: 2 3; } .k7 { --c: var(--c3); }

        """

    /// Narrow screens and paper.
    static let media = """

        @media (min-width: 1256px) {
          .page-wide { overflow: visible; }
          .sortable thead { position: sticky; top: 0; }
        }
        @media (max-width: 1100px) { .tiles { grid-template-columns: repeat(3, 1fr); } }
        @media (max-width: 800px) {
          main { padding: 24px 16px 48px; }
          figure { padding: 16px; }
          .panels { grid-template-columns: minmax(0, 1fr); }
          .tiles { grid-template-columns: 1fr 1fr; }
        }
        @media print {
          @page { size: A4 landscape; margin: 12mm; }
          :root { --page: #ffffff; --hover: none; color-scheme: light; }
          * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
          body { font-size: 13px; line-height: 1.4; }
          main { max-width: none; padding: 0; }
          h1 { font-size: 24px; }
          h2 { margin: 20px 0 8px; }
          figure { padding: 12px 16px; margin-bottom: 10px; }
          figcaption { margin-bottom: 8px; }
          .facts { font-size: 12px; }
          .facts th, .facts td { padding-top: 4px; padding-bottom: 4px; }
          .panels .plot svg { max-height: 205px; }
          .tiles { grid-template-columns: repeat(6, 1fr); }
          .panels { grid-template-columns: 1fr 1fr; }
          .tiles div, figure, tr, .warnings { break-inside: avoid; }
          h2, h3, h4, figcaption, .legend { break-after: avoid; }
          .scroll, .plot { overflow: visible; }
          .plot svg, .wide .plot svg, figure > .plot svg { min-width: 0; }
          .sortable { font-size: 8.5px; }
          .sortable .module, .sortable .warning { font-size: 8px; }
          .sortable th, .sortable td { padding: 3px 4px; }
          .sortable thead { position: static; display: table-header-group; }
          .sortable button { display: contents; }
          .sortable tbody th { min-width: 0; }
        }

        """
}
