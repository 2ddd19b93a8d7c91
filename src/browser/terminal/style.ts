/**
 * How the element looks. Its parts can be styled from outside by their names:
 * `lguest-terminal::part(button)`.
 *
 * Relies on nothing; the screen relies on it.
 *
 * @journey L:309 Paint
 */

/** For the shadow root. */
export const style = `
:host { display: block; position: relative; height: 24em; min-width: 0; overflow: hidden; }
:host([hidden]) { display: none; }
[data-scheme="dark"] { --paper: #10141a; --ink: #d8dee6; --button: #cfe3ff; --label: #10141a; }
[data-scheme="light"] { --paper: #fbfbf8; --ink: #22262b; --button: #1d4f91; --label: #ffffff; }
.glass { position: absolute; inset: 0; padding: 6px; background: var(--paper); }
.cover { position: absolute; inset: 0; z-index: 10; display: grid; place-content: center; justify-items: center;
	gap: 0.75em; padding: 1em; background: var(--paper); color: var(--ink);
	font: 1rem/1.4 system-ui, sans-serif; text-align: center; }
.cover.over { inset: auto 0 0 0; border-top: 1px solid var(--ink); }
.cover[hidden], .cover [hidden] { display: none; }
.text { margin: 0; max-width: 42em; overflow-wrap: anywhere; }
.bar { width: min(20em, 80%); }
.button { font: inherit; padding: 0.5em 1.25em; min-height: 2.75em; border: 0; border-radius: 0.4em;
	background: var(--button); color: var(--label); cursor: pointer; }
.button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
`;
