// @anthropic-ai/sdk: messages, streams, values of a schema, tools and the tool runner, counts, errors, aborts.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';

const client = new Anthropic({ baseURL: process.argv[2], apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await (await fetch(`${process.argv[2]}/v1/models`)).json();
const messages = [{ role: 'user', content: 'The king' }];
const base = { model, messages, max_tokens: 100, temperature: 0 };
const brief = { ...base, system: 'Be brief.', max_tokens: 12 };

// A message, and the same one streamed.
const message = await client.messages.create(brief);
assert.equal(message.type, 'message');
assert.equal(message.role, 'assistant');
assert.equal(message.stop_reason, 'max_tokens');
assert.equal(message.usage.output_tokens, 12);
assert.equal(message.content[0].type, 'text');
assert.ok(message._request_id);
const stream = client.messages.stream(brief);
let pieces = '';
stream.on('text', (piece) => { pieces += piece; });
const streamed = await stream.finalMessage();
assert.equal(pieces, message.content[0].text);
assert.equal(streamed.content[0].text, message.content[0].text);
assert.equal(streamed.stop_reason, 'max_tokens');
assert.deepEqual(
  [streamed.usage.input_tokens, streamed.usage.output_tokens], [message.usage.input_tokens, 12]);
const types = new Set();
for await (const event of await client.messages.create({ ...brief, stream: true })) {
  types.add(event.type);
}
for (const type of ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop',
  'message_delta', 'message_stop']) {
  assert.ok(types.has(type), type);
}

// A stop sequence.
const stop = message.content[0].text.slice(4, 7);
const stopped = await client.messages.create({ ...brief, stop_sequences: ['never', stop] });
assert.equal(stopped.stop_reason, 'stop_sequence');
assert.equal(stopped.stop_sequence, stop);

// An answer that was begun.
const begun = await client.messages.create({
  ...brief, messages: [...messages, { role: 'assistant', content: message.content[0].text.slice(0, 10) }],
});
assert.equal(begun.usage.output_tokens, 12);

// Counts.
const { input_tokens: tokens } = await client.messages.countTokens({ model, system: 'Be brief.', messages });
assert.equal(tokens, message.usage.input_tokens);

// A value: the client checks it against the schema of zod.
const Weather = z.object({ city: z.string(), unit: z.enum(['C', 'F']), sunny: z.boolean() });
const parsed = await client.messages.parse({ ...base, output_config: { format: zodOutputFormat(Weather) } });
Weather.parse(parsed.parsed_output);

// Tools: a call, its result, an answer.
const Unit = z.object({ unit: z.enum(['C', 'F']), wet: z.boolean() });
const tools = [{
  name: 'weather',
  description: 'The weather',
  input_schema: {
    type: 'object',
    properties: { unit: { type: 'string', enum: ['C', 'F'] }, wet: { type: 'boolean' } },
    required: ['unit', 'wet'],
    additionalProperties: false,
  },
}];
const asked = { ...base, tools, tool_choice: { type: 'tool', name: 'weather' } };
const called = await client.messages.create(asked);
assert.equal(called.stop_reason, 'tool_use');
const call = called.content.find((block) => block.type === 'tool_use');
assert.equal(call.name, 'weather');
Unit.parse(call.input);
const calledAgain = await client.messages.stream(asked).finalMessage();
assert.equal(calledAgain.stop_reason, 'tool_use');
assert.deepEqual(calledAgain.content.find((block) => block.type === 'tool_use').input, call.input);
const answered = await client.messages.create({
  ...brief,
  tools,
  tool_choice: { type: 'none' },
  messages: [
    ...messages,
    { role: 'assistant', content: called.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'rain' }] },
  ],
});
assert.equal(answered.content[0].type, 'text');

// The tool runner, for two rounds. It would have the conversation stored, and sends all of it when told that it is not.
for (const stream of [false, true]) {
  const given = [];
  const runner = client.beta.messages.toolRunner({
    ...base,
    stream,
    max_tokens: 90,
    max_iterations: 2,
    tool_choice: { type: 'any', disable_parallel_tool_use: true },
    tools: [betaZodTool({
      name: 'weather',
      description: 'The weather',
      inputSchema: Unit,
      run: (unit) => {
        given.push(Unit.parse(unit));
        return 'grey';
      },
    })],
  });
  await runner.runUntilDone();
  assert.equal(given.length, 2);
  assert.deepEqual(runner.params.messages.map((one) => one.role), ['user', 'assistant', 'user', 'assistant', 'user']);
}

// Errors become the client's own classes.
await assert.rejects(client.messages.create({ ...base, temperature: 3 }), (error) => {
  assert.ok(error instanceof Anthropic.BadRequestError);
  assert.equal(error.error.type, 'error');
  assert.equal(error.error.error.type, 'invalid_request_error');
  assert.match(error.message, /temperature/);
  return true;
});
await assert.rejects(client.messages.create({ ...base, model: 'another' }), (error) => {
  assert.ok(error instanceof Anthropic.NotFoundError);
  assert.equal(error.errorCode, 'model_not_found');
  return true;
});

// Aborted.
const aborted = client.messages.stream({ ...base, max_tokens: 400 });
aborted.on('text', () => aborted.abort());
await assert.rejects(aborted.finalMessage(), Anthropic.APIUserAbortError);
