// openai-node: tools, runTools, and parse with schemas of zod. The client checks each value against its schema, too.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await client.models.list();
const base = { model, messages: [{ role: 'user', content: 'The king' }], temperature: 1, seed: 1, max_tokens: 150 };

const Weather = z.object({
  city: z.string().max(8).describe('Where'),
  unit: z.enum(['C', 'F']),
  days: z.number().int().min(1).max(9),
  note: z.string().max(5).nullable(),
});

// parse: nested, optional as null, unions, recursion.
const Node = z.object({ name: z.string().max(4), get children() { return z.array(Node).max(2); } });
const Report = z.object({
  weather: z.array(Weather).min(1).max(2),
  sent: z.iso.date(),
  kind: z.union([
    z.object({ kind: z.literal('a'), a: z.boolean() }), z.object({ kind: z.literal('b'), b: z.number() }),
  ]),
  tree: Node,
});
const parsed = await client.chat.completions.parse({
  ...base, max_tokens: 250, response_format: zodResponseFormat(Report, 'report'),
});
assert.equal(parsed.choices[0].finish_reason, 'stop');
Report.parse(parsed.choices[0].message.parsed);
const stream = client.chat.completions.stream({ ...base, response_format: zodResponseFormat(Weather, 'weather') });
Weather.parse((await stream.finalChatCompletion()).choices[0].message.parsed);
const object = await client.chat.completions.create({ ...base, response_format: { type: 'json_object' } });
assert.equal(typeof JSON.parse(object.choices[0].message.content), 'object');

// Tools: a call, its result, and an answer.
const tools = [zodFunction({ name: 'weather', description: 'The weather', parameters: Weather })];
const called = await client.chat.completions.parse({
  ...base, tools, tool_choice: 'required', parallel_tool_calls: false,
});
const { message, finish_reason: reason } = called.choices[0];
assert.equal(reason, 'tool_calls');
assert.equal(message.tool_calls.length, 1);
Weather.parse(message.tool_calls[0].function.parsed_arguments);
const answered = await client.chat.completions.create({
  ...base,
  tools,
  tool_choice: 'none',
  max_tokens: 10,
  messages: [...base.messages, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'rain' }],
});
assert.equal(answered.choices[0].message.tool_calls, undefined);
assert.equal(answered.usage.completion_tokens, 10);
const alone = await client.chat.completions.create({ ...base, max_tokens: 1 });
assert.ok(answered.usage.prompt_tokens > alone.usage.prompt_tokens);

// The same call streamed, put together by the client.
const calls = client.chat.completions.stream({
  ...base, tools, tool_choice: { type: 'function', function: { name: 'weather' } },
});
const done = [];
calls.on('tool_calls.function.arguments.done', (call) => done.push(call));
const streamed = (await calls.finalChatCompletion()).choices[0].message.tool_calls;
assert.equal(streamed.length, 1);
Weather.parse(streamed[0].function.parsed_arguments);
assert.deepEqual(done.map((call) => call.name), ['weather']);

// runTools calls the function and goes on with its result, here for two rounds.
const Unit = z.object({ unit: z.enum(['C', 'F']), days: z.number().int().min(1).max(9) });
for (const stream of [false, true]) {
  const given = [];
  const runner = client.chat.completions.runTools({
    ...base,
    stream,
    max_tokens: 90,
    tool_choice: 'required',
    parallel_tool_calls: false,
    tools: [zodFunction({
      name: 'weather',
      description: 'The weather',
      parameters: Unit,
      function: (unit) => {
        given.push(Unit.parse(unit));
        return { sky: 'grey' };
      },
    })],
  }, { maxChatCompletions: 2 });
  await runner.done();
  assert.equal(given.length, 2);
  assert.deepEqual(
    runner.messages.map((one) => one.role), ['user', 'assistant', 'tool', 'assistant', 'tool']);
  assert.equal(JSON.parse(await runner.finalFunctionToolCallResult()).sky, 'grey');
}
