"""How a report looks: light and dark, on a screen and on paper."""

STYLE = """
:root{color-scheme:light dark;--ink:#1a1d21;--paper:#fff;--soft:#5f6772;--rule:#d5d9de;
--a:#0b62c4;--b:#c2410c;--c:#15803d;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#15181c;--soft:#9aa3ae;
--rule:#343a42;--a:#6cb2ff;--b:#ff9d5c;--c:#4ade80;--bad:#ff8080}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:66rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{margin:2.2rem 0 .6rem;font-size:1.15rem;
border-bottom:2px solid var(--rule);padding-bottom:.2rem}p{margin:.4rem 0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.85rem}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid var(--rule);vertical-align:top}
th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}th.n{white-space:normal}td small{color:var(--soft)}
tr.says td{color:var(--soft);padding-top:0}tr:has(+tr.says) td{border-bottom:0}
code{font-size:.85em;overflow-wrap:anywhere}.soft{color:var(--soft)}
.good{color:var(--c);font-weight:600}.bad{color:var(--bad);font-weight:600}
figure{margin:1rem 0}svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,
sans-serif;fill:var(--soft)}.grid{stroke:var(--rule);stroke-width:1}.line{fill:none;
stroke-width:1.6}.a{stroke:var(--a);background:var(--a)}.b{stroke:var(--b);background:var(--b)}
.c{stroke:var(--c);background:var(--c)}.level{stroke:var(--soft);background:var(--soft);
stroke-dasharray:5 4}.mark{stroke:var(--bad);background:var(--bad);stroke-width:7;
stroke-linecap:round}figcaption{font-size:.85rem;color:var(--soft)}
.legend span{margin-left:1rem;white-space:nowrap}.legend i{display:inline-block;width:1.1rem;
height:.2rem;margin-right:.3rem;vertical-align:middle;print-color-adjust:exact;
-webkit-print-color-adjust:exact}.legend .level{background:repeating-linear-gradient(90deg,
var(--soft) 0 5px,transparent 5px 8px)}
pre{background:color-mix(in srgb,var(--rule) 35%,transparent);padding:.7rem;overflow-x:auto;
white-space:pre-wrap;font-size:.82rem}
@media print{:root{--ink:#000;--paper:#fff;--soft:#444;--rule:#bbb;--a:#0b62c4;--b:#c2410c;
--c:#15803d;--bad:#b91c1c}body{max-width:none;margin:0;font-size:10pt}h2{break-after:avoid}
figure,tr{break-inside:avoid}thead{display:table-header-group}.wide{overflow:visible}
@page{margin:14mm}}
"""
