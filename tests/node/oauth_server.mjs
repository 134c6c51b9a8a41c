// A real OAuth and OpenID server for tests: oidc-provider with people who sign in with any name.
// Prints its issuer when it is ready. GET /_counts tells how often each grant was given.
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const secret = process.argv[2];
const counts = {};
const server = createServer();
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;
const grants = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code', 'client_credentials'];
const client = (client_id, more = {}) => ({
  client_id,
  client_secret: secret,
  application_type: 'native',
  grant_types: grants,
  redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/connections/callback'],
  ...more,
});

const provider = new Provider(issuer, {
  clients: [client('desk'), client('narrow'), client('fleeting'), client('unrenewed')],
  scopes: ['openid', 'email', 'offline_access', 'drive.readonly', 'drive.write', 'mail'],
  claims: { openid: ['sub'], email: ['email'] },
  features: {
    deviceFlow: { enabled: true, charset: 'digits', mask: '****-****' },
    clientCredentials: { enabled: true },
    revocation: { enabled: true, allowedPolicy: () => true },
    devInteractions: { enabled: true },
  },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: `${sub}@example.com` }) }),
  issueRefreshToken: async (_, of) => !['fleeting', 'unrenewed'].includes(of.clientId),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: (_, token) => (token.clientId === 'fleeting' ? 2 : 3600),
    ClientCredentials: () => 600,
    RefreshToken: () => 86400,
    DeviceCode: () => 600,
  },
  // Of one client nobody but the boss ever grants the permission to write.
  loadExistingGrant: async (ctx) => {
    const { client: { clientId }, session } = ctx.oidc;
    const known = ctx.oidc.result?.consent?.grantId || session.grantIdFor(clientId);
    if (known) return provider.Grant.find(known);
    if (clientId !== 'narrow' || session.accountId === 'boss') return undefined;
    const grant = new provider.Grant({ clientId, accountId: session.accountId });
    grant.addOIDCScope('openid email offline_access drive.readonly mail');
    grant.rejectOIDCScope('drive.write');
    await grant.save();
    return grant;
  },
});

provider.on('grant.success', (ctx) => {
  const kind = ctx.oidc.params.grant_type;
  counts[kind] = (counts[kind] || 0) + 1;
});
provider.on('server_error', (_, error) => console.error(error));

const handle = provider.callback();
server.on('request', (request, response) => {
  if (request.url === '/_counts') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(counts));
    return;
  }
  handle(request, response);
});
console.log(issuer);
