// Server-sent events (WHATWG HTML, section 9.2), read for ever: a broken line is taken up again after
// the last event that came. EventSource cannot bring a bearer, so this is fetch.

import {isPassing, restMs} from './lists.js';

export const SILENCE_MAX_MS = 90_000; // the gateway says something, if only a comment, more often

/** {id, type, data} for each event, {retryMs} when the gateway names a pause. */
export async function* parseEvents(chunks) {
  let lastId = '', kind = '', data = [];
  for await (const line of linesOf(chunks)) {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (line === '') {
      if (data.length > 0) yield {id: lastId, type: kind || 'message', data: jsonOf(data.join('\n'))};
      kind = '';
      data = [];
    } else if (name === 'event') kind = value;
    else if (name === 'data') data.push(value);
    else if (name === 'id' && !value.includes('\0')) lastId = value;
    else if (name === 'retry' && /^\d+$/.test(value)) yield {retryMs: Number(value)};
  }
}

async function* linesOf(chunks) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, {stream: true});
    const lines = rest.split('\n');
    rest = lines.pop();
    for (const line of lines) yield line.replace(/\r$/, '');
  }
}

/** `connect` begins after the event of that id. What is no passing trouble ends it, as an error. */
export async function* readEvents(connect, sleep, lastId, signal) {
  let failures = 0, retryMs = 1000;
  for (;;) {
    let passing;
    try {
      const {chunks} = await connect(lastId);
      for await (const said of parseEvents(chunks)) {
        if (said.retryMs !== undefined) {
          retryMs = said.retryMs;
          continue;
        }
        lastId = said.id || lastId;
        failures = 0;
        yield said;
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
      passing = error;
    }
    await sleep(restMs(passing, ++failures, retryMs), signal);
  }
}

function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
