import { hash } from 'node:crypto';

const LIGHT =
  '--ground:#f7f8fa;--panel:#fff;--ink:#1b2026;--soft:#57616c;--edge:#dfe3e8;--hover:#f0f3f7;--link:#0b57a8;--accent:#0f6d6a;--focus:#b4540a;--good:#0b6a3a;--good-bg:#dff3e6;--warn:#7a4a00;--warn-bg:#fdf0d2;--bad:#a3161f;--bad-bg:#fde4e4;--calm:#44505c;--calm-bg:#e8ecf1';
const DARK =
  '--ground:#101418;--panel:#171c21;--ink:#e5e9ee;--soft:#a3aeb9;--edge:#2c343c;--hover:#1e252c;--link:#8ec1ff;--accent:#6fd3cd;--focus:#ffb26b;--good:#84e0a7;--good-bg:#123522;--warn:#ffd58a;--warn-bg:#3d2c05;--bad:#ffa6a6;--bad-bg:#451a1c;--calm:#bcc7d2;--calm-bg:#29323b';

/** Of every page. It stands in the page itself, so that the first paint takes one request; the policy allows it by its digest alone. */
export const STYLES = `:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:.9375rem/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:.18em}
a:hover{text-decoration-thickness:2px}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:3px}
main:focus{outline:none}
code,.mono{font:.86em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.skip{position:absolute;left:-99rem;top:.5rem;background:var(--panel);padding:.5rem 1rem;z-index:1}.skip:focus{left:1rem}
.bar{background:var(--panel);border-bottom:1px solid var(--edge)}
.bar>div{max-width:78rem;margin:0 auto;padding:.45rem 1.25rem;display:flex;flex-wrap:wrap;align-items:center;gap:.25rem 1.25rem}
.brand{display:flex;align-items:center;gap:.5rem;font-weight:650;color:var(--ink);text-decoration:none;letter-spacing:-.01em}
.brand svg{display:block}.brand path{fill:none;stroke:var(--accent);stroke-width:1.6;stroke-linejoin:round}
.bar nav ul{display:flex;gap:.25rem;list-style:none;margin:0;padding:0}
.bar nav a{display:block;padding:.25rem .6rem;border-radius:.35rem;color:var(--soft);text-decoration:none}
.bar nav a:hover{background:var(--hover);color:var(--ink)}
.bar nav a[aria-current]{color:var(--ink);background:var(--hover);font-weight:600}
.who{margin-left:auto;display:flex;align-items:center;gap:.75rem;color:var(--soft);font-size:.875rem}
.who form{margin:0}
main{max-width:78rem;margin:0 auto;padding:1rem 1.25rem 3rem}
.trail{display:flex;flex-wrap:wrap;list-style:none;margin:0 0 .25rem;padding:0;font-size:.875rem;color:var(--soft)}
.trail li{overflow-wrap:anywhere}.trail li+li::before{content:"/";padding:0 .45rem;color:var(--soft)}
h1{font-size:1.5rem;line-height:1.25;margin:.35rem 0 .6rem;letter-spacing:-.015em;overflow-wrap:anywhere;font-weight:650}
h2{font-size:1.0625rem;line-height:1.3;margin:0 0 .6rem;font-weight:650}
h3{font-size:.9375rem;margin:1rem 0 .3rem}
p{margin:.4rem 0}.soft{color:var(--soft)}.small{font-size:.875rem}
.panel{background:var(--panel);border:1px solid var(--edge);border-radius:.6rem;padding:.9rem 1rem;margin:0 0 1rem;min-width:0}
.panel>:last-child{margin-bottom:0}
.split{display:grid;gap:0 1rem}
@media (min-width:62rem){.split{grid-template-columns:minmax(0,1fr) 23rem;align-items:start}}
.tabs ul{display:flex;flex-wrap:wrap;gap:0 .25rem;list-style:none;margin:.5rem 0 1rem;padding:0;border-bottom:1px solid var(--edge)}
.tabs a{display:block;padding:.4rem .75rem;color:var(--soft);text-decoration:none;border-bottom:2px solid transparent;margin-bottom:-1px}
.tabs a:hover{color:var(--ink)}.tabs a[aria-current]{color:var(--ink);font-weight:600;border-color:var(--accent)}
.lead{display:flex;flex-wrap:wrap;align-items:center;gap:.35rem .75rem;margin:0 0 .25rem}
dl{margin:0;display:grid;grid-template-columns:fit-content(11rem) minmax(0,1fr);gap:.25rem 1rem}
dt{color:var(--soft);overflow-wrap:anywhere;min-width:0}dd{margin:0;overflow-wrap:anywhere;min-width:0}
@media (max-width:34rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}}
.badge{display:inline-block;padding:.05rem .5rem;border-radius:1rem;font-size:.8125rem;font-weight:600;white-space:nowrap;color:var(--calm);background:var(--calm-bg)}
.badge.good{color:var(--good);background:var(--good-bg)}.badge.warn{color:var(--warn);background:var(--warn-bg)}.badge.bad{color:var(--bad);background:var(--bad-bg)}
.badges{display:flex;flex-wrap:wrap;gap:.35rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:.875rem;padding:0 0 .4rem}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.8125rem;white-space:nowrap}
th,td{padding:.4rem .75rem .4rem 0;vertical-align:baseline;border-bottom:1px solid var(--edge)}
td{overflow-wrap:anywhere}
th.num,td.num{padding-right:1.5rem}
th:last-child,td:last-child{padding-right:0}
time{white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
tbody tr:hover{background:var(--hover)}
.num{text-align:right;white-space:nowrap}th.num{text-align:right}
.nowrap{white-space:nowrap}.word{min-width:6.5rem}
td .sub{display:block;color:var(--soft);font-size:.8125rem}
.strong{font-weight:600}
@media (max-width:46rem){
.bar nav{order:3;width:100%}
.stack thead{position:absolute;left:-99rem}
.stack,.stack tbody,.stack tr,.stack th[scope=row],.stack td{display:block;border:0;padding:0;text-align:left}
.stack tr{padding:.6rem 0;border-bottom:1px solid var(--edge)}.stack tbody tr:last-child{border:0}
.stack td{white-space:normal}
.stack td[data-label]{position:relative;padding-left:8rem;min-height:1.5em}
.stack td[data-label]::before{content:attr(data-label);color:var(--soft);position:absolute;left:0}
.stack td:empty{display:none}
.bar>div,main{padding-left:.9rem;padding-right:.9rem}
}
.tree td:first-child{width:99%;position:relative;padding-left:1.35rem}
.tree a{text-decoration:none}.tree a:hover{text-decoration:underline}
.tree .icon{position:absolute;left:0;color:var(--soft)}
.tree .folder{font-weight:600}
.filters{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:.6rem .75rem;align-items:end}
.filters.apart{margin-top:.75rem}
.filters .act{display:flex;gap:.75rem;align-items:center}
.filters details,.filters .hint{grid-column:1/-1}.filters .hint{margin:0}.filters details .filters{margin-top:.6rem}
summary{cursor:pointer;color:var(--link);width:max-content}
label{display:block;font-size:.8125rem;color:var(--soft)}
input,select{width:100%;font:inherit;color:var(--ink);background:var(--panel);border:1px solid var(--soft);border-radius:.35rem;padding:.3rem .5rem;min-height:2.15rem}
button,.button{display:inline-block;font:inherit;font-weight:600;cursor:pointer;color:var(--panel);background:var(--link);border:1px solid var(--link);border-radius:.35rem;padding:.3rem .9rem;min-height:2.15rem;text-decoration:none}
button:hover,.button:hover{filter:brightness(1.12)}
button.quiet,.button.quiet{color:var(--link);background:transparent;border-color:var(--edge)}
button.quiet:hover,.button.quiet:hover{background:var(--hover);filter:none}
.actions{display:flex;flex-wrap:wrap;gap:.5rem;margin:.6rem 0}
.pager{display:flex;flex-wrap:wrap;gap:1rem;margin:.9rem 0 0}
.note{border-left:3px solid var(--edge);padding:.1rem 0 .1rem .8rem;margin:.6rem 0}
.note.good{border-color:var(--good)}.note.warn{border-color:var(--warn)}.note.bad{border-color:var(--bad)}
.list{list-style:none;margin:0;padding:0}.list li{padding:.3rem 0;border-bottom:1px solid var(--edge);overflow-wrap:anywhere}.list li:last-child{border:0}
.sign{max-width:27rem;margin:8vh auto}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem;margin:0 0 1rem}
.card{background:var(--panel);border:1px solid var(--edge);border-radius:.6rem;padding:.75rem 1rem}
.even{display:grid;gap:0 1rem}
@media (min-width:62rem){.even{grid-template-columns:repeat(2,minmax(0,1fr));align-items:start}}
.card b{display:block;font-size:1.35rem;font-weight:650;line-height:1.3;letter-spacing:-.01em}
progress{width:100%;height:.6rem;accent-color:var(--accent);vertical-align:middle}
footer{max-width:78rem;margin:0 auto;padding:0 1.25rem 2rem;color:var(--soft);font-size:.8125rem}
@media print{.bar nav,.who,.filters,.pager,.actions,.tabs,.skip{display:none}body{background:#fff;color:#000;font-size:10pt}.panel{border-color:#999;break-inside:avoid}a{color:inherit}main{padding:0;max-width:none}}
`;

/** As a Content-Security-Policy names it. */
export const STYLES_SOURCE = `'sha256-${hash('sha256', STYLES, 'base64')}'`;
