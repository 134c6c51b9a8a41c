import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { OLD, connect, message, state } from './client.mjs';

const got = [];
let told = () => undefined;
const receiver = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  got.push({ headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
  response.writeHead(200).end();
  told();
});
receiver.listen(0, '127.0.0.1');
await once(receiver, 'listening');
const url = `http://127.0.0.1:${receiver.address().port}/hook`;
const over = new Promise((resolve) => {
  told = () => {
    if (got.at(-1).body.statusUpdate?.status.state === 'TASK_STATE_COMPLETED') resolve();
  };
});

const client = await connect();
const asked = await client.sendMessage(message('x', { skill: 'review' }));
const wanted = { tenant: '', taskId: asked.id, id: 'mine', url, token: 'tok' };
const made = await client.createTaskPushNotificationConfig({
  ...wanted,
  authentication: { scheme: 'Bearer', credentials: 'cred' },
});
assert.deepEqual([made.id, made.url], ['mine', url]);
const found = await client.getTaskPushNotificationConfig({ tenant: '', taskId: asked.id, id: 'mine' });
assert.equal(found.url, url);

assert.equal(state(await client.sendMessage(message('approve', { taskId: asked.id }))), 'COMPLETED');
await over;
for (const { headers, body } of got) {
  assert.equal(headers.authorization, 'Bearer cred');
  assert.equal(headers['x-a2a-notification-token'], 'tok');
  assert.equal(headers['content-type'], 'application/a2a+json');
  assert.equal((body.statusUpdate ?? body.artifactUpdate).taskId, asked.id);
}

if (!OLD) {
  const listed = await client.listTaskPushNotificationConfig({ taskId: asked.id });
  assert.deepEqual(listed.configs.map(({ id }) => id), ['mine']);
}
await client.deleteTaskPushNotificationConfig({ tenant: '', taskId: asked.id, id: 'mine' });
await assert.rejects(() => client.getTaskPushNotificationConfig({ tenant: '', taskId: asked.id, id: 'mine' }));
receiver.closeAllConnections();
receiver.close();
