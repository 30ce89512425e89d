import * as z from 'zod/mini';
import { isStoreError, StoreError } from '../core/errors.ts';
import { leadTo } from './forms.ts';
import { type Html, html } from './html.ts';
import { type PageAnswer, page, type UiRoute } from './page.ts';
import type { Site } from './serve-page.ts';
import { nextPage, SESSION_MS } from './sessions.ts';

/** Signing in and out. */
export function signInPages({ authentication, sessions }: Site): UiRoute[] {
  return [
    page({
      path: '/ui/login',
      id: 'showLogin',
      query: z.object({ next: z.optional(z.string()) }),
      async handle(_, { query }, ctx) {
        if (await authentication.isOpen()) return leadTo(ctx, '/ui');
        return form(nextPage(query.next), null, 200);
      },
    }),
    page({
      method: 'post',
      path: '/ui/login',
      id: 'signIn',
      async handle(_, { form: sent }, ctx) {
        const next = nextPage(sent.get('next') ?? undefined);
        const token = (sent.get('token') ?? '').trim();
        if (await authentication.isOpen()) return leadTo(ctx, '/ui');
        try {
          if (token === '') throw new StoreError('unauthenticated', 'Enter a token.');
          await authentication.caller(`Bearer ${token}`, 'token');
          await sessions.begin(ctx, token);
        } catch (error) {
          if (!isStoreError(error) || error.status >= 500) throw error;
          return form(next, error.message, error.status);
        }
        return leadTo(ctx, next);
      },
    }),
    page({
      method: 'post',
      path: '/ui/logout',
      id: 'signOut',
      async handle(_, _request, ctx) {
        sessions.end(ctx);
        return leadTo(ctx, '/ui/login');
      },
    }),
  ];
}

function form(next: string, problem: string | null, status: number): PageAnswer {
  const hint = `The session lasts ${SESSION_MS / 3_600_000} hours, or as long as the token.`;
  const error: Html | null =
    problem === null ? null : html`<p class="note bad" role="alert" id="problem">${problem}</p>`;
  const body = html`<div class="panel sign"><h1>Sign in</h1>
<p class="soft">With a token of this service: the one that the command line takes, or one that
<code>artifact-store token create</code> prints.</p>
${error}
<form method="post" action="/ui/login">
<input type="hidden" name="next" value="${next}">
<p><label for="token">Token</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password" spellcheck="false"${problem === null ? null : html` aria-invalid="true" aria-describedby="problem"`}></p>
<p class="actions"><button type="submit">Sign in</button></p>
</form>
<p class="soft small">${hint} It can do here what it can do elsewhere, and nothing more.</p></div>`;
  return { title: 'Sign in', body, status };
}
