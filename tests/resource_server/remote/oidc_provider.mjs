// panva's oidc-provider as an issuer of RFC 9068 tokens. It says when it is ready, with an ID token of its own.
import { pathToFileURL } from "node:url";

const { default: Provider } = await import(pathToFileURL(process.env.OIDC_PROVIDER));
const { issuer, port, audience, jwks } = JSON.parse(process.argv[2]);
const api = { scope: "read", audience, accessTokenFormat: "jwt", accessTokenTTL: 600, jwt: { sign: { alg: "RS256" } } };
const provider = new Provider(issuer, {
  jwks,
  ttl: { IdToken: 600 },
  clients: [
    {
      client_id: "service",
      client_secret: "a secret",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: { enabled: true, defaultResource: () => audience, getResourceServerInfo: () => api },
  },
});
const client = await provider.Client.find("service");
const idToken = new provider.IdToken({ sub: "5" }, { client, ctx: { oidc: { client, provider, issuer } } });
idToken.scope = "openid";
provider.listen(port, "127.0.0.1", async () => console.log("ID_TOKEN", await idToken.issue({ use: "idtoken" })));
