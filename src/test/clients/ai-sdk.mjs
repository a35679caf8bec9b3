// The AI SDK: texts, streams, objects, tools. With its provider for compatible servers, or with OpenAI's own through
// chats or through responses: compatible, chat, responses.
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, isStepCount, Output, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;
const baseURL = `${process.argv[2]}/v1`;
const { data: [{ id }] } = await (await fetch(`${baseURL}/models`)).json();
const openai = createOpenAI({ baseURL, apiKey: 'unused' });
const compatible = createOpenAICompatible({
  name: 'weft', baseURL, apiKey: 'unused', includeUsage: true, supportsStructuredOutputs: true,
});
const model = {
  compatible: () => compatible(id),
  chat: () => openai.chat(id),
  // Weft stores nothing, so that a conversation must be sent as a whole.
  responses: () => openai.responses(id),
}[process.argv[3]]();
const base = {
  model, temperature: 0, maxRetries: 0, maxOutputTokens: 150, providerOptions: { openai: { store: false } },
};
const brief = { ...base, instructions: 'Be brief.', prompt: 'The king', maxOutputTokens: 16 };
const onError = ({ error }) => { throw error; };

// A text, and the same one streamed; a completion.
const text = await generateText(brief);
assert.equal(text.finishReason, 'length');
assert.equal(text.usage.outputTokens, 16);
const stream = streamText({ ...brief, onError });
let pieces = '';
for await (const piece of stream.textStream) {
  pieces += piece;
}
assert.equal(pieces, text.text);
assert.equal(await stream.finishReason, 'length');
assert.equal((await stream.usage).totalTokens, text.usage.totalTokens);
const completion = await generateText({
  ...base, model: compatible.completionModel(id), prompt: 'The king', maxOutputTokens: 5,
});
assert.equal(completion.usage.outputTokens, 5);

// Objects: the SDK checks them against their schemas.
const Weather = z.object({
  city: z.string().max(8),
  days: z.array(z.object({ unit: z.enum(['C', 'F']), degrees: z.number().int().min(-9).max(9) })).min(1).max(2),
  note: z.string().max(5).optional(),
});
const { object } = await generateObject({ ...base, prompt: 'The king', schema: Weather });
Weather.parse(object);
const objects = streamObject({ ...base, prompt: 'The king', schema: Weather, onError });
let partial;
for await (partial of objects.partialObjectStream) {
  assert.equal(typeof partial, 'object');
}
assert.deepEqual(partial, await objects.object);
const chosen = await generateText({ ...base, prompt: 'The king', output: Output.choice({ options: ['sun', 'rain'] }) });
assert.ok(['sun', 'rain'].includes(chosen.output));
const list = await generateText({
  ...base, prompt: 'The king', output: Output.array({ element: z.object({ a: z.boolean() }) }), maxOutputTokens: 60,
});
assert.ok(list.output.every(({ a }) => typeof a === 'boolean'));

// An agent's loop: a call, its result, an answer.
const Unit = z.object({ unit: z.enum(['C', 'F']), days: z.number().int().min(1).max(9) });
const agent = (given) => ({
  ...base,
  prompt: 'The king',
  maxOutputTokens: 90,
  tools: {
    weather: tool({
      description: 'The weather',
      inputSchema: Unit,
      execute: (unit) => {
        given.push(Unit.parse(unit));
        return { sky: 'grey' };
      },
    }),
  },
  stopWhen: isStepCount(2),
  prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? { type: 'tool', toolName: 'weather' } : 'none' }),
});
const whole = [];
const answered = await generateText(agent(whole));
assert.equal(whole.length, 1);
assert.deepEqual(answered.steps.map((step) => step.finishReason)[0], 'tool-calls');
assert.equal(answered.steps.length, 2);
assert.deepEqual(answered.steps[0].toolResults[0].output, { sky: 'grey' });
const parts = [];
const streamedCalls = streamText({ ...agent(parts), onError });
const kinds = new Set();
for await (const part of streamedCalls.fullStream) {
  kinds.add(part.type);
}
assert.deepEqual(parts, whole);
for (const kind of ['tool-input-delta', 'tool-call', 'tool-result', 'text-delta', 'finish']) {
  assert.ok(kinds.has(kind), `${kind} of ${[...kinds]}`);
}
assert.equal((await streamedCalls.steps).length, 2);
assert.equal(await streamedCalls.text, answered.text);

// Aborted.
await assert.rejects(
  generateText({ ...brief, maxOutputTokens: 400, abortSignal: AbortSignal.timeout(1) }), /abort|timeout/i);
