import { lineColours } from "./line-chart.ts";

const colours = lineColours.map(
  (colour, index) => `.line.c${index} { stroke: ${colour} } i.c${index} { background: ${colour} }`,
);

/** The console's style sheet: no font, image or script from elsewhere, light and dark as the reader's system is set. */
export const style = `
  :root { color-scheme: light dark; --ink: #1f2a1f; --quiet: #62705f; --line: #dde4d8; --page: #f6f8f4; --card: #fff; --leaf: #2f6b3a; --bad: #b3261e; --wait: #8a5a00 }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e4eae0; --quiet: #9aa896; --line: #343d33; --page: #161a15; --card: #1f251e; --leaf: #7fc48b; --bad: #ff8a80; --wait: #f0b95a }
  }
  * { box-sizing: border-box }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 86rem; padding: 1.5rem; color: var(--ink); background: var(--page) }
  h1 { font-size: 1.5rem; margin: 0; color: var(--leaf) }
  h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
  h3 { font-size: .95rem; margin: 1.2rem 0 .5rem; color: var(--quiet); font-weight: 600 }
  h4 { font-size: .95rem; margin: 0 }
  .quiet { color: var(--quiet); font-size: .85rem }
  .note { color: var(--quiet); margin: 1rem 0 }
  a { color: var(--leaf) }
  code { font-size: .9em }
  nav { display: flex; gap: .8rem; align-items: baseline }
  .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin-top: 1rem }
  .tiles div, article, .table { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .8rem 1rem }
  .tiles b { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 600; font-variant-numeric: tabular-nums }
  /* Columns stay also where a row has fewer charts, so that all charts have one size. */
  .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr)); gap: .8rem }
  article > p { margin: .1rem 0 .4rem }
  figure { margin: 0 }
  svg { display: block; width: 100% }
  .grid { stroke: var(--line) }
  .axis { fill: var(--quiet); font-size: 11px }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
  .legend { list-style: none; margin: .3rem 0 0; padding: 0; font-size: .82rem }
  .legend li { display: flex; gap: .5rem; align-items: baseline }
  .legend i { width: .9rem; height: .2rem; border-radius: 2px; flex: none; align-self: center }
  .legend span { overflow-wrap: anywhere }
  .legend b { margin-left: auto; font-weight: 500; white-space: nowrap; font-variant-numeric: tabular-nums }
  .table { overflow-x: auto; padding: .2rem 1rem }
  table { border-collapse: collapse; width: 100% }
  th { text-align: left; font-size: .8rem; color: var(--quiet); font-weight: 600; padding: .5rem 1rem .3rem 0 }
  td { padding: .35rem 1rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top }
  td.n { font-variant-numeric: tabular-nums; white-space: nowrap }
  .good { color: var(--leaf) } .bad { color: var(--bad) } .wait { color: var(--wait) }
  ${colours.join("\n  ")}`;
