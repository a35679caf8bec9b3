// openai-node: Responses, whole and streamed, with a text format, with tools, and what needs stored state.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await client.models.list();
const base = { model, input: 'The king', store: false, temperature: 0, max_output_tokens: 150 };
const brief = { ...base, instructions: 'Be brief.', max_output_tokens: 16, metadata: { a: 'b' } };

// A text, and the same one streamed.
const text = await client.responses.create(brief);
assert.equal(text.object, 'response');
assert.equal(text.status, 'incomplete');
assert.equal(text.incomplete_details.reason, 'max_output_tokens');
assert.equal(text.usage.output_tokens, 16);
assert.ok(text.output_text.length > 0);
assert.deepEqual(text.metadata, { a: 'b' });
const { input_tokens: counted } = await client.responses.inputTokens.count({
  model, input: brief.input, instructions: brief.instructions,
});
assert.equal(counted, text.usage.input_tokens);
const events = [];
let pieces = '';
for await (const event of await client.responses.create({ ...brief, stream: true })) {
  assert.equal(event.sequence_number, events.length);
  events.push(event.type);
  pieces += event.type === 'response.output_text.delta' ? event.delta : '';
}
assert.equal(events[0], 'response.created');
assert.equal(events.at(-1), 'response.incomplete');
assert.equal(pieces, text.output_text);
const streamed = await client.responses.stream(brief).finalResponse();
assert.equal(streamed.output_text, text.output_text);
assert.deepEqual(streamed.usage, text.usage);

// A conversation is sent as a whole.
const later = await client.responses.create({
  ...brief,
  input: [
    { role: 'user', content: 'The king' },
    ...text.output,
    { role: 'user', content: [{ type: 'input_text', text: 'And then?' }] },
  ],
});
assert.ok(later.usage.input_tokens > text.usage.input_tokens + 16);

// A text format: the client checks the value against the schema of zod.
const Weather = z.object({ city: z.string().max(8), unit: z.enum(['C', 'F']), days: z.number().int().min(1).max(9) });
const format = { format: zodTextFormat(Weather, 'weather') };
const parsed = await client.responses.parse({ ...base, text: format });
assert.equal(parsed.status, 'completed');
Weather.parse(parsed.output_parsed);
const parsedStream = await client.responses.stream({ ...base, text: format }).finalResponse();
assert.deepEqual(parsedStream.output_parsed, parsed.output_parsed);

// Tools: a call, its result, an answer.
const tools = [zodResponsesFunction({ name: 'weather', description: 'The weather', parameters: Weather })];
const asked = { ...base, tools, tool_choice: 'required', parallel_tool_calls: false };
const called = await client.responses.parse(asked);
const call = called.output.find((item) => item.type === 'function_call');
assert.equal(call.name, 'weather');
Weather.parse(call.parsed_arguments);
let written = '';
const callStream = client.responses.stream(asked);
callStream.on('response.function_call_arguments.delta', (event) => { written += event.delta; });
const calledAgain = (await callStream.finalResponse()).output.find((item) => item.type === 'function_call');
assert.equal(calledAgain.arguments, call.arguments);
assert.equal(written, call.arguments);
const answered = await client.responses.create({
  ...asked,
  tool_choice: 'none',
  max_output_tokens: 16,
  input: [
    { role: 'user', content: 'The king' },
    ...called.output,
    { type: 'function_call_output', call_id: call.call_id, output: 'rain' },
  ],
});
assert.ok(answered.output_text.length > 0);

// Nothing is stored.
await assert.rejects(client.responses.create({ ...base, previous_response_id: 'resp_1' }), (error) => {
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, 'previous_response_id');
  return true;
});
await assert.rejects(client.responses.retrieve('resp_1'), OpenAI.NotFoundError);
