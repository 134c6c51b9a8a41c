// The official MCP client, and its Tasks extension, at a server: node mcp_client.js TARGET WAY...
// TARGET is {"url": …} or {"command": …, "args": …, "cwd": …}; WAY is legacy, modern or tasks. In each way it lists tools,
// calls one that is quick, and one that asks; it prints what came of that.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { createTaskSessionFromClient, resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';

const target = JSON.parse(process.argv[2]);
const info = { name: 'agentflow-tests', version: '1' };
const capabilities = { elicitation: { form: {} } };
const version = '2026-07-28';
const answer = { action: 'accept', content: { decision: 'approve' } };

function transport() {
  return target.url
    ? new StreamableHTTPClientTransport(new URL(target.url))
    : new StdioClientTransport({ ...target, env: process.env });
}

async function connected(options) {
  const wire = transport();
  const client = new Client(info, { capabilities, ...options });
  await client.connect(wire);
  return { client, wire };
}

// The SDK's own codecs don't know tasks: their requests go over the wire beside it.
function raw(wire) {
  const waiting = new Map();
  const others = wire.onmessage;
  wire.onmessage = (message, extra) => {
    const take = waiting.get(message.id);
    if (take === undefined) return others?.(message, extra);
    waiting.delete(message.id);
    take(message.error ? { kind: 'error', error: message.error } : { kind: 'result', result: message.result });
  };
  let number = 0;
  return (request, options) =>
    new Promise((resolve, reject) => {
      const id = `task-${++number}`;
      waiting.set(id, resolve);
      const name = request.params.name ?? request.params.taskId;
      const headers = { 'Mcp-Method': request.method, 'Mcp-Name': name, ...options?.context?.headers };
      wire.send({ jsonrpc: '2.0', id, ...request }, { headers }).catch(reject);
    });
}

async function byForms(options) {
  const { client } = await connected(options);
  const asked = [];
  client.setRequestHandler('elicitation/create', async (request) => {
    asked.push(request.params.message);
    return answer;
  });
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const quick = await client.callTool({ name: 'greet', arguments: { name: 'Ann' } });
  const waited = await client.callTool({ name: 'approval', arguments: { amount: 7 } });
  await client.close();
  return { tools, quick: quick.structuredContent, asked, result: waited.structuredContent };
}

async function byTask() {
  const { client, wire } = await connected({ versionNegotiation: { mode: { pin: version } } });
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const asked = [];
  const session = createTaskSessionFromClient(client, {
    endpointId: 'tests',
    rawDispatch: raw(wire),
    v2RequestFraming: { protocolVersion: version, clientInfo: info, clientCapabilities: capabilities },
    onInputRequest: async (request) => {
      asked.push(request.params.message);
      return answer;
    },
  });
  const quick = await session.callTool('greet', { name: 'Ann' });
  const said = resultFromTaskOutcome((await quick.settle()).outcome);
  const waited = await session.callTool('approval', { amount: 7 });
  const kind = waited.kind;
  const result = resultFromTaskOutcome((await waited.settle()).outcome);
  await session.close();
  await client.close();
  return { tools, quick: said.structuredContent, kind, asked, result: result.structuredContent };
}

const ways = {
  legacy: () => byForms({}),
  modern: () => byForms({ versionNegotiation: { mode: { pin: version } } }),
  tasks: byTask,
};
const told = {};
for (const way of process.argv.slice(3)) told[way] = await ways[way]();
console.log(JSON.stringify(told));
