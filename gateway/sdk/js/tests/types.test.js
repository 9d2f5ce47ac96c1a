// What index.d.ts says is there, and what is there; and that it has every member of the reference.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';
import * as spaceduck from '../src/index.js';
import {OPERATIONS} from '../src/operations.js';

const modules = process.env.SPACEDUCK_NODE_MODULES ?? fileURLToPath(new URL('../node_modules', import.meta.url));
const ts = createRequire(`${modules}/`)('typescript');
const declared = fileURLToPath(new URL('../src/index.d.ts', import.meta.url));
const program = ts.createProgram([declared], {strict: true, target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'], types: []});
const checker = program.getTypeChecker();
const exported = new Map(checker.getExportsOfModule(
  checker.getSymbolAtLocation(program.getSourceFile(declared))).map((each) => [each.name, each]));

const isValue = (symbol) => symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Variable |
  ts.SymbolFlags.ValueModule);
const methodsOf = (name) => [...exported.get(name).members.values()]
  .filter((each) => each.flags & ts.SymbolFlags.Method).map((each) => each.name);

test('what is exported is declared, and nothing else', () => {
  const values = [...exported.values()].filter(isValue).map((each) => each.name).sort();
  assert.deepEqual(values, Object.keys(spaceduck).sort());
});

test('the methods that are declared are those that are there', () => {
  for (const name of ['Duck', 'Peck', 'Pages']) {
    const own = Object.getOwnPropertyNames(spaceduck[name].prototype).filter((each) => each !== 'constructor');
    assert.deepEqual(methodsOf(name).filter((each) => !each.startsWith('__@')).sort(), own.sort());
  }
  for (const module of ['webhooks', 'own', 'proof'])
    assert.deepEqual(checker.getExportsOfModule(exported.get(module)).filter(isFunctionOrConst)
      .map((each) => each.name).sort(), Object.keys(spaceduck[module]).sort());
});

function isFunctionOrConst(symbol) {
  return symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable | ts.SymbolFlags.Class);
}

test('every operation is declared', () => {
  const methods = new Set(methodsOf('Duck'));
  for (const name of Object.keys(OPERATIONS)) assert.ok(methods.has(name), name);
});

/** The names of the members that a method takes. */
function membersOf(method) {
  const declaration = exported.get('Duck').members.get(method).declarations[0];
  const members = declaration.parameters.find((each) => each.name.getText() === 'members');
  const type = checker.getNonNullableType(checker.getTypeAtLocation(members));
  return new Set(type.getProperties().map((each) => each.name));
}

const reference = JSON.parse(execFileSync('/usr/bin/python3', ['-c',
  'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin), default=str))'],
{input: readFileSync(new URL('../../../openapi.yaml', import.meta.url))}));

const named = (each) => each?.$ref
  ? named(each.$ref.slice(2).split('/').reduce((at, part) => at[part], reference)) : each;

function propertiesOf(schema) {
  const {properties = {}, oneOf = [], anyOf = [], allOf = []} = named(schema) ?? {};
  return [...Object.keys(properties), ...[...oneOf, ...anyOf, ...allOf].flatMap(propertiesOf)];
}

// Members of requests that are not declared, because they are said otherwise.
const elsewhere = new Set(['cursor', 'duckling_id', 'id', 'delivery_id', 'format']);

test('every member of a request is declared', () => {
  let seen = 0;
  for (const [name, [method, path]] of Object.entries(OPERATIONS)) {
    const each = reference.paths[path]?.[method.toLowerCase()];
    if (!each) continue; // the gateway's next release
    const wanted = (each.parameters ?? []).map(named).filter((one) => one.in !== 'header')
      .map((one) => one.name)
      .concat(propertiesOf(named(each.requestBody)?.content?.['application/json']?.schema));
    assert.deepEqual(wanted.filter((one) => !elsewhere.has(one) && !membersOf(name).has(one)), [], name);
    seen += wanted.length;
  }
  assert.ok(seen > 50);
});
