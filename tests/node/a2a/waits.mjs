import assert from 'node:assert/strict';
import { OLD, collect, connect, message, output, state, waits } from './client.mjs';

const client = await connect();

// An answer that doesn't fit leaves the question open; a good one is taken, once.
const asked = await client.sendMessage(message('x', { skill: 'review' }));
assert.equal(state(asked), 'INPUT_REQUIRED');
const [wait] = waits(asked);
assert.equal(wait.message, 'Publish x?');
const bad = await client.sendMessage(message({ decision: 'perhaps' }, { taskId: asked.id }));
assert.deepEqual([state(bad), waits(bad)[0].taskId], ['INPUT_REQUIRED', wait.taskId]);
const good = await client.sendMessage(message('approve', { taskId: asked.id, contextId: asked.contextId }));
assert.deepEqual([state(good), output(good)], ['COMPLETED', 'approve']);
await assert.rejects(() => client.sendMessage(message('reject', { taskId: asked.id })));

// A wait is a task of its own, and takes the answer too; the same message again answers nothing else.
const twice = await client.sendMessage(message('x', { skill: 'twice' }));
const own = await client.getTask({ id: waits(twice)[0].taskId });
assert.deepEqual([state(own), own.contextId], ['INPUT_REQUIRED', twice.contextId]);
const one = message('one', { taskId: twice.id });
await client.sendMessage(one);
const again = await client.sendMessage(one);
assert.equal(waits(again)[0].message, 'Second?');

// The rest of the turn is followed by a stream.
const { states } = await collect(client.sendMessageStream(message('two', { taskId: twice.id })));
assert.equal(states.at(-1), 'COMPLETED');
const ended = await client.getTask({ id: twice.id });
assert.equal(output(ended), 'one, two');
const said = ended.history.map(({ parts }) => parts[0].content.value);
assert.deepEqual(said, ['x', 'one', 'two']);

// Of several questions an answer names its step.
const both = await client.sendMessage(message({}, { skill: 'side_by_side' }));
assert.deepEqual(waits(both).map(({ step }) => step).sort(), ['both/left', 'both/right']);
const half = await client.sendMessage(message({ step: 'both/right', answer: 2 }, { taskId: both.id }));
assert.deepEqual(waits(half).map(({ step }) => step), ['both/left']);
const whole = await client.sendMessage(message('1', { taskId: both.id }));
assert.deepEqual(output(whole), { left: 1, right: 2 });
assert.ok(OLD || whole.metadata['urn:agentflow:a2a:tasks:v1'].generation > 0);
