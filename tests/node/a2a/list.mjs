import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ListTasksRequest } from '@a2a-js/sdk';
import { connect, message, state } from './client.mjs';

const client = await connect();
const contextId = randomUUID();
const started = [];
for (const text of ['a', 'b', 'c', 'd', 'e']) {
  started.push((await client.sendMessage(message(text, { skill: 'echo', contextId }))).id);
}
const found = [];
let pageToken = '';
do {
  const page = await client.listTasks(ListTasksRequest.fromJSON({ contextId, pageSize: 2, pageToken }));
  assert.deepEqual([page.totalSize, page.pageSize], [5, 2]);
  found.push(...page.tasks.map(({ id }) => id));
  pageToken = page.nextPageToken;
} while (pageToken);
assert.deepEqual(found, started.reverse());

const asked = { contextId, status: 'TASK_STATE_COMPLETED', includeArtifacts: true, historyLength: 1 };
const full = await client.listTasks(ListTasksRequest.fromJSON(asked));
assert.ok(full.tasks.every((task) => state(task) === 'COMPLETED' && task.artifacts.length && task.history.length === 1));
const none = await client.listTasks(ListTasksRequest.fromJSON({ contextId, status: 'TASK_STATE_FAILED' }));
assert.equal(none.tasks.length, 0);
