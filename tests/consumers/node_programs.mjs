// Consumers in Node: `node node_programs.mjs NAME`, as python_programs.py. Packages are found in NODE_PACKAGES.
import { createRequire } from "node:module"
import { createInterface } from "node:readline"

const packages = createRequire(process.env.NODE_PACKAGES + "/")
const api = JSON.parse(process.env.CONSUMER_SITE)
const { issuer, audience, jwks_uri: jwksUri, algorithm } = api
const load = (name) => import(packages.resolve(name))
const algorithms = algorithm ? { algorithms: [algorithm] } : {}

// A function that sends a token to an Express application with one middleware.
async function express(middleware) {
  const app = packages("express")()
  app.use(middleware)
  app.get("/", (_request, response) => response.send("in"))
  app.use((error, _request, response, _next) => response.status(error.status ?? 500).send(error.message))
  const server = await new Promise((resolve) => { const it = app.listen(0, "127.0.0.1", () => resolve(it)) })
  return overHttp(`http://127.0.0.1:${server.address().port}/`)
}

const overHttp = (url) => async (token) => {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
}

const programs = {
  async jose() {
    const { createRemoteJWKSet, jwtVerify } = await load("jose")
    const keys = createRemoteJWKSet(new URL(jwksUri))
    return (token) => jwtVerify(token, keys, { issuer, audience, typ: "at+jwt", ...algorithms })
  },
  async oauth4webapi() {
    const oauth = await import(new URL(`file://${process.env.NODE_PACKAGES}/oauth4webapi/build/index.js`))
    const url = new URL(issuer)
    const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: "oauth2" }))
    return (token) => oauth.validateJwtAccessToken(
      server, new Request(audience, { headers: { authorization: `Bearer ${token}` } }), audience,
      algorithm ? { signingAlgorithms: [algorithm] } : {})
  },
  async express_oauth2_jwt_bearer() {
    const { auth } = packages("express-oauth2-jwt-bearer")
    return express(auth(algorithm
      ? { issuer, jwksUri, audience, tokenSigningAlg: algorithm } : { issuerBaseURL: issuer, audience }))
  },
  async express_jwt() {
    const { expressjwt } = packages("express-jwt")
    const secret = packages("jwks-rsa").expressJwtSecret({ jwksUri, cache: true, rateLimit: true })
    return express(expressjwt({ secret, issuer, audience, ...algorithms }))
  },
  async passport_jwt() {
    const { ExtractJwt, Strategy } = packages("passport-jwt")
    const passport = packages("passport")
    const secretOrKeyProvider = packages("jwks-rsa").passportJwtSecret({ jwksUri, cache: true, rateLimit: true })
    const jwtFromRequest = ExtractJwt.fromAuthHeaderAsBearerToken()
    const options = { secretOrKeyProvider, jwtFromRequest, issuer, audience, ...algorithms }
    passport.use(new Strategy(options, (claims, done) => done(null, claims)))
    return express(passport.authenticate("jwt", { session: false }))
  },
  async jsonwebtoken() {
    const jwt = packages("jsonwebtoken")
    const client = packages("jwks-rsa")({ jwksUri })
    const key = ({ kid }, done) => client.getSigningKey(kid, (error, found) => done(error, found?.getPublicKey()))
    return (token) => new Promise((resolve, reject) => jwt.verify(
      token, key, { issuer, audience, ...algorithms }, (error, claims) => error ? reject(error) : resolve(claims)))
  },
  async fast_jwt() {
    const { createVerifier } = packages("fast-jwt")
    const getJwks = packages("get-jwks")({ issuersWhitelist: [issuer], providerDiscovery: true })
    const key = ({ header: { kid, alg } }) => getJwks.getPublicKey({ kid, alg, domain: issuer })
    return createVerifier({ key, allowedIss: issuer, allowedAud: audience, ...algorithms })
  },
  async fastify_jwt_jwks() {
    const fastify = packages("fastify")()
    await fastify.register(packages("fastify-jwt-jwks"), { jwksUrl: jwksUri, issuer, audience })
    fastify.get("/", { preValidation: fastify.authenticate }, (_request, reply) => reply.send("in"))
    return overHttp(await fastify.listen({ port: 0, host: "127.0.0.1" }))
  },
  async aws_jwt_verify() {
    const { JwtVerifier } = packages("aws-jwt-verify")
    const verifier = JwtVerifier.create({ issuer, audience, jwksUri })
    return (token) => verifier.verify(token)
  },
  async okta() {
    const Verifier = packages("@okta/jwt-verifier")
    const verifier = new Verifier({ issuer, jwksUri })
    return (token) => verifier.verifyAccessToken(token, audience)
  },
}

let check
try {
  check = await programs[process.argv[2]]()
} catch (error) {
  check = () => { throw error }
}
console.log("ready")
for await (const line of createInterface({ input: process.stdin })) {
  try {
    await check(line.trim())
    console.log("accepted")
  } catch (error) {
    console.log(`refused ${error?.name}: ${error?.message}`.replace(/\s+/g, " ").slice(0, 200))
  }
}
process.exit()
