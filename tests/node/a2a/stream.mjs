import assert from 'node:assert/strict';
import { collect, connect, message } from './client.mjs';

const client = await connect();
const { states, events } = await collect(client.sendMessageStream(message({ count: 4 }, { skill: 'chunks' })));
assert.equal(events[0].kind, 'task');
assert.equal(states.at(-1), 'COMPLETED');
const chunks = events.filter(({ kind, value }) => kind === 'artifactUpdate' && value.artifact.artifactId === 'book');
assert.equal(chunks.map(({ value }) => value.artifact.parts[0].content.value).join(''), 'page 0 page 1 page 2 page 3 ');
assert.deepEqual(chunks.map(({ value }) => [value.append, value.lastChunk]), [
  [false, false],
  [true, false],
  [true, false],
  [true, true],
]);

const direct = await collect(client.sendMessageStream(message('hi', { skill: 'chat' })));
assert.deepEqual(direct.events.map(({ kind }) => kind), ['message']);
