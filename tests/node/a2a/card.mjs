import assert from 'node:assert/strict';
import { connect, message } from './client.mjs';

const client = await connect();
const extended = await client.getAgentCard();
const echo = extended.skills.find(({ id }) => id === 'echo');
assert.match(echo.description, /"required":\["text"\]/);
assert.ok(extended.capabilities.streaming && extended.capabilities.pushNotifications);

const stranger = await connect('of nobody');
await assert.rejects(() => stranger.getAgentCard());
await assert.rejects(() => stranger.sendMessage(message('x', { skill: 'echo' })));
