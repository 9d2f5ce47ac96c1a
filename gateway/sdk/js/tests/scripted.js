// A gateway that says, on a real socket, what a test tells it to say; and what it was asked.

import {once} from 'node:events';
import {createServer} from 'node:http';

export const CUT = {cut: true}; // the connection ends without an answer
export const SILENCE = {}; // and here nothing comes, until the client has gone

export const says = (status, body, headers = {}) => ({status, body: JSON.stringify(body), headers});

/** Each request gets the next of the script; `fn` gets {url, asked}. */
export async function withGateway(script, fn) {
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({method: request.method, path: request.url, headers: request.headers, body});
    const answer = script.shift() ?? CUT;
    if (answer.cut) request.socket.destroy();
    if (answer.status === undefined) return;
    response.writeHead(answer.status, {'Content-Type': 'application/json', ...answer.headers});
    if (answer.breaks) response.write(answer.body, () => request.socket.destroy());
    else response.end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await fn({url: `http://127.0.0.1:${server.address().port}`, asked});
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
