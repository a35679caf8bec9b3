// openai-node: models, completions and chats, whole and streamed, and errors.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'unused', maxRetries: 0 });
const { data: [{ id: model }] } = await client.models.list();
assert.equal((await client.models.retrieve(model)).id, model);

// A completion, and the same one streamed.
const prompt = 'It was a dark night, and';
const completion = await client.completions.create({ model, prompt, max_tokens: 12, temperature: 0 });
assert.equal(completion.object, 'text_completion');
assert.equal(completion.choices[0].finish_reason, 'length');
assert.equal(completion.usage.completion_tokens, 12);
let text = '';
let reason;
let usage;
for await (const chunk of await client.completions.create({
  model, prompt, max_tokens: 12, temperature: 0, stream: true, stream_options: { include_usage: true },
})) {
  text += chunk.choices[0]?.text ?? '';
  reason = chunk.choices[0]?.finish_reason ?? reason;
  usage = chunk.usage ?? usage;
}
assert.equal(text, completion.choices[0].text);
assert.equal(reason, 'length');
assert.deepEqual(usage, completion.usage);

// Several prompts and choices.
const several = await client.completions.create({
  model, prompt: [prompt, 'The king'], n: 2, max_tokens: 3, temperature: 1, seed: 1, logprobs: 2,
});
assert.deepEqual(several.choices.map((choice) => choice.index), [0, 1, 2, 3]);
for (const { logprobs } of several.choices) {
  assert.equal(logprobs.tokens.length, 3);
  assert.ok(logprobs.token_logprobs.every((value) => value <= 0));
}

// A chat, and the same one streamed.
const messages = [
  { role: 'system', content: 'Be brief.' }, { role: 'user', content: [{ type: 'text', text: prompt }] },
];
const chat = { model, messages, max_completion_tokens: 12, temperature: 0, logprobs: true, top_logprobs: 2 };
const answer = await client.chat.completions.create(chat);
const { message, logprobs } = answer.choices[0];
assert.equal(message.role, 'assistant');
assert.equal(answer.choices[0].finish_reason, 'length');
assert.equal(logprobs.content.length, 12);
assert.equal(logprobs.content.map((token) => token.token).join(''), message.content);
const stream = client.chat.completions.stream({ ...chat, stream_options: { include_usage: true } });
let pieces = '';
stream.on('content', (delta) => { pieces += delta; });
const assembled = await stream.finalChatCompletion();
assert.equal(pieces, message.content);
assert.equal(assembled.choices[0].message.content, message.content);
assert.equal(assembled.choices[0].finish_reason, 'length');
assert.deepEqual(assembled.choices[0].logprobs.content, logprobs.content);
assert.deepEqual(assembled.usage, answer.usage);

// Errors become the client's own classes.
await assert.rejects(client.completions.create({ model, prompt, temperature: 3 }), (error) => {
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, 'temperature');
  assert.match(error.message, /temperature is 3/);
  return true;
});
await assert.rejects(client.chat.completions.create({ model: 'another', messages }), (error) => {
  assert.ok(error instanceof OpenAI.NotFoundError);
  assert.equal(error.code, 'model_not_found');
  return true;
});
await assert.rejects(client.embeddings.create({ model, input: 'a' }), OpenAI.NotFoundError);
