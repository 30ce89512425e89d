import type { CreateToken, NewToken } from '../../src/api/types.ts';
import { type Api, apiOf } from './api.ts';

export const ADMIN_TOKEN = 'an-admin-token-of-a-test';

/** Makes a token of the API. @param maker who may */
export async function makeToken(
  maker: Api,
  fields: Partial<CreateToken> & Pick<CreateToken, 'scopes'>,
): Promise<NewToken> {
  const { status, body } = await maker.post('/v1/tokens', { name: 'a token', ...fields });
  if (status !== 201) throw new Error(`token: ${status} ${JSON.stringify(body)}`);
  return body;
}

/** A client with a new token of its own. */
export async function clientWith(
  url: string,
  maker: Api,
  fields: Partial<CreateToken> & Pick<CreateToken, 'scopes'>,
): Promise<Api> {
  return apiOf(url, (await makeToken(maker, fields)).token);
}
