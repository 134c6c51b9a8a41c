// The official JavaScript client, at the server and in the mode that the environment names.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { SendMessageRequest, Task, taskStateToJSON } from '@a2a-js/sdk';
import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
  createAuthenticatingFetchWithRetry,
} from '@a2a-js/sdk/client';

const { A2A_URL, A2A_BINDING, A2A_VERSION } = process.env;
export const OLD = A2A_VERSION === '0.3';
const legacyCompat = { enabled: OLD };

export async function connect(token = process.env.A2A_TOKEN) {
  const fetchImpl = createAuthenticatingFetchWithRetry(fetch, {
    headers: async () => (token ? { Authorization: `Bearer ${token}` } : {}),
    shouldRetryWithHeaders: async () => undefined,
  });
  const card = await new DefaultAgentCardResolver({ fetchImpl, legacyCompat }).resolve(A2A_URL);
  card.supportedInterfaces = card.supportedInterfaces.filter(
    (each) => each.protocolBinding === A2A_BINDING && each.protocolVersion === A2A_VERSION,
  );
  assert.equal(card.supportedInterfaces.length, 1);
  const transports = [
    new JsonRpcTransportFactory({ fetchImpl, legacyCompat }),
    new RestTransportFactory({ fetchImpl, legacyCompat }),
  ];
  const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, { transports });
  return new ClientFactory(options).createFromAgentCard(card);
}

// A message: texts as they are, everything else as data.
export function message(content, fields = {}, configuration = {}) {
  const { skill, ...rest } = fields;
  const part = typeof content === 'string' ? { text: content } : { data: content };
  const metadata = skill ? { skillId: skill } : undefined;
  const told = { messageId: randomUUID(), role: 'ROLE_USER', parts: [part], metadata, ...rest };
  return SendMessageRequest.fromJSON({ message: told, configuration });
}

export function state(task) {
  return taskStateToJSON(task.status.state).replace('TASK_STATE_', '');
}

// What is asked of whoever follows the task: the waits that its status lists.
export function waits(task) {
  const parts = Task.toJSON(task).status.message?.parts ?? [];
  return parts.filter((part) => part.data?.wait).map((part) => part.data.wait);
}

export function output(task) {
  const told = Task.toJSON(task).artifacts.find((each) => each.artifactId === '@output').parts[0];
  return told.text ?? told.data;
}

// The states that a stream tells, and its events by their kinds.
export async function collect(stream, each = async () => undefined) {
  const states = [];
  const events = [];
  for await (const event of stream) {
    const { $case: kind, value } = event.payload;
    events.push({ kind, value });
    if (kind === 'task' || kind === 'statusUpdate') states.push(state(value));
    await each({ kind, value });
  }
  return { states, events };
}
