// openai-node: responses, their streams, tools, parse, and what needs stored state.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await client.models.list();
const base = { model, input: 'The king', temperature: 1, max_output_tokens: 150 };
const Weather = z.object({ city: z.string().max(8), unit: z.enum(['C', 'F']), days: z.number().int().min(1).max(9) });

// A text, and the same one streamed.
const brief = { ...base, temperature: 0, instructions: 'Be brief.', max_output_tokens: 16, metadata: { a: 'b' } };
const whole = await client.responses.create(brief);
assert.equal(whole.status, 'incomplete');
assert.equal(whole.incomplete_details.reason, 'max_output_tokens');
assert.equal(whole.usage.output_tokens, 16);
assert.deepEqual(whole.metadata, { a: 'b' });
assert.ok(whole.output_text);
const stream = client.responses.stream(brief);
let pieces = '';
for await (const event of stream) {
  pieces += event.type === 'response.output_text.delta' ? event.delta : '';
}
assert.equal(pieces, whole.output_text);
assert.equal((await stream.finalResponse()).output_text, pieces);
const { input_tokens: counted } = await client.responses.inputTokens.count({
  model, input: brief.input, instructions: brief.instructions,
});
assert.equal(counted, whole.usage.input_tokens);

// Values of a schema.
const parsed = await client.responses.parse({ ...base, text: { format: zodTextFormat(Weather, 'weather') } });
Weather.parse(parsed.output_parsed);

// Tools: a call, its result with all items of the answer, and the answer to it; the same call streamed.
const tools = [zodResponsesFunction({ name: 'weather', parameters: Weather })];
const asked = { ...base, tools, tool_choice: 'required', parallel_tool_calls: false };
const called = await client.responses.parse(asked);
assert.deepEqual(called.output.map(({ type }) => type), ['function_call']);
Weather.parse(called.output[0].parsed_arguments);
const answered = await client.responses.create({
  ...base,
  tools,
  tool_choice: 'none',
  max_output_tokens: 10,
  input: [
    { role: 'user', content: base.input },
    ...called.output,
    { type: 'function_call_output', call_id: called.output[0].call_id, output: 'rain' },
  ],
});
assert.equal(answered.usage.output_tokens, 10);
assert.equal(answered.output[0].type, 'message');
const streamed = await client.responses.stream(asked).finalResponse();
Weather.parse(streamed.output[0].parsed_arguments);

// Errors.
await assert.rejects(
  client.responses.create({ ...base, previous_response_id: 'resp_1' }),
  (error) => error instanceof OpenAI.BadRequestError && error.param === 'previous_response_id',
);
await assert.rejects(client.responses.retrieve('resp_1'), OpenAI.NotFoundError);
