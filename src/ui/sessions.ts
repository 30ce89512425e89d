import type { Context } from 'koa';
import { StoreError } from '../core/errors.ts';
import type { SealedSessions } from '../core/sealed-session.ts';

/** How long one is signed in, ms; a token that ends or is revoked before ends it too. */
export const SESSION_MS = 12 * 3_600_000;
/** A cookie with its name and attributes may have 4,096 bytes (RFC 6265, 6.1). */
const VALUE_MAX = 3_800;

export interface Sessions {
  /** The `Authorization` header of this request, or what stands for it: the pages alone take a cookie. */
  authorization(ctx: Context): Promise<string | undefined>;
  hasCookie(ctx: Context): boolean;
  /** @throws StoreError invalid_request: the token is too long for a cookie */
  begin(ctx: Context, token: string): Promise<void>;
  end(ctx: Context): void;
}

export interface SessionsOptions {
  sealed: SealedSessions;
  publicUrl(): string;
  /** The registry's time, ms. */
  now(): Promise<number>;
}

/**
 * The cookie is Lax, not Strict: whoever follows a link to a package from Statehub is signed in, and nothing that GET answers changes
 * anything; what POST changes is guarded by `assertOwnForm`. Over https its name makes browsers refuse it from any other host (`__Host-`,
 * RFC 6265bis, 4.1.3), which needs the path `/`: the API takes no cookie. Elsewhere it is sent to `/ui` alone; the port stands in
 * the name, since browsers give cookies to every port of a host.
 */
export function sessions({ sealed, publicUrl, now }: SessionsOptions): Sessions {
  const place = () => {
    const { protocol, port } = new URL(publicUrl());
    return protocol === 'https:'
      ? { name: '__Host-artifact-store', attributes: 'Path=/; HttpOnly; SameSite=Lax; Secure' }
      : { name: `artifact-store-${port || '80'}`, attributes: 'Path=/ui; HttpOnly; SameSite=Lax' };
  };
  const cookieOf = (ctx: Context): string | undefined => {
    const { name } = place();
    const pairs = ctx.get('cookie').split(';');
    const pair = pairs.map((each) => each.trim()).find((each) => each.startsWith(`${name}=`));
    return pair?.slice(name.length + 1);
  };
  const set = (ctx: Context, value: string, seconds: number): void => {
    const { name, attributes } = place();
    ctx.set('Set-Cookie', `${name}=${value}; ${attributes}; Max-Age=${seconds}`);
  };
  return {
    async authorization(ctx) {
      const sent = ctx.get('authorization');
      if (sent !== '') return sent;
      const cookie = cookieOf(ctx);
      const token = cookie === undefined ? null : sealed.open(cookie, await now());
      return token === null ? undefined : `Bearer ${token}`;
    },
    hasCookie: (ctx) => cookieOf(ctx) !== undefined,
    async begin(ctx, token) {
      const value = sealed.seal(token, (await now()) + SESSION_MS);
      if (value.length > VALUE_MAX) {
        throw new StoreError(
          'invalid_request',
          'The token is too long for a browser to keep: sign in with another one.',
        );
      }
      set(ctx, value, SESSION_MS / 1_000);
    },
    end: (ctx) => set(ctx, '', 0),
  };
}

/**
 * Whether a form was sent by a page of this very service, and not by one of another site in the name of whoever is signed in, or to sign
 * them in as somebody else. Browsers say where a request comes from (Fetch metadata), or at least its origin. @throws StoreError foreign_origin
 */
export function assertOwnForm(ctx: Context, publicUrl: string): void {
  const site = ctx.get('sec-fetch-site');
  const origin = ctx.get('origin');
  const own = [new URL(publicUrl).origin, `http://${ctx.host}`, `https://${ctx.host}`].includes(origin);
  if (own && (site === '' || site === 'same-origin')) return;
  throw new StoreError(
    'foreign_origin',
    'This form was not sent by a page of this service: open the page, and send it again.',
  );
}

/** Where somebody wanted to go before signing in: a page of this service, whatever else stands there. */
export function nextPage(asked: string | undefined): string {
  if (asked === undefined || !/^\/ui(?:[/?]|$)/.test(asked) || /[^\x21-\x7e]|[\\#]|\/\//.test(asked)) return '/ui';
  const { origin, pathname, search } = new URL(asked, 'http://service.invalid');
  if (origin !== 'http://service.invalid' || !/^\/ui(?:\/|$)/.test(pathname)) return '/ui';
  return /^\/ui\/log(?:in|out)/.test(pathname) ? '/ui' : pathname + search;
}
