import assert from 'node:assert/strict';
import { collect, connect, message } from './client.mjs';

const client = await connect();
const asked = await client.sendMessage(message('x', { skill: 'twice' }));
const answers = ['one', 'two'];
const { states, events } = await collect(client.resubscribeTask({ id: asked.id }), async ({ kind, value }) => {
  const told = kind === 'task' || kind === 'statusUpdate' ? value.status.message?.parts[0]?.content.value : undefined;
  if (told === (answers.length === 2 ? 'First?' : 'Second?') && answers.length) {
    await client.sendMessage(message(answers.shift(), { taskId: asked.id }));
  }
});
assert.deepEqual([events[0].kind, states[0], states.at(-1)], ['task', 'INPUT_REQUIRED', 'COMPLETED']);
assert.equal(states.filter((each) => each === 'COMPLETED').length, 1);
await assert.rejects(() => collect(client.resubscribeTask({ id: asked.id })));
