import assert from 'node:assert/strict';
import { connect, message, state } from './client.mjs';

const client = await connect();
const asked = await client.sendMessage(message('x', { skill: 'review' }));
assert.equal(state(asked), 'INPUT_REQUIRED');
assert.equal(state(await client.cancelTask({ id: asked.id })), 'CANCELED');
assert.equal(state(await client.getTask({ id: asked.id })), 'CANCELED');
await assert.rejects(() => client.cancelTask({ id: asked.id }));
await assert.rejects(() => client.cancelTask({ id: 'nobody' }));
