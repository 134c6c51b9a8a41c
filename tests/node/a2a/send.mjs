import assert from 'node:assert/strict';
import { Task } from '@a2a-js/sdk';
import { OLD, connect, message, output, state } from './client.mjs';

const client = await connect();
const done = await client.sendMessage(message('good morning', { skill: 'echo', contextId: 'talk' }));
assert.deepEqual([state(done), output(done), done.contextId], ['COMPLETED', { text: 'good morning' }, 'talk']);
assert.equal(Task.toJSON(done).history[0].parts[0].text, 'good morning');

const found = await client.getTask({ id: done.id });
assert.deepEqual(Task.toJSON(found).artifacts, Task.toJSON(done).artifacts);
const short = await client.getTask({ id: done.id, historyLength: 0 });
assert.equal(short.history.length, 0);

const direct = await client.sendMessage(message('hi', { skill: 'chat' }));
assert.equal(direct.status, undefined);
assert.equal(direct.parts[0].content.value, 'hello to you');

const begun = await client.sendMessage(message({}, { skill: 'long' }, { returnImmediately: true }));
assert.ok(['SUBMITTED', 'WORKING'].includes(state(begun)));
await client.cancelTask({ id: begun.id });

const names = OLD ? [] : ['TaskNotFoundError', 'UnsupportedOperationError', 'RequestMalformedError'];
const wrong = [
  () => client.getTask({ id: 'nobody' }),
  () => client.sendMessage(message('again', { taskId: done.id })),
  () => client.sendMessage(message({ text: 7 }, { skill: 'echo' })),
];
for (const [n, call] of wrong.entries()) {
  await assert.rejects(call, (error) => !names.length || error.constructor.name.endsWith(names[n]));
}
