// The TypeScript SDK of the Model Context Protocol as a client that is given a server's URL:
// node mcp_client.mjs NODE_MODULES URL CLIENT_ID REDIRECT_URI. Without a client ID (""), it registers itself.
//
// It prints one JSON document a line: {"open": URL} for the user's browser, and waits for the URL of the redirect on
// standard input; {"registered": ...}, and {"result": ...} of each tool call.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [packages, address, clientId, redirectUri] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${packages}/@modelcontextprotocol/sdk/dist/esm/${file}`));
const { Client } = await load("client/index.js");
const { UnauthorizedError } = await load("client/auth.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (document) => console.log(JSON.stringify(document));

const metadata = {
  client_name: "The TypeScript SDK",
  redirect_uris: [redirectUri],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
};

class Provider {
  client = clientId ? { client_id: clientId } : undefined;
  get redirectUrl() { return redirectUri; }
  get clientMetadata() { return metadata; }
  state() { return "state-of-the-typescript-sdk"; }
  clientInformation() { return this.client; }
  saveClientInformation(client) { this.client = client; say({ registered: client }); }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  redirectToAuthorization(url) { say({ open: url.href }); }
}

const provider = new Provider();

async function call(name, parameters) {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const transport = new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
    try {
      const client = new Client({ name: "typescript-sdk", version: "1" });
      await client.connect(transport);
      const result = await client.callTool({ name, arguments: parameters });
      await client.close();
      return result;
    } catch (error) {
      if (error.code === 403 && provider.saved.refresh_token) {
        // The SDK refreshed its tokens instead of asking the user for the scope in the challenge.
        say({ refused: error.message });
        delete provider.saved.refresh_token;
        continue;
      }
      if (!(error instanceof UnauthorizedError)) throw error;
      const redirected = new URL((await lines.next()).value);
      await transport.finishAuth(redirected.searchParams.get("code"));
    }
  }
  throw new Error(`${name} was refused after two logins`);
}

say({ result: await call("read_notes", {}) });
say({ result: await call("write_note", { text: "By the TypeScript SDK" }) });
process.exit(0);
