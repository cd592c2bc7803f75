"""How the page of a trace looks, in light and in dark surroundings."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d2126; --soft: #6a717b; --line: #e3e0d8;
  --blue: #2c5fb3; --teal: #0f7b6c; --sand: #b7791f; --wash: #f1efe8; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --card: #1c2026; --ink: #e6e8eb; --soft: #98a1ad; --line: #2d333b;
  --blue: #8ab4f8; --teal: #5fd0bd; --sand: #e0b060; --wash: #242a31; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
header { border-bottom: 1px solid var(--line); padding-bottom: 1.25rem; }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; margin-bottom: 1rem; }
.chip { font-size: .78rem; color: var(--soft); background: var(--wash); border-radius: 99px; padding: .1rem .7rem; }
.question { font-size: 1.25rem; line-height: 1.45; margin: .75rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 0; }
img { display: block; width: 22rem; max-width: 100%; height: auto; border-radius: 8px; border: 1px solid var(--line); }
figcaption { font-size: .82rem; color: var(--soft); margin-top: .35rem; max-width: 22rem; }
.steps { list-style: none; margin: 0; padding: 1.25rem 0 0; border: 0; }
.step { position: relative; padding: 0 0 1.4rem 1.6rem; border-left: 2px solid var(--line); margin-left: .45rem; }
.step::before { content: ""; position: absolute; left: -.5rem; top: .45rem; width: .85rem; height: .85rem;
  border-radius: 50%; background: var(--blue); border: 3px solid var(--paper); }
.step.map::before { background: var(--teal); }
.step.prompt::before { background: var(--soft); }
h2 { font-size: .8rem; font-weight: 600; letter-spacing: .06em; text-transform: uppercase;
  color: var(--blue); margin: 0 0 .4rem; }
.step.map h2 { color: var(--teal); }
.step.prompt h2 { color: var(--soft); }
h2 small { font-weight: 400; letter-spacing: 0; text-transform: none; color: var(--soft); margin-left: .7rem; }
.turn { white-space: pre-wrap; overflow-wrap: anywhere; }
.step.prompt .turn { color: var(--soft); font-style: italic; }
.tag { font: .78rem ui-monospace, Menlo, Consolas, monospace; color: var(--soft); opacity: .75; }
.request { color: var(--teal); font-weight: 500; }
span.answer { color: var(--sand); font-weight: 650; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; }
.pair figure { flex: 1 1 16rem; max-width: 22rem; }
.pair img { width: 100%; }
section { margin-top: 1.5rem; }
section.answer { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--sand);
  border-radius: 8px; padding: .9rem 1.2rem; }
section.answer h2 { color: var(--sand); }
section.answer p { margin: 0; font-size: 1.5rem; font-weight: 650; white-space: pre-wrap; overflow-wrap: anywhere; }
.note, section.answer p.note { font-size: .85rem; font-weight: 400; color: var(--soft); margin: .35rem 0 0; }
.bar { display: flex; height: .7rem; border-radius: 99px; overflow: hidden; background: var(--wash); }
.bar span { background: var(--blue); border-right: 1px solid var(--paper); }
.bar .map { background: var(--teal); }
.bar .prompt { background: var(--soft); }
details { margin-top: 1.5rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; font-size: .85rem; margin-top: .6rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--soft); white-space: nowrap; }
td { overflow-wrap: anywhere; white-space: pre-wrap; }
"""
