// Yjs documents that a test opens, edits and asks: a JSON message a line on stdin, an answer a line on stdout.
//
// node peer.cjs FOLDER       yjs is taken from FOLDER/node_modules
// {"do": "open", "doc": "a", "kind": "text", "client": 1}      a document whose root is named as its kind
// {"do": "edit", "doc": "a", "seed": 7, "times": 20}           -> {"updates": [base64, ...]}, one an edit
// {"do": "apply", "doc": "a", "updates": [base64, ...]}         -> {"updates": [base64, ...]}, what yjs itself does upon it
// {"do": "show", "doc": "a"}                                    -> {"json", "runs", "clocks", "state", "waits"}
'use strict'

const { createRequire } = require('node:module')
const path = require('node:path')
const readline = require('node:readline')

const Y = createRequire(path.join(process.argv[2], 'package.json'))('yjs')

const WORDS = ['a', 'one ', 'नमस्ते', 'ने', '😀', '👩‍👩‍👧', 'e\u0301', 'é', '\n', 'खेलाडी ']
const VALUES = ['word', 'नेपाल 😀', 0, 7, -3, 1.5, 123456789012, true, false, null, [1, 'two', null], { plain: { deep: [1] } }]
const NAMES = ['a', 'b', 'नाम', '😀']
const docs = new Map()

/** The same numbers for the same seed (mulberry32). */
function dice(seed) {
  let a = seed >>> 0
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (n) => Math.floor(next() * n)
  return { below, pick: (list) => list[below(list.length)], often: (share) => next() < share }
}

/** A place in a text that is not inside of a surrogate pair: yjs would put U+FFFD in its place. */
function place(text, at) {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at
}

function editText(text, d) {
  const shown = text.toString()
  const from = place(shown, d.below(shown.length + 1))
  const to = place(shown, Math.min(shown.length, from + 1 + d.below(5)))
  if (d.often(0.65) || to <= from) text.insert(from, d.pick(WORDS), d.often(0.2) ? { bold: true } : undefined)
  else if (d.often(0.6)) text.delete(from, to - from)
  else text.format(from, to - from, { bold: d.pick([true, null]), size: d.pick([12, null]) })
}

/** Something to put into a list or a map: a value, or a type that several may edit. */
function something(d) {
  if (d.often(0.6)) return d.pick(VALUES)
  if (d.often(0.34)) return new Y.Text(d.pick(WORDS))
  if (d.often(0.5)) return Y.Array.from([d.pick(VALUES), new Y.Text(d.pick(WORDS))])
  return new Y.Map([['a', d.pick(VALUES)], ['b', new Y.Array()]])
}

function editWithin(held, d) {
  const shared = held.filter((each) => each instanceof Y.AbstractType)
  if (!shared.length || d.often(0.5)) return false
  edit(d.pick(shared), d)
  return true
}

function editArray(list, d) {
  if (editWithin(list.toArray(), d)) return
  if (list.length && d.often(0.25)) list.delete(d.below(list.length), 1)
  else list.insert(d.below(list.length + 1), d.often(0.2) ? [something(d), something(d)] : [something(d)])
}

function editMap(map, d) {
  if (editWithin([...map.values()], d)) return
  const name = d.pick(NAMES)
  if (map.has(name) && d.often(0.25)) map.delete(name)
  else map.set(name, something(d))
}

function edit(shared, d) {
  if (shared instanceof Y.Text) editText(shared, d)
  else if (shared instanceof Y.Array) editArray(shared, d)
  else editMap(shared, d)
}

const base64 = (bytes) => Buffer.from(bytes).toString('base64')

const acts = {
  open({ doc: name, kind, client }) {
    const doc = new Y.Doc()
    doc.clientID = client
    const root = { text: () => doc.getText('text'), map: () => doc.getMap('map'), array: () => doc.getArray('array') }[kind]()
    docs.set(name, { doc, root })
    return {}
  },
  edit({ doc: name, seed, times }) {
    const { doc, root } = docs.get(name)
    const updates = []
    const hear = (update) => updates.push(base64(update))
    doc.on('update', hear)
    const d = dice(seed)
    for (let i = 0; i < times; i++) doc.transact(() => edit(root, d))
    doc.off('update', hear)
    return { updates }
  },
  apply({ doc: name, updates }) {
    const { doc } = docs.get(name)
    const made = []
    // yjs tidies formats that a remote update has made idle, which is an edit of its own: a provider sends it on.
    const hear = (update, origin) => origin === 'remote' || made.push(base64(update))
    doc.on('update', hear)
    // In one transaction: with a part of what is known, it would tidy away what another part needs.
    doc.transact(() => updates.forEach((update) => Y.applyUpdate(doc, Buffer.from(update, 'base64'), 'remote')), 'remote')
    doc.off('update', hear)
    return { updates: made }
  },
  show({ doc: name }) {
    const { doc, root } = docs.get(name)
    const state = Y.encodeStateVector(doc)
    return {
      json: root instanceof Y.Text ? root.toString() : root.toJSON(),
      runs: root instanceof Y.Text ? root.toDelta() : null,
      clocks: Object.fromEntries(Y.decodeStateVector(state)),
      state: base64(state),
      waits: Boolean(doc.store.pendingStructs || doc.store.pendingDs)
    }
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  let answer
  try {
    const message = JSON.parse(line)
    answer = acts[message.do](message)
  } catch (failure) {
    answer = { failure: String(failure.stack || failure) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
})
