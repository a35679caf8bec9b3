// openai-node: a client that aborts. The service holds its steps, so that no answer can end by itself.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await client.models.list();

const stream = await client.chat.completions.create({
  model, messages: [{ role: 'user', content: 'The king' }], max_tokens: 400, ignore_eos: true, stream: true,
});
const chunks = stream[Symbol.asyncIterator]();
let count = 1;
while (!(await chunks.next()).value.choices[0].delta.content) {
  count++;
}

const controller = new AbortController();
const waiting = client.completions.create(
  { model, prompt: 'The king', max_tokens: 400, ignore_eos: true }, { signal: controller.signal });
let known = 0;
while (known < 2) {
  const status = await (await fetch(`${process.argv[2]}/weft/v1/status`)).json();
  known = status.running + status.waiting;
  await setTimeout(20);
}
controller.abort();
await assert.rejects(waiting, OpenAI.APIUserAbortError);

stream.controller.abort();
while (!(await chunks.next()).done) {
  count++;
}
assert.ok(count < 400, `${count} chunks`);
