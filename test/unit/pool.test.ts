import test from 'ava';
import { Pool } from '../../src/core/pool.ts';

function numbers(limit: number): { pool: Pool<{ n: number }>; made: () => number } {
  let made = 0;
  const make = () => {
    made += 1;
    return { n: made };
  };
  return { pool: new Pool(limit, make), made: () => made };
}

test('resources are made when needed, up to the limit; waiting users get them in order', async (t) => {
  const { pool, made } = numbers(2);
  t.is(made(), 0);
  const [one, two] = [await pool.take(), pool.takeNow()];
  t.is(made(), 2);
  t.is(pool.takeNow(), null);
  const got: number[] = [];
  const waiting = ['first', 'second'].map(async (_, place) => got.push(place, (await pool.take()).n));
  pool.give(one);
  if (two) pool.give(two);
  await Promise.all(waiting);
  t.deepEqual(got, [0, 1, 1, 2]);
  t.is(made(), 2);
});

test('a pool that has ended gives nothing: waiting users get the first reason', async (t) => {
  const { pool } = numbers(1);
  const one = await pool.take();
  const waiting = pool.take();
  pool.end(new Error('over'));
  pool.end(new Error('again'));
  await t.throwsAsync(waiting, { message: 'over' });
  await t.throwsAsync(pool.take(), { message: 'over' });
  pool.give(one);
  t.is(pool.takeNow(), null);
});
