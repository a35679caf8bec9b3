// Anthropic's client: messages, streams, tools with the tool runner, counts, errors, aborts.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { z } from 'zod';

const client = new Anthropic({ baseURL: process.argv[2], apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await (await fetch(`${process.argv[2]}/v1/models`)).json();
const messages = [{ role: 'user', content: 'The king' }];
const base = { model, messages, max_tokens: 150 };
const Weather = z.object({ city: z.string().max(8), unit: z.enum(['C', 'F']), days: z.number().int().min(1).max(9) });

// A text, and the same one streamed.
const brief = { ...base, temperature: 0, system: 'Be brief.', max_tokens: 16 };
const whole = await client.messages.create(brief);
assert.equal(whole.stop_reason, 'max_tokens');
assert.equal(whole.usage.output_tokens, 16);
assert.ok(whole._request_id);
let pieces = '';
const stream = client.messages.stream(brief).on('text', (piece) => { pieces += piece; });
const final = await stream.finalMessage();
assert.equal(pieces, whole.content[0].text);
assert.deepEqual(final.content, whole.content);
assert.deepEqual(final.usage, whole.usage);
const { input_tokens: counted } = await client.messages.countTokens({ model, messages, system: brief.system });
assert.equal(counted, whole.usage.input_tokens);

// A stop sequence; an answer that was begun.
const stop = pieces.slice(4, 6);
const stopped = await client.messages.create({ ...brief, stop_sequences: ['never', stop] });
assert.equal(stopped.stop_reason, 'stop_sequence');
assert.equal(stopped.stop_sequence, stop);
const begun = await client.messages.create({
  ...brief, messages: [...messages, { role: 'assistant', content: pieces.slice(0, 10) }],
});
assert.equal(begun.usage.output_tokens, 16);

// Tools: a call, its result, and the answer to it; the same call streamed.
const tools = [{ name: 'weather', input_schema: z.toJSONSchema(Weather) }];
const asked = { ...base, tools, tool_choice: { type: 'any', disable_parallel_tool_use: true } };
const called = await client.messages.create(asked);
assert.equal(called.stop_reason, 'tool_use');
assert.deepEqual(called.content.map(({ type }) => type), ['tool_use']);
Weather.parse(called.content[0].input);
const answered = await client.messages.create({
  ...base,
  tools,
  tool_choice: { type: 'none' },
  max_tokens: 10,
  messages: [
    ...messages,
    { role: 'assistant', content: called.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: called.content[0].id, content: 'rain' }] },
  ],
});
assert.equal(answered.content[0].type, 'text');
const streamed = await client.messages.stream(asked).finalMessage();
Weather.parse(streamed.content[0].input);
assert.equal(streamed.stop_reason, 'tool_use');

// Errors.
await assert.rejects(
  client.messages.create({ ...base, model: 'another' }),
  (error) => error instanceof Anthropic.NotFoundError && error.error.error.type === 'not_found_error',
);
await assert.rejects(
  client.messages.create({ ...base, max_tokens: 0 }),
  (error) => error instanceof Anthropic.BadRequestError && error.message.includes('max_tokens is 0'),
);
const aborted = client.messages.stream({ ...base, max_tokens: 200 });
aborted.on('text', () => aborted.abort());
await assert.rejects(aborted.finalMessage(), Anthropic.APIUserAbortError);
