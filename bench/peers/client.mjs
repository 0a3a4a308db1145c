// Makes calls through the official SDK of a protocol and prints what they cost, in the form of
// llmproc-bench-client:
//   NODE_EXTRA_CA_CERTS=CA_FILE node client.mjs KIND PORT CA_FILE IN_FLIGHT WARM_UP CALLS
// KIND: complete-CODEC, stream-bulk-CODEC or stream-coalesced-CODEC; of a stream a call is a token.
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { performance } from 'node:perf_hooks';

const model = 'gpt-5-mini-2025-08-07';
const prompt = 'Name the capital of France and the river that runs through it, in one short sentence.';
const apiKey = 'sk-benchmark-0123456789abcdef';

const [kind, port, , inFlight, warmUp, calls] = process.argv.slice(2);
const parts = /^(complete|stream-(bulk|coalesced))-(.*)$/.exec(kind);
if (!parts) {
  throw new Error(`unknown kind ${kind}`);
}
const codec = parts[3];
const base = `https://127.0.0.1:${port}${parts[2] ? `/${parts[2]}` : ''}`;

/// Per codec: one call as [text, output tokens], and the pieces of a stream.
const adapters = {
  openai_chat() {
    const client = new OpenAI({ apiKey, baseURL: `${base}/v1`, maxRetries: 0 });
    return {
      async call() {
        const reply = await client.chat.completions.create({
          model,
          messages: [{ role: 'user', content: prompt }],
        });
        return [reply.choices[0].message.content, reply.usage.completion_tokens];
      },
      async *stream(content) {
        const stream = await client.chat.completions.create({
          model,
          messages: [{ role: 'user', content }],
          stream: true,
          stream_options: { include_usage: true },
        });
        for await (const chunk of stream) {
          yield chunk.choices[0]?.delta?.content;
        }
      },
    };
  },
  openai_responses() {
    const client = new OpenAI({ apiKey, baseURL: `${base}/v1`, maxRetries: 0 });
    return {
      async call() {
        const reply = await client.responses.create({ model, input: prompt, store: false });
        return [reply.output_text, reply.usage.output_tokens];
      },
      async *stream(input) {
        const stream = await client.responses.create({ model, input, store: false, stream: true });
        for await (const event of stream) {
          yield event.type === 'response.output_text.delta' ? event.delta : undefined;
        }
      },
    };
  },
  anthropic() {
    const client = new Anthropic({ apiKey, baseURL: base, maxRetries: 0 });
    const request = (content) => ({
      model,
      max_tokens: 4096,
      messages: [{ role: 'user', content }],
    });
    return {
      async call() {
        const reply = await client.messages.create(request(prompt));
        return [reply.content[0].text, reply.usage.output_tokens];
      },
      async *stream(content) {
        const stream = await client.messages.create({ ...request(content), stream: true });
        for await (const event of stream) {
          yield event.type === 'content_block_delta' ? event.delta.text : undefined;
        }
      },
    };
  },
  gemini() {
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: base, apiVersion: 'v1beta' } });
    return {
      async call() {
        const reply = await client.models.generateContent({ model, contents: prompt });
        return [reply.text, reply.usageMetadata.candidatesTokenCount];
      },
      async *stream(contents) {
        for await (const chunk of await client.models.generateContentStream({ model, contents })) {
          yield chunk.text;
        }
      },
    };
  },
};

const adapter = adapters[codec]();

async function runCalls(count) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) {
      const [text, tokens] = await adapter.call();
      if (text.length < 20 || tokens !== 16) {
        throw new Error('the answer was not understood');
      }
    }
  };
  await Promise.all(Array.from({ length: Number(inFlight) }, worker));
}

async function runStream(count) {
  let tokens = 0;
  for await (const piece of adapter.stream(`tokens=${count}`)) {
    tokens += piece === ' token' ? 1 : 0;
  }
  if (tokens !== count) {
    throw new Error(`${tokens} of ${count} tokens came`);
  }
}

const run = parts[2] ? runStream : runCalls;
await run(Number(warmUp));
const cpu = process.cpuUsage();
const begin = performance.now();
await run(Number(calls));
const seconds = (performance.now() - begin) / 1000;
const used = process.cpuUsage(cpu);
const perCall = (used.user + used.system) / Number(calls);
console.log(`${Number(calls) / seconds} ${perCall} 0 0 0`);
process.exit(0);
