"""The style sheets of the page and of the stand-alone picture, with light and dark colours."""

_LIGHT = """--page:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--box:#f6f8fa;--fault:#d1242f;
--good:#1a7f37;--bad:#cf222e;--unsure:#9a6700;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;
--c4:#8a6d00;--c5:#56b4e9;--c6:#555"""
_DARK = """--page:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--box:#151b23;--fault:#ff7b72;
--good:#3fb950;--bad:#f85149;--unsure:#d29922;--c0:#58a6ff;--c1:#ff9b5e;--c2:#3ddc97;--c3:#e8a3cc;
--c4:#e3c04b;--c5:#8bd3ff;--c6:#aaa"""

CHART_CSS = """
svg{font:11px system-ui,sans-serif;fill:var(--ink)}
.title{font-weight:600;font-size:13px}
.tick,.phase-name{fill:var(--soft)}.end{text-anchor:end}.middle{text-anchor:middle}
.grid{stroke:var(--line);fill:none}
.fault{fill:var(--fault);fill-opacity:.1}
.phase{stroke:var(--soft);stroke-dasharray:2 3;fill:none}
.line{fill:none;stroke-width:1.5;stroke-linejoin:round}
.lane-name{paint-order:stroke;stroke:var(--page);stroke-width:3px}
.bar{fill:var(--soft);fill-opacity:.75}.critical{fill:var(--bad)}.warning{fill:var(--unsure)}
.good{fill:var(--good);color:var(--good)}.bad{fill:var(--bad);color:var(--bad)}
.unsure{fill:var(--unsure);color:var(--unsure)}
""" + "".join(f".line.c{n}{{stroke:var(--c{n})}}.name.c{n}{{fill:var(--c{n})}}" for n in range(7))

#: For a stand-alone picture: always light, with a background of its own.
PICTURE_CSS = f":root{{{_LIGHT}}}{CHART_CSS}.page{{fill:var(--page)}}"

PAGE_CSS = f"""
:root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
{CHART_CSS}
body{{margin:0 auto;max-width:1128px;padding:24px;background:var(--page);color:var(--ink);
font:14px/1.5 system-ui,sans-serif}}
h1{{font-size:24px;margin:0}}h2{{font-size:17px;margin:32px 0 8px}}p{{margin:4px 0}}
header .outcome{{font-size:24px;font-weight:700}}
.sub{{color:var(--soft)}}.scroll{{overflow-x:auto}}
table{{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}}
th{{text-align:left;color:var(--soft);font-weight:600}}
th,td{{padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}}
td.figure,th.figure{{text-align:right;white-space:nowrap}}
code{{font:12px ui-monospace,monospace;overflow-wrap:anywhere}}
svg{{display:block;width:100%;height:auto;margin:12px 0}}
"""
