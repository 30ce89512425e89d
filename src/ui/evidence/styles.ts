/** Colours of terminals, on a light ground and on a dark one: each is read on its ground (WCAG AA). */
const LIGHT =
  '#24292f #a40e26 #0a6123 #735c0f #0349b4 #6f2da8 #0b5f6f #57606a #4b535d #a40e26 #0a6123 #735c0f #0349b4 #6f2da8 #0b5f6f #24292f';
const DARK =
  '#8b949e #ff8a80 #6fdd8b #e3b341 #79b8ff #d2a8ff #56d4dd #d0d7de #9ea7b3 #ffa198 #7ee787 #f2cc60 #a5d6ff #e2c5ff #76e3ea #f0f6fc';

function colours(list: string): string {
  return list
    .split(' ')
    .map((colour, n) => `--a${n}:${colour}`)
    .join(';');
}

const classes = Array.from(
  { length: 16 },
  (_, n) => `.a-f${n}{color:var(--a${n})}.a-b${n}{background:var(--a${n});color:var(--panel)}`,
).join('');

/** Of what shows evidence, beside the style of every page, whose colours it takes. */
export const EVIDENCE_CSS = `:root{--mark:#ffe58f;${colours(LIGHT)}}
@media (prefers-color-scheme:dark){:root{--mark:#6b5200;${colours(DARK)}}}
.facts{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline}.facts code{overflow-wrap:anywhere}
.finders{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;margin:.75rem 0}.finders form{display:flex;gap:.5rem;align-items:center}.finders input{width:12rem}.finders input[inputmode]{width:6rem}
.lines{overflow:auto;max-height:80vh;margin:.5rem 0;padding:.5rem 0;border:1px solid var(--edge);border-radius:.6rem;background:var(--panel);font:.8125rem/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;tab-size:4}
.line{display:block;padding-right:1rem}.line:has(:target){background:var(--mark)}
.lines .n{display:inline-block;min-width:4.5ch;padding:0 1ch;text-align:right;color:var(--soft);text-decoration:none;user-select:none}
.lines .n:focus,.lines .n:hover{text-decoration:underline}
.hidden-line{color:var(--soft)}
mark{background:var(--mark);color:var(--ink)}
.image img{max-width:100%;height:auto;border:1px solid var(--edge);background:repeating-conic-gradient(#ccc 0 25%,#fff 0 50%) 0 0/1rem 1rem}
.report{width:100%;height:80vh;border:1px solid var(--edge);border-radius:.6rem;background:#fff}
.files{list-style:none;margin:0;padding:0}.files li{display:flex;gap:1rem;justify-content:space-between;border-bottom:1px solid var(--edge);padding:.3rem 0}.files a{overflow-wrap:anywhere}
.a-bold{font-weight:700}.a-dim{opacity:.85}.a-italic{font-style:italic}.a-underline{text-decoration:underline}.a-strike{text-decoration:line-through}.a-inverse{background:var(--ink);color:var(--panel)}
${classes}
`;
